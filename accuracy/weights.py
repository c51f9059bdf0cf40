"""The verdict on weights: each id-weight pair against its own bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.chosen import Chosen
from goldgate.accuracy.rows import Contract
from goldgate.reference import (
    FLOAT32,
    Profile,
    RoutingSpec,
    U,
    WeightFormat,
    row_sum_error,
    weight_error,
)

Float64 = NDArray[np.float64]

#: Upper edges of the histogram of errors, in ulps of the exact weight as float32.
ULP_EDGES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, np.inf)

#: Relative bounds past this say that cancellation or underflow, not rounding, makes the error; such
#: weights take no part in the drift. A sigmoid from a tangent errs absolutely: what a small score
#: leans by is the tangent's to lean by.
_SHARP, _SHARP_TANH = 2.0**-10, 64 * U


@dataclass(frozen=True)
class WeightVerdicts:
    """Weights of n rows against their bounds.

    Attributes:
        expected: the exact weights at the ids, float64 [n, k].
        bound: on |weight - expected|, float64 [n, k]; inf where nothing bounds it alone.
        over_bound: |weight - expected| / bound; NaN for a weight that is not finite. Where nothing
            bounds a weight alone: how far the row's sum is from the scale over what rounding can
            do to it, above 1 also for a weight that is negative or more than the scale; float64
            [n, k].
        alone: whether a weight has a bound of its own, bool [n, k].

    """

    expected: Float64
    bound: Float64
    over_bound: Float64
    alone: NDArray[np.bool_]

    @property
    def unbounded(self) -> NDArray[np.int64]:
        """How many of each row's weights would pass as 0, int64 [n]: nothing bounds those."""
        return np.asarray((~(self.bound < self.expected)).sum(axis=1))


def judge_weights(
    weights: NDArray[np.float32], chosen: Chosen, contract: Contract
) -> WeightVerdicts:
    """Judge the weights of n rows as pairs with the ids that the kernel chose.

    Where the bound of a renormalised row is inf, its weights must still sum to the scale: a kernel
    divides by the sum of what it divides. Where 0 is within the bound of every selected score,
    since each may have been flushed, a kernel may have only zeros to divide and may answer with
    zeros: such a row is not bounded at all, and is counted as that.

    Args:
        weights: float32 [n, k], as the kernel returned them (exact for narrower types).
        chosen: what the rows have at the kernel's ids.
        contract: what the weights are held against.

    """
    spec, s = contract.spec, chosen.s
    expected, bound = bounded_weights(chosen, contract)
    got = weights.astype(np.float64)
    alone = np.isfinite(bound) & np.isfinite(expected)
    with np.errstate(invalid="ignore"):
        over = np.where(alone, np.abs(got - expected) / bound, _over_together(got, contract))
    if spec.renormalize:
        flushed = ((s <= chosen.error) & (got == 0.0)).all(axis=1, keepdims=True)
        over = np.where(flushed & ~alone, 0.0, over)
    return WeightVerdicts(expected, bound, np.where(np.isfinite(got), over, np.nan), alone)


def bounded_weights(chosen: Chosen, contract: Contract) -> tuple[Float64, Float64]:
    """Return the exact weights of n rows and the bounds on their errors, [n, k] each.

    NaN where the contract has none, inf where nothing bounds a weight alone.
    """
    spec, s = contract.spec, chosen.s
    expected = expected_weights(s, spec)
    bound = weight_error(s, chosen.error, chosen.bias, spec, contract.profile)
    return expected, np.asarray(contract.weight_format.widened(bound, expected))


def sum_bound(contract: Contract) -> float:
    """Return a bound on |sum of a renormalised row's weights - scale|, as they are returned."""
    spec, weight_format = contract.spec, contract.weight_format
    bound = row_sum_error(spec, contract.profile)
    rounded = weight_format.widened(bound, spec.routed_scaling_factor)
    return float(rounded + (spec.top_k - 1) * weight_format.least)


def _over_together(got: Float64, contract: Contract) -> Float64:
    """Return error over bound where only the row as a whole is bounded, [n, k]."""
    if not contract.spec.renormalize:
        return np.where(got >= 0.0, 0.0, 1.0 + np.abs(got))
    scale = contract.spec.routed_scaling_factor
    outside = ~((got >= 0.0) & (got <= contract.weight_format.widened(scale * (1.0 + 1e-6), scale)))
    off = np.abs(got.sum(axis=1, keepdims=True) - scale) / sum_bound(contract)
    return np.asarray(np.where(outside, np.maximum(off, 1.0 + np.abs(got)), off))


def expected_weights(s: Float64, spec: RoutingSpec) -> Float64:
    """Return the exact weights of chosen scores s [n, k]: NaN where the contract has none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        w = s / s.sum(axis=1, keepdims=True) if spec.renormalize else s
    return np.asarray(w * spec.routed_scaling_factor)


def ulp_histogram(
    weights: NDArray[np.float32],
    judged: WeightVerdicts,
    rows: NDArray[np.bool_],
    weight_format: WeightFormat = FLOAT32,
) -> NDArray[np.int64]:
    """Count the given rows' errors in ulps of the expected weight in its type, by `ULP_EDGES`."""
    expected, got = judged.expected[rows], weights[rows].astype(np.float64)
    ulp = np.spacing(np.maximum(expected.astype(np.float32), np.float32(2.0**-126)))
    ulp = np.maximum(ulp.astype(np.float64) * weight_format.ulp, 2.0 * weight_format.least)
    with np.errstate(invalid="ignore"):
        error = np.nan_to_num(np.abs(got - expected) / ulp, nan=0.0)
    buckets = np.searchsorted(ULP_EDGES, error.ravel(), side="left")
    return np.bincount(buckets, minlength=len(ULP_EDGES))


def sharpness(profile: Profile) -> float:
    """Return the relative bound below which a weight takes part in the drift."""
    return _SHARP_TANH if profile.tanh else _SHARP


def signed_errors(
    weights: NDArray[np.float32], expected: Float64, bound: Float64, profile: Profile
) -> Float64:
    """Return r = (weight / expected - 1) / u, [n, k]; NaN where rounding has no small bound."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        sharp = bound < expected * sharpness(profile)
        r = (weights.astype(np.float64) / expected - 1.0) / U
    return np.where(sharp & np.isfinite(r), r, np.nan)


def held_scores(chosen: Chosen, profile: Profile) -> Float64:
    """Return what tells weights of other rounding errors apart, [n, k], as float32.

    The scores as the kernel holds them when it weighs them: rounded, and recovered from the biased
    score if the profile recovers. Of a softmax the arguments of the exponential, where 0 has no
    sign: which zero is a row's largest logit depends on the order of comparing.
    """
    if chosen.argument is not None:
        return chosen.argument.astype(np.float32).astype(np.float64) + 0.0
    rounded = chosen.s.astype(np.float32)
    if profile.recovered:
        b = chosen.bias.astype(np.float32)
        rounded = (rounded + b) - b
    return rounded.astype(np.float64)
