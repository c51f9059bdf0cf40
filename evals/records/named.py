"""What the answers of a run name of who served them: a model id, a fingerprint, a build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What run.json's totals count, and what it is.
NAMED: Mapping[str, str] = {
    "served_models": "model id",
    "fingerprints": "system_fingerprint",
    "builds": "server build",
}


def partly_named(totals: Mapping[str, Any]) -> dict[str, str]:
    """Say of each name that some answers carry and others do not how many do not, by its key.

    One server sends the same fields with every answer: a name that comes and goes is two servers
    behind one address, or one that was replaced.
    """
    nameless = totals.get("nameless", {})  # run folders of earlier versions did not count it
    return {
        key: f"{nameless[key]} of {totals['answers']} answers name no {what}, "
        f"the others {', '.join(sorted(totals[key]))}"
        for key, what in NAMED.items()
        if nameless.get(key) and totals[key]
    }
