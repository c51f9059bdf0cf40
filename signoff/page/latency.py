"""The figures of latency: microseconds a call against tokens, and the ratio to the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from goldgate.signoff.gathered import Gathered, Timed
from goldgate.signoff.page.figure import MOST_FILES, WIDTH, Figure, kernel_label, series
from goldgate.svg import Axis, below, beside, curve, dot, line
from goldgate.text import one_line

_LEFT, _RIGHT, _TOP, _BOTTOM = 40, WIDTH - 20, 24, 190
_HEIGHT = _BOTTOM + 32


def latencies(gathered: Gathered) -> Iterator[Figure]:
    """Yield two figures for the first files of latencies: microseconds and, if any, ratios."""
    files: dict[str, list[Timed]] = {}
    for one in gathered.timed:
        if one.us.low <= 0:  # no time of a call, and no logarithm
            continue
        files.setdefault(one.file.path, []).append(one)
    for some in list(files.values())[:MOST_FILES]:
        # Inputs that no cache holds are what a served model has; warm ones only where alone.
        rotated = any(one.rotated for one in some)
        shown = sorted((one for one in some if one.rotated == rotated), key=lambda o: o.tokens)
        lines: dict[str, list[Timed]] = {}
        for one in shown:
            lines.setdefault(kernel_label(one.kernel), []).append(one)
        where = shown[0].kernel.device or shown[0].file.path
        cache = "inputs not in the cache" if rotated else "inputs in the cache"
        yield _times(f"{one_line(where, 60)}, {cache}", lines)
        ratios = {
            name: some_of
            for name, each in lines.items()
            if (some_of := [one for one in each if one.ratio])
        }
        if ratios:
            yield _ratios(f"{one_line(where, 60)}, {cache}", ratios)


def _tokens(lines: Mapping[str, Sequence[Timed]]) -> Axis:
    counts = [max(one.tokens, 1) for some in lines.values() for one in some]
    return Axis(min(counts) / 1.3, max(counts) * 1.3, _LEFT, _RIGHT, log=True)


def _times(where: str, lines: Mapping[str, Sequence[Timed]]) -> Figure:
    every = [one for some in lines.values() for one in some]
    floor = {one.tokens: one.floor_us for one in every if one.floor_us}
    values = [value for one in every for value in (one.us.low, one.us.high)]
    values += [us for tokens, us in floor.items() if us > min(values) / 10]
    across = _tokens(lines)
    up = Axis(min(values) / 1.3, max(values) * 1.3, _BOTTOM, _TOP, log=True)
    ends = "; ".join(
        f"{name}: {some[0].us.median:.3g} us at {some[0].tokens}, {some[-1].us.median:.3g} us at "
        f"{some[-1].tokens} tokens"
        for name, some in lines.items()
    )
    entries = [(series(n), name) for n, name in enumerate(lines)]
    if any(us >= up.low for us in floor.values()):
        entries.append(("floor", "floor: the least that moving the call's bytes takes"))
    return Figure(
        f"Latency on {where}",
        f"Microseconds a call, median with its confidence interval. {ends}.",
        _HEIGHT,
        tuple(_time_marks(lines, floor, across, up)),
        ("kernel", "tokens", "us", "low", "high", "floor"),
        tuple(
            (name, one.tokens, *_interval(one.us.median, one.us.low, one.us.high), _short(one))
            for name, some in lines.items()
            for one in some
        ),
        tuple(entries),
    )


def _time_marks(
    lines: Mapping[str, Sequence[Timed]], floor: Mapping[int, float], across: Axis, up: Axis
) -> Iterator[str]:
    yield from below(across, _BOTTOM, _TOP, "tokens")
    yield from beside(up, _LEFT, _RIGHT, "microseconds a call")
    inside = [(across.at(t), up.at(us)) for t, us in floor.items() if us >= up.low]
    if inside:
        yield curve(inside, "floor")
    for number, some in enumerate(lines.values()):
        kind = series(number)
        yield curve([(across.at(one.tokens), up.at(one.us.median)) for one in some], kind)
        for one in some:
            x = across.at(one.tokens)
            yield line(x, up.at(one.us.low), x, up.at(one.us.high), kind)
            yield dot(x, up.at(one.us.median), 2.5, kind)


def _ratios(where: str, lines: Mapping[str, Sequence[Timed]]) -> Figure:
    every = [(one, one.ratio) for some in lines.values() for one in some if one.ratio]
    baseline = kernel_label(every[0][0].baseline)
    worst, largest = max(every, key=lambda pair: pair[1].median)
    across = _tokens(lines)
    values = [1.0, *(value for _, ratio in every for value in (ratio.low, ratio.high))]
    log = max(values) / min(values) > 8
    low, high = min(values), max(values)
    up = Axis(low / 1.1, high * 1.1, _BOTTOM, _TOP, log=log)
    return Figure(
        f"Ratio to {one_line(baseline, 60)} on {where}",
        f"Time as a multiple of the baseline's in the same rounds, median with its interval of "
        f"95 %; below 1 is faster. The largest is {largest.median:.3g} "
        f"({largest.low:.3g} to {largest.high:.3g}): {kernel_label(worst.kernel)} at "
        f"{worst.tokens} tokens.",
        _HEIGHT,
        tuple(_ratio_marks(lines, across, up)),
        ("kernel", "tokens", "ratio", "low", "high"),
        tuple(
            (kernel_label(one.kernel), one.tokens, *_interval(r.median, r.low, r.high))
            for one, r in every
        ),
        (*((series(n), name) for n, name in enumerate(lines)), ("limit", f"1: {baseline}")),
    )


def _ratio_marks(lines: Mapping[str, Sequence[Timed]], across: Axis, up: Axis) -> Iterator[str]:
    yield from below(across, _BOTTOM, _TOP, "tokens")
    yield from beside(up, _LEFT, _RIGHT, "ratio to the baseline")
    yield line(_LEFT, up.at(1), _RIGHT, up.at(1), "limit")
    for number, some in enumerate(lines.values()):
        kind = series(number)
        pairs = [(across.at(one.tokens), one.ratio) for one in some if one.ratio]
        yield curve([(x, up.at(ratio.median)) for x, ratio in pairs], kind)
        for x, ratio in pairs:
            yield line(x, up.at(ratio.low), x, up.at(ratio.high), kind)
            yield dot(x, up.at(ratio.median), 2.5, kind)


def _interval(median: float, low: float, high: float) -> tuple[str, str, str]:
    return f"{median:.4g}", f"{low:.4g}", f"{high:.4g}"


def _short(one: Timed) -> str:
    return f"{one.floor_us:.3g}" if one.floor_us else ""
