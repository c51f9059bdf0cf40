"""The weights of a tile's rows against their bounds, and what they add to the statistics.

The formulas are those of `reference.weight_error` and `accuracy.systematic_error`. A row is left to
the definition where float64 might round to another side than it: within 1e-9 of a bound, 2**-22
ulps of an edge of the histogram, or where a score's rounding to float32 is in doubt. So the
histogram and the units of the sums are those of the definition; the sums differ by rounding alone.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.compiled import compiled
from goldgate.accuracy.fast.tile import FINE_BUCKETS, LONGER, TILE, ask_for
from goldgate.accuracy.fast.vectors import add_terms
from goldgate.accuracy.systematic_error import BUCKETS
from goldgate.reference import U, formulas
from goldgate.reference.formulas import TINY

#: Bits of a bucket's count of a row's weights: the counts of all buckets are one int64.
_FIELD = 7
#: Weights of a row that can be counted so.
MOST_CHOSEN = (1 << _FIELD) - 1

#: How near to a bound a row is left to the definition, relative: float64 errs by 1e-14.
MARGIN = 1e-9

#: Codes of a row: not settled; settled, in descending order; settled, in another order.
UNSETTLED, DESCENDING, UNORDERED = 0, 1, 2
#: Added to the code of a settled row whose first chosen logit a narrower type may hold.
NARROW = 4

_add_terms: Any = add_terms
_inline: Any = numba.njit(inline="always")
_sigmoid_error, _tangent_error = _inline(formulas.sigmoid_error), _inline(formulas.tangent_error)
_softmax_error = _inline(formulas.softmax_error)
_recovery_error, _sum_error = _inline(formulas.recovery_error), _inline(formulas.sum_error)
_last_steps, _plain_error = _inline(formulas.last_steps), _inline(formulas.plain_error)

_EXPONENT = np.int64(0x7FF0000000000000)
#: Less a power of two's bits, those of its inverse.
_INVERSE = np.int64(0x7FE0000000000000)
_FRACTION = np.int64((1 << 52) - 1)
#: What float32's rounding drops of a float64's fraction; half of it is a tie.
_DROPPED, _HALF = np.int64((1 << 29) - 1), np.int64(1 << 28)
#: How near to an edge of the histogram a row is left, in units of the fraction at half an ulp: the
#: exact weights err by 64 u64 here and there, together 2**-22 ulps of a weight.
NEAR_EDGE = np.int64(1 << 31)
#: How near to a tie of float32 a score is left, in last places: it errs by 4 u64 here and there.
NEAR_TIE = np.int64(16)
#: A quarter as bits: errors below are in the first bucket for certain.
_SMALL = np.int64(1021 << 52)


@compiled("contract", borrows=True)
def bound_scores(tile: Any, stored: Any, softmax: bool, figures: Any) -> None:  # noqa: ANN401
    """Bound each chosen score's error, `reference.score_error`; and sum up the row."""
    slope, exp, divide, tanh, recovered, renormalize = figures[:6]
    xs, b, scores, errors, shared = tile.x, tile.b, tile.s, tile.error, tile.shared
    total, moved = tile.total, tile.moved
    total[:] = 0.0
    moved[:] = 0.0
    for j in range(len(xs)):
        ask_for(stored, tile.asked, LONGER)
        for t in range(TILE):
            s, x = scores[j, t], abs(xs[j, t])
            if softmax:
                errors[j, t] = _softmax_error(s, x, slope, exp, divide)
            elif tanh > 0.0:
                errors[j, t] = _tangent_error(s, tanh)
            else:
                errors[j, t] = _sigmoid_error(s, x, slope, exp, divide)
        if not renormalize:
            for t in range(TILE):
                moves = shared[t] / (1.0 - shared[t]) if shared[t] < 1.0 else np.inf
                errors[j, t] += (scores[j, t] + errors[j, t]) * moves
        if recovered:
            for t in range(TILE):
                errors[j, t] += _recovery_error(scores[j, t], b[j, t])
        for t in range(TILE):
            total[t] += scores[j, t]
        for t in range(TILE):
            moved[t] += errors[j, t]


@compiled("contract", borrows=True)
def bound_weights(tile: Any, stored: Any, figures: Any) -> None:  # noqa: ANN401
    """Find the exact weights and their bounds, `reference.weight_error`."""
    divide, renormalize, scale, inexact, sharp = (
        figures[2],
        figures[5],
        figures[6],
        figures[7],
        figures[8],
    )
    scores, errors, weights, bounds = tile.s, tile.error, tile.w, tile.bound
    total, moved, sound, per_score = tile.total, tile.moved, tile.sound, tile.before
    used, count = tile.used, tile.taking
    count[:] = 0
    k = len(scores)
    last = 1.0 + _last_steps(divide, inexact)
    flushed = (1.0 + scale) * TINY
    for t in range(TILE):
        moved[t] = _sum_error(moved[t], total[t], k)
    for t in range(TILE):
        sound[t] &= (moved[t] < 0.5) | (renormalize == 0.0)
    for t in range(TILE):
        moved[t] = last / (1.0 - moved[t])
    for t in range(TILE):
        per_score[t] = total[t] / scale / U if renormalize else 1.0 / scale / U
    for t in range(TILE):
        total[t] = scale / total[t]
    for j in range(k):
        ask_for(stored, tile.asked, LONGER)
        if renormalize:
            for t in range(TILE):
                weights[j, t] = scores[j, t] * total[t]
            for t in range(TILE):
                s = scores[j, t]
                # `formulas.renormalised_error`, its two divisions made once for the row.
                bounds[j, t] = ((s + errors[j, t]) * moved[t] - s) * total[t] + flushed
        else:
            for t in range(TILE):
                weights[j, t] = scores[j, t] * scale
                bounds[j, t] = _plain_error(scores[j, t], errors[j, t], inexact, scale)
        for t in range(TILE):
            used[j, t] = bounds[j, t] < weights[j, t] * sharp
        for t in range(TILE):
            edge = weights[j, t] * sharp
            sound[t] &= (abs(bounds[j, t] - edge) > MARGIN * edge) & (bounds[j, t] < weights[j, t])
        for t in range(TILE):
            count[t] += used[j, t]


@compiled("contract", borrows=True)
def compare_weights(tile: Any, stored: Any, softmax: bool) -> None:  # noqa: ANN401
    """Compare the kernel's weights with the exact ones."""
    got, weights, bounds, errors = tile.got, tile.w, tile.bound, tile.error
    sound, worst, level, center = tile.sound, tile.worst, tile.level, tile.center
    xs, scores, rs, zs, used = tile.x, tile.s, tile.r, tile.z, tile.used
    inverse, per_score = tile.inverse, tile.before  # which is free by now
    worst[:] = 0.0
    level[:] = 0.0
    center[:] = 0.0
    for j in range(len(xs)):
        ask_for(stored, tile.asked, LONGER)
        for t in range(TILE):
            errors[j, t] = abs(got[j, t] - weights[j, t]) / bounds[j, t]
        for t in range(TILE):
            sound[t] &= errors[j, t] <= 1.0 - MARGIN
        for t in range(TILE):
            worst[t] = max(worst[t], errors[j, t])
        for t in range(TILE):
            r = (got[j, t] - weights[j, t]) * (inverse[j, t] * per_score[t])
            rs[j, t] = r if used[j, t] else 0.0
        for t in range(TILE):
            z = xs[j, t] if softmax else xs[j, t] * (1.0 - scores[j, t])
            zs[j, t] = z if used[j, t] else 0.0
        for t in range(TILE):
            level[t] += rs[j, t]
        for t in range(TILE):
            center[t] += zs[j, t]


@compiled(borrows=True)
def find_buckets(tile: Any, stored: Any, recovered: bool, softmax: bool) -> None:  # noqa: ANN401
    """Find each weight's bucket in the histogram and in the sums.

    Bucket n of the histogram holds errors above 2**(n - 2) ulps, up to 2**(n - 1). The sums tell
    weights apart as `goldgate.accuracy.weights.held_scores` does.
    """
    got, weights, scores, b, xs = tile.got, tile.w, tile.s, tile.b, tile.x
    sound, buckets, hashes = tile.sound, tile.buckets, tile.hashes
    bits = hashes  # which come last
    buckets[:] = 0
    for j in range(len(got)):
        ask_for(stored, tile.asked, LONGER)
        for t in range(TILE):
            w = weights[j, t]
            power = np.float64(np.float32(max(w, TINY))).view(np.int64) & _EXPONENT
            # 1 over the power of two, 0 over infinity, by its exponent: products are exact.
            inverse = _INVERSE - power if power < _EXPONENT else 0
            error = abs(got[j, t] - w) * np.int64(inverse).view(np.float64) * 2.0**23
            bits[j, t] = np.float64(error).view(np.int64)
        for t in range(TILE):
            q = bits[j, t]
            octave = ((q + NEAR_EDGE) >> 52) - 1022
            near = NEAR_EDGE >> min(max(octave, 0), 31)
            sound[t] &= not ((((q + near) & _FRACTION) < 2 * near) & (q >= _SMALL))
        for t in range(TILE):
            bucket = min(max(((bits[j, t] - 1) >> 52) - 1021, 0), FINE_BUCKETS - 1)
            buckets[t] += np.int64(1) << (bucket * _FIELD)
        for t in range(TILE):
            dropped = np.float64(scores[j, t]).view(np.int64) & _DROPPED
            sound[t] &= abs(dropped - _HALF) >= NEAR_TIE
        for t in range(TILE):
            held = np.float32(scores[j, t])
            if softmax:
                held = np.float32(xs[j, t] + 0.0)  # 0 has no sign
            elif recovered:
                rounded = np.float32(b[j, t])
                held = np.float32(np.float32(held + rounded) - rounded)
            # `accuracy.systematic_error.mix`, of which the low bits count.
            h = np.uint64(np.float32(held).view(np.uint32)) + np.uint64(1)
            h *= np.uint64(0x9E3779B97F4A7C15)
            h = (h ^ (h >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
            hashes[j, t] = np.int64((h ^ (h >> np.uint64(32))) & np.uint64(BUCKETS - 1))


@compiled("contract", borrows=True)
def add_rows(
    tile: Any,  # noqa: ANN401
    stored: Any,  # noqa: ANN401
    start: int,
    rows: int,
    codes: NDArray[np.uint8],
    over: NDArray[np.float64],
    histogram: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> int:
    """Write the sound rows down and add them up; return how many the sums took.

    A row takes part with two weights or more; the mean of its errors only with all.
    """
    descends, worst, used, counts = tile.descends, tile.worst, tile.used, tile.taking
    sound, narrow, weights, rs, zs = tile.sound, tile.narrow, tile.w, tile.r, tile.z
    hashes, levels, centers = tile.hashes, tile.level, tile.center
    k = len(weights)
    _add_buckets(tile, rows, histogram)
    added = 0
    for t in range(rows):
        ask_for(stored, tile.asked, 1)
        if not sound[t]:
            continue
        codes[start + t] = (DESCENDING if descends[t] else UNORDERED) + NARROW * narrow[t]
        over[start + t] = worst[t]
        taking = counts[t]
        if taking < 2:
            continue
        added += 1
        level, center = levels[t] / taking, centers[t] / taking
        whole = 1.0 if taking == k else 0.0
        row = np.int64(0)
        all_w = all_wr = all_rz = all_zz = all_wz = 0.0
        for j in range(k):
            if not used[j, t]:
                continue
            w, r, z, at = weights[j, t] * whole, rs[j, t], zs[j, t], hashes[j, t]
            wr, rz, zz, wz = w * r, (r - level) * (z - center), (z - center) ** 2, w * z
            _add_terms(sums, 1, at, (1.0, w, wr, rz, zz, wz))
            all_w += w
            all_wr += wr
            all_rz += rz
            all_zz += zz
            all_wz += wz
            row += at
        row &= BUCKETS - 1
        both = np.float64(taking), all_w, all_wr, all_rz, all_zz, all_wz
        _add_terms(sums, 0, row, both)
    return added


@compiled(borrows=True)
def _add_buckets(tile: Any, rows: int, histogram: NDArray[np.int64]) -> None:  # noqa: ANN401
    sound, buckets = tile.sound, tile.buckets
    for bucket in range(FINE_BUCKETS):
        found = 0
        for t in range(rows):
            count = (buckets[t] >> (bucket * _FIELD)) & ((1 << _FIELD) - 1)
            found += count if sound[t] else 0
        histogram[bucket] += found
