"""verdict.json: the paired verdict on two runs, sealed with a digest of its content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldgate.provenance import goldgate_itself
from goldgate.sealed import DocumentError, checked, digest, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

VERDICT = "verdict.json"
KIND = "GSM8K verdict"

#: The version of the layout. Schema 2 had no kind and no digest.
SCHEMA = 3

VERDICTS = ("PRESERVED", "DEGRADED", "INCONCLUSIVE", "REFUSED")

_PARTS = {
    "goldgate": dict,
    "verdict": str,
    "rules": dict,
    "checks": list,
    "paired": dict,
    "withheld": list,
    "cautions": list,
    "runs": dict,
}
_RUN = {"settings": dict, "totals": dict, "hashes": dict, "server": dict, "data": str}


def write_verdict(path: Path, comparison: Mapping[str, Any]) -> None:
    """Write a comparison as JSON with its digest, whole or not at all.

    Raises EvalError where it cannot be written.
    """
    from goldgate.evals.records.folder import write_text  # noqa: PLC0415 - lm-eval, to read a task

    document = {**comparison, "schema": SCHEMA, "kind": KIND, "goldgate": goldgate_itself()}
    # As it looks after a trip through the file: tuples and lists are one.
    document = json.loads(json.dumps(document))
    whole = {**document, "digest": digest(document)}
    write_text(path, json.dumps(whole, indent=2, sort_keys=True, allow_nan=False) + "\n")


def is_verdict(document: Mapping[str, Any]) -> bool:
    """Say whether a JSON object is meant to be a verdict, of whichever schema."""
    return document.get("kind") == KIND or {"verdict", "rules", "paired", "runs"} <= set(document)


def read_verdict(path: Path, document: object | None = None) -> dict[str, Any]:
    """Read what `write_verdict` wrote.

    `document` is its JSON, where it was read already. Raises DocumentError for a file that is no
    whole verdict of this schema or that was edited.
    """
    held = read_json(path) if document is None else document
    if isinstance(held, dict) and "kind" not in held and is_verdict(held):
        raise DocumentError(
            f"{path}: {KIND} of schema {held.get('schema')!r}, which has no digest: compare the "
            "runs again with `goldgate compare --json` of this version"
        )
    found = checked(path, held, kind=KIND, schema=SCHEMA, parts=_PARTS)
    if found["verdict"] not in VERDICTS:
        raise DocumentError(f"{path}: verdict {found['verdict']!r}: expected one of {VERDICTS}")
    for name in ("baseline", "candidate"):
        run = found["runs"].get(name)
        if not isinstance(run, dict) or any(
            not isinstance(run.get(key), kind) for key, kind in _RUN.items()
        ):
            raise DocumentError(f"{path}: its {name} lacks one of {', '.join(_RUN)}")
    return found
