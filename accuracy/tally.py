"""What the parts of a recording add up to, in their order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.random_sums import RandomSums
from goldgate.accuracy.sampled import SampledWeights
from goldgate.accuracy.selection import Verdict
from goldgate.accuracy.summary import LISTED, NAMED, Summary
from goldgate.accuracy.systematic_error import ResidualSums
from goldgate.accuracy.weights import ULP_EDGES
from goldgate.reference import RoutingSpec

#: Rows of the sample that are added at a time. The sums do not depend on it, one row being added
#: after another; they have left the caches when the next part is done.
_TOGETHER = 4096


def _listed() -> dict[Verdict, list[int]]:
    return {verdict: [] for verdict in NAMED}


@dataclass
class Tally:
    """Sums over the parts that were added; what is not described here is `summary.Summary`'s.

    Attributes:
        spec: the router.
        inside: for the random error, but for what is `waiting` to be added to it.
        failing: rows that fail, a part each; likewise their `reasons` and largest errors, `overs`.
        listed: the first `LISTED` rows of a tie and admissible ones.
        rerouted: rows that another bias sends elsewhere.

    """

    spec: RoutingSpec
    inside: RandomSums = field(default_factory=RandomSums)
    waiting: list[SampledWeights] = field(default_factory=list)
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

    def add(self, start: int, found: Summary, inside: SampledWeights | None, rerouted: int) -> None:
        """Add the part whose first row is `start`."""
        self.counts += found.counts
        self.histogram += found.histogram
        # A new array for every part takes longer than the addition.
        self.sums = self.sums.collect(found.sums)
        if inside is not None:
            self.waiting.append(inside)
        if sum(len(one.sample) for one in self.waiting) >= _TOGETHER:
            self.add_waiting()
        self.rerouted += rerouted
        self.judged_rows += found.judged_rows
        self.unbounded_weights += found.unbounded_weights
        self.unbounded_rows += found.unbounded_rows
        self.worst = max(self.worst, found.worst)
        self.worst_passing = max(self.worst_passing, found.worst_passing)
        self.failing.append(found.failing + start)
        self.reasons.append(found.reasons)
        self.overs.append(found.overs)
        for verdict, rows in found.listed.items():
            some = self.listed[verdict]
            some.extend((rows[: LISTED - len(some)] + start).tolist())

    def add_waiting(self) -> None:
        """Add what is waiting, in its order."""
        for one in self.waiting:
            self.inside = self.inside.collect(one, self.spec)
        self.waiting.clear()
