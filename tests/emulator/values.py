"""Operands for the tests, and exact arithmetic to compare with."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

_SPECIAL = (
    *(0x00000000, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 0x7F800001),
    *(0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x80800000, 0x7F7FFFFF),
    *(0xFF7FFFFF, 0x3F800000, 0xBF800000, 0x3F7FFFFF, 0x40490FDB, 0x4B000000, 0x5F800000),
)
_INTEGERS = (0, 1, 2, 3, 31, 32, 33, 63, 64, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF)


def floats(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return float32 of random bits, every special value among them."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 1 << 32, count, dtype=np.uint32)
    near = rng.random(count) < 0.5  # half of ordinary size
    bits[near] = rng.normal(0, 4, int(near.sum())).astype(np.float32).view(np.uint32)
    special = rng.random(count) < 0.1
    bits[special] = rng.choice(np.array(_SPECIAL, np.uint32), int(special.sum()))
    return bits.view(np.float32)


def doubles(count: int, seed: int = 0) -> NDArray[np.float64]:
    """Return float64 of random bits and of ordinary size, float32's special values among them."""
    with np.errstate(invalid="ignore"):  # signalling NaNs become quiet
        values = floats(count, seed).astype(np.float64)
    rng = np.random.default_rng(seed + 1000)
    some = rng.random(count) < 0.3
    values[some] = rng.normal(0, 1e100, int(some.sum()))
    return values


def integers(count: int, seed: int = 0) -> NDArray[np.uint32]:
    """Return uint32 of random bits, edges among them."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 1 << 32, count, dtype=np.uint32)
    special = rng.random(count) < 0.3
    values[special] = rng.choice(np.array(_INTEGERS, np.uint32), int(special.sum()))
    return values


def same(got: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say which float32 agree: bit for bit, any NaN with any NaN."""
    equal = got.view(np.uint32) == expected.view(np.uint32)
    return np.asarray(equal | (np.isnan(got) & np.isnan(expected)))


def flushed(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 with subnormals as zeros of their sign, from the bits alone."""
    bits = x.view(np.uint32)
    return np.where(bits & 0x7F800000 == 0, bits & 0x80000000, bits).astype(np.uint32).view("f4")


def rounded(exact: Fraction, bits: int = 24, least: int = -149) -> float:
    """Round a rational to the nearest float, ties to even, in integers alone.

    Args:
        exact: the number.
        bits: the significand's.
        least: the exponent of the smallest subnormal.

    """
    if exact == 0:
        return 0.0
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > size
    step = Fraction(2) ** max(exponent - bits + 1, least)
    quotient = size / step
    whole = quotient.numerator // quotient.denominator
    rest = quotient - whole
    whole += rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1)
    result = whole * step
    largest = (2 - Fraction(2) ** (1 - bits)) * Fraction(2) ** (127 if bits == 24 else 1023)
    value = float(result) if result <= largest else float("inf")
    return -value if exact < 0 else value
