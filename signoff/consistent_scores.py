"""Whether a paired verdict agrees with itself: derived again from its own counts and rules."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

#: How far figures of one document may differ: its numbers went through JSON unrounded, and the
#: bound's root is found to 1e-12 (goldgate.evals.stats.tango).
_CLOSE = 1e-9


def scores(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what contradicts in a paired verdict.

    The bound is computed again where scipy is installed (the extra `evals`) and each arm answered
    once; else the verdict is held against the bound that is stated.
    """
    verdict, checks = document["verdict"], document["checks"]
    failed = [str(one.get("name")) for one in checks if not one.get("passed")]
    if failed and verdict != "REFUSED":
        yield f"checks: {failed[0]!r} did not pass beside the verdict {verdict}"
    if verdict == "REFUSED" and not failed:
        yield "verdict is REFUSED, and each of checks passed"
    status = document.get("exit_status")
    if status is not None and (status == 0) != (verdict == "PRESERVED"):
        yield f"exit_status is {status} beside the verdict {verdict}"
    plan = document.get("plan") or {}
    for name, value in (plan.get("rules") or {}).items():
        if name in document["rules"] and document["rules"][name] != value:
            yield f"rules.{name} is {document['rules'][name]!r}, in the registered plan {value!r}"
    for name, one in document["paired"].items():
        yield from (f"paired[{name!r}].{text}" for text in _counts(one, document))
    decides = document["paired"].get(document.get("decides") or "")
    if verdict == "PRESERVED":
        yield from _preserved(document, decides)
    stated = (decides or {}).get("verdict", verdict)
    if verdict == "DEGRADED" != stated and not _sequential(document):
        yield f"verdict is {verdict}, its filter's {stated}"
    noise = document.get("noise_floor")
    if noise and not 0 <= noise["discordance"] <= 1:
        yield f"noise_floor.discordance is {noise['discordance']}"
    ratio = document.get("throughput")
    if ratio and not 0 < ratio["low"] <= ratio["ratio"] <= ratio["high"]:
        yield "throughput.ratio is not within low and high"


def _counts(one: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what contradicts in the counts of one filter."""
    questions, losses, gains = one["questions"], one["losses"], one["gains"]
    if questions < 1 or min(losses, gains) < 0 or losses + gains > questions:
        yield f"questions is {questions}, with {losses:g} losses and {gains:g} gains"
        return
    for name, value in (
        ("difference", (gains - losses) / questions),
        ("discordance", (losses + gains) / questions),
    ):
        if not math.isclose(one[name], value, abs_tol=_CLOSE):
            yield f"{name} is {one[name]}, and its counts give {value:.9g}"
    level = one.get("alpha", document["rules"]["alpha"])
    if not 0 < level <= document["rules"]["alpha"] + _CLOSE:
        yield f"alpha is {level}, and rules.alpha {document['rules']['alpha']}"
    if one.get("margin", document["rules"]["margin"]) != document["rules"]["margin"]:
        yield f"margin is {one['margin']}, and rules.margin {document['rules']['margin']}"
    lower = _bound(losses, gains, questions, level) if _asked_once(document) else None
    if lower is not None and not math.isclose(one["lower"], lower, abs_tol=_CLOSE):
        yield f"lower is {one['lower']}, and its counts give {lower:.9g}"
    if one["lower"] > one["difference"] + _CLOSE:
        yield f"lower is {one['lower']}, above difference"


def _preserved(document: Mapping[str, Any], decides: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield what speaks against PRESERVED in the document itself."""
    if decides is None:
        yield f"verdict is PRESERVED, and paired has no filter {document.get('decides')!r}"
        return
    if _sequential(document):  # its plan's bounds decide, not the paired one
        return
    margin = document["rules"]["margin"]
    if decides["lower"] <= -margin:
        yield (
            f"verdict is PRESERVED, and lower {100 * decides['lower']:.2f} is beyond the margin of "
            f"{100 * margin:g} points"
        )
    if decides.get("verdict", "PRESERVED") != "PRESERVED":
        yield f"verdict is PRESERVED, its filter's {decides['verdict']}"
    if document["withheld"]:
        yield f"verdict is PRESERVED, and withheld for {document['withheld'][0]!r}"
    look = document.get("look")
    if look and not look.get("level", 1):
        yield "verdict is PRESERVED, and look.level is 0: alpha was spent"
    yield from _scores_of(document, decides)


def _scores_of(document: Mapping[str, Any], decides: Mapping[str, Any]) -> Iterator[str]:
    """Yield where the arms' own totals differ from the paired counts."""
    if not _asked_once(document):
        return
    right: list[int] = []
    for name in ("baseline", "candidate"):
        run = document["runs"][name]
        asked = run["settings"].get("questions")
        if asked is not None and asked != decides["questions"]:
            yield f"runs.{name}.settings.questions is {asked} of {decides['questions']} paired"
        totals = (run["totals"].get("right") or {}).get(document["decides"]) or ()
        right += totals if len(totals) == 1 else ()
    change = decides["gains"] - decides["losses"]
    if len(right) == 2 and right[1] - right[0] != change:
        yield f"runs: {right[0]} and {right[1]} right answers, and its counts differ by {change:g}"


def _sequential(document: Mapping[str, Any]) -> bool:
    look = document.get("look") or {}
    return bool(document.get("sequential") or look.get("decided"))


def _asked_once(document: Mapping[str, Any]) -> bool:
    arms = (document["runs"][name]["settings"] for name in ("baseline", "candidate"))
    return all(settings.get("runs", 1) == 1 for settings in arms)


def _bound(losses: float, gains: float, questions: int, alpha: float) -> float | None:
    """Return Tango's lower bound; None without scipy."""
    try:
        from goldgate.evals.stats.tango import tango_bound  # noqa: PLC0415 - scipy, an extra
    except ModuleNotFoundError:
        return None
    return tango_bound(losses, gains, questions, alpha)
