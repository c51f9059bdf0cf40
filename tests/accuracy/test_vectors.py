"""The compiled operations on vectors and bits do what plain loops do."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from goldgate.accuracy.fast.vectors import LANES, add_terms, lowest_bit, reached, set_bits

# What numba compiles of them takes no context.
_ADD: Any = add_terms
_REACHED: Any = reached
_SET_BITS: Any = set_bits
_LOWEST_BIT: Any = lowest_bit

_jit: Any = numba.njit

_BITS = [0, 1, 2, 3, 0x8000, 0xFFFF, 0x5A5A, 1 << 62, -1]


def _reached_from(row: Any, least: Any, first: int) -> int:  # noqa: ANN401
    return int(_REACHED(row, least, first))


def _count(bits: int) -> int:
    return int(_SET_BITS(bits))


def _lowest(bits: int) -> int:
    return int(_LOWEST_BIT(bits))


def _add(sums: Any, side: int, at: int, terms: Any) -> None:  # noqa: ANN401
    _ADD(sums, side, at, terms)


_compiled_reached, _compiled_count, _compiled_lowest, _compiled_add = (
    _jit(function) for function in (_reached_from, _count, _lowest, _add)
)


@pytest.mark.parametrize("first", [0, 3])
def test_a_bit_is_set_for_each_element_that_reaches_its_threshold(first: int) -> None:
    """Equal reaches, NaN does not, infinities as numbers; from any element on."""
    rng = np.random.default_rng(1)
    row = rng.integers(-2, 3, first + LANES + 5).astype(np.float32)
    least = rng.integers(-2, 3, len(row)).astype(np.float32)
    row[first : first + 3] = np.nan, np.inf, -np.inf
    least[first : first + 3] = -np.inf, np.inf, -np.inf

    found = _compiled_reached(row, least, first)

    some = slice(first, first + LANES)
    expected = [i for i, (x, y) in enumerate(zip(row[some], least[some], strict=True)) if x >= y]
    assert [i for i in range(LANES) if found >> i & 1] == expected
    assert found < 1 << LANES


@pytest.mark.parametrize("bits", _BITS)
def test_set_bits_are_counted(bits: int) -> None:
    """As many as the binary digits of the number modulo 2**64 have ones."""
    assert _compiled_count(bits) == (bits % (1 << 64)).bit_count()


@pytest.mark.parametrize("bits", _BITS[1:])
def test_the_lowest_set_bit_is_numbered(bits: int) -> None:
    """The number is how many zeros follow the last one."""
    assert _compiled_lowest(bits) == (bits & -bits).bit_length() - 1


@pytest.mark.parametrize("count", [1, 3, 4, 6, 9])
def test_terms_are_added_to_one_cell_alone(count: int) -> None:
    """Any number of terms reaches its cell, twice if added twice, and no other changes."""
    sums = np.arange(2 * 3 * count, dtype=np.float64).reshape(2, 3, count)
    expected = sums.copy()
    terms = tuple(float(2**i) + 0.5 for i in range(count))

    _compiled_add(sums, 1, 2, terms)
    _compiled_add(sums, 1, 2, terms)

    expected[1, 2] += 2.0 * np.array(terms)
    np.testing.assert_array_equal(sums, expected)
