"""The figures of GSM8K: how many answers changed, the bound on the loss, the looks of a plan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from goldgate.bounds_plot import Change, height, marks
from goldgate.signoff.gathered import Gathered, Scored
from goldgate.signoff.page.figure import MOST_FILES, WIDTH, Figure, series
from goldgate.svg import Axis, below, beside, box, curve, dot, line, words
from goldgate.text import one_line

#: What a filter's counts must have to be drawn.
NEEDED = ("questions", "losses", "gains", "difference", "lower", "upper", "margin", "alpha")

#: What a look of a sequential plan must have to be drawn: each score with its bound.
LOOK = ("questions", "score_preserved", "bound_preserved", "score_degraded", "bound_degraded")


def scores(gathered: Gathered) -> Iterator[Figure]:
    """Yield the figures of the first GSM8K verdicts whose documents have counts."""
    for one in gathered.scored[:MOST_FILES]:
        filters = counted(one)
        if filters:
            yield _bounds(one, filters)
            yield _discordance(one, filters)
        steps = _steps(one)
        if steps:
            yield _looks(one, steps)


def counted(one: Scored) -> Mapping[str, Mapping[str, Any]]:
    """Return the counts of each filter that has all of `NEEDED`, as numbers that can be drawn."""
    paired = one.document.get("paired")
    return {
        str(name): counts
        for name, counts in (paired if isinstance(paired, dict) else {}).items()
        if isinstance(counts, dict)
        and all(is_number(counts.get(key)) for key in NEEDED)
        and counts["questions"] > 0
        and counts["margin"] > 0
    }


def is_number(value: object) -> bool:
    """Whether a value of a document is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def name_of(one: Scored) -> str:
    """Return what a verdict is about, with a mark where it is the demonstration."""
    mark = "DEMONSTRATION, " if one.demonstration else ""
    return f"{mark}{one.verdict}, {one_line(one.file.path, 70)}"


def _bounds(one: Scored, filters: Mapping[str, Mapping[str, Any]]) -> Figure:
    margin = max(100 * float(counts["margin"]) for counts in filters.values())
    changes = [
        Change(name, *(100 * float(c[key]) for key in ("lower", "difference", "upper")))
        for name, c in filters.items()
    ]
    decides = str(one.document.get("decides") or "none")
    parts = [
        f"{name} {100 * float(c['difference']):+.2f} points "
        f"({100 * float(c['lower']):+.2f} to {100 * float(c['upper']):+.2f}"
        f"{', decides' if name == decides else ''})"
        for name, c in filters.items()
    ]
    return Figure(
        f"Score: bound against margin ({name_of(one)})",
        f"Change of the score, candidate less baseline, with one-sided confidence bounds: "
        f"{'; '.join(parts)}. PRESERVED needs the lower bound above -{margin:g} points.",
        height(changes),
        tuple(marks(changes, margin, WIDTH)),
        ("filter", "questions", "turned wrong", "turned right", "change", "lower", "upper"),
        tuple(
            (
                name,
                c["questions"],
                f"{c['losses']:g}",
                f"{c['gains']:g}",
                *(f"{100 * float(c[key]):+.3f}" for key in ("difference", "lower", "upper")),
            )
            for name, c in filters.items()
        ),
        (("limit", "margin"),),
    )


def _discordance(one: Scored, filters: Mapping[str, Mapping[str, Any]]) -> Figure:
    lanes = [
        (f"{name}: {kind}", 100 * float(c[key]) / float(c["questions"]), float(c[key]))
        for name, c in filters.items()
        for kind, key in (("right to wrong", "losses"), ("wrong to right", "gains"))
        if c["questions"]
    ]
    noise = one.document.get("noise_floor")
    share = noise.get("discordance") if isinstance(noise, dict) else None
    control = 100 * float(share) if share is not None and is_number(share) else None
    most = max([0.1, *(percent for _, percent, _ in lanes), control or 0])
    axis = Axis(0, most * 1.15, 8, WIDTH - 8)
    bottom = 32 * len(lanes) + 8
    parts = ", ".join(f"{label} {count:g} ({percent:.2f} %)" for label, percent, count in lanes)
    return Figure(
        f"Discordance: answers that changed ({name_of(one)})",
        f"Questions whose answer turned: {parts}. "
        + (
            f"The control, the baseline asked twice, changes {control:.2f} %."
            if control is not None
            else "No control was measured: how much of it is noise is unknown."
        ),
        bottom + 34,
        tuple(_discordance_marks(lanes, control, axis, bottom)),
        ("filter and way", "questions", "percent"),
        tuple((label, f"{count:g}", f"{percent:.3f}") for label, percent, count in lanes),
        (("axis", "all changes of the control"),) if control is not None else (),
    )


def _discordance_marks(
    lanes: Sequence[tuple[str, float, float]], control: float | None, axis: Axis, bottom: float
) -> Iterator[str]:
    yield from below(axis, bottom, 0, "percent of the questions")
    for number, (label, percent, count) in enumerate(lanes):
        y = 32 * number
        yield words(axis.start + 2, y + 12, f"{one_line(label, 44)}: {count:g}")
        yield box(axis.start, y + 16, axis.at(percent) - axis.start, 11, "bar")
    if control is not None:
        yield line(axis.at(control), 0, axis.at(control), bottom, "axis")


def _steps(one: Scored) -> Sequence[Mapping[str, Any]]:
    """Return the looks of a sequential plan that have all of `LOOK` as numbers."""
    steps = one.document.get("steps")
    return [
        step
        for step in (steps if isinstance(steps, list) else [])
        if isinstance(step, dict) and all(is_number(step.get(key)) for key in LOOK)
    ]


def _looks(one: Scored, held: Sequence[Mapping[str, Any]]) -> Figure:
    lines = [(key, [(s["questions"], s[key]) for s in held]) for key in LOOK[1:]]
    values = [value for _, points in lines for _, value in points]
    across = Axis(0, max([1, *(step["questions"] for step in held)]) * 1.05, 40, WIDTH - 8)
    up = Axis(min(0, *values) - 0.3, max(values) + 0.3, 190, 24)
    last, count = held[-1], len(held)
    return Figure(
        f"Looks of the sequential plan ({name_of(one)})",
        f"{count} look{'s' if count > 1 else ''}, the last after {last['questions']:g} questions: "
        f"{last.get('decided') or 'not decided'}. A score above its bound decides.",
        222,
        (
            *below(across, 190, 24, "questions asked"),
            *beside(up, 40, WIDTH - 8, "score"),
            *(
                mark
                for number, (_, points) in enumerate(lines)
                for mark in _look_marks(points, series(number), across, up)
            ),
        ),
        LOOK,
        tuple(tuple(f"{step[key]:g}" for key in LOOK) for step in held),
        tuple((series(n), key.replace("_", " ")) for n, (key, _) in enumerate(lines)),
    )


def _look_marks(
    points: Sequence[tuple[float, float]], kind: str, across: Axis, up: Axis
) -> Iterator[str]:
    where = [(across.at(x), up.at(y)) for x, y in points]
    yield curve(where, kind)
    for x, y in where:
        yield dot(x, y, 3, kind)
