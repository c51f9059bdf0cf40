"""A figure of the page: a drawing, what it shows in words, and its numbers as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from goldgate.signoff.gathered import Kernel
from goldgate.svg import box, drawing, line
from goldgate.text import one_line
from goldgate.webpage import escaped, table

#: The width of every drawing, in user units: that of a phone, so that its words stay legible.
WIDTH = 340

#: Rows of numbers that a figure lists; the evidence files hold the rest.
MOST_ROWS = 200

#: Series that differ in colour and dashes; further ones share them in turn.
SERIES = 6


#: Files of one kind with figures of their own; a page of hundreds shows nothing.
MOST_FILES = 4

# Characters that fit into the width of a drawing.
_LANE_LABEL = 52


@dataclass(frozen=True)
class Figure:
    """What is drawn, and the same for a reader who does not see it.

    Attributes:
        title: a few words.
        caption: what the drawing shows, in a sentence or two of plain text.
        height: of the drawing, in user units.
        marks: the drawing's elements, SVG.
        heads: the columns of its numbers.
        rows: its numbers, as text.
        legend: classes of marks and what they stand for.

    """

    title: str
    caption: str
    height: float
    marks: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    legend: tuple[tuple[str, str], ...] = ()


def figure_html(one: Figure) -> str:
    """Return a figure as HTML."""
    return "\n".join(
        [
            f"<figure><h3>{escaped(one.title)}</h3>",
            drawing(WIDTH, one.height, one.title, one.marks),
            *_legend(one.legend),
            f"<figcaption>{escaped(one.caption)}</figcaption>",
            *_numbers(one.heads, one.rows),
            "</figure>",
        ]
    )


def _legend(entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    if not entries:
        return
    yield '<ul class="legend">'
    for kind, label in entries:
        mark = line(0, 6, 30, 6, kind) if _is_line(kind) else box(8, 0, 12, 12, kind)
        yield (
            f'<li><svg viewBox="0 0 30 12" aria-hidden="true">{mark}</svg>'
            f"{escaped(one_line(label, 80))}</li>"
        )
    yield "</ul>"


def _is_line(kind: str) -> bool:
    return kind in {"limit", "floor", "axis", *(series(number) for number in range(SERIES))}


def _numbers(heads: Iterable[object], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    if not rows:
        return
    yield '<details><summary>The numbers</summary><div class="wide">'
    yield table(heads, rows[:MOST_ROWS])
    yield "</div>"
    if len(rows) > MOST_ROWS:
        yield f"<p>{len(rows) - MOST_ROWS} more rows are in the evidence files.</p>"
    yield "</details>"


def series(number: int) -> str:
    """Return the class of a line of a drawing, counted from 0."""
    return f"s{number % SERIES}"


def kernel_label(kernel: Kernel) -> str:
    """Return a kernel's name, version and architecture, after how it ran unless on hardware."""
    parts = [kernel.name, kernel.version, kernel.architecture or kernel.device]
    ran = "" if kernel.execution == "hardware" else f"{kernel.execution}: "
    return ran + ", ".join(part for part in parts if part)


def lane_label(kernel: Kernel) -> str:
    """Return the label that fits above a lane of a drawing; how the kernel ran is never cut."""
    ran = "" if kernel.execution == "hardware" else f"{one_line(kernel.execution, 9)}: "
    known = (one_line(kernel.version, 12), one_line(kernel.architecture or kernel.device, 10))
    rest = "".join(f", {part}" for part in known if part)
    return ran + one_line(kernel.name, _LANE_LABEL - len(ran) - len(rest)) + rest
