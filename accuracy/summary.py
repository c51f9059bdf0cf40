"""What the rows of a block come to: all that the verdict on a recording needs of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.blocks import Block
from goldgate.accuracy.selection import Reason, Verdict
from goldgate.accuracy.systematic_error import ResidualSums

#: Rows of a tie and admissible rows that a result lists, each.
LISTED = 100

#: The verdicts whose first rows are listed.
NAMED = (Verdict.TIE, Verdict.ADMISSIBLE)


@dataclass(frozen=True)
class Summary:
    """Counts and sums over the rows of a block; rows are numbered from its first.

    Attributes:
        counts: rows of each `Verdict`, int64.
        histogram: weight errors in ulps, by `weights.ULP_EDGES`.
        sums: for the systematic error.
        judged_rows: rows whose weights were judged.
        unbounded_weights: weights that nothing bounds alone.
        unbounded_rows: rows all of whose weights are such.
        worst: the largest weight error over its bound; without the rows that fail, `worst_passing`.
        failing: the rows that fail, f of them, int64 [f]; likewise their `reasons`, int8, and
            largest errors, `overs`, float64.
        listed: the first `LISTED` rows of each verdict of `NAMED`, int64.

    """

    counts: NDArray[np.int64]
    histogram: NDArray[np.int64]
    sums: ResidualSums
    judged_rows: int
    unbounded_weights: int
    unbounded_rows: int
    worst: float
    worst_passing: float
    failing: NDArray[np.int64]
    reasons: NDArray[np.int8]
    overs: NDArray[np.float64]
    listed: Mapping[Verdict, NDArray[np.int64]]


def summarise(block: Block, top_k: int) -> Summary:
    """Return the summary of a block of rows of k weights."""
    # Most rows are exact: their verdicts are counted without a copy as int64.
    other = np.flatnonzero(block.verdict != Verdict.EXACT)
    counts = np.bincount(block.verdict[other], minlength=len(Verdict))
    counts[Verdict.EXACT] = len(block.verdict) - len(other)
    failing = np.flatnonzero(block.reason)
    worst = worst_passing = float(block.over_bound.max())
    if len(failing):
        passes = block.reason == Reason.NONE
        worst_passing = float(block.over_bound.max(where=passes, initial=0.0))
    unbounded = block.unbounded[block.unbounded > 0]
    named = [at for at in NAMED if counts[at]]
    return Summary(
        counts,
        block.histogram,
        block.sums,
        judged_rows=int(np.count_nonzero(block.unbounded >= 0)),
        unbounded_weights=int(unbounded.sum()),
        unbounded_rows=int(np.count_nonzero(unbounded == top_k)),
        worst=worst,
        worst_passing=worst_passing,
        failing=failing,
        reasons=block.reason[failing],
        overs=block.over_bound[failing],
        listed={at: np.flatnonzero(block.verdict == at)[:LISTED] for at in named},
    )
