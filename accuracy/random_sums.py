"""What is summed over a sample's weights for their random error, by the rows of their calls."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.call_sizes import Sample
from goldgate.accuracy.chosen import Chosen, choose
from goldgate.accuracy.fast.spread import PARTS, POSITIONS, add_spread
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.systematic_error import BUCKETS, TERMS, ResidualSums
from goldgate.accuracy.weights import bounded_weights, held_scores, signed_errors
from goldgate.reference import FLOAT32, U, scale_rounding

Float64 = NDArray[np.float64]

#: What stands for a variance without a bound: large, and finite in sums of thousands.
_LARGEST = 1e280


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

    def collect(self, other: ClassSums) -> ClassSums:
        """Return the same, held in the arrays of this one, which nothing else may use."""
        return ClassSums(
            np.add(self.squares, other.squares, out=self.squares),
            np.add(self.groups, other.groups, out=self.groups),
            self.drift.collect(other.drift),
            self.bits | other.bits,
            np.logical_or(self.fine, other.fine, out=self.fine),
        )


@dataclass(frozen=True)
class RandomSums:
    """The sums by class of calls (`call_sizes.EDGES`); classes without a row are not there."""

    classes: Mapping[int, ClassSums] = field(default_factory=dict)

    def __add__(self, other: RandomSums) -> RandomSums:
        """Return the sums over both sets of rows."""
        both = dict(self.classes)
        for number, sums in other.classes.items():
            both[number] = both[number] + sums if number in both else sums
        return RandomSums(both)

    def collect(self, other: RandomSums) -> RandomSums:
        """Return the same, held in the arrays of this one, which nothing else may use."""
        both = dict(self.classes)
        for number, sums in other.classes.items():
            both[number] = both[number].collect(sums) if number in both else copy.deepcopy(sums)
        return RandomSums(both)


def random_sums(rows: Rows, sample: Sample, contract: Contract) -> RandomSums:
    """Sum over n rows that pass; nothing where they have no float32 weights.

    Args:
        rows: their ids are distinct and in range.
        sample: what is known of the same n rows.
        contract: what they are held against.

    """
    weights = rows.weights
    if weights is None or contract.weight_format != FLOAT32 or not len(rows):
        return RandomSums()
    spec, profile = contract.spec, contract.profile
    chosen = choose(rows, rows.ids, contract)
    expected, bound = bounded_weights(chosen, contract)
    r = signed_errors(weights, expected, bound, profile)
    r = np.where(np.isfinite(chosen.z), r, np.nan)
    held = held_scores(chosen, profile).astype(np.float32).view(np.uint32)
    errors = r, np.ascontiguousarray(chosen.z), variance(chosen, contract)
    columns = (expected, held, weights.view(np.uint32), rows.ids)
    classes = {}
    for number in np.unique(sample.classes).tolist():
        of = np.flatnonzero(sample.classes == number)
        of_all = slice(None) if len(of) == len(rows) else of
        squares, fine = np.zeros((2, BUCKETS, 3)), np.zeros(BUCKETS, bool)
        drift = np.zeros((2, BUCKETS, TERMS))
        groups = np.zeros((1 + spec.top_k + spec.num_experts + 2 * POSITIONS, PARTS, 4))
        bits, counted = add_spread(
            tuple(np.ascontiguousarray(one[of_all]) for one in errors),
            *(np.ascontiguousarray(one[of_all]) for one in columns),
            sample.numbers[of_all],
            sample.calls[of_all],
            squares,
            groups,
            drift,
            fine,
        )
        found = ResidualSums(int(counted), drift)
        classes[number] = ClassSums(squares, groups, found, int(bits), fine)
    return RandomSums(classes)


def variance(chosen: Chosen, contract: Contract) -> Float64:
    """Return a bound on the variance of a weight's relative error, in u^2, [n, k].

    Args:
        chosen: what the rows have at the ids; scores above 0 where it matters.
        contract: the router and the kernel's arithmetic.

    """
    spec, profile, s = contract.spec, contract.profile, chosen.s
    third = 1.0 / 3.0
    divide = third if profile.divide <= 1.0 else profile.divide**2
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if spec.scoring != "sigmoid":
            own = (chosen.error / (s * U)) ** 2  # whatever the operations, no error is larger
        elif profile.tanh:
            own = (0.5 * profile.tanh * np.abs(1.0 - 2.0 * s) / s) ** 2 + third
        else:
            size = np.abs(np.where(np.isfinite(chosen.x), chosen.x, 0.0))
            exponent = profile.exponent * size
            function = profile.exp + profile.exp_per_unit * size
            own = (1.0 - s) ** 2 * (exponent**2 + function**2) + third + divide
        if profile.recovered:
            own = own + third * ((s + chosen.bias) ** 2 + s**2) / s**2
        # A score that nothing bounds says nothing, nor one that vanishes in float64 (0 / 0, hence
        # fmin), which has no share of the sum either.
        own = np.fmin(own, _LARGEST)
        inexact = (scale_rounding(spec) / U) ** 2
        if not spec.renormalize:
            return np.asarray(own + 2.0 * third + inexact)
        share = s / s.sum(axis=1, keepdims=True)
        others = (share**2 * own).sum(axis=1, keepdims=True)
    additions = (spec.top_k - 1) * third
    return np.asarray(own + others + additions + divide + 2.0 * third + inexact)
