"""The Triton kernel that screens rows on a GPU: what `goldgate.accuracy.fast` does, row for row.

A program takes some rows: it reads their logits once, scores the chosen experts in float64 and all
experts in float32, whose error (`SCORE_ERROR`) is allowed for. A row is settled only beyond what
either can be wrong by; every other row is left to the processor.

A GPU adds in no fixed order, so the sums are in fixed point, `FRACTION` bits below 1, where the
order does not matter: each term is rounded by 2**-(FRACTION + 1) at the most.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any

import triton
import triton.language as tl

from goldgate.accuracy.fast.tile import BELOW, EXPONENT, FINE_BUCKETS
from goldgate.accuracy.fast.weigh import (
    DESCENDING,
    NARROW,
    NEAR_EDGE,
    NEAR_TIE,
    UNORDERED,
    UNSETTLED,
)
from goldgate.accuracy.systematic_error import BUCKETS, TERMS
from goldgate.reference import formulas

#: Bits of a sum below 1. Where float32 holds a score, |x| is below 2**7, an error r below 2**9 u:
#: terms stay below 2**18, and 63 bits hold the sum of the 2**23 weights of a launch at 8 of 64.
FRACTION = 20

#: The sums of a row's weights for which that holds, up to 2**9 u times 2**11; and of which k terms
#: rounded by 2**-21 each are up to k 2**-13. The mean signed error is a ratio of such sums: a row
#: of smaller weights would move it by more, or add nothing.
LEAST_SUM, LARGEST_SUM = 2.0**-8, 2.0**11

#: How far a score may be above a bar for which `beaten` is true. With u = 2**-24: the exponent's
#: product errs by 1.5 u |x|, of which s (1 - s) <= 0.23 / |x| reaches the score, 0.4 u; an
#: exponential of 2 ulps 1 u; the multiplication and addition 1 u. More than tripled, since AMD
#: states its own figures; a test holds half of it.
SCORE_ERROR = 8.0 * 2.0**-24

#: Numbers from one bucket of the sums to the next: a power of two, so that a GPU adds neighbours
#: together.
STRIDE = 8


@triton.jit
def _absolute(x):
    return tl.abs(x)


def _shared(function: Callable[..., Any]) -> Any:
    """Return a formula of `reference.formulas` for Triton, whose globals must be constants."""
    constants = {
        name: tl.constexpr(getattr(formulas, name)) for name in ("U", "TINY", "SECOND_ORDER")
    }
    copied = types.FunctionType(
        function.__code__,
        {**constants, "abs": _absolute, "tl": tl, "Real": tl.tensor},
        function.__name__,
    )
    copied.__module__ = __name__
    return triton.jit(copied)


_sigmoid_error, _tangent_error = _shared(formulas.sigmoid_error), _shared(formulas.tangent_error)
_recovery_error, _sum_error = _shared(formulas.recovery_error), _shared(formulas.sum_error)
_last_steps, _plain_error = _shared(formulas.last_steps), _shared(formulas.plain_error)

_BUCKETS, _TERMS, _STRIDE = tl.constexpr(BUCKETS), tl.constexpr(TERMS), tl.constexpr(STRIDE)
_FINE = tl.constexpr(FINE_BUCKETS)
_ONE_IN_FIXED_POINT = tl.constexpr(float(1 << FRACTION))
_LEAST_SUM, _LARGEST_SUM = tl.constexpr(LEAST_SUM), tl.constexpr(LARGEST_SUM)
_ROUND, _ROUND_BITS = tl.constexpr(1.5 * 2.0**52), tl.constexpr(0x4338 << 48)
_TINY, _PER_U = tl.constexpr(formulas.TINY), tl.constexpr(1.0 / formulas.U)
_NEAR_EDGE, _NEAR_TIE = tl.constexpr(int(NEAR_EDGE)), tl.constexpr(int(NEAR_TIE))
_GOLDEN = tl.constexpr(0x9E3779B97F4A7C15 - (1 << 64))
_EXPONENT, _FRACTION_BITS = tl.constexpr(0x7FF0000000000000), tl.constexpr((1 << 52) - 1)
_INVERSE, _QUARTER = tl.constexpr(0x7FE0000000000000), tl.constexpr(1021 << 52)
_DROPPED, _TIE = tl.constexpr((1 << 29) - 1), tl.constexpr(1 << 28)
_HIGH = tl.constexpr(1 << 20)
_UNSETTLED, _DESCENDING = tl.constexpr(UNSETTLED), tl.constexpr(DESCENDING)
_UNORDERED, _NARROW = tl.constexpr(UNORDERED), tl.constexpr(NARROW)
_BELOW, _INFINITE = tl.constexpr(int(BELOW)), tl.constexpr(int(EXPONENT))
_ULPS, _MINUS_LOG2E = tl.constexpr(2.0**23), tl.constexpr(-1.0 / math.log(2.0))


@triton.jit
def beaten(x, bar):
    """Whether sigmoid scores of float32 logits are below a bar, up to `SCORE_ERROR`.

    1 / (1 + e) < bar, without the division: e is not negative. False of NaN.
    """
    return bar * tl.exp2(x * _MINUS_LOG2E) + bar > 1.0


@triton.jit
def _is_wide(x):
    """Whether float32 numbers are finite and no narrower type holds them."""
    bits = x.to(tl.int32, bitcast=True)
    return ((bits & _BELOW) != 0) & ((bits & _INFINITE) != _INFINITE)


@triton.jit
def _hash(s, b, recovered: tl.constexpr):
    """Return `systematic_error.mix` of the scores as float32 holds them, its low bits."""
    held = s.to(tl.float32)
    if recovered:
        rounded = b.to(tl.float32)
        held = (held + rounded) - rounded
    h = ((held.to(tl.int32, bitcast=True).to(tl.int64) & 0xFFFFFFFF) + 1) * _GOLDEN
    h = (h ^ ((h >> 32) & 0xFFFFFFFF)) * _GOLDEN
    return ((h ^ ((h >> 32) & 0xFFFFFFFF)) & (_BUCKETS - 1)).to(tl.int32)


@triton.jit
def _edges(signed, w):
    """Return each weight's bucket in the histogram, and whether it is too near to an edge."""
    power = tl.maximum(w, _TINY).to(tl.float32).to(tl.float64).to(tl.int64, bitcast=True)
    power &= _EXPONENT
    inverse = tl.where(power < _EXPONENT, _INVERSE - power, 0).to(tl.float64, bitcast=True)
    q = (tl.abs(signed) * inverse * _ULPS).to(tl.int64, bitcast=True)
    octave = ((q + _NEAR_EDGE) >> 52) - 1022
    near = tl.full(q.shape, _NEAR_EDGE, tl.int64) >> tl.minimum(tl.maximum(octave, 0), 31)
    on_edge = (((q + near) & _FRACTION_BITS) < 2 * near) & (q >= _QUARTER)
    bucket = tl.minimum(tl.maximum(((q - 1) >> 52) - 1021, 0), _FINE - 1)
    return bucket, on_edge


@triton.jit
def _count(fine, bucket, counted):
    """Add the weights that are counted to the histogram."""
    f = tl.arange(0, 16)
    found = tl.histogram(tl.reshape(tl.where(counted, bucket, 15), [bucket.numel]).to(tl.int32), 16)
    tl.atomic_add(fine + f, found.to(tl.int64), mask=(f < _FINE) & (found > 0), sem="relaxed")


@triton.jit
def _fixed(value):
    """Round to fixed point: adding 1.5 * 2**52 leaves an integer below 2**51 in the low bits."""
    return (value * _ONE_IN_FIXED_POINT + _ROUND).to(tl.int64, bitcast=True) - _ROUND_BITS


@triton.jit
def _add(sums, at, mask, terms):
    """Add six terms to the sums at places; a GPU does it for several neighbours at a time."""
    count, wide, wr, rz, zz, wz = terms
    n: tl.constexpr = count.numel
    nothing = tl.zeros(count.shape, tl.int64)
    even = tl.join(tl.join(count, zz), tl.join(wr, nothing))
    odd = tl.join(tl.join(wide, wz), tl.join(rz, nothing))
    together = tl.reshape(tl.join(even, odd), [n, 8])
    i = tl.arange(0, 8)
    place = sums + tl.reshape(at, [n])[:, None] * 8 + i[None, :]
    some = tl.reshape(mask, [n])[:, None] & (i < _TERMS)[None, :]
    tl.atomic_add(place, together, mask=some, sem="relaxed")


@triton.jit
def _add_rows(sums, sound, used, w, r, z, hashes, k: tl.constexpr):
    """Add the sound rows of two weights or more to the sums; return which these are."""
    # Two sums at once: of the hashes, of which the low bits count, and of those who have one.
    both = tl.sum(tl.where(used, hashes + _HIGH, 0), 1)
    count, together = both // _HIGH, both & (_BUCKETS - 1)
    taking = sound & (count >= 2)
    share = 1.0 / tl.maximum(count, 1).to(tl.float64)
    adds = used & taking[:, None]
    rc, zc = r - (tl.sum(r, 1) * share)[:, None], z - (tl.sum(z, 1) * share)[:, None]
    rc, zc = tl.where(adds, rc, 0.0), tl.where(adds, zc, 0.0)
    wide = tl.where(adds & (count == k)[:, None], w, 0.0)
    wr, rz, zz, wz = _fixed(wide * r), _fixed(rc * zc), _fixed(zc * zc), _fixed(wide * z)
    wide = _fixed(wide)
    _add(sums + _BUCKETS * _STRIDE, hashes, adds, (adds.to(tl.int64), wide, wr, rz, zz, wz))
    wide, wr, rz = tl.sum(wide, 1), tl.sum(wr, 1), tl.sum(rz, 1)
    zz, wz = tl.sum(zz, 1), tl.sum(wz, 1)
    _add(sums, together, taking, (count.to(tl.int64), wide, wr, rz, zz, wz))
    return taking


@triton.jit
def _load(values, at, mask, other):
    """Load values at places, [rows, k].

    As one list: of places that are in no order Triton makes a layout of its own, to which it moves
    everything, and back.
    """
    n: tl.constexpr = at.numel
    found = tl.load(values + tl.reshape(at, [n]), mask=tl.reshape(mask, [n]), other=other)
    return tl.reshape(found, at.shape)


@triton.jit
def _distinct(ids, t, j, has, experts: tl.constexpr, k: tl.constexpr):
    """Return ids in range, 0 in the place of others, and which are out of it or there twice."""
    index = _load(ids, t * k + j, has, 0)
    inside = (index >= 0) & (index < experts)
    bad = ~inside
    for d in tl.static_range(1, k // 2 + 1):
        bad |= _load(ids, t * k + (j + d) % k, has, -1) == index
    return tl.where(inside, index, 0), bad


@triton.jit
def _score_errors(s, x, b, figures, tanh: tl.constexpr, recovered: tl.constexpr):
    """Return `reference.score_error`."""
    if tanh:
        error = _tangent_error(s, tl.load(figures + 3))
    else:
        slope, exp, divide = tl.load(figures), tl.load(figures + 1), tl.load(figures + 2)
        error = _sigmoid_error(s, x, slope, exp, divide)
    if recovered:
        error += _recovery_error(s, b)
    return error


@triton.jit
def _bounds(s, error, has, figures, k: tl.constexpr, renormalize: tl.constexpr):
    """Return exact weights, their bounds, what makes r of a score's part, and the rows with bounds.

    `reference.weight_error`.
    """
    divide, scale, inexact = tl.load(figures + 2), tl.load(figures + 6), tl.load(figures + 7)
    total = tl.sum(tl.where(has, s, 0.0), 1)
    if renormalize:
        inverse = 1.0 / total
        moved = _sum_error(tl.sum(tl.where(has, error, 0.0), 1), total, k)
        # `formulas.renormalised_error`, its divisions made once for the row.
        most = (1.0 + _last_steps(divide, inexact)) / (1.0 - moved)
        whole = (scale * inverse)[:, None]
        w = s * whole
        bound = ((s + error) * most[:, None] - s) * whole + (1.0 + scale) * _TINY
        summed = total * inverse * scale
        per_score, sound = (total * _PER_U / scale)[:, None], moved < 0.5
    else:
        w, bound = s * scale, _plain_error(s, error, inexact, scale)
        summed = total * scale
        per_score, sound = (total * 0.0 + _PER_U / scale)[:, None], total >= 0.0
    sound = sound & (summed >= _LEAST_SUM) & (summed <= _LARGEST_SUM)
    return w, bound, per_score, sound


@triton.jit
def _through(scratch, t, live, values):
    """Return values of rows t by way of memory, so that their layout is not their user's.

    A few chosen experts and all experts of a row want different layouts. Where one decides the
    other's, numbers are held many times over, and a program takes up to 30 times as long.
    """
    tl.store(scratch + t, values, mask=live)
    tl.debug_barrier()
    return tl.load(scratch + t, mask=live, other=0.0)


@triton.jit
def screen_rows(
    stored,  # pointers: float32, bfloat16 or float16 [rows, experts]
    ids,  # int32 [rows, k]
    weights,  # float32 [rows, k]
    skip,  # uint8 [rows]
    bias,  # float64 [experts]
    figures,  # float64: `fastpath.figures`, and four of `device.screen_held`
    codes,  # uint8 [rows], written
    over,  # float64 [rows], written
    fine,  # int64 [FINE_BUCKETS + 1], added to: the histogram, then rows in the sums
    sums,  # int64 [2, BUCKETS, STRIDE], added to: `TERMS` of each bucket
    scratch,  # float32 [rows]
    rows,  # how many: below 2**31 logits
    experts: tl.constexpr,
    k: tl.constexpr,
    columns: tl.constexpr,
    chosen: tl.constexpr,
    block: tl.constexpr,
    ordered: tl.constexpr,
    tanh: tl.constexpr,
    recovered: tl.constexpr,
    renormalize: tl.constexpr,
):
    """Screen `block` rows; columns and chosen are powers of two, at least experts and k."""
    t = tl.program_id(0) * block + tl.arange(0, block)
    e, j = tl.arange(0, columns), tl.arange(0, chosen)
    live = t < rows
    cells, has = live[:, None] & (e < experts)[None, :], live[:, None] & (j < k)[None, :]
    # Asked for first, needed last: the rest hides the wait.
    tile = tl.load(stored + t[:, None] * experts + e[None, :], mask=cells, other=float("-inf"))
    got = _load(weights, t[:, None] * k + j[None, :], has, 0.0).to(tl.float64)
    at, bad = _distinct(ids, t[:, None], j[None, :], has, experts, k)
    x = _load(stored, t[:, None] * experts + at, has, 0.0).to(tl.float32)
    wide = has & _is_wide(x)
    x = x.to(tl.float64)
    b = _load(bias, at, has, 0.0)
    usable = tl.abs(x) <= tl.load(figures + 10)
    x = tl.where(usable, x, 0.0)
    per = 1.0 + tl.exp(-x)
    s = 1.0 / per
    error64 = tl.load(figures + 9) * (1.0 + tl.abs(b))
    cut = tl.min(tl.where(has, s + b - error64, float("inf")), 1)
    successor = tl.minimum(j + 1, k - 1)[None, :] + tl.zeros([block, chosen], tl.int32)
    above = tl.gather(s + b + error64, successor, 1)
    rises = has & (j < k - 1)[None, :] & ~(s + b - error64 > above)

    err = _score_errors(s, x, b, figures, tanh, recovered)
    w, bound, per_score, sums_bound = _bounds(s, err, has, figures, k, renormalize)
    signed, margin, edge = got - w, tl.load(figures + 11), w * tl.load(figures + 8)
    used, over_bound = has & (bound < edge), tl.abs(signed) / bound
    bucket, on_edge = _edges(signed, w)
    dropped = s.to(tl.int64, bitcast=True) & _DROPPED
    clear = (tl.abs(bound - edge) > margin * edge) & (bound < w) & (over_bound <= 1.0 - margin)
    clear = clear & ~on_edge & (tl.abs(dropped - _TIE) >= _NEAR_TIE)
    bad = has & (bad | ~usable | ~clear)
    # Three sums at once, of up to 32 each.
    faults = tl.sum(bad.to(tl.int32) * 65536 + wide.to(tl.int32) * 256 + rises.to(tl.int32), 1)
    sound, narrow = sums_bound & (faults < 65536), (faults & 0xFF00) == 0
    descends = (faults & 0xFF) == 0
    sound &= live & (tl.load(skip + t, mask=live, other=1) == 0)

    # Every chosen expert reaches the cut, so others do if more than k may.
    b32 = tl.load(bias + e, mask=e < experts, other=float("-inf")).to(tl.float32)
    bar = _through(scratch, t, live, (cut - tl.load(figures + 12)).to(tl.float32))
    near = tl.sum((~beaten(tile.to(tl.float32), bar[:, None] - b32[None, :])).to(tl.int32), 1)
    sound &= _through(scratch, t, live, near.to(tl.float32)) == k
    if ordered:
        sound &= descends

    code = tl.where(descends, _DESCENDING, _UNORDERED) + tl.where(narrow, _NARROW, 0)
    tl.store(codes + t, tl.where(sound, code, _UNSETTLED).to(tl.uint8), mask=live)
    worst = tl.max(tl.where(has, over_bound, 0.0), 1)
    tl.store(over + t, tl.where(sound, worst, 0.0), mask=live)
    _count(fine, bucket, has & sound[:, None])
    r = tl.where(used, signed * (per * per_score), 0.0)
    z = tl.where(used, x * (1.0 - s), 0.0)
    taking = _add_rows(sums, sound, used, w, r, z, _hash(s, b, recovered), k)
    tl.atomic_add(fine + _FINE, tl.sum(taking.to(tl.int64), 0), sem="relaxed")
