"""The second tier: a systematic error of the weights that hides inside the worst-case bound.

A wrong constant in the exponential moves every score by z = (1 - s) x times its relative error, so
the weights' signed errors r, in units of u, lean with z. Both are centred per row, since
renormalisation removes what the row has in common, and r is regressed on z. What separates a
fault from honest kernels is the size of the systematic part, |slope| rms(z): at most 0.13 u was
measured for honest kernels on ordinary logits, 0.8 to 4.8 u for log2(e) shortened to 1.4427. The
mean of r, weighted with the weights, catches a common scale: over a whole row of renormalised
weights it is the error of their sum, which an error that leans with z leaves alone. What moves it
with a sign, the scale as float32 and a rounding model (`Profile.shift`), moves the interval that is
allowed, and widens it by no more than the move itself is uncertain.

An arithmetic may itself lean: log2(e) as float32 is off by 0.22 u, and CUDA's claim for __expf
grows by 2.35 u a unit. Far below 0, where z is as wide as the logits, that is more than any limit
on the size. So what a profile claims for each unit of its argument is allowed
(`slope_allowance`): shortened constants are beyond it, 1.4427 by 57 u a unit.

Rounding itself is systematic where a recording repeats itself: equal rows err alike, and so do
equal scores (saturated ones are few float32 numbers, lattices of logits give few values). So the
standard errors come from two jackknives, over rows of equal scores and over weights of equal
scores, and the larger counts; with few such units nothing is said. Softmax rounds the exponential
of x - max, so there equal arguments, not equal scores, are one unit (`weights.held_scores`): of
whole logits the error of the same few exponentials is in the sum of every row.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goldgate.reference import Profile, RoutingSpec, U, scale_rounding

Float64 = NDArray[np.float64]

#: The systematic part that is drift, in u: three times the largest of any honest kernel measured,
#: half the smallest of a shortened constant.
SIZE_LIMIT = 0.4

#: The weighted mean of the signed error that is drift, in u: with IEEE division, and where the
#: division is approximate or the weight is recovered by subtraction. Measured on an NVIDIA H100
#: over 85 distributions of logits, top-1 to top-16: at most 0.30 u with expf, 0.27 u with tanhf,
#: 0.89 u with __expf and __fdividef, 0.61 u recovered; at N(0, 1) 0.13 u.
MEAN_LIMIT, WIDE_MEAN_LIMIT = 0.5, 1.25

#: Standard errors that either must be away from 0 as well, so that few rows prove nothing.
SIGNIFICANCE = 5.0

#: Fewer different rows, or different scores, prove nothing: their errors are no sample.
MIN_UNITS = 64

#: Rows and scores are told apart by hashes into so many buckets, the units of the jackknives.
#: Some fall together, which makes the standard errors no smaller on average.
BUCKETS = 1024

Sums = NDArray[np.float64]


#: What is summed: 1, the weight w, w r, the centred r z and z z, and w z; w counts in whole rows.
TERMS = 6


def _none() -> Sums:
    return np.zeros((2, BUCKETS, TERMS))


@dataclass(frozen=True)
class ResidualSums:
    """What the regression needs, summed over weights.

    Attributes:
        rows: rows that took part.
        sums: float64 [2, BUCKETS, TERMS]: by rows of equal scores, and by equal scores.

    """

    rows: int = 0
    sums: Sums = field(default_factory=_none)

    def __add__(self, other: ResidualSums) -> ResidualSums:
        """Return the sums over both sets of rows."""
        return ResidualSums(self.rows + other.rows, self.sums + other.sums)

    def collect(self, other: ResidualSums) -> ResidualSums:
        """Return the same, held in the array of this one, which nothing else may use."""
        return ResidualSums(self.rows + other.rows, np.add(self.sums, other.sums, out=self.sums))


@dataclass(frozen=True)
class SystematicError:
    """The systematic error of a kernel's weights over a recording; in u = 2**-24.

    Attributes:
        rows: rows that took part.
        units: different rows or different scores among them (buckets), whichever are fewer.
        slope: of r on z.
        slope_error: its standard error.
        size: |slope| rms(z), the systematic part of a weight's relative error.
        mean: the mean signed relative error, weighted with the weights.
        mean_error: its standard error.
        found: whether this is drift.
        expected_mean: the least and the greatest mean that no drift explains.
        mean_limit: how far outside of them it is drift.

    """

    rows: int
    units: int
    slope: float
    slope_error: float
    size: float
    mean: float
    mean_error: float
    found: bool
    expected_mean: tuple[float, float] = (0.0, 0.0)
    mean_limit: float = MEAN_LIMIT


def residual_sums(r: Float64, z: Float64, w: Float64, scores: Float64) -> ResidualSums:
    """Sum over n rows.

    Args:
        r: signed relative errors in u, [n, k]; NaN takes no part.
        z: the scores' sensitivities, [n, k].
        w: the exact weights, [n, k].
        scores: what tells rows and weights apart: the scores as the kernel's float32 holds them,
            [n, k].

    """
    used = np.isfinite(r) & np.isfinite(z)
    used &= used.sum(axis=1, keepdims=True) >= 2
    count = used.sum(axis=1, keepdims=True)
    some = np.maximum(count, 1)
    r, z = np.where(used, r, 0.0), np.where(used, z, 0.0)
    w = np.where(used.all(axis=1, keepdims=True), w, 0.0)
    rc = np.where(used, r - r.sum(axis=1, keepdims=True) / some, 0.0)
    zc = np.where(used, z - z.sum(axis=1, keepdims=True) / some, 0.0)
    hashes = mix(scores.astype(np.float32).view(np.uint32).astype(np.uint64))
    own = hashes % np.uint64(BUCKETS)
    whole = np.where(used, hashes, np.uint64(0)).sum(axis=1, keepdims=True) % np.uint64(BUCKETS)
    terms = (used.astype(np.float64), w, w * r, rc * zc, zc * zc, w * z)
    sums = [
        [np.bincount(at.ravel().astype(np.int64), term.ravel(), BUCKETS) for term in terms]
        for at in (np.broadcast_to(whole, r.shape), own)
    ]
    return ResidualSums(int((count > 0).sum()), np.moveaxis(np.array(sums), 1, 2))


def mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a hash of 32-bit patterns whose lower bits depend on all of them.

    The multiplier is 2**64 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
    """
    bits = (bits + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    mixed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(32))
    return mixed


def systematic_error(sums: ResidualSums, spec: RoutingSpec, profile: Profile) -> SystematicError:
    """Regress through the origin, and say whether what is found is drift.

    Args:
        sums: over all rows.
        spec: the router: where it does not renormalise, what its arithmetic leans by reaches the
            mean.
        profile: the kernel's arithmetic.

    """
    n, w, _, _, d, wz = (float(total) for total in sums.sums[0].sum(axis=0))
    if n == 0:
        return SystematicError(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, found=False)
    units = min(int((unit[:, 0] > 0).sum()) for unit in sums.sums)
    mean, mean_error = _ratio(sums.sums[:, :, 2], sums.sums[:, :, 1])
    slope, slope_error = _ratio(sums.sums[:, :, 3], sums.sums[:, :, 4])
    size = abs(slope) * math.sqrt(d / n)
    low, high = expected_mean(spec, profile)
    if not spec.renormalize and w:
        low, high = (
            low - slope_allowance(profile) * abs(wz / w),
            high + slope_allowance(profile) * abs(wz / w),
        )
    leaning, excess = abs(slope) - slope_allowance(profile), max(low - mean, mean - high)
    found = size > SIZE_LIMIT and leaning > SIGNIFICANCE * slope_error
    found = found or (excess > mean_limit(profile) and excess > SIGNIFICANCE * mean_error)
    found = found and units >= MIN_UNITS
    return SystematicError(
        *(sums.rows, units, slope, slope_error, size, mean, mean_error, found),
        expected_mean=(low, high),
        mean_limit=mean_limit(profile),
    )


def expected_mean(spec: RoutingSpec, profile: Profile) -> tuple[float, float]:
    """Return the least and the greatest mean that no drift explains, in u.

    The scale's rounding as float32, where a kernel takes it as one, and what a rounding model adds
    on purpose.
    """
    low, high = sorted((0.0, scale_rounding(spec) / U))
    return low + profile.shift[0], high + profile.shift[1]


def mean_limit(profile: Profile) -> float:
    """Return how far outside `expected_mean` a kernel of this arithmetic drifts, in u."""
    wide = profile.recovered or profile.divide > 1.0
    return WIDE_MEAN_LIMIT if wide else MEAN_LIMIT


def slope_allowance(profile: Profile) -> float:
    """Return the slope of r on z, in u a unit, that a profile's arithmetic may have."""
    return profile.exponent + profile.exp_per_unit


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> tuple[float, float]:
    """Return sum(above) / sum(below), [2, BUCKETS] each, and the larger standard error of the two.

    0 and 0 where there is nothing below.
    """
    total = float(below[0].sum())
    if not total:
        return 0.0, 0.0
    return float(above[0].sum()) / total, max(map(jackknife, above, below))


def jackknife(above: NDArray[np.float64], below: NDArray[np.float64]) -> float:
    """Return the standard error of sum(above) / sum(below), units left out one at a time.

    B. Efron and C. Stein, The jackknife estimate of variance, Annals of Statistics 9 (1981) 586.
    The largest float where one unit is all there is.
    """
    held = below > 0
    rest = below.sum() - below[held]
    if (rest <= 0).any():
        return sys.float_info.max
    without = (above.sum() - above[held]) / rest
    spread = ((without - above.sum() / below.sum()) ** 2).sum()
    return math.sqrt((1.0 - 1.0 / held.sum()) * float(spread))
