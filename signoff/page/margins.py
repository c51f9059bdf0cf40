"""The figures of margins: how near rows are to another choice, and what kernels answered there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from goldgate.signoff.gathered import Gathered, Margins, Parity
from goldgate.signoff.page.figure import WIDTH, Figure, lane_label
from goldgate.signoff.page.weights import MOST_KERNELS, by_kernel, distinct
from goldgate.svg import Axis, beside, box, line, words

#: Row verdicts in which a passing kernel may differ from the golden router, nearest first.
_OTHERWISE = ("reordered", "tie", "admissible")


def margins(gathered: Gathered) -> Iterator[Figure]:
    """Yield a figure for each set of recordings that were counted over the same gaps."""
    groups: dict[tuple[float, ...], list[Margins]] = {}
    for one in gathered.margins:
        groups.setdefault(one.edges, []).append(one)
    for edges, some in groups.items():
        if edges and any(one.rows for one in some):
            yield _gaps(edges, some)


def _gaps(edges: Sequence[float], some: Sequence[Margins]) -> Figure:
    counts = [sum(column) for column in zip(*(one.counts for one in some), strict=True)]
    rows = sum(one.rows for one in some)
    near, exact = sum(one.near_ties for one in some), sum(one.exact_ties for one in some)
    names = [
        f"below {edges[0]:.3g}",
        *(f"{a:.3g} to {b:.3g}" for a, b in pairwise(edges)),
        f"{edges[-1]:.3g} and more",
    ]
    recordings = f"{len(some)} recordings" if len(some) > 1 else some[0].recording
    return Figure(
        "Margins of the recordings",
        f"Rows by the gap between the last chosen and the best rejected biased score: {rows} rows "
        f"of {recordings}. In {near} rows rounding may decide otherwise; in {exact} a chosen and a "
        "rejected expert are equal.",
        206,
        tuple(_histogram(edges, counts)),
        ("gap", "rows"),
        tuple(zip(names, counts, strict=True)),
    )


def _histogram(edges: Sequence[float], counts: Sequence[int]) -> Iterator[str]:
    left, right, bottom = 44, WIDTH - 6, 172
    up = Axis(0.8, 2.0 * max(10, *counts), bottom, 24, log=True)
    yield from beside(up, left, right, "rows")
    width = (right - left) / len(counts)
    for number, count in enumerate(counts):
        x = left + number * width
        if count:
            yield box(x + 0.5, up.at(count), width - 1, bottom - up.at(count), "bar")
    step = -(-len(edges) // 6)
    for number in range(0, len(edges), step):
        x = left + (number + 1) * width
        yield line(x, bottom, x, bottom + 4, "axis")
        yield words(x, bottom + 15, f"{edges[number]:.0e}".replace("e-0", "e-"), "middle", "tick")
    yield line(left, bottom, right, bottom, "axis")
    yield words(right, bottom + 30, "gap of biased scores", "end", "label")


def near_ties(gathered: Gathered) -> Figure | None:
    """Return the figure of rows that kernels answered otherwise; None where nothing was judged."""
    lanes = by_kernel([one for one in distinct(gathered.parity) if one.counts])
    if not lanes:
        return None
    totals = {name: _sums(some) for name, some in lanes.items()}
    labels = {name: lane_label(some[0].kernel) for name, some in lanes.items()}
    drawn = dict(list(totals.items())[:MOST_KERNELS])
    every = {kind: sum(total[kind] for total in totals.values()) for kind in _OTHERWISE}
    rows = sum(total["rows"] for total in totals.values())
    left = len(totals) - len(drawn)
    return Figure(
        "Near-ties: rows answered otherwise",
        f"Of {rows} judged rows {every['reordered']} have the golden experts in another order, "
        f"{every['tie']} other experts that are equal bit for bit, and {every['admissible']} other "
        "experts within the proven rounding bound. All of these pass."
        + (f" {left} more kernels are in the numbers alone." if left else ""),
        54.0 * len(drawn) + 4,
        tuple(_bars([(labels[name], total) for name, total in drawn.items()])),
        ("kernel", "rows", "exact", *_OTHERWISE, "wrong"),
        tuple(
            (name, total["rows"], total["exact"], *(total[k] for k in _OTHERWISE), total["wrong"])
            for name, total in totals.items()
        ),
    )


def _sums(some: Sequence[Parity]) -> Mapping[str, int]:
    kinds = ("exact", *_OTHERWISE, "wrong")
    return {
        "rows": sum(one.rows for one in some),
        **{kind: sum(one.counts.get(kind, 0) for one in some) for kind in kinds},
    }


def _bars(totals: Sequence[tuple[str, Mapping[str, int]]]) -> Iterator[str]:
    most = max(total[kind] for _, total in totals for kind in _OTHERWISE)
    across = Axis(0.5, max(10.0, most), 70, WIDTH - 60, log=True)
    for number, (name, total) in enumerate(totals):
        top = 54 * number
        yield words(0, top + 11, name)
        for place, kind in enumerate(_OTHERWISE):
            y, count = top + 16 + 12 * place, total[kind]
            yield words(66, y + 9, kind, "end", "tick")
            if count:
                yield box(70, y + 1, across.at(count) - 70, 8, "bar")
            yield words(across.at(max(count, 0.5)) + 4, y + 9, count, "start", "tick")
