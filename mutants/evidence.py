"""The kill matrix as evidence: written by `goldgate mutants --json`, read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldgate.provenance import environment, goldgate_itself
from goldgate.sealed import checked, read_json

if TYPE_CHECKING:
    from datetime import datetime

    from goldgate.mutants.conforming.volume import VolumeResult
    from goldgate.mutants.matrix import Line

KIND = "kill matrix"
SCHEMA = 1

#: Families of lines that are no faults: kernels that conform, and known failures.
_NO_FAULTS = ("honest", "inside rounding", "known")

_PARTS = {
    "goldgate": dict,
    "environment": dict,
    "faults": list,
    "conforming": dict,
    "unexpected": list,
    "time": dict,
}


def document(
    lines: list[Line], found: VolumeResult, started: datetime, finished: datetime
) -> dict[str, Any]:
    """Return the matrix as JSON has it, to be sealed.

    Args:
        lines: of the matrix.
        found: what conforming kernels gave on random rows.
        started: when the first fault was planted.
        finished: when the last row was judged.

    """
    return {
        "schema": SCHEMA,
        "kind": KIND,
        # Its "judge" is the hash of the judge that met these faults.
        "goldgate": goldgate_itself(),
        "environment": environment(),
        "faults": [
            {
                "name": line.name,
                "family": line.family,
                "on": line.on,
                "stands_for": line.stands_for,
                "caught": bool(line.caught[0]),
                "caught_as_unknown": line.caught[1],
            }
            for line in lines
            if line.family not in _NO_FAULTS
        ],
        "conforming": {
            "kernels": sum(line.family in ("honest", "inside rounding") for line in lines),
            "rows": found.rows,
            "alarms": list(found.alarms),
            "largest_weight_error_over_bound": found.over_bound,
        },
        "unexpected": [
            f"{line.name} on {line.on}: {line.seen}" for line in lines if not line.expected
        ],
        "time": {
            "started": started.isoformat(timespec="seconds"),
            "finished": finished.isoformat(timespec="seconds"),
        },
    }


def read_matrix(path: Path, document: object | None = None) -> Mapping[str, Any]:
    """Read what `goldgate mutants --json` wrote.

    Args:
        path: the file.
        document: its JSON, where it was read already.

    Raises:
        DocumentError: it is no whole kill matrix of this schema, or was edited.

    """
    held = read_json(path) if document is None else document
    return checked(path, held, kind=KIND, schema=SCHEMA, parts=_PARTS)
