"""Float32 arithmetic of the vector unit that numpy does not have: flushing, fma, division steps.

Arrays are float32 of any one shape unless stated; NaNs come back as some quiet NaN (payloads are
not modelled).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bits = NDArray[np.uint32]
Bool = NDArray[np.bool_]

#: The smallest normal float32.
TINY = np.float32(2.0**-126)
_SIGN = np.uint32(0x80000000)
_QUIET = np.uint32(0x00400000)
_HALF = np.int64(1 << 28)  # a float64's bits below a float32's, half way
_BELOW = np.int64((1 << 29) - 1)


def bits(x: Any) -> Bits:  # noqa: ANN401 - arrays and scalars alike
    """Return float32 values' bits."""
    return np.asarray(x, np.float32).view(np.uint32)


def from_bits(x: Any) -> F32:  # noqa: ANN401 - arrays and scalars alike
    """Return the float32 values of 32-bit patterns."""
    return np.asarray(x, np.uint32).view(np.float32)


def flush(x: F32) -> F32:
    """Return x with subnormals as zeros of their sign (denormal mode 0: inputs and results)."""
    small = np.abs(x) < TINY
    if not small.any():
        return x
    return np.where(small, np.copysign(np.float32(0), x), x)


def fma_odd(a: F32, b: F32, c: F32) -> F64:
    """Return a*b + c rounded to odd in float64, so that rounding once more is exact to float32.

    The product of two float32 is exact in float64. Rounding to odd: S. Boldo and G. Melquiond,
    "Emulation of a FMA and correctly rounded sums", IEEE Trans. Computers 57(4), 2008.
    """
    p = np.asarray(a, np.float64) * b
    s = np.asarray(p + c)
    back = s - p
    error = (p - (s - back)) + (c - back)  # Knuth's TwoSum: s + error is the exact sum
    raw = s.view(np.int64)
    even = (raw & 1) == 0
    fix = even & np.isfinite(s) & (error != 0)
    step = np.where((error > 0) == (s > 0), 1, -1)
    return np.asarray(np.where(fix, raw + step, raw).view(np.float64))


def fma(a: F32, b: F32, c: F32) -> F32:
    """Return a*b + c rounded once (IEEE 754 fusedMultiplyAdd), subnormals kept."""
    s = np.asarray(np.asarray(a, np.float64) * b + c)
    rounded = s.astype(np.float32)
    # Rounding twice can err only where the float64 sum lies half way between two float32, or
    # where the float32 has fewer bits: those few are computed again.
    doubt = ((s.view(np.int64) & _BELOW) == _HALF) | (np.abs(rounded) < TINY)
    if doubt.any():
        a, b, c = (np.broadcast_to(x, s.shape)[doubt] for x in (a, b, c))
        rounded[doubt] = fma_odd(a, b, c).astype(np.float32)
    return rounded


def is_signalling(x: F32) -> Bool:
    """Return which values are signalling NaNs."""
    return np.asarray(np.isnan(x) & ((bits(x) & _QUIET) == 0))


def maximum(a: F32, b: F32) -> F32:
    """Return IEEE 754-2008 maxNum: the number where one is NaN; +0 above -0; signalling NaN wins.

    CDNA3 ISA, V_MAX_F32, with MODE.IEEE set as compute kernels have it.
    """
    larger = np.fmax(a, b)
    zeros = (a == 0) & (b == 0)
    if zeros.any():
        larger = np.where(zeros, from_bits(bits(a) & bits(b)), larger)
    return _signalling(larger, a, b)


def minimum(a: F32, b: F32) -> F32:
    """Return IEEE 754-2008 minNum, as `maximum` does maxNum (CDNA3 ISA, V_MIN_F32)."""
    smaller = np.fmin(a, b)
    zeros = (a == 0) & (b == 0)
    if zeros.any():
        smaller = np.where(zeros, from_bits(bits(a) | bits(b)), smaller)
    return _signalling(smaller, a, b)


def _signalling(result: F32, a: F32, b: F32) -> F32:
    loud = np.isnan(a) | np.isnan(b)
    if loud.any():
        loud = is_signalling(a) | is_signalling(b)
        return np.where(loud, np.float32(np.nan), result)
    return result


def median(a: F32, b: F32, c: F32) -> F32:
    """Return the middle value; with a NaN the smallest of the others (CDNA3 ISA, V_MED3_F32)."""
    low, high = minimum(a, b), maximum(a, b)
    middle = maximum(low, minimum(high, c))
    nan = np.isnan(a) | np.isnan(b) | np.isnan(c)
    return np.where(nan, minimum(minimum(a, b), c), middle) if nan.any() else middle


def _exponent(x: F32) -> NDArray[np.int32]:
    return np.asarray((bits(x) >> np.uint32(23)) & np.uint32(0xFF), np.int32)


def _sign(x: F32) -> Bits:
    return np.asarray(bits(x) & _SIGN)


def div_scale(value: F32, denominator: F32, numerator: F32) -> tuple[F32, Bool]:
    """Return V_DIV_SCALE_F32: the numerator or denominator scaled by 2^64, and which to scale back.

    CDNA3 ISA, V_DIV_SCALE_F32. Where both the reciprocal and the quotient are subnormal the
    denominator is scaled by 2^-64: found by experiment (the division comes out as IEEE's).
    """
    wide = np.abs(numerator.astype(np.float64)) / np.abs(denominator.astype(np.float64))
    tiny_quotient = (wide > 0) & (wide < np.float64(TINY))
    tiny_reciprocal = np.abs(denominator) > np.float32(2.0**126)
    far = _exponent(numerator) - _exponent(denominator) >= 96
    is_denominator, is_numerator = value == denominator, value == numerator
    up, down = value * np.float32(2.0**64), value * np.float32(2.0**-64)
    zero = (numerator == 0) | (denominator == 0)
    subnormal = np.abs(denominator) < TINY
    cases = [
        (zero, np.float32(np.nan), False),
        (far, np.where(is_denominator, up, value), True),
        (subnormal, up, False),
        (tiny_reciprocal & tiny_quotient, np.where(is_denominator, down, value), True),
        (tiny_reciprocal, down, False),
        (tiny_quotient, np.where(is_numerator, up, value), True),
        (_exponent(numerator) <= 23, up, False),
    ]
    result, flag = np.array(value, np.float32), np.zeros(wide.shape, bool)
    open_ = np.ones(wide.shape, bool)
    for condition, scaled, back in cases:
        now = condition & open_
        if now.any():
            result, flag = np.where(now, scaled, result), flag | (now if back else False)
            open_ &= ~now
    return result, flag


def div_fmas(a: F32, b: F32, c: F32, scaled: Bool) -> F32:
    """Return V_DIV_FMAS_F32: fma(a, b, c), scaled back by 2^64 or 2^-64, rounded once.

    The printed pseudocode scales by 2^32; with 2^64, the scale of V_DIV_SCALE_F32, the division
    comes out as IEEE's. Operands are flushed where MODE flushes, like those of other instructions;
    that is not published, and shows in quotients of numerators near 2^-103 alone (one ulp).
    """
    if not scaled.any():
        return fma(a, b, c)
    exact = fma_odd(a, b, c)
    factor = np.where(np.abs(c) >= 2.0, 2.0**64, 2.0**-64)
    return np.where(scaled, exact * factor, exact).astype(np.float32)


def div_fixup(quotient: F32, denominator: F32, numerator: F32) -> F32:
    """Return V_DIV_FIXUP_F32: the quotient, or what IEEE asks for in the special cases.

    A quotient beyond float32 leaves the steps as NaN (inf - inf) and is infinite.
    """
    sign = _sign(denominator) ^ _sign(numerator)
    infinite = np.isinf(numerator), np.isinf(denominator)
    zero = numerator == 0, denominator == 0
    nan = (zero[0] & zero[1]) | (infinite[0] & infinite[1])
    nan |= np.isnan(numerator) | np.isnan(denominator)
    large = infinite[0] | zero[1] | np.isnan(quotient)
    small = infinite[1] | zero[0] | (_exponent(numerator) - _exponent(denominator) < -150)
    result = np.abs(quotient)
    if (large | small | nan).any():
        result = np.where(large, np.float32(np.inf), result)
        result = np.where(small, np.float32(0), result)
    signed = from_bits(bits(result) & ~_SIGN | sign)
    return np.where(nan, np.float32(np.nan), signed)
