"""The third tier: random error inside the bound, and means that differ between groups of weights.

A worst-case bound of 20 u leaves room for weights of 20 mantissa bits, or for one expert that is
12 u too heavy; neither moves the mean over all nor leans with the logit. So over a sample of the
rows that pass, r = (weight / exact - 1) / u is held against limits.

- Its mean square. Errors of different operations are uncorrelated, so that their variances add up:
  what an IEEE operation rounds has at most u^2 / 3 (uniform over half an ulp either way), any
  other function at most the square of its figure. `random_sums.variance` is that sum for each
  weight; the mean of r^2 / variance is at most 1 for a kernel that conforms, whatever its bound, so
  that weights recovered by subtraction raise no alarm.
- Its mean over a slot, an expert, experts of one number modulo 2 or 32, a row's position in its
  call, less its mean over all, by the limits of the systematic error: `mean_limit`, and
  `slope_allowance` for as much as the group's z differs; `RECOVERY` more where weights are
  recovered. What moves all weights alike (`expected_mean`) is no matter of a group's.
- The grid. If all weights end in 0 bits, although the exact ones as float32 do not, they went
  through a narrower type; that is a fact, not an estimate: 64 different ones agree so by chance
  once in 2^64.

Each is asked of the rows of calls of about one size (`call_sizes`), and of all of them together: a
path that a dispatcher takes for few rows is a small part of a recording. There the systematic error
is asked of each class too; of all rows it is asked elsewhere.

Standard errors are jackknives over buckets of equal scores or equal rows, as those of the
systematic error. A group with few of them is given the standard error that its variance allows,
each bucket counted once; very few prove nothing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.call_sizes import class_name
from goldgate.accuracy.fast.spread import POSITIONS
from goldgate.accuracy.random_findings import (
    ALL,
    GROUP_SIGNIFICANCE,
    ClassError,
    Group,
    RandomError,
)
from goldgate.accuracy.random_sums import ClassSums, RandomSums
from goldgate.accuracy.systematic_error import (
    MIN_UNITS,
    SIGNIFICANCE,
    expected_mean,
    jackknife,
    mean_limit,
    slope_allowance,
    systematic_error,
)
from goldgate.reference import Profile, RoutingSpec

Float64 = NDArray[np.float64]

#: Buckets that must be filled for a group's jackknife, and for any statement.
_FILLED, _FEWEST = 28, 8

#: What recovering a score as (s + b) - b may lean by for one expert, in u: its bias has the same
#: last bits every time. Let c = s + b have spacing m ulp(s). Over the m residues that s may have,
#: the sum's rounding has the mean of a sawtooth of period ulp(s), at most ulp(s) / 2; the
#: subtraction rounds to ulp(s), always the same way where b lies half between. Each is at most u s.
RECOVERY = 2.0

#: Experts are also taken together by their number modulo these: kernels that treat two at a time,
#: and lanes of a warp.
MODULI = (2, 32)


def random_error(sums: RandomSums, spec: RoutingSpec, profile: Profile) -> RandomError:
    """Hold the sums against their limits.

    Args:
        sums: over the sample.
        spec: the router.
        profile: the kernel's arithmetic.

    """
    held = {n: one for n, one in sorted(sums.classes.items()) if one.squares[0, :, 0].any()}
    parts = list(held.values())
    several = len(parts) > 1
    found = [_judged(class_name(n), one, spec, profile, alone=several) for n, one in held.items()]
    if several:
        whole = parts[0]
        for one in parts[1:]:
            whole += one
        found.append(_judged(ALL, whole, spec, profile, alone=False))
    return RandomError(tuple(found))


def _judged(
    calls: str, sums: ClassSums, spec: RoutingSpec, profile: Profile, *, alone: bool
) -> ClassError:
    count, squared, over = (float(total) for total in sums.squares[0].sum(axis=0))
    mean_over = over / count
    spread = max(jackknife(by[:, 2], by[:, 0]) for by in sums.squares)
    units = min(int((by[:, 0] > 0).sum()) for by in sums.squares)
    enough = units >= MIN_UNITS
    groups = sorted(_means(sums.groups, spec, profile), key=lambda group: -group.excess)
    found = tuple(group for group in groups if group.excess > 0.0) if enough else ()
    bits = 23
    exact_grid = spec.renormalize or not (profile.recovered or profile.tanh)
    if exact_grid and int(sums.fine.sum()) >= MIN_UNITS and sums.bits and not sums.bits & 1:
        bits = 23 - ((sums.bits & -sums.bits).bit_length() - 1)
    return ClassError(
        calls,
        int(count),
        math.sqrt(squared / count),
        math.sqrt(mean_over),
        enough and mean_over - 1.0 > SIGNIFICANCE * spread,
        found,
        groups[0] if groups else None,
        max(bits, 0),
        systematic_error(sums.drift, spec, profile) if alone else None,
    )


def _means(sums: Float64, spec: RoutingSpec, profile: Profile) -> Iterator[Group]:
    """Yield the groups that are beyond their limits, and of each kind the one nearest to it."""
    cells, kinds = _grouped(sums, spec)
    some = np.flatnonzero((cells[0] > 0).sum(axis=1) >= _FEWEST)
    whole = cells[:, :1].sum(axis=2)
    level, center = whole[1] / whole[0], whole[2] / whole[0]
    of_level = _errors(cells[:, :1])
    held = cells[:, some]
    number, r, z, _ = held.sum(axis=2)
    means, aways, errors = r / number, z / number, _errors(held)
    extra = RECOVERY if profile.recovered else 0.0
    first = 0
    for kind, count in kinds:
        of_kind = slice(*np.searchsorted(some, (first, first + count)).tolist())
        numbers = some[of_kind] - first
        first += count
        # One slot alone is all weights; a mean over all is a matter of the systematic error, which
        # rows of one weight take no part in.
        alone = kind == "all" and spec.top_k == 1 and not spec.renormalize
        if (kind == "all" and not alone) or (kind == "slot" and spec.top_k == 1):
            continue
        if not len(numbers):
            continue
        mean, away, error = means[of_kind], aways[of_kind], errors[of_kind]
        if kind != "all":
            mean, away = mean - level, away - center
        limit = mean_limit(profile) + extra + slope_allowance(profile) * np.abs(away)
        # What all weights have in common cancels in a difference.
        low, high = expected_mean(spec, profile) if kind == "all" else (0.0, 0.0)
        limit += (high - low) / 2.0
        if kind != "all":  # what both share makes the difference no less certain
            error = np.hypot(error, of_level)
        about = (low + high) / 2.0
        excess = np.abs(mean - about) - limit - GROUP_SIGNIFICANCE * error  # `Group.excess`
        kept = excess > 0.0
        kept[np.argmax(excess)] = True
        for i in np.flatnonzero(kept).tolist():
            values = mean[i], error[i], limit[i], about
            yield Group(kind, int(numbers[i]), *(float(value) for value in values))


def _errors(cells: Float64) -> Float64:
    """Return the standard error of each group's mean, [4, groups, PARTS] in."""
    filled, totals = (cells[0] > 0).sum(axis=1), cells.sum(axis=2)
    allowed = np.sqrt(totals[3] / totals[0] / filled)
    return np.where(filled >= _FILLED, jackknives(cells[1], cells[0]), allowed)


def _grouped(sums: Float64, spec: RoutingSpec) -> tuple[Float64, list[tuple[str, int]]]:
    """Return the cells of all groups, [4, groups, PARTS], and the kinds with their groups."""
    kinds = [
        ("all", 1),
        ("slot", spec.top_k),
        ("expert", spec.num_experts),
        ("row modulo 32", POSITIONS),
        ("32nd of the rows", POSITIONS),
    ]
    cells = [np.ascontiguousarray(np.moveaxis(sums, 2, 0))]
    experts = cells[0][:, 1 + spec.top_k :][:, : spec.num_experts]
    for modulus in MODULI:
        if spec.num_experts > modulus:
            together = [experts[:, i::modulus].sum(axis=1) for i in range(modulus)]
            cells.append(np.stack(together, axis=1))
            kinds.append((f"expert modulo {modulus}", modulus))
    return np.concatenate(cells, axis=1), kinds


def jackknives(above: Float64, below: Float64) -> Float64:
    """Return `jackknife` of each of n groups, [n, units] each."""
    held = below > 0
    rest = below.sum(axis=1, keepdims=True) - below
    ratio = above.sum(axis=1, keepdims=True) / below.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        without = (above.sum(axis=1, keepdims=True) - above) / rest
    spread = np.where(held, without - ratio, 0.0)
    units = held.sum(axis=1)
    found = np.sqrt((1.0 - 1.0 / units) * (spread**2).sum(axis=1))
    return np.where((held & (rest <= 0)).any(axis=1), sys.float_info.max, found)
