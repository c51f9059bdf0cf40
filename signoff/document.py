"""signoff.json: the checklist as a sealed document (`signoff.schema.json`)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from goldgate.sealed import sealed
from goldgate.signoff.checklist import Checklist, Item

KIND = "release sign-off"

#: The version of the layout.
SCHEMA = 1

#: The layout as JSON Schema, draft 2020-12.
SCHEMA_FILE = Path(__file__).with_name("signoff.schema.json")


def to_json(checklist: Checklist) -> str:
    """Return the checklist as JSON with its digest; equal evidence gives equal text but "time"."""
    return sealed(
        {
            "schema": SCHEMA,
            "kind": KIND,
            "title": checklist.title,
            "verdict": checklist.verdict,
            "signed_off": checklist.signed_off,
            "demonstration": checklist.demonstration,
            "exit_status": checklist.status,
            "policy": {
                "name": checklist.policy_name,
                "sha256": checklist.policy_sha256,
                "facts": {one.name: one.value for one in checklist.policy},
            },
            "items": [_item(one) for one in checklist.items],
            "refused": [asdict(one) for one in checklist.refused],
            "read": [asdict(one) for one in checklist.read],
            "notes": list(checklist.notes),
            "goldgate": {one.name: one.value for one in checklist.goldgate},
            "time": {"made": checklist.made},
        }
    )


def _item(one: Item) -> dict[str, object]:
    return {
        **asdict(one),
        "state": one.state.value,
        "evidence": [{"path": file.path, "sha256": file.sha256} for file in one.evidence],
    }
