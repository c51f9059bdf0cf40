"""Marks of a drawing as SVG text: lines, dots, words, and axes that place numbers.

Coordinates are in user units with one decimal, so that the same numbers give the same bytes.
Colours and widths come from the style sheet of the page, by class: a drawing follows its theme.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from goldgate.webpage import escaped


@dataclass(frozen=True)
class Axis:
    """Numbers from `low` to `high`, laid out from `start` to `end`.

    Attributes:
        low: the first number; positive on a logarithmic axis.
        high: the last number, above `low`.
        start: where `low` is, in user units.
        end: where `high` is; below `start` on an axis that points up.
        log: whether equal ratios, not equal differences, are equally far apart.

    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return where a number is; numbers outside are placed at the nearer end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self, most: int = 6) -> tuple[float, ...]:
        """Return at most `most` round numbers on the axis, ascending."""
        return _log_ticks(self, most) if self.log else _even_ticks(self, most)


def _even_ticks(axis: Axis, most: int) -> tuple[float, ...]:
    rough = (axis.high - axis.low) / most
    unit = 10.0 ** math.floor(math.log10(rough))
    for step in (factor * unit for factor in (1, 2, 5, 10, 20)):
        first, last = math.ceil(axis.low / step - 1e-9), math.floor(axis.high / step + 1e-9)
        if last - first < most:
            return tuple(number * step for number in range(first, last + 1))
    return ()


def _log_ticks(axis: Axis, most: int) -> tuple[float, ...]:
    first = math.ceil(math.log10(axis.low) - 1e-9)
    last = math.floor(math.log10(axis.high) + 1e-9)
    if last - first < 1:  # within a decade: 1, 2, 5
        values = [factor * 10.0**power for power in (first - 1, first) for factor in (1, 2, 5)]
        return tuple(value for value in values if axis.low <= value <= axis.high)
    step = -(-(last - first + 1) // most)
    return tuple(10.0**power for power in range(first, last + 1, step))


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line of a class."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def dot(x: float, y: float, radius: float, kind: str) -> str:
    """Return a disc of a class."""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'


def box(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Return a rectangle of a class."""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def words(x: float, y: float, text: object, anchor: str = "start", kind: str = "") -> str:
    """Return a line of text, escaped; `anchor` is start, middle or end."""
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(text)}</text>'


def curve(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Return an open line through points."""
    where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{where}"/>'


def below(axis: Axis, y: float, top: float, label: str) -> Iterator[str]:
    """Yield a horizontal axis at height `y`, with grid lines up to `top` and its label."""
    for tick in axis.ticks():
        x = axis.at(tick)
        yield line(x, top, x, y, "grid")
        yield words(x, y + 13, f"{tick:g}", "middle", "tick")
    yield line(axis.start, y, axis.end, y, "axis")
    yield words(axis.end, y + 27, label, "end", "label")


def beside(axis: Axis, x: float, right: float, label: str) -> Iterator[str]:
    """Yield a vertical axis at `x`, with grid lines to `right`; its label is above it."""
    for tick in axis.ticks():
        y = axis.at(tick)
        yield line(x, y, right, y, "grid")
        yield words(x - 4, y + 4, f"{tick:g}", "end", "tick")
    yield line(x, axis.start, x, axis.end, "axis")
    yield words(0, axis.end - 8, label, "start", "label")


def drawing(width: float, height: float, label: str, marks: Iterable[str]) -> str:
    """Return a drawing that grows with its column; `label` is what a screen reader reads."""
    inside = "".join(marks)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escaped(label)}">'
        f"{inside}</svg>"
    )
