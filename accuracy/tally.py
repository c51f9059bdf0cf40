"""What the blocks of a recording add up to, in their order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.blocks import Block
from goldgate.accuracy.random_sums import RandomSums
from goldgate.accuracy.selection import Reason, Verdict
from goldgate.accuracy.systematic_error import ResidualSums
from goldgate.accuracy.weights import ULP_EDGES

#: Rows of a tie and admissible rows that a result lists, each.
LISTED = 100


def _listed() -> dict[Verdict, list[int]]:
    return {Verdict.TIE: [], Verdict.ADMISSIBLE: []}


@dataclass
class Tally:
    """Sums over the blocks that were added.

    Attributes:
        top_k: weights of a row.
        inside: for the random error.
        counts: rows of each `Verdict`.
        histogram: weight errors in ulps.
        sums: for the systematic error.
        judged_rows: rows whose weights were judged.
        unbounded_weights: weights that nothing bounds alone.
        unbounded_rows: rows all of whose weights are such.
        worst: the largest weight error over its bound; without the rows that fail, `worst_passing`.
        failing: rows that fail, a block each; likewise their `reasons` and largest errors, `overs`.
        listed: the first `LISTED` rows of a tie and admissible ones.
        rerouted: rows that another bias sends elsewhere.

    """

    top_k: int
    inside: RandomSums = field(default_factory=RandomSums)
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Verdict), np.int64))
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(ULP_EDGES), np.int64))
    sums: ResidualSums = field(default_factory=ResidualSums)
    judged_rows: int = 0
    unbounded_weights: int = 0
    unbounded_rows: int = 0
    worst: float = 0.0
    worst_passing: float = 0.0
    failing: list[NDArray[np.int64]] = field(default_factory=lambda: [np.empty(0, np.int64)])
    reasons: list[NDArray[np.int8]] = field(default_factory=lambda: [np.empty(0, np.int8)])
    overs: list[NDArray[np.float64]] = field(default_factory=lambda: [np.empty(0)])
    listed: dict[Verdict, list[int]] = field(default_factory=_listed)
    rerouted: int = 0

    def add(self, start: int, found: Block, inside: RandomSums, rerouted: int) -> None:
        """Add the block whose first row is `start`."""
        counts = np.bincount(found.verdict, minlength=len(Verdict))
        self.counts += counts
        self.histogram += found.histogram
        # A new array for every block takes longer than the addition.
        self.sums = self.sums.collect(found.sums)
        self.inside = self.inside.collect(inside)
        self.rerouted += rerouted
        self.judged_rows += int(np.count_nonzero(found.unbounded >= 0))
        if found.unbounded.max() > 0:
            self.unbounded_weights += int(np.maximum(found.unbounded, 0).sum())
            self.unbounded_rows += int(np.count_nonzero(found.unbounded == self.top_k))
        fails = found.reason != Reason.NONE
        worst = float(found.over_bound.max())
        self.worst = max(self.worst, worst)
        if fails.any():
            worst = float(found.over_bound.max(where=~fails, initial=0.0))
        self.worst_passing = max(self.worst_passing, worst)
        rows = np.flatnonzero(fails)
        self.failing.append(rows + start)
        self.reasons.append(found.reason[rows])
        self.overs.append(found.over_bound[rows])
        for verdict, some in self.listed.items():
            if counts[verdict]:
                more = np.flatnonzero(found.verdict == verdict)[: LISTED - len(some)]
                some.extend((more + start).tolist())
