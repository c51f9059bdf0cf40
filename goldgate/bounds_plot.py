"""The drawing of a change with its confidence bounds against the margin, for pages of scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from goldgate.svg import Axis, below, box, dot, line, words
from goldgate.text import one_line

_LANE = 44


@dataclass(frozen=True)
class Change:
    """A change of the score in points, candidate less baseline.

    Attributes:
        name: of the filter that read the answers.
        lower: one-sided confidence bound from below.
        middle: the change that was seen.
        upper: one-sided confidence bound from above.

    """

    name: str
    lower: float
    middle: float
    upper: float


def height(changes: Sequence[Change]) -> float:
    """Return the drawing's height, in user units."""
    return _LANE * len(changes) + 54


def marks(changes: Sequence[Change], margin: float, width: float) -> Iterator[str]:
    """Yield the drawing: what is lost beyond the margin is a zone at the left.

    Args:
        changes: at least one.
        margin: points that the score may fall by, positive.
        width: of the drawing, in user units.

    """
    ends = [end for one in changes for end in (one.lower, one.upper)]
    spread = max(margin, *map(abs, ends)) * 0.15
    axis = Axis(min(-margin, *ends) - spread, max(0.0, *ends) + spread, 8, width - 8)
    bottom = _LANE * len(changes) + 20
    yield box(axis.start, 0, axis.at(-margin) - axis.start, bottom, "zone")
    yield from below(axis, bottom, 0, "points, candidate less baseline")
    yield line(axis.at(-margin), 0, axis.at(-margin), bottom, "limit")
    yield line(axis.at(0), 0, axis.at(0), bottom, "axis")
    for number, one in enumerate(changes):
        y = _LANE * number + 34
        yield words(axis.start + 2, y - 18, one_line(one.name, 50))
        yield line(axis.at(one.lower), y, axis.at(one.upper), y, "range")
        yield line(axis.at(one.lower), y - 6, axis.at(one.lower), y + 6, "range")
        yield dot(axis.at(one.middle), y, 4.5, "mean")
