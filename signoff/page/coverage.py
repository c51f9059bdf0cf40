"""The figure of coverage: which levels of each factor of a routing call were met, and which not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from goldgate.fixtures.factors import FACTORS
from goldgate.signoff.gathered import Covered, Gathered
from goldgate.signoff.page.figure import WIDTH, Figure, kernel_label
from goldgate.svg import Axis, box, line, words
from goldgate.text import one_line

#: Kernels with a map of their own; those with the most rows.
MOST_MAPS = 4

_LEFT = 80
_ROW = 18


def coverage_maps(gathered: Gathered) -> Iterator[Figure]:
    """Yield a map for each kernel whose evidence counts coverage."""
    kernels: dict[str, list[Covered]] = {}
    for one in gathered.covered:
        kernels.setdefault(kernel_label(one.kernel), []).append(one)
    most = sorted(kernels.items(), key=lambda one: (-sum(c.rows for c in one[1]), one[0]))
    for label, some in most[:MOST_MAPS]:
        yield _map(label, some)


def _map(label: str, some: Sequence[Covered]) -> Figure:
    levels = {
        name: {level: any(level in c.factors.get(name, ()) for c in some) for level in every}
        for name, every in _levels(some).items()
    }
    runs = sorted({run for one in some for run in one.token_counts})
    met = sum(sum(one.values()) for one in levels.values())
    possible = sum(len(one) for one in levels.values())
    best = max(some, key=lambda one: one.pairs_met)
    tiers: dict[str, int] = {}
    for one in some:
        for tier, count in one.tiers.items():
            tiers[tier] = tiers.get(tier, 0) + count
    left = [why for one in some for why in one.not_covered]
    spans = _spans(runs)
    return Figure(
        f"Coverage: {one_line(label, 80)}",
        f"{met} of {possible} levels met; pairs of levels met in one call: {best.pairs_met} of "
        f"{best.pairs_possible}. Recordings by tier: "
        f"{', '.join(f'{tier} {count}' for tier, count in tiers.items()) or 'none'}. "
        f"Calls of {one_line(spans, 300) or 'no'} tokens."
        + (f" Not covered: {one_line('; '.join(left), 300)}." if left else ""),
        _ROW * len(levels) + 56,
        (*_cells(levels), *_tokens(runs, _ROW * len(levels) + 16)),
        ("factor", "met", "not met"),
        (
            *(
                (
                    name,
                    ", ".join(level for level, is_met in one.items() if is_met),
                    ", ".join(level for level, is_met in one.items() if not is_met),
                )
                for name, one in levels.items()
            ),
            ("tokens of a call", spans, ""),
        ),
        (("on", "met"), ("off", "not met")),
    )


def _levels(some: Sequence[Covered]) -> Mapping[str, list[str]]:
    """Return every level of each factor: those that there are, and what the evidence adds."""
    known = {name: [_text(level) for level in levels] for name, levels in FACTORS.items()}
    for one in some:
        for name, levels in one.factors.items():
            listed = known.setdefault(name, [])
            listed += [level for level in levels if level not in listed]
    return known


def _text(level: object) -> str:
    """Return a level as the evidence writes it."""
    return "/".join(map(str, level)) if isinstance(level, tuple) else str(level)


def _spans(runs: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{a} to {b}" if b > a else str(a) for a, b in runs)


def _cells(levels: Mapping[str, Mapping[str, bool]]) -> Iterator[str]:
    most = max(len(one) for one in levels.values())
    width = min(20.0, (WIDTH - _LEFT - 2) / most)
    for row, (name, one) in enumerate(levels.items()):
        y = _ROW * row
        yield words(_LEFT - 6, y + 13, one_line(name, 14), "end", "tick")
        for column, is_met in enumerate(one.values()):
            kind = "on" if is_met else "off"
            yield box(_LEFT + column * width + 1, y + 2, width - 2, _ROW - 4, kind)


def _tokens(runs: Sequence[tuple[int, int]], y: float) -> Iterator[str]:
    """Draw the token counts of calls on a logarithmic line; 0 is drawn at its start."""
    if not runs:
        return
    axis = Axis(1, max(131_072, *(b for _, b in runs)), _LEFT, WIDTH - 20, log=True)
    yield words(_LEFT - 6, y + 4, "all counts", "end", "tick")
    yield line(axis.start, y, axis.end, y, "grid")
    for first, last in runs:
        start = axis.at(first)
        yield box(start - 1, y - 5, max(axis.at(last) - start, 0) + 2, 10, "on")
    for tick in axis.ticks():
        yield words(axis.at(tick), y + 20, f"{tick:g}", "middle", "tick")
