"""Axes of drawings: where numbers are placed, and which are written beside them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.svg import Axis, words

LOWS = st.floats(1e-9, 1e6)
RATIOS = st.floats(1.01, 1e12)


@given(LOWS, RATIOS, st.booleans(), st.integers(2, 9))
def test_ticks_are_few_ascending_and_on_the_axis(
    low: float, ratio: float, log: bool, most: int
) -> None:
    """Whatever the range, ticks ascend within it, and are no more than asked for."""
    axis = Axis(low, low * ratio, 0, 300, log=log)

    ticks = axis.ticks(most)

    assert list(ticks) == sorted(set(ticks))
    slack = 1e-6 * (low if log else low * ratio)  # a millionth of the axis at most
    assert all(low - slack <= tick <= low * ratio * (1 + 1e-6) for tick in ticks)
    assert len(ticks) <= max(most, 6)


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0, 1.2, 0, 1), (0, 0.5, 1)),
        (Axis(-4.5, 1.5, 0, 1), (-4, -3, -2, -1, 0, 1)),
        (Axis(0.8, 170_000, 0, 1, log=True), (1, 10, 100, 1000, 10_000, 100_000)),
        (Axis(1e-9, 10, 0, 1, log=True), (1e-9, 1e-7, 1e-5, 1e-3, 1e-1, 10)),
        (Axis(3, 30, 0, 1, log=True), (5, 10, 20)),
    ],
)
def test_ticks_are_round(axis: Axis, ticks: tuple[float, ...]) -> None:
    """Ticks are multiples of 1, 2 or 5 times a power of ten; powers of ten over several decades."""
    assert axis.ticks() == pytest.approx(ticks)


def test_logarithmic_axis_places_ratios_alike() -> None:
    """Equal ratios are equally far apart, on an axis that points up too."""
    axis = Axis(1, 10_000, 190, 30, log=True)

    assert [axis.at(10.0**power) for power in range(5)] == pytest.approx([190, 150, 110, 70, 30])


def test_numbers_outside_are_at_the_ends() -> None:
    """A number beyond the axis is placed at its nearer end."""
    axis = Axis(0, 1, 10, 110)

    assert (axis.at(-3), axis.at(0.5), axis.at(1e9)) == (10, 60, 110)


def test_words_are_escaped() -> None:
    """Markup in a text is text."""
    assert "&lt;b&gt;" in words(0, 0, "<b>")
