"""What a run folder has to hold before anything is concluded from it.

samples.jsonl is covered by a hash, run.json is not: its fields are looked at one by one, and what
the samples say as well is counted again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from goldgate.evals.errors import EvalError
from goldgate.evals.swapping.order import asked
from goldgate.evals.task import FILTERS, INVALID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def _text(value: object) -> bool:
    return isinstance(value, str)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _positive(value: object) -> bool:
    return _count(value) and value != 0


def _rate(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and value >= 0


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _counts(value: object) -> bool:
    return isinstance(value, list) and all(map(_count, value))


def _counted(value: object) -> bool:
    return isinstance(value, dict) and all(map(_count, value.values()))


def _said(value: object) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


def _or_null(kind: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or kind(value)


# Dotted names of what is read, each with what it has to be; further fields are no fault.
_FACTS: dict[str, Callable[[object], bool]] = {
    "data": _text,
    "status": lambda value: value in ("complete", "refused"),
    "reasons": _texts,
    **{
        f"settings.{name}": _text
        for name in (
            "base_url", "model", "api", "task", "task_hash", "prompts_hash", "extractor_hash",
            "order", "lm_eval",
        )
    },
    "settings.questions": _positive,
    "settings.runs": _positive,
    "settings.concurrency": _positive,
    "settings.limit": _or_null(_positive),
    "settings.num_fewshot": _count,
    "settings.generation": lambda value: isinstance(value, dict),
    "settings.generation.max_tokens": _positive,
    "server.at_start": _said,
    "server.at_end": _said,
    "totals.answers": _positive,
    "settings.filters": lambda value: _texts(value) and bool(value),
    "settings.population": _positive,
    "settings.protocol": _text,
    "settings.generation.until": _texts,
    "totals.null": _count,
    "totals.missing.text": _count,
    "totals.empty": _count,
    "totals.truncated": _count,
    "totals.truncation_unknown": _count,
    "totals.stop_left_in_text": _count,
    "totals.served_models": _counted,
    "totals.void_truncated": _count,
    "totals.fingerprints": _counted,
    "totals.builds": _counted,
    "totals.cut_by_stop": _counted,
    "totals.usage_refused": _count,
    "totals.nameless": _counted,
    "totals.thoughts": _counted,
    "totals.served_another_model": _count,
    "speed.tokens_per_s": _or_null(_rate),
    "hashes.samples": _text,
    "hashes.journal": _text,
}  # fmt: skip
_SAMPLE: dict[str, Callable[[object], bool]] = {
    "repeat": _count,
    "doc_id": _count,
    "prompt_hash": _text,
    "target_hash": _text,
    "question": _text,
    "target": _text,
    "text": _or_null(_text),
    "finish_reason": _or_null(_text),
    "truncated": _or_null(_flag),
    "stop_left_in_text": _flag,
    "thought": _text,
}
_ABSENT = object()
#: More questions than any data set of this kind; an order is a list of all of them.
MAX_QUESTIONS = 10**7


def upgraded(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return run.json of an earlier schema with what later ones added, as far as it is known."""
    settings, totals = facts.get("settings"), facts.get("totals")
    if not isinstance(settings, dict) or not isinstance(totals, dict):
        return dict(facts)  # check_facts names what is missing
    known = {
        "filters": list(FILTERS),
        "population": settings.get("questions"),
        "protocol": "lm-eval",
    }
    unseen = {
        "void_truncated": 0,
        "fingerprints": {},
        "builds": {},
        "cut_by_stop": {},
        "usage_refused": 0,
        "nameless": {},
        "thoughts": {},
    }
    return {**facts, "settings": {**known, **settings}, "totals": {**unseen, **totals}}


def check_facts(facts: Mapping[str, Any], path: Path) -> None:
    """Raise EvalError for a field of run.json that is absent or not of its kind."""
    wrong = _wrong(facts, _FACTS)
    if not wrong:
        by_filter = {"totals.right": _counts, "totals.not_extracted": _count}
        named = {
            f"{part}.{name}": fits
            for part, fits in by_filter.items()
            for name in facts["settings"]["filters"]
        }
        wrong = _wrong(facts, named)
    if wrong:
        raise EvalError(f"{path}: {wrong} in run.json; the folder is damaged")
    if (facts["status"] == "complete") == bool(facts["reasons"]):
        raise EvalError(
            f"{path}: run.json has status {facts['status']} and {len(facts['reasons'])} reasons "
            "against it; the folder is damaged"
        )


def check_samples(
    samples: Sequence[object], facts: Mapping[str, Any], path: Path
) -> tuple[Mapping[str, Any], ...]:
    """Return the samples; EvalError where they are not what run.json says of them.

    There has to be one for each pass and question, in this order, and run.json's totals have to
    be theirs.
    """
    found: list[Mapping[str, Any]] = []
    filters = facts["settings"]["filters"]
    shape = {
        **_SAMPLE,
        **{f"extracted.{name}": _text for name in filters},
        **{f"right.{name}": _flag for name in filters},
    }
    for number, sample in enumerate(samples, start=1):
        if facts["schema"] == 1 and isinstance(sample, dict):
            sample = {"thought": "none", **sample}  # noqa: PLW2901 - as it is read today
        wrong = _wrong(sample, shape)
        if wrong or not isinstance(sample, dict):
            raise EvalError(f"{path}: {wrong} in line {number}; the folder is damaged")
        found.append(sample)
    questions, runs = facts["settings"]["questions"], facts["settings"]["runs"]
    # Counted before they are listed: a damaged number may be beyond any memory.
    if len(found) != questions * runs or [(s["repeat"], s["doc_id"]) for s in found] != [
        (repeat, doc_id) for repeat in range(runs) for doc_id in _asked(facts, path)
    ]:
        raise EvalError(
            f"{path}: holds {len(found)} answers, expected {runs} x {questions} in order, once "
            "each; the folder was changed after the run"
        )
    for name, counted in recount(found, runs, filters).items():
        noted = _at(facts["totals"], name)
        if name == "void":
            noted = facts["totals"]["null"] + facts["totals"]["missing"]["text"]
        if noted != counted:
            raise EvalError(
                f"{path}: {name} is {counted}, run.json says {noted}; "
                "the folder was changed after the run"
            )
    return tuple(found)


def _asked(facts: Mapping[str, Any], path: Path) -> list[int]:
    settings = facts["settings"]
    # An order is over all questions: a damaged number may be beyond any memory.
    if not settings["questions"] <= settings["population"] <= MAX_QUESTIONS:
        raise EvalError(
            f"{path}: run.json has {settings['questions']} questions of {settings['population']}; "
            "the folder is damaged"
        )
    try:
        return asked(settings)
    except ValueError as error:
        raise EvalError(f"{path}: {error} in run.json; the folder is damaged") from error


def recount(
    samples: Sequence[Mapping[str, Any]], runs: int, filters: Sequence[str]
) -> dict[str, Any]:
    """Count what run.json's totals say, by dotted name; `void` are answers without a text."""
    return {
        "answers": len(samples),
        **{
            f"right.{name}": [
                sum(s["right"][name] for s in samples if s["repeat"] == repeat)
                for repeat in range(runs)
            ]
            for name in filters
        },
        **{
            f"not_extracted.{name}": sum(s["extracted"][name] == INVALID for s in samples)
            for name in filters
        },
        "void": sum(s["text"] is None for s in samples),
        "empty": sum(s["text"] == "" for s in samples),
        "truncated": sum(s["truncated"] is True for s in samples),
        "truncation_unknown": sum(s["truncated"] is None for s in samples),
        "stop_left_in_text": sum(s["stop_left_in_text"] for s in samples),
    }


def _wrong(record: object, shape: Mapping[str, Callable[[object], bool]]) -> str:
    """Name the first field that is not as it has to be, or return nothing."""
    for name, fits in shape.items():
        value = _at(record, name)
        if value is _ABSENT:
            return f"{name} is missing"
        if not fits(value):
            return f"{name} is {str(value)[:40]!r}"
    return ""


def _at(record: object, dotted: str) -> object:
    for part in dotted.split("."):
        if not isinstance(record, Mapping) or part not in record:
            return _ABSENT
        record = record[part]
    return record
