"""What may be amiss in a comparison although it has a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldgate.evals.asking.identity import across_starts, sameness_rests_on_the_name
from goldgate.evals.comparing.compatibility import served
from goldgate.evals.records.foreign import CANNOT_SHOW
from goldgate.evals.stats import paired as verdict
from goldgate.evals.stats.power import one_look_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from goldgate.evals.comparing.compare import Comparison
    from goldgate.evals.records.folder import Run

_NOTHING = {"", "null", "None", "0"}  # what a server says of something that it has not drawn


#: A share of answers that a person should look at: as large as the changes a verdict is about.
_NOTABLE = 0.01


def cautions(found: Comparison) -> Iterator[str]:
    """Say, one sentence each with its numbers, what the verdict does not look at."""
    yield from _reading(found)
    yield from _texts(found)
    yield from _identities(found)
    yield from _sameness(found)
    noise = found.noise
    if noise is not None and noise.p_value < found.rules.alpha:
        yield (
            f"the control scores {points(noise.difference)} points beside the baseline "
            f"(p = {noise.p_value:.2g}): is it the same server?"
        )
    for name, speed in (("", found.throughput), (" A/A", found.control_throughput)):
        if speed is not None and speed.drifts:
            yield (
                f"throughput{name}: the speed drifts within a run (batches correlate by "
                f"{speed.correlation:.2f}); the interval is widened for it and may still be too "
                "narrow"
            )
    yield from found.loads
    yield from _looks(found)
    for name, run in found.runs():
        if run.facts["data"] != "GSM8K":
            yield f"{name}: own questions, not GSM8K's"
            return


def _reading(found: Comparison) -> Iterator[str]:
    for one in found.readings:
        if abs(one.baseline - one.candidate) > _NOTABLE:
            yield (
                f"format drift: {one.filter} finds no number in {100 * one.baseline:.2f} % and "
                f"{100 * one.candidate:.2f} %"
            )
        if not one.qualifies and found.decides is not None:
            yield (
                f"{one.filter} does not qualify: it finds no number in "
                f"{100 * one.baseline:.2f} % of the baseline's answers; {found.decides} decides"
            )
    verdicts = {
        found.paired[one.filter].verdict for one in found.readings if one.qualifies and found.paired
    }
    if not found.refused and len(verdicts) > 1 and not found.withheld:
        yield "the filters disagree: look at the answers with --show"


def _texts(found: Comparison) -> Iterator[str]:
    """Say what is in the answers that reading a number from them passes over."""
    for name, run in found.runs():
        totals = run.facts["totals"]
        asked = max(totals["answers"], 1)
        for kind, words in (
            ("in text", "have a <think> thought in their text, which is kept apart"),
            ("unfinished", "begin a <think> thought that never ends: no answer is left of them"),
        ):
            if totals["thoughts"].get(kind):
                yield f"{name}: {totals['thoughts'][kind]} of {asked} answers {words}"
        for stop in run.settings["generation"]["until"]:
            cut = totals["cut_by_stop"].get(stop, 0)
            # Words of the prompt, not marks of a template: the model may write them itself.
            if (
                any(letter.isalpha() for letter in stop)
                and "<" not in stop
                and cut / asked > _NOTABLE
            ):
                yield (
                    f"{name}: {cut} of {asked} answers are cut by {stop!r}, words of the prompt "
                    "that an answer or a thought may contain"
                )
        if totals["stop_left_in_text"]:
            yield f"{name}: {totals['stop_left_in_text']} answers run on past a stop string"
        if totals["usage_refused"]:
            yield (
                f"{name}: {totals['usage_refused']} answers have token counts that are none, "
                "which are left out"
            )


def _sameness(found: Comparison) -> Iterator[str]:
    """Name arms that may be one server, and texts that are the same throughout."""
    pairs = [("candidate", found.candidate)]
    if found.control is not None:
        pairs.append(("control", found.control))
    base = found.baseline
    for name, run in pairs:
        texts = [[sample["text"] for sample in one.samples] for one in (base, run)]
        if texts[0] == texts[1]:
            number = len(texts[0])
            meaning = (
                "is one server behind both addresses?"
                if name == "candidate"
                else "a server that answers to the letter alike has no noise to measure, or was "
                "not asked again"
            )
            yield f"{number} texts of {number} are the same in baseline and {name}: {meaning}"
    if _one_address(base, found.candidate):
        yield (
            f"baseline and candidate were asked at one address, {base.settings['base_url']}: "
            "was the server started again with the other kernel?"
        )
    elif found.control is not None and _one_address(found.control, found.candidate):
        yield (
            "the control was asked at the candidate's address, "
            f"{found.control.settings['base_url']}, and not at the baseline's: a control is the "
            "baseline asked a second time"
        )


def _one_address(one: Run, other: Run) -> bool:
    """Whether two runs name the same address; a file of another program names none."""
    if one.foreign or other.foreign:
        return False
    return bool(one.settings["base_url"] == other.settings["base_url"])


def _looks(found: Comparison) -> Iterator[str]:
    look = found.look
    if look is None:
        return
    if look.number > 1:
        yield (
            f"this is look {look.number} at this candidate: it may spend {look.level:.2g} of "
            f"alpha {found.rules.alpha:g}"
        )
    if look.margin != found.rules.margin:
        yield (
            f"these data were judged before at a margin of {100 * look.margin:g} points, now at "
            f"{100 * found.rules.margin:g}"
        )
    if not look.recorded:
        yield "this look could not be recorded in the candidate's folder: it will not be counted"
    if found.rules.margin != verdict.DEFAULT_MARGIN and look.level:
        size = one_look_size(found.rules.margin, look.level, found.baseline.settings["questions"])
        yield (
            f"at this margin one look passes a true loss of the margin with probability {size:.3f} "
            f"at most, by enumeration (nominal: {look.level:.3g})"
        )


def _identities(found: Comparison) -> Iterator[str]:
    for name, run in found.runs():
        if run.foreign:
            yield f"{name}: {run.foreign} cannot show {CANNOT_SHOW[run.foreign]}"
            continue
        another = run.facts["totals"]["served_another_model"]
        if another:
            yield f"{name}: {another} answers are by {served(run)}"
        if sameness_rests_on_the_name(run.facts):
            yield (
                f"{name}: the server offers nothing that identifies its build: that it stayed the "
                "same rests on the model's name alone"
            )
    starts = [_of_this_start(run) for run in (found.baseline, found.candidate)]
    if starts[0] and starts[0] == starts[1]:
        said = ", ".join(f"{name} {value}" for name, value in sorted(starts[0].items()))
        yield (
            f"both arms say {said}, which a server draws anew at every start: "
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
