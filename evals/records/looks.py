"""The looks at a candidate: one small file for each data set that a verdict was computed for.

They are in the candidate's run folder, in a folder of their own: what a comparison reads is never
changed by it. A data set is two sets of samples, identified by their hashes; comparing it again is
the same look.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldgate.evals.errors import EvalError

LOOKS = "looks"
_SCHEMA = 1
_DECIDED = (None, "PRESERVED", "DEGRADED", "INCONCLUSIVE")


@dataclass(frozen=True)
class Look:
    """A look: its number from 1, what it spent of alpha, and the margin that it was held to.

    `alpha` is what all looks together were allowed, None in records that do not hold it.
    `decided` is the verdict of a sequential plan that this look belongs to: no other comparison
    decides on its data. `recorded` is False for a look that could not be kept, as in a folder that
    is read-only.
    """

    number: int
    data: str
    level: float
    margin: float
    decided: str | None = None
    recorded: bool = True
    alpha: float | None = None


def data_of(baseline_sha256: str, candidate_sha256: str) -> str:
    """Identify a data set by the hashes of both arms' samples."""
    return hashlib.sha256(f"{baseline_sha256} {candidate_sha256}".encode()).hexdigest()


def read_looks(run: Path) -> list[Look]:
    """Return the looks that were recorded in a run folder, in order.

    Raises EvalError for a file that is no record of a look.
    """
    folder = run / LOOKS
    found = [_read(path) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []
    if [look.number for look in found] != list(range(1, len(found) + 1)):
        raise EvalError(f"{folder}: looks are missing; restore them, alpha is spent over all")
    return found


def record(run: Path, look: Look, more: Mapping[str, Any]) -> bool:
    """Add a look to a run folder; False where the folder cannot be written to.

    `more` describes what was compared. Raises EvalError where another comparison has just
    recorded a look of this number.
    """
    path = run / LOOKS / f"{look.number:04d}.json"
    text = json.dumps(
        {
            "schema": _SCHEMA,
            "number": look.number,
            "data": look.data,
            "level": look.level,
            "margin": look.margin,
            "alpha": look.alpha,
            "decided": look.decided,
            **more,
        },
        indent=2,
        sort_keys=True,
    )
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError as error:
        raise EvalError(
            f"{path}: another comparison is recording a look; run this again"
        ) from error
    except OSError:
        return False
    return True


def _read(path: Path) -> Look:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        look = Look(
            int(found["number"]),
            str(found["data"]),
            float(found["level"]),
            float(found["margin"]),
            None if found["decided"] is None else str(found["decided"]),
            alpha=None if found.get("alpha") is None else float(found["alpha"]),
        )
        schema = found["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvalError(f"{path}: is no record of a look ({error}); restore it") from error
    shares = (look.margin, 0.5 if look.alpha is None else look.alpha)
    if (
        schema != _SCHEMA
        or not 0 <= look.level < 1
        or not all(0 < share < 1 for share in shares)
        or look.decided not in _DECIDED
    ):
        raise EvalError(f"{path}: is no record of a look that this version reads")
    return look
