"""What is summed over a sample's weights for their random error, by the rows of their calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.spread import PARTS, POSITIONS, add_spread
from goldgate.accuracy.sampled import SampledWeights
from goldgate.accuracy.systematic_error import BUCKETS, ResidualSums
from goldgate.reference import RoutingSpec

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class ClassSums:
    """The sums over weights of one class of calls.

    Attributes:
        squares: weights, r^2 and r^2 / variance, by rows of equal scores and by equal scores,
            float64 [2, BUCKETS, 3].
        groups: weights, r, z and variance by group and bucket, [groups, PARTS, 4]; the groups are
            all weights, the k slots, the E experts, and twice `POSITIONS` positions.
        drift: for the systematic error of the class.
        bits: the bits that are set in any weight whose exact value needs its last bit.
        fine: which buckets of such weights there are, bool [BUCKETS].

    """

    squares: Float64
    groups: Float64
    drift: ResidualSums
    bits: int
    fine: NDArray[np.bool_]

    def __add__(self, other: ClassSums) -> ClassSums:
        """Return the sums over both sets of rows."""
        return ClassSums(
            self.squares + other.squares,
            self.groups + other.groups,
            self.drift + other.drift,
            self.bits | other.bits,
            self.fine | other.fine,
        )


@dataclass(frozen=True)
class RandomSums:
    """The sums by class of calls (`call_sizes.EDGES`); classes without a row are not there."""

    classes: Mapping[int, ClassSums] = field(default_factory=dict)

    def collect(self, found: SampledWeights | None, spec: RoutingSpec) -> RandomSums:
        """Return the sums over more rows, held in the arrays of this one, which nothing else uses.

        Args:
            found: what is known of the rows' weights; None: nothing.
            spec: the router.

        """
        if found is None:
            return self
        both = dict(self.classes)
        for number in np.flatnonzero(np.bincount(found.sample.classes)).tolist():
            both[number] = _collect(both.get(number) or _no_sums(spec), found, number)
        return RandomSums(both)


def _no_sums(spec: RoutingSpec) -> ClassSums:
    groups = 1 + spec.top_k + spec.num_experts + 2 * POSITIONS
    return ClassSums(
        np.zeros((2, BUCKETS, 3)),
        np.zeros((groups, PARTS, 4)),
        ResidualSums(),
        0,
        np.zeros(BUCKETS, bool),
    )


def _collect(sums: ClassSums, found: SampledWeights, number: int) -> ClassSums:
    """Add the rows of one class to its sums, in place where these are arrays."""
    bits, rows = add_spread(
        (found.r, found.z, found.variance),
        found.exact,
        found.held.view(np.uint32),
        found.weights.view(np.uint32),
        found.ids,
        (found.sample.numbers, found.sample.calls, found.sample.classes),
        number,
        sums.squares,
        sums.groups,
        sums.drift.sums,
        sums.fine,
    )
    drift = ResidualSums(sums.drift.rows + int(rows), sums.drift.sums)
    return ClassSums(sums.squares, sums.groups, drift, sums.bits | int(bits), sums.fine)
