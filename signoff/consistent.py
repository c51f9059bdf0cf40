"""Whether a document agrees with itself: counts that add up, verdicts that its own figures give.

A digest fits whatever it was computed of. A document that states PASS beside rows that fail, or
counts that do not add up, was edited or is a bug's: it is unusable, and the field is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from goldgate.accuracy.selection import Verdict
from goldgate.errors import GoldgateError
from goldgate.kernels.dispatch.find import catalogued
from goldgate.signoff.consistent_scores import scores
from goldgate.signoff.gathered import COMPARISON, DISPATCH, KILLS, LATENCY, PARITY, SCORES

#: Rows of a comparison by what became of them; they add up to all rows.
_CHANGES = (
    *("same", "other_weights", "order", "tie", "rounding", "undefined", "known"),
    *("old_wrong", "new_wrong", "both_wrong", "padding"),
)


class ContradictionError(GoldgateError):
    """A document that contradicts itself."""


def require_consistent(kind: str, document: Mapping[str, Any]) -> None:
    """Hold a document of a kind of evidence against itself.

    Raises:
        ContradictionError: it contradicts itself; the field is named.
        KeyError, TypeError, ValueError: it lacks what its schema has.

    """
    first, *more = [*_CHECKS.get(kind, _nothing)(document), ""]
    if first:
        rest = f"; and {len(more) - 1} more" if len(more) > 1 else ""
        raise ContradictionError(
            f"contradicts itself: {first}{rest}: it was edited or damaged; make it again"
        )


def parity(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what contradicts in parity evidence."""
    for number, one in enumerate(document["results"]):
        yield from (f"results[{number}].{text}" for text in _result(one))
    summary = document["summary"]
    verdicts = Counter(one["verdict"] for one in document["results"])
    for name, verdict in (("passed", "PASS"), ("failed", "FAIL"), ("refused", "REFUSED")):
        if name in summary and summary[name] != verdicts[verdict]:
            yield f"summary.{name} is {summary[name]} of {verdicts[verdict]} results {verdict}"
    if summary["exit_status"] == 0 and (verdicts["FAIL"] or verdicts["REFUSED"]):
        yield "summary.exit_status is 0 beside results that do not pass"
    for one in (document.get("coverage") or {}).get("kernels", ()):
        held = [
            each
            for each in document["results"]
            if each["kernel"] == one["kernel"] and each.get("tier") and "rows" in each
        ]
        tiers = Counter(each["tier"] for each in held)
        if dict(tiers) != {tier: count for tier, count in one["tiers"].items() if count}:
            yield f"coverage.tiers of {one['kernel']} is {one['tiers']}, its results {dict(tiers)}"


def _result(one: Mapping[str, Any]) -> Iterator[str]:
    """Yield what contradicts in the verdict on one recording."""
    verdict = one["verdict"]
    if "rows" not in one or "failing" not in one:
        return
    counts = [int(one[each.name.lower()]) for each in Verdict if each.name.lower() in one]
    rows, failing, known = (int(one.get(name, 0)) for name in ("rows", "failing", "known"))
    if min(*counts, failing, known) < 0 or sum(counts) != rows:
        yield f"rows is {rows}, and the rows of each kind add up to {sum(counts)}"
    if failing + known > rows:
        yield f"failing is {failing} and known {known} of {rows} rows"
    listed = sum(len(each.get("rows", ())) for each in one.get("known_failures", ()))
    if known > listed:
        yield f"known is {known}, and known_failures list {listed} rows"
    wrong = {
        "failing": failing,
        "wrong": max(int(one.get("wrong", 0)) - known, 0),
        "call_faults": one.get("call_faults"),
        "drift.found": (one.get("drift") or {}).get("found"),
        "random_error.found": (one.get("random_error") or {}).get("found"),
        "stale_known_failures": one.get("stale_known_failures"),
        "beyond_ceiling": one.get("beyond_ceiling"),
        "refusal": one.get("refusal"),
        # Of listed rows an error may be larger, up to their ceiling.
        "weight_error_over_bound": not known and (one.get("weight_error_over_bound") or 0) > 1,
        "weight_format": one.get("weight_format")
        and one.get("declared_weights")
        and one["weight_format"] != one["declared_weights"],
    }
    found = [name for name, value in wrong.items() if value]
    if verdict == "PASS" and found:
        yield f"{found[0]} is {_field(one, found[0])!r} beside the verdict PASS"
    if verdict == "FAIL" and not found:
        yield "verdict is FAIL, and nothing in it fails"


def _field(one: Mapping[str, Any], name: str) -> object:
    value: Any = one
    for part in name.split("."):
        value = value[part]
    return value


def comparison(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what contradicts in a comparison of two kernels."""
    verdicts = Counter(one["verdict"] for one in document["results"])
    for number, one in enumerate(document["results"]):
        if "rows" not in one:
            continue
        counts = [int(one[name]) for name in _CHANGES if name in one]
        if min(counts, default=0) < 0 or (counts and sum(counts) != one["rows"]):
            yield f"results[{number}].rows is {one['rows']}, its kinds add up to {sum(counts)}"
        unexplained = sum(int(one.get(name, 0)) for name in _CHANGES if name.endswith("_wrong"))
        lean = one.get("lean") or {}
        leans = [side for side in ("old", "new") if (lean.get(side) or {}).get("found")]
        for name, value in (
            ("old_wrong, new_wrong and both_wrong", unexplained),
            ("call_faults", one.get("call_faults")),
            ("lean", leans),
        ):
            if one["verdict"] == "EXPLAINED" and value:
                yield f"results[{number}]: {name} is {value!r} beside the verdict EXPLAINED"
    for name in ("explained", "unexplained"):
        stated = document["summary"].get(name)
        if stated is not None and stated != verdicts[name.upper()]:
            yield f"summary.{name} is {stated} of {verdicts[name.upper()]} results"


def latency(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what contradicts in latencies."""
    seen: set[tuple[object, ...]] = set()
    for number, one in enumerate(document["latencies"]):
        for name in ("us", "ratio"):
            held = one[name]
            if held and not 0 < held["low"] <= held["median"] <= held["high"]:
                yield f"latencies[{number}].{name}: its median is not within low and high"
        if (one["ratio"] is None) != (one["kernel"] == document["baseline"]):
            yield f"latencies[{number}].ratio: the baseline has none, every other kernel has one"
        key = (one["kernel"], one["tokens"], one["rotated"])
        if key in seen:
            yield f"latencies[{number}] is of a kernel and size that came before"
        seen.add(key)


def kills(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what contradicts in a kill matrix."""
    faults = document["faults"]
    if not faults:
        yield "faults is empty: nothing was planted"
    twice = [
        name for name, n in Counter((one["name"], one["on"]) for one in faults).items() if n > 1
    ]
    if twice:
        yield f"faults has {twice[0][0]!r} on {twice[0][1]!r} twice"
    if any(not isinstance(one["caught"], bool) for one in faults):
        yield "faults: caught is neither true nor false"
    if int(document["conforming"]["rows"]) < 0:
        yield "conforming.rows is below 0"


def dispatch(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what contradicts in an engine's dispatch."""
    stated, platform = document.get("catalogue"), document["scenario"]["platform"]
    found = catalogued(document["kernel"], platform)
    if stated and stated != found:
        yield f"catalogue is {stated!r}, and kernel is {document['kernel']!r}, which is {found!r}"


def _nothing(_: Mapping[str, Any]) -> Iterator[str]:
    return iter(())


_CHECKS: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    PARITY: parity,
    COMPARISON: comparison,
    LATENCY: latency,
    SCORES: scores,
    KILLS: kills,
    DISPATCH: dispatch,
}
