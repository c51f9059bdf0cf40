"""The figure of weight errors: how much of its proven bound each recording's largest error uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from goldgate.signoff.gathered import Gathered, Parity
from goldgate.signoff.page.figure import WIDTH, Figure, kernel_label, lane_label
from goldgate.svg import Axis, below, dot, line, words

#: Kernels that are drawn; the table has all.
MOST_KERNELS = 10

_HIGH = 1.2
_LANE = 34


def weight_errors(gathered: Gathered) -> Figure | None:
    """Return the figure; None where no weight was judged."""
    lanes = by_kernel([one for one in distinct(gathered.parity) if one.weights])
    if not lanes:
        return None
    drawn = dict(list(lanes.items())[:MOST_KERNELS])
    bottom = _LANE * len(drawn) + 8
    axis = Axis(0, _HIGH, 8, WIDTH - 10, log=False)
    every = [one for some in lanes.values() for one in some]
    worst = max(every, key=lambda one: one.over_bound)
    above = sum(one.over_bound > 1 for one in every)
    known = sum(_kind(one) == "known" for one in every)
    left = len(lanes) - len(drawn)
    return Figure(
        "Weight error over its bound",
        f"A dot is the largest weight error of a recording as a part of its proven bound. "
        f"{above} of {len(every)} are above 1, {known} of these in known failures alone. The "
        f"largest is {worst.over_bound:.3g}: {kernel_label(worst.kernel)} on {worst.recording}."
        + (f" {left} more kernels are in the numbers alone." if left else ""),
        bottom + 32,
        (*below(axis, bottom, 0, "error / bound"), *_lanes(drawn, axis, bottom)),
        ("kernel", "recording", "verdict", "weights", "largest error / bound", "evidence"),
        tuple(
            (
                kernel_label(one.kernel),
                one.recording,
                one.verdict,
                one.weights,
                f"{one.over_bound:.3g}",
                one.file.path,
            )
            for one in sorted(every, key=lambda one: -one.over_bound)
        ),
        (
            ("ok", "passes"),
            ("known", "passes but for known failures"),
            ("wrong", "fails"),
            ("limit", "bound"),
        ),
    )


def _kind(one: Parity) -> str:
    """Return the class of a verdict's dot: a pass beyond the bound is one of known failures."""
    if one.verdict != "PASS":
        return "wrong"
    return "known" if one.over_bound > 1 else "ok"


def distinct(parity: Sequence[Parity]) -> list[Parity]:
    """Return verdicts without the ones that outputs at hand were judged again for."""
    again = {_outputs(one) for one in parity if one.judged_again}
    return [one for one in parity if one.judged_again or _outputs(one) not in again]


def _outputs(one: Parity) -> tuple[str, str]:
    return one.recording_sha256, one.output_sha256


def by_kernel(parity: Sequence[Parity]) -> Mapping[str, list[Parity]]:
    """Return verdicts by their kernel's label, as kernels are first met; hardware comes first."""
    lanes: dict[str, list[Parity]] = {}
    for one in sorted(parity, key=lambda one: one.kernel.execution != "hardware"):
        lanes.setdefault(kernel_label(one.kernel), []).append(one)
    return lanes


def _lanes(lanes: Mapping[str, Sequence[Parity]], axis: Axis, bottom: float) -> Iterator[str]:
    yield line(axis.at(1), 0, axis.at(1), bottom, "limit")
    for number, some in enumerate(lanes.values()):
        top = number * _LANE
        yield words(axis.start, top + 12, lane_label(some[0].kernel))
        # One dot where several would cover each other: thousands of recordings stay readable.
        seen: dict[tuple[str, str], None] = {}
        for one in some:
            seen.setdefault((f"{axis.at(one.over_bound):.0f}", _kind(one)))
        for x, kind in sorted(seen):
            yield dot(float(x), top + 24, 3.5, kind)
        largest = max(one.over_bound for one in some)
        if largest > _HIGH:
            yield words(axis.end - 8, top + 28, f"{largest:.3g} >", "end")
