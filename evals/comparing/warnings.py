"""What may be amiss in a comparison although it has a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldgate.evals.asking.identity import across_starts
from goldgate.evals.comparing.compatibility import served
from goldgate.evals.task import FILTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from goldgate.evals.comparing.compare import Comparison
    from goldgate.evals.records.folder import Run

_NOTHING = {"", "null", "None", "0"}  # what a server says of something that it has not drawn


def cautions(found: Comparison) -> Iterator[str]:
    """Say, one line each, what the verdict does not look at and a person should."""
    totals = [found.baseline.facts["totals"], found.candidate.facts["totals"]]
    yield from _identities(found)
    for name in FILTERS:
        rates = [total["not_extracted"][name] / max(total["answers"], 1) for total in totals]
        # A point: as large as the changes that the verdict is about.
        if abs(rates[0] - rates[1]) > 0.01:
            yield (
                f"  caution           format drift: {name} finds no number in "
                f"{100 * rates[0]:.2f} % and {100 * rates[1]:.2f} %"
            )
    left = [total["stop_left_in_text"] for total in totals]
    if any(left):
        yield (
            f"  caution           answers that run on past a stop string: {left[0]} and {left[1]}"
        )
    if found.paired is not None and len({p.verdict for p in found.paired.values()}) > 1:
        yield "  caution           the two filters disagree: look at the answers with --show"
    noise = found.noise
    if noise is not None and noise.p_value < found.rules.alpha:
        yield (
            f"  caution           the control scores {points(noise.difference)} points beside the "
            f"baseline (p = {noise.p_value:.2g}): is it the same server?"
        )
    for name, speed in (("", found.throughput), (" A/A", found.control_throughput)):
        if speed is not None and speed.drifts:
            yield (
                f"  caution           throughput{name}: the speed drifts within a run (batches "
                f"correlate by {speed.correlation:.2f}); the interval is widened for it and may "
                "still be too narrow"
            )
    for name, run in found.runs():
        if run.facts["data"] != "GSM8K":
            yield f"  caution           {name}: own questions, not GSM8K's"
            return


def _identities(found: Comparison) -> Iterator[str]:
    for name, run in found.runs():
        another = run.facts["totals"]["served_another_model"]
        if another:
            yield f"  caution           {name}: {another} answers are by {served(run)}"
    starts = [_of_this_start(run) for run in (found.baseline, found.candidate)]
    if starts[0] and starts[0] == starts[1]:
        said = ", ".join(f"{name} {value}" for name, value in sorted(starts[0].items()))
        yield (
            f"  caution           both arms say {said}, which a server draws anew at every start: "
            "was it started again with the other kernel?"
        )


def _of_this_start(run: Run) -> dict[str, str]:
    """What the server drew when it was started, by dotted name."""
    said: dict[str, str] = run.facts["server"]["at_start"]
    lasting = across_starts(said)
    return {
        name: value for name, value in said.items() if name not in lasting and value not in _NOTHING
    }


def points(fraction: float) -> str:
    """Write a fraction as points, with its sign."""
    return f"{100 * fraction:+.2f}"
