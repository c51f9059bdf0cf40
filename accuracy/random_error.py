"""The third tier: random error inside the bound, and means that differ between groups of weights.

A worst-case bound of 20 u leaves room for weights of 20 mantissa bits, or for one expert that is
12 u too heavy; neither moves the mean over all nor leans with the logit. So over a sample of the
rows that pass, r = (weight / exact - 1) / u is held against three limits.

- Its mean square. Errors of different operations are uncorrelated, so that their variances add up:
  what an IEEE operation rounds has at most u^2 / 3 (uniform over half an ulp either way), any other
  function at most the square of its figure. `variance` is that sum for each weight; the mean of
  r^2 / variance is at most 1 for a kernel that conforms, whatever its bound, so that weights
  recovered by subtraction raise no alarm.
- Its mean over a slot, an expert, a row's position in the batch, less its mean over all, by the
  limits of the systematic error: `mean_limit`, and `slope_allowance` for as much as the group's z
  differs; `RECOVERY` more where weights are recovered.
- The grid. If all weights end in 0 bits, although the exact ones as float32 do not, they went
  through a narrower type; that is a fact, not an estimate: 64 different ones agree so by chance
  once in 2^64.

Standard errors are jackknives over buckets of equal scores or equal rows, as those of the
systematic error. A group with few of them is given the standard error that its `variance` allows,
each bucket counted once; very few prove nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.chosen import Chosen, choose
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.systematic_error import (
    BUCKETS,
    MIN_UNITS,
    SIGNIFICANCE,
    jackknife,
    mean_limit,
    mix,
    slope_allowance,
)
from goldgate.accuracy.weights import held_scores, judge_weights, signed_errors
from goldgate.reference import FLOAT32, Profile, RoutingSpec, U, scale_rounding

Float64 = NDArray[np.float64]

#: Rows of a sample at the most, and the runs of neighbours that it consists of.
SAMPLE, RUN = 1 << 14, 64

#: Positions that are told apart: a row's number modulo 32, and which 32nd of the recording.
POSITIONS = 32

#: Buckets of a group's jackknife, how many must be filled for one, and for any statement.
_PARTS, _FILLED, _FEWEST = 32, 28, 8

#: What stands for a variance without a bound: large, and finite in sums of thousands.
_LARGEST = 1e280

#: What recovering a score as (s + b) - b may lean by for one expert, in u: its bias has the same
#: last bits every time. Let c = s + b have spacing m ulp(s). Over the m residues that s may have,
#: the sum's rounding has the mean of a sawtooth of period ulp(s), at most ulp(s) / 2; the
#: subtraction rounds to ulp(s), always the same way where b lies half between. Each is at most u s.
RECOVERY = 2.0

#: Groups that a finding names.
_NAMED = 5


@dataclass(frozen=True)
class RandomSums:
    """What is summed over the weights of a sample.

    Attributes:
        squares: weights, r^2 and r^2 / variance, by rows of equal scores and by equal scores,
            float64 [2, BUCKETS, 3].
        groups: weights, r, z and variance by group and bucket, [groups, _PARTS, 4]; the groups are
            all weights, the k slots, the E experts, and twice `POSITIONS` positions.
        bits: the bits that are set in any weight whose exact value needs its last bit.
        fine: which buckets of such weights there are, bool [BUCKETS].

    """

    squares: Float64
    groups: Float64
    bits: int = 0
    fine: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(BUCKETS, dtype=bool))

    @staticmethod
    def none(spec: RoutingSpec) -> RandomSums:
        """Return the sums over no row."""
        groups = 1 + spec.top_k + spec.num_experts + 2 * POSITIONS
        return RandomSums(np.zeros((2, BUCKETS, 3)), np.zeros((groups, _PARTS, 4)))

    def __add__(self, other: RandomSums) -> RandomSums:
        """Return the sums over both sets of rows."""
        return RandomSums(
            self.squares + other.squares,
            self.groups + other.groups,
            self.bits | other.bits,
            self.fine | other.fine,
        )


@dataclass(frozen=True)
class Group:
    """A group of weights whose mean differs from that of all.

    Attributes:
        kind: "slot", "expert", "row modulo 32", "32nd of the rows" or "all".
        number: which.
        mean: of r, less that of all (of "all": itself), in u.
        error: its standard error.
        limit: what is allowed.

    """

    kind: str
    number: int
    mean: float
    error: float
    limit: float

    @property
    def excess(self) -> float:
        """How far beyond the limit it is for certain, in u; 0 or less where it is not."""
        return abs(self.mean) - self.limit - SIGNIFICANCE * self.error

    @property
    def text(self) -> str:
        """The group in words."""
        return f"{self.kind} {self.number}: {self.mean:+.2f} u (limit {self.limit:.2f})"


@dataclass(frozen=True)
class RandomError:
    """The random error of a kernel's weights over a sample of a recording's rows.

    Attributes:
        weights: how many were looked at.
        rms: the root of the mean of r^2, in u.
        rms_over_limit: the root of the mean of r^2 / variance; at most 1 where all conforms.
        rms_found: whether that is beyond 1 for certain.
        groups: the groups whose means differ for certain, the worst first.
        largest: the group that comes nearest to its limit or is furthest beyond it; None if no
            group has enough weights.
        mantissa_bits: explicit mantissa bits that the weights use; 23 for float32.

    """

    weights: int = 0
    rms: float = 0.0
    rms_over_limit: float = 0.0
    rms_found: bool = False
    groups: tuple[Group, ...] = ()
    largest: Group | None = None
    mantissa_bits: int = 23

    @property
    def found(self) -> bool:
        """Whether any of it is no rounding."""
        return self.rms_found or bool(self.groups) or self.mantissa_bits < 23

    @property
    def nearest(self) -> float:
        """How much of its limit the mean of the `largest` group takes for certain; 0 if none."""
        if self.largest is None:
            return 0.0
        return max(0.0, 1.0 + self.largest.excess / self.largest.limit)

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong, a line each."""
        lines = []
        if self.mantissa_bits < 23:
            lines.append(
                f"every weight has its last {23 - self.mantissa_bits} bits 0: it went through a "
                f"type of {self.mantissa_bits} mantissa bits"
            )
        if self.rms_found:
            lines.append(
                f"weights scatter by {self.rms:.2f} u (root mean square), "
                f"{self.rms_over_limit:.2f} times what independent roundings can"
            )
        if self.groups:
            named = ", ".join(group.text for group in self.groups[:_NAMED])
            more = len(self.groups) - _NAMED
            named += f" and {more} more" if more > 0 else ""
            lines.append(f"weights lean by group, inside the bound: {named}")
        return tuple(lines)

    def as_json(self) -> dict[str, object]:
        """Return it as the evidence has it."""
        largest = self.largest
        return {
            "found": self.found,
            "weights": self.weights,
            "rms_u": self.rms,
            "rms_over_limit": self.rms_over_limit,
            "rms_found": self.rms_found,
            "groups_found": [vars(group) for group in self.groups],
            "largest_group": vars(largest) if largest else None,
            "mantissa_bits": self.mantissa_bits,
        }


def sampled(start: int, stop: int, rows: int) -> NDArray[np.bool_]:
    """Return which of the rows start to stop of a recording are in the sample, bool.

    Runs of `RUN` neighbours, evenly spaced, so that every position modulo 32 is met.
    """
    step = max(1, -(-rows // SAMPLE))
    return np.asarray(np.arange(start, stop) // RUN % step == 0)


def random_sums(rows: Rows, at: NDArray[np.int64], whole: int, contract: Contract) -> RandomSums:
    """Sum over n rows that pass; 0 where they have no weights, or narrower ones than float32.

    Args:
        rows: their ids are distinct and in range.
        at: the rows' numbers in the recording, [n].
        whole: the rows of the recording.
        contract: what they are held against.

    """
    spec, profile = contract.spec, contract.profile
    ids, weights = rows.ids, rows.weights
    if weights is None or contract.weight_format != FLOAT32 or not len(rows):
        return RandomSums.none(spec)
    chosen = choose(rows, ids, contract)
    z = chosen.z
    judged = judge_weights(weights, chosen, contract)
    r = signed_errors(weights, judged, profile)
    used = np.isfinite(r) & np.isfinite(z)
    v = variance(chosen, contract)
    q = np.where(used, r, 0.0) ** 2 / v
    hashes = mix(held_scores(chosen, profile).astype(np.float32).view(np.uint32).astype(np.uint64))
    row_hash = np.broadcast_to(hashes.sum(axis=1, keepdims=True), r.shape)
    squares = np.stack(
        [
            _by(by[used] % np.uint64(BUCKETS), BUCKETS, r[used] ** 2, q[used])
            for by in (row_hash, hashes)
        ]
    )
    exact = judged.expected[used].astype(np.float32).view(np.uint32)
    fine = (exact & np.uint32(1)).astype(bool)
    seen = np.zeros(BUCKETS, dtype=bool)
    seen[(mix(exact[fine].astype(np.uint64)) % np.uint64(BUCKETS)).astype(np.int64)] = True
    bits = int(np.bitwise_or.reduce(weights[used][fine].view(np.uint32), initial=0))
    groups = _groups((r, z, v), used, ids, at, whole, hashes, row_hash, spec)
    return RandomSums(squares, groups, bits, seen)


def _groups(
    values: tuple[Float64, ...],
    used: NDArray[np.bool_],
    ids: NDArray[np.int32],
    at: NDArray[np.int64],
    whole: int,
    hashes: NDArray[np.uint64],
    row_hash: NDArray[np.uint64],
    spec: RoutingSpec,
) -> Float64:
    """Sum weights, r, z and variance by group, in the order of `_kinds`."""
    n, k = used.shape
    slots = np.broadcast_to(np.arange(k), (n, k))
    lanes = np.broadcast_to(at[:, None] % POSITIONS, (n, k))
    parts = np.broadcast_to(at[:, None] * POSITIONS // whole, (n, k))
    numbers: dict[str, NDArray[Any]] = {
        "all": slots * 0,
        "slot": slots,
        "expert": ids,
        _LANE: lanes,
        _PART: parts,
    }
    summed = []
    for kind, count in _kinds(spec):
        # Errors that a row's weights share count once for each row, where a group has whole rows.
        by = hashes if kind in ("slot", "expert") else row_hash
        # Above the bits that tell the buckets of all weights apart.
        bucket = (by[used] >> np.uint64(20)) % np.uint64(_PARTS)
        cell = numbers[kind][used].astype(np.int64) * _PARTS + bucket.astype(np.int64)
        of_cells = _by(cell, count * _PARTS, *(value[used] for value in values))
        summed.append(of_cells.reshape(count, _PARTS, 1 + len(values)))
    return np.concatenate(summed)


_LANE, _PART = "row modulo 32", "32nd of the rows"


def _kinds(spec: RoutingSpec) -> tuple[tuple[str, int], ...]:
    """Return the kinds of groups and how many there are of each."""
    return (
        ("all", 1),
        ("slot", spec.top_k),
        ("expert", spec.num_experts),
        (_LANE, POSITIONS),
        (_PART, POSITIONS),
    )


def _by(cells: NDArray[np.generic], count: int, *values: Float64) -> Float64:
    """Return how many fall into each cell and the sums of the values, [count, 1 + values]."""
    cells = cells.astype(np.int64)
    ones = np.bincount(cells, minlength=count).astype(np.float64)
    return np.stack([ones, *(np.bincount(cells, one, count) for one in values)], axis=-1)


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
            # Whatever the operations, no error is larger; a score that nothing bounds says nothing.
            own = np.minimum((chosen.error / (s * U)) ** 2, _LARGEST)
        elif profile.tanh:
            own = (0.5 * profile.tanh * np.abs(1.0 - 2.0 * s) / s) ** 2 + third
        else:
            size = np.abs(np.where(np.isfinite(chosen.x), chosen.x, 0.0))
            exponent = profile.exponent * size
            function = profile.exp + profile.exp_per_unit * size
            own = (1.0 - s) ** 2 * (exponent**2 + function**2) + third + divide
        if profile.recovered:
            own = own + third * ((s + chosen.bias) ** 2 + s**2) / s**2
        inexact = (scale_rounding(spec) / U) ** 2
        if not spec.renormalize:
            return np.asarray(own + 2.0 * third + inexact)
        share = s / s.sum(axis=1, keepdims=True)
        others = (share**2 * own).sum(axis=1, keepdims=True)
    additions = (spec.top_k - 1) * third
    return np.asarray(own + others + additions + divide + 2.0 * third + inexact)


def random_error(sums: RandomSums, spec: RoutingSpec, profile: Profile) -> RandomError:
    """Hold the sums against their limits.

    Args:
        sums: over the sample.
        spec: the router.
        profile: the kernel's arithmetic.

    """
    count, squared, over = (float(total) for total in sums.squares[0].sum(axis=0))
    if not count:
        return RandomError()
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
    return RandomError(
        int(count),
        math.sqrt(squared / count),
        math.sqrt(mean_over),
        enough and mean_over - 1.0 > SIGNIFICANCE * spread,
        found,
        groups[0] if groups else None,
        max(bits, 0),
    )


def _means(sums: Float64, spec: RoutingSpec, profile: Profile) -> Iterator[Group]:
    """Yield each group that has enough weights, with its mean and limit."""
    number, r, z, _ = (float(total) for total in sums[0].sum(axis=0))
    level, center = r / number, z / number
    first = 0
    for kind, count in _kinds(spec):
        for i in range(count):
            cells = sums[first + i]
            filled = int((cells[:, 0] > 0).sum())
            total, above, lean, spread = (float(value) for value in cells.sum(axis=0))
            # One slot alone is all weights; a mean over all is a matter of the systematic error,
            # which rows of one weight take no part in.
            compared = not (spec.top_k == 1 and kind == "slot")
            alone = kind == "all" and spec.top_k == 1 and not spec.renormalize
            if filled < _FEWEST or not (alone if kind == "all" else compared):
                continue
            mean, away = above / total, lean / total
            limit = mean_limit(profile) + (RECOVERY if profile.recovered else 0.0)
            if kind == "all":
                limit += abs(scale_rounding(spec)) / U
            else:
                mean, away = mean - level, away - center
            limit += slope_allowance(profile) * abs(away)
            error = math.sqrt(spread / total / filled)
            if filled >= _FILLED:
                error = jackknife(cells[:, 1], cells[:, 0])
            yield Group(kind, i, mean, error, limit)
        first += count
