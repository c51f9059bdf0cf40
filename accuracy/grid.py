"""Float32 logits on the grid of a narrower type, which a gate computed in that type leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.tile import BELOW, EXPONENT
from goldgate.accuracy.narrow import NARROW, Float32, narrowed
from goldgate.fixtures.tensorfile import Stored

#: Different values from which a grid is no constructor's choice of a few numbers.
FEWEST = 256

#: Rows that are looked at together: 1024 of 896 experts are 3.5 MiB.
_ROWS = 1024


def _no_values() -> dict[str, Float32]:
    return {name: np.empty(0, np.float32) for name in NARROW}


@dataclass(frozen=True)
class OnGrid:
    """Rows of float32 logits that lie on a narrow type's grid, by the types of `NARROW`.

    Attributes:
        rows: how many rows have all their finite logits there, and at least one.
        different: up to `FEWEST` different finite values of theirs.

    """

    rows: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(NARROW, 0))
    different: Mapping[str, Float32] = field(default_factory=_no_values)

    def __add__(self, other: OnGrid) -> OnGrid:
        """Return both together."""
        return OnGrid(
            {name: self.rows[name] + other.rows[name] for name in NARROW},
            {name: _union(self.different[name], other.different[name]) for name in NARROW},
        )

    @property
    def found(self) -> tuple[str, int]:
        """The narrow type on whose grid the rows lie, and how many of them; "" and 0 for none.

        Logits that a constructor made of few different values (integers, zeros) lie on a grid by
        design: with fewer than `FEWEST` different ones in all nothing is concluded. Of types that
        hold as many rows the first of `NARROW` is named: bfloat16 values of an ordinary size are
        float16's too.
        """
        usable = [n for n in NARROW if self.rows[n] and len(self.different[n]) >= FEWEST]
        best = max(usable, key=lambda name: self.rows[name], default="")
        return (best, self.rows[best]) if best else ("", 0)


def on_grid(logits: Stored, asked: NDArray[np.bool_]) -> OnGrid:
    """Return which of n rows lie on a narrow type's grid; logits of such a type do not.

    A float32 product falls on bfloat16's grid once in 65,536 times, so that a row of them does not
    by chance.

    Args:
        logits: [n, E], as they are stored.
        asked: rows that are looked at, bool [n].

    """
    found = OnGrid()
    if logits.dtype != np.float32:
        return found
    # Most float32 rows have a first logit that neither type holds.
    at = np.flatnonzero(asked)
    first = np.ascontiguousarray(logits[at, 0]).view(np.uint32)
    at = at[((first & BELOW) == 0) | ((first & EXPONENT) == EXPONENT)]
    for start in range(0, len(at), _ROWS):
        found += _of_rows(np.asarray(logits[at[start : start + _ROWS]]), found)
    return found


def _of_rows(logits: Float32, before: OnGrid) -> OnGrid:
    """Return which rows lie on a grid; values only where those before are too few."""
    finite = np.isfinite(logits)
    rows, different = dict[str, int](), _no_values()
    for name in NARROW:
        with np.errstate(invalid="ignore"):
            on = ((logits == narrowed(logits, name)) | ~finite).all(axis=1) & finite.any(axis=1)
        rows[name] = int(on.sum())
        if rows[name] and len(before.different[name]) < FEWEST:
            different[name] = _union(different[name], logits[on][finite[on]])
    return OnGrid(rows, different)


def _union(one: Float32, two: Float32) -> Float32:
    return np.union1d(one, two)[:FEWEST] if len(two) else one
