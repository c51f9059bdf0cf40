"""What a finished run looks like to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldgate.evals.asking.identity import sameness_rests_on_the_name
from goldgate.evals.records.truncation import MAX_TRUNCATED, Truncation
from goldgate.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def run_report(facts: Mapping[str, Any], out: Path) -> str:
    """Describe a finished run: score, answers that are none, speed, and what was refused."""
    settings, counted, speed = facts["settings"], facts["totals"], facts["speed"]
    asked = counted["answers"]
    lines = [f"{settings['task']} of {settings['model']} at {settings['base_url']}"]
    if facts["data"] != "GSM8K":
        lines.append("own questions, not GSM8K's: no published score applies")
    for name in settings["filters"]:
        right = counted["right"][name]
        score = 100 * sum(right) / asked
        passes = f" (passes: {', '.join(map(str, right))})" if len(right) > 1 else ""
        failed = counted["not_extracted"][name]
        lines.append(
            f"  {name:<17} {sum(right)} of {asked} right, {score:.2f} %{passes}; "
            f"no number found in {failed} ({100 * failed / asked:.2f} %)"
        )
    truncation, limit = Truncation.of(counted), settings["generation"]["max_tokens"]
    unknown = f", unknown for {truncation.unknown} (neither finish_reason nor usage)"
    rest = unknown if truncation.unknown else ""
    void = f"{counted['null']} null, {counted['missing']['text']} without a text field"
    limits = f": compare refuses more than {100 * MAX_TRUNCATED:g} % without --max-truncated"
    lines += [
        f"  truncated         {truncation.cut} at {limit} tokens ({truncation.percent}){rest}"
        + (limits if truncation.exceeds() else ""),
        f"  no answer         {counted['empty']} empty, {void}",
        f"  ended by          {_reasons(counted)}",
        *_oddities(counted, settings),
        *_identity(facts),
        _speed_line(speed),
        f"  evidence          {out} (run.json, samples.jsonl, journal.jsonl, junit.xml)",
    ]
    if facts["status"] == "refused":
        lines += [f"REFUSED: {reason}" for reason in facts["reasons"]]
        lines.append("This run is no evidence: no verdict can be drawn from it.")
    return printable("\n".join(lines))


def _reasons(counted: Mapping[str, Any]) -> str:
    named = [f"{count} x {reason}" for reason, count in counted["finish_reasons"].items()]
    return ", ".join(named) or "the server does not say (no finish_reason)"


def _oddities(counted: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Lines for what should be nothing; none where it is nothing."""
    lines = []
    if counted["errors"]:
        named = ", ".join(f"{count} x {name}" for name, count in counted["errors"].items())
        lines.append(f"  asked again       {counted['asked_again']} questions after {named}")
    if counted["cut_by_stop"]:
        named = ", ".join(f"{count} x {stop!r}" for stop, count in counted["cut_by_stop"].items())
        lines.append(f"  cut by a stop     {named}")
    for kind, count in counted["thoughts"].items():
        if kind != "none":
            lines.append(f"  thoughts          {count} {kind}")
    if counted["usage_refused"]:
        lines.append(
            f"  usage             {counted['usage_refused']} answers have token counts that are "
            "none, which are left out"
        )
    if counted["stop_left_in_text"]:
        lines.append(
            f"  stop not honoured {counted['stop_left_in_text']} answers run on past a stop string"
        )
    if counted["served_another_model"]:
        named = ", ".join(counted["served_models"])
        lines.append(f"  model id          asked for {settings['model']}, answered by {named}")
    absent = [
        f"{name} in {count}"
        for name, count in counted["missing"].items()
        if count and name != "text"
    ]
    if absent:
        lines.append(f"  missing fields    {', '.join(absent)} answers")
    return lines


def _identity(facts: Mapping[str, Any]) -> list[str]:
    """Say what identifies the server, or that nothing but the model's name does."""
    if sameness_rests_on_the_name(facts):
        return ["  identity          the model's name alone: the server offers no build or version"]
    named = [*facts["totals"]["fingerprints"], *facts["totals"]["builds"]]
    pages = {name.partition(".")[0] for name in facts["server"]["at_start"]} - {"/v1/models"}
    return [f"  identity          {', '.join([*sorted(pages), *named])}"]


def _speed_line(speed: Mapping[str, Any]) -> str:
    tokens = (
        f"{speed['tokens_per_s']:.1f} tokens/s"
        if speed["tokens_per_s"] is not None
        else "tokens/s unknown (no usage)"
    )
    return (
        f"  speed             {tokens}, {speed['answers_per_s']:.2f} answers/s; latency "
        f"p50 {speed['latency_p50_s']:.3f} s, p90 {speed['latency_p90_s']:.3f} s, "
        f"p99 {speed['latency_p99_s']:.3f} s"
    )
