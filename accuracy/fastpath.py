"""Most rows pass without the golden router: ids certified and weights measured in one cheap pass.

A row is settled if the ids the kernel chose beat every other expert by more than rounding can move
either (`reference.selection_error_ceiling`): then they are the golden ids, in some order. The pass
takes the chosen experts' scores in float64 and, for the others, only an upper bound of a cheap
float32 sigmoid; an expert that comes near is looked at again in float64. The weights of a settled
row are held against the same bounds as `accuracy.weights` states for arrays (a test keeps the two
equal). A row that is not settled, for whatever reason, is only not settled: the definition in
`goldgate.accuracy.selection` and `goldgate.accuracy.weights` decides it. So nothing fails here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast_sigmoid import CHEAP_ERROR, cheap_exp
from goldgate.accuracy.systematic_error import BUCKETS, TERMS, ResidualSums, mix
from goldgate.accuracy.weights import ULP_EDGES, sharpness
from goldgate.reference import Profile, RoutingSpec, U, scale_rounding, selection_error_ceiling
from goldgate.reference.bounds import SECOND_ORDER, TINY

#: Codes of a row: not settled; settled, in descending order; settled, in another order.
UNSETTLED, DESCENDING, UNORDERED = 0, 1, 2

#: Bound on the float64 error of a biased score, relative to 1 + |b|: 4 u64 for the sigmoid and
#: rounding of the addition, generously.
ERROR64 = 1e-14

_EDGES = np.array(ULP_EDGES[:-1])

_mix: Any = numba.njit(mix)


@dataclass(frozen=True)
class Screened:
    """What the pass found in n rows.

    Attributes:
        codes: `UNSETTLED`, `DESCENDING` or `UNORDERED`, uint8 [n].
        over_bound: a settled row's largest weight error over its bound, float64 [n].
        histogram: of the settled rows' weight errors in ulps, by `ULP_EDGES`.
        sums: of the settled rows, for the drift.

    """

    codes: NDArray[np.uint8]
    over_bound: NDArray[np.float64]
    histogram: NDArray[np.int64]
    sums: ResidualSums


def applies(spec: RoutingSpec) -> bool:
    """Say whether rows of this router can be screened: sigmoid scores and one group."""
    return spec.scoring == "sigmoid" and spec.num_expert_group == 1


def screen(
    logits: NDArray[np.float32],
    bias: NDArray[np.float64],
    ids: NDArray[np.int32],
    weights: NDArray[np.float32],
    skip: NDArray[np.bool_],
    spec: RoutingSpec,
    profile: Profile,
    *,
    ordered: bool = False,
) -> Screened:
    """Screen n rows of a router that `applies`.

    Args:
        logits: float32 [n, E].
        bias: float64 [E].
        ids: int32 [n, k], as the kernel returned them, whatever they are.
        weights: float32 [n, k], likewise.
        skip: rows to leave unsettled, bool [n].
        spec: the router.
        profile: the kernel's arithmetic.
        ordered: whether to leave rows unsettled whose ids do not descend.

    """
    ceiling = selection_error_ceiling(bias, profile)
    top = float(bias.max())
    # Biases relative to the largest keep float32 exact enough; what it still rounds is added.
    slack = CHEAP_ERROR + 8 * U * (float(top - bias.min()) + 2.0)
    raised = (bias - top + ceiling + slack).astype(np.float32)
    figures = np.array(
        (
            profile.exponent + profile.exp_per_unit,
            profile.exp,
            profile.divide,
            profile.tanh,
            float(profile.recovered),
            float(spec.renormalize),
            spec.routed_scaling_factor,
            abs(scale_rounding(spec)),
            sharpness(profile),
        )
    )
    codes = np.zeros(len(logits), dtype=np.uint8)
    over = np.zeros(len(logits))
    histogram = np.zeros(len(ULP_EDGES), dtype=np.int64)
    sums = np.zeros((2, BUCKETS, TERMS))
    rows = _screen(
        np.ascontiguousarray(logits),
        bias,
        ceiling,
        raised,
        top,
        np.ascontiguousarray(ids),
        np.ascontiguousarray(weights),
        skip,
        ordered,
        figures,
        codes,
        over,
        histogram,
        sums,
    )
    return Screened(codes, over, histogram, ResidualSums(int(rows), sums))


@numba.njit(nogil=True, cache=True)
def _sigmoid(x: np.float32) -> float:
    return 1.0 / (1.0 + math.exp(-np.float64(x))) if x > -700 else 0.0


@numba.njit(nogil=True, cache=True)
def _add_row(
    r: NDArray[np.float64],
    z: NDArray[np.float64],
    w: NDArray[np.float64],
    hashes: NDArray[np.uint64],
    sums: NDArray[np.float64],
) -> None:
    """Add a row to the sums, as `goldgate.accuracy.systematic_error.residual_sums` does."""
    level, center = r.mean(), z.mean()
    whole = hashes.sum() % np.uint64(BUCKETS)
    for j in range(len(r)):
        rc, zc = r[j] - level, z[j] - center
        terms = (1.0, w[j], w[j] * r[j], rc * zc, zc * zc, w[j] * z[j])
        own = hashes[j] % np.uint64(BUCKETS)
        for i in range(TERMS):
            sums[0, whole, i] += terms[i]
            sums[1, own, i] += terms[i]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _weigh(
    x: NDArray[np.float64],
    s: NDArray[np.float64],
    b: NDArray[np.float64],
    weights: NDArray[np.float32],
    figures: NDArray[np.float64],
    histogram: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> tuple[float, int]:
    """Return a row's largest weight error over bound, and the rows (0 or 1) added to the sums.

    `reference.weight_error` for one row of sigmoid scores; 2 stands for "not settled here". The
    row is added up if its error is at most 1.
    """
    slope, exp, divide, tanh, recovered, renormalize, scale, inexact, sharp = figures
    k = len(s)
    total = s.sum()
    error = np.empty(k)
    for j in range(k):
        if not (abs(x[j]) < np.inf) or s[j] <= 0.0:
            return 2.0, 0
        rho = (1.0 - s[j]) * (slope * abs(x[j]) + exp) + 1.0 + divide
        off = s[j] + 0.5 * tanh * abs(1.0 - 2.0 * s[j]) if tanh > 0.0 else rho * s[j]
        error[j] = SECOND_ORDER * U * off + TINY
        if recovered > 0.0:
            error[j] += SECOND_ORDER * U * (abs(s[j] + b[j]) + s[j])
    moved = error.sum() / total
    moved += (k - 1) * U * (1.0 + moved)
    if moved >= 1.0:
        return 2.0, 0
    last = 1.0 + SECOND_ORDER * ((divide + 2.0) * U + inexact)
    flushed = (1.0 + scale) * TINY
    worst = 0.0
    r = np.empty(k)
    z = np.empty(k)
    w = np.empty(k)
    buckets = np.empty(k, dtype=np.int64)
    hashes = np.empty(k, dtype=np.uint64)
    held = np.empty(1, dtype=np.float32)
    count = 0
    for j in range(k):
        got = np.float64(weights[j])
        if renormalize > 0.0:
            expected = s[j] / total * scale
            bound = scale * ((s[j] + error[j]) * last / (1.0 - moved) - s[j]) / total + flushed
        else:
            expected = s[j] * scale
            bound = scale * SECOND_ORDER * (error[j] + (2 * U + inexact) * s[j]) + flushed
        off = abs(got - expected)
        if not off <= bound:
            return 2.0, 0
        worst = max(worst, off / bound)
        _, exponent = math.frexp(max(np.float64(np.float32(expected)), TINY))
        buckets[j] = np.searchsorted(_EDGES, off / 2.0 ** (exponent - 24), side="left")
        if bound < expected * sharp:
            r[count] = (got / expected - 1.0) / U
            z[count] = x[j] * (1.0 - s[j])
            w[count] = expected
            held[0] = s[j]
            if recovered > 0.0:
                held[0] = np.float32(held[0] + np.float32(b[j])) - np.float32(b[j])
            hashes[count] = _mix(np.uint64(held.view(np.uint32)[0]))
            count += 1
    for j in range(k):
        histogram[buckets[j]] += 1
    if count < 2:
        return worst, 0
    if count < k:
        w[:] = 0.0
    _add_row(r[:count], z[:count], w[:count], hashes[:count], sums)
    return worst, 1


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _screen(
    logits: NDArray[np.float32],
    bias: NDArray[np.float64],
    ceiling: NDArray[np.float64],
    raised: NDArray[np.float32],
    top: float,
    ids: NDArray[np.int32],
    weights: NDArray[np.float32],
    skip: NDArray[np.bool_],
    ordered: bool,
    figures: NDArray[np.float64],
    codes: NDArray[np.uint8],
    over: NDArray[np.float64],
    histogram: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> int:
    """Fill codes, over, histogram and sums; return the rows that the sums hold."""
    rows = 0
    experts = logits.shape[1]
    k = ids.shape[1]
    chosen = np.zeros(experts, dtype=np.bool_)
    one = np.float32(1)
    s = np.empty(k)
    x = np.empty(k)
    b = np.empty(k)
    for t in range(logits.shape[0]):
        if skip[t]:
            continue
        row = logits[t]
        marked = 0
        threshold = np.inf
        before = np.inf
        descending = True
        for j in range(k):
            i = ids[t, j]
            if i < 0 or i >= experts or chosen[i] or np.isnan(row[i]):
                break
            chosen[i] = True
            marked += 1
            error = ERROR64 * (1.0 + abs(bias[i]))
            x[j], b[j] = row[i], bias[i]
            s[j] = _sigmoid(row[i])
            c = s[j] + b[j]
            descending = descending and before - c > error
            before = c - error
            threshold = min(threshold, c - ceiling[i] - error)
        if marked == k:
            cut = np.float32(threshold - top)
            near = np.int32(0)
            for i in range(experts):
                # sigmoid(x) + raised > cut, multiplied out so that nothing is divided.
                near += np.int32(one > (cut - raised[i]) * (one + cheap_exp(-row[i])))
            if near != k:  # a NaN may count here; not below
                near = k
                for i in range(experts):
                    if not chosen[i] and not np.isnan(row[i]):
                        bar = threshold - bias[i] - ceiling[i] - ERROR64 * (1.0 + abs(bias[i]))
                        if bar <= 0.0 or _sigmoid(row[i]) >= bar:
                            near += 1
                            break
            if near == k and (descending or not ordered):
                over[t], added = _weigh(x, s, b, weights[t], figures, histogram, sums)
                rows += added
                if over[t] <= 1.0:
                    codes[t] = DESCENDING if descending else UNORDERED
        for j in range(marked):
            chosen[ids[t, j]] = False
    return rows
