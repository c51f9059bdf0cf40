"""The Triton kernel that screens rows on a GPU: what `goldgate.accuracy.fast` does, row for row.

A program takes some rows: it reads their logits once, scores the chosen experts in float64 and all
experts in float32, whose error (`SCORE_ERROR`) is allowed for. A row is settled only beyond what
either can be wrong by; every other row is left to the processor.

A GPU adds in no fixed order, so the sums are in fixed point, `FRACTION` bits below 1, where the
order does not matter: each term is rounded by 2**-(FRACTION + 1) at the most.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import triton
import triton.language as tl

from goldgate.accuracy.fast.tile import FINE_BUCKETS
from goldgate.accuracy.fast.weigh import NEAR_EDGE, NEAR_TIE
from goldgate.accuracy.systematic_error import BUCKETS, TERMS
from goldgate.reference import formulas

#: Bits of a sum below 1. Where float32 holds a score, |x| is below 2**7, an error r below 2**9 u:
#: terms stay below 2**18, and 63 bits hold the sum of the 2**23 weights of a launch at 8 of 64.
FRACTION = 20

#: Bound on the absolute error of a GPU's float32 sigmoid from approximate operations, for any x.
#: With u = 2**-24: the exponent's product errs by u |x|, of which s (1 - s) <= 0.23 / |x| reaches
#: the score, 0.3 u; an exponential and a division of 2 ulps each 1 u and 4 u; the sum u / 2.
#: That is 6 u; more than doubled, since AMD states its own figures. The tests measure it.
SCORE_ERROR = 16.0 * 2.0**-24

#: What `screen_rows` reads at `figures`, float64, after `fastpath.figures`: bounds of float64, the
#: largest argument of an exponential, the margin at a bound, and the least biased score of the
#: k-th chosen expert less what float32 may err by.
EXTRA_FIGURES = ("error64", "exp_range", "margin", "slack")

#: Bits of a bucket's count of the weights of a program: the counts of five buckets are one int64.
_FIELD = 12
#: Weights of a program that can be counted so.
MOST_WEIGHTS = (1 << _FIELD) - 1


@triton.jit
def _absolute(x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    return tl.abs(x)


def _shared(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - Triton's wrapper
    """Return a formula of `reference.formulas` for Triton, which takes globals as constants alone."""
    constants = {
        name: tl.constexpr(getattr(formulas, name)) for name in ("U", "TINY", "SECOND_ORDER")
    }
    copied = types.FunctionType(function.__code__, {**constants, "abs": _absolute, "tl": tl, "Real": tl.tensor}, function.__name__)
    copied.__module__ = __name__
    return triton.jit(copied)


_sigmoid_error, _tangent_error = _shared(formulas.sigmoid_error), _shared(formulas.tangent_error)
_recovery_error, _sum_error = _shared(formulas.recovery_error), _shared(formulas.sum_error)
_last_steps, _plain_error = _shared(formulas.last_steps), _shared(formulas.plain_error)
_renormalised_error = _shared(formulas.renormalised_error)

_BUCKETS, _TERMS = tl.constexpr(BUCKETS), tl.constexpr(TERMS)
_FINE, _HALF_FINE = tl.constexpr(FINE_BUCKETS), tl.constexpr(5)
_BITS, _MOST = tl.constexpr(_FIELD), tl.constexpr(MOST_WEIGHTS)
_ONE_IN_FIXED_POINT = tl.constexpr(float(1 << FRACTION))
_TINY, _PER_U = tl.constexpr(formulas.TINY), tl.constexpr(1.0 / formulas.U)
_NEAR_EDGE, _NEAR_TIE = tl.constexpr(int(NEAR_EDGE)), tl.constexpr(int(NEAR_TIE))
_GOLDEN = tl.constexpr(0x9E3779B97F4A7C15 - (1 << 64))
_EXPONENT, _FRACTION_BITS = tl.constexpr(0x7FF0000000000000), tl.constexpr((1 << 52) - 1)
_INVERSE, _QUARTER = tl.constexpr(0x7FE0000000000000), tl.constexpr(1021 << 52)
_DROPPED, _TIE = tl.constexpr((1 << 29) - 1), tl.constexpr(1 << 28)
_ULPS = tl.constexpr(2.0**23)


@triton.jit
def float32_scores(x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return sigmoid scores of float32 logits, wrong by `SCORE_ERROR` at the most."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def _hash(s, b, recovered: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return `systematic_error.mix` of the scores as float32 holds them, its low bits."""
    held = s.to(tl.float32)
    if recovered:
        rounded = b.to(tl.float32)
        held = (held + rounded) - rounded
    h = ((held.to(tl.int32, bitcast=True).to(tl.int64) & 0xFFFFFFFF) + 1) * _GOLDEN
    h = (h ^ ((h >> 32) & 0xFFFFFFFF)) * _GOLDEN
    return (h ^ ((h >> 32) & 0xFFFFFFFF)) & (_BUCKETS - 1)


@triton.jit
def _edges(signed, w):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
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
def _count(fine, bucket, counted):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add the weights that are counted to the histogram."""
    one = counted.to(tl.int64)
    low = tl.where(bucket < _HALF_FINE, one << (bucket * _BITS), 0)
    high = tl.where(bucket >= _HALF_FINE, one << ((bucket - _HALF_FINE) * _BITS), 0)
    f = tl.arange(0, 8)
    mask = _MOST
    of_low = (tl.sum(tl.sum(low, 1), 0) >> tl.minimum(f, 4) * _BITS) & mask
    of_high = (tl.sum(tl.sum(high, 1), 0) >> tl.minimum(f, 4) * _BITS) & mask
    tl.atomic_add(fine + f, of_low, mask=(f < _HALF_FINE) & (of_low > 0), sem="relaxed")
    some = (f < _FINE - _HALF_FINE) & (of_high > 0)
    tl.atomic_add(fine + _HALF_FINE + f, of_high, mask=some, sem="relaxed")


@triton.jit
def _add(sums, at, mask, count, wide, r, z, rc, zc, axis: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add the terms of `systematic_error.ResidualSums`, in fixed point, to a side of the sums.

    Each weight's at its own place, [rows, k]; over axis 1 a row's together, [rows].
    """
    place = sums + at * _TERMS
    for i in tl.static_range(6):
        if i == 0:
            term = count
        else:
            if i == 1:
                value = wide
            elif i == 2:
                value = wide * r
            elif i == 3:
                value = rc * zc
            elif i == 4:
                value = zc * zc
            else:
                value = wide * z
            term = tl.floor(value * _ONE_IN_FIXED_POINT + 0.5).to(tl.int64)
        if axis == 1:
            term = tl.sum(term, 1)
        tl.atomic_add(place + i, term, mask=mask & (term != 0), sem="relaxed")


@triton.jit
def screen_rows(  # type: ignore[no-untyped-def]  # noqa: ANN201
    stored,  # noqa: ANN001 - pointers: float32, bfloat16 or float16 [rows, experts]
    ids,  # noqa: ANN001 - int32 [rows, k]
    weights,  # noqa: ANN001 - float32 [rows, k]
    skip,  # noqa: ANN001 - uint8 [rows]
    bias,  # noqa: ANN001 - float64 [experts]
    figures,  # noqa: ANN001 - float64, `fastpath.figures` and `EXTRA_FIGURES`
    codes,  # noqa: ANN001 - uint8 [rows], written
    over,  # noqa: ANN001 - float64 [rows], written
    fine,  # noqa: ANN001 - int64 [FINE_BUCKETS + 1], added to: the histogram, then rows in the sums
    sums,  # noqa: ANN001 - int64 [2, BUCKETS, TERMS], added to
    rows,  # noqa: ANN001
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
    live, row = t < rows, t.to(tl.int64)
    cells, has = live[:, None] & (e < experts)[None, :], live[:, None] & (j < k)[None, :]
    # Asked for first, needed last: the rest hides the wait.
    tile = tl.load(stored + row[:, None] * experts + e[None, :], mask=cells, other=float("-inf"))
    own = row[:, None] * k + j[None, :]
    index = tl.load(ids + own, mask=has, other=0)
    got = tl.load(weights + own, mask=has, other=0.0).to(tl.float64)
    sound = live & (tl.load(skip + row, mask=live, other=1) == 0)
    error64, exp_range = tl.load(figures + 9), tl.load(figures + 10)
    margin, slack = tl.load(figures + 11), tl.load(figures + 12)

    inside = (index >= 0) & (index < experts)
    bad = has & ~inside
    for d in tl.static_range(1, k // 2 + 1):
        other = tl.load(ids + row[:, None] * k + (j[None, :] + d) % k, mask=has, other=-1)
        bad |= has & (other == index)
    at = tl.where(inside, index, 0)
    x = tl.load(stored + row[:, None] * experts + at, mask=has, other=0.0).to(tl.float32)
    x = x.to(tl.float64)
    b = tl.load(bias + at, mask=has, other=0.0)
    usable = tl.abs(x) <= exp_range
    bad |= has & ~usable
    x = tl.where(usable, x, 0.0)
    s = 1.0 / (1.0 + tl.exp(-x))
    error = error64 * (1.0 + tl.abs(b))
    low = tl.where(has, s + b - error, float("inf"))
    cut = tl.min(low, 1)
    # Each one's successor; the last one's is not asked for.
    successor = tl.minimum(j + 1, k - 1)[None, :] + tl.zeros([block, chosen], tl.int32)
    following = tl.gather(s + b, successor, 1)
    largest = tl.max(tl.where(has, error, 0.0), 1)
    rises = has & (j < k - 1)[None, :] & ~(low - following > largest[:, None])
    descends = tl.max(rises.to(tl.int32), 1) == 0

    # The formulas of the bounds, as `fast.weigh` has them.
    slope, exp, divide = tl.load(figures), tl.load(figures + 1), tl.load(figures + 2)
    scale, inexact, sharp = tl.load(figures + 6), tl.load(figures + 7), tl.load(figures + 8)
    if tanh:
        err = _tangent_error(s, tl.load(figures + 3))
    else:
        err = _sigmoid_error(s, x, slope, exp, divide)
    if recovered:
        err += _recovery_error(s, b)
    if renormalize:
        total = tl.sum(tl.where(has, s, 0.0), 1)
        moved = _sum_error(tl.sum(tl.where(has, err, 0.0), 1), total, k)
        sound &= moved < 0.5
        last = _last_steps(divide, inexact)
        w = s * (scale / total)[:, None]
        bound = _renormalised_error(s, err, total[:, None], moved[:, None], last, scale)
    else:
        w = s * scale
        bound = _plain_error(s, err, inexact, scale)
    edge = w * sharp
    used = has & (bound < edge)
    bad |= has & ~((tl.abs(bound - edge) > margin * edge) & (bound < w))
    signed = got - w
    exceeds = tl.abs(signed) / bound
    bad |= has & ~(exceeds <= 1.0 - margin)
    bucket, on_edge = _edges(signed, w)
    dropped = s.to(tl.int64, bitcast=True) & _DROPPED
    bad |= has & (on_edge | ~(tl.abs(dropped - _TIE) >= _NEAR_TIE))
    sound &= tl.max(bad.to(tl.int32), 1) == 0

    # Every chosen expert reaches the cut, so others do if more than k may.
    scores = float32_scores(tile.to(tl.float32))
    b32 = tl.load(bias + e, mask=e < experts, other=float("-inf")).to(tl.float32)
    beaten = scores + b32[None, :] < (cut - slack).to(tl.float32)[:, None]
    sound &= tl.sum((~beaten).to(tl.int32), 1) == k
    if ordered:
        sound &= descends
    tl.store(codes + row, tl.where(sound, tl.where(descends, 1, 2), 0).to(tl.uint8), mask=live)
    worst = tl.max(tl.where(has, exceeds, 0.0), 1)
    tl.store(over + row, tl.where(sound, worst, 0.0), mask=live)
    _count(fine, bucket, has & sound[:, None])

    count = tl.sum(used.to(tl.int64), 1)
    taking = sound & (count >= 2)
    number = tl.maximum(count, 1).to(tl.float64)
    r = tl.where(used, signed / w * _PER_U, 0.0)
    z = tl.where(used, x * (1.0 - s), 0.0)
    rc, zc = r - (tl.sum(r, 1) / number)[:, None], z - (tl.sum(z, 1) / number)[:, None]
    wide = tl.where((count == k)[:, None], w, 0.0)
    hashes = _hash(s, b, recovered)
    adds = used & taking[:, None]
    one = adds.to(tl.int64)
    wide, r, z = tl.where(adds, wide, 0.0), tl.where(adds, r, 0.0), tl.where(adds, z, 0.0)
    rc, zc = tl.where(adds, rc, 0.0), tl.where(adds, zc, 0.0)
    together = tl.sum(tl.where(used, hashes, 0), 1) & (_BUCKETS - 1)
    _add(sums, together, taking, one, wide, r, z, rc, zc, 1)
    _add(sums + _BUCKETS * _TERMS, hashes, adds, one, wide, r, z, rc, zc, 0)
    tl.atomic_add(fine + _FINE, tl.sum(taking.to(tl.int64), 0), sem="relaxed")
