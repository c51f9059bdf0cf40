"""What a run leaves behind: samples joined with the journal, checks, environment, hashes."""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldgate.evals.asking import identity as server
from goldgate.evals.errors import EvalError
from goldgate.evals.records import folder
from goldgate.evals.records import summary as totals
from goldgate.junit import Check, write_junit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from goldgate.evals.asking.journal import Journal, Sighting
    from goldgate.evals.task import LoadedTask


def join(
    listed: Sequence[Mapping[str, Any]],
    journal: Journal,
    repeat: int,
    task: LoadedTask,
    max_tokens: int,
) -> list[dict[str, Any]]:
    """Join lm-eval's samples, one a filter, with the journal: one a question."""
    joined: dict[int, dict[str, Any]] = {}
    for sample in listed:
        answer = journal.answers[repeat, sample["doc_id"]]
        if sample["prompt_hash"] != answer.prompt_sha256:
            raise EvalError(
                f"question {sample['doc_id']}: scored with another prompt than it was asked with; "
                "this is a defect of goldgate, please report it"
            )
        entry = joined.setdefault(
            sample["doc_id"],
            {
                "repeat": repeat,
                "doc_id": sample["doc_id"],
                "doc_hash": sample["doc_hash"],
                "prompt_hash": sample["prompt_hash"],
                "target_hash": sample["target_hash"],
                "question": sample["doc"]["question"],
                "target": sample["target"],
                "text": answer.text,
                "finish_reason": answer.finish_reason,
                "truncated": totals.truncated(answer, max_tokens),
                "stop_left_in_text": any(
                    stop in (answer.text or "") for stop in task.generation["until"]
                ),
                "extracted": {},
                "right": {},
            },
        )
        entry["extracted"][sample["filter"]] = sample["filtered_resps"][0]
        entry["right"][sample["filter"]] = bool(sample["exact_match"])
    return [joined[doc_id] for doc_id in sorted(joined)]


def finish(
    out: Path,
    facts: dict[str, Any],
    samples: list[dict[str, Any]],
    journal: Journal,
    sightings: Sequence[Sighting],
) -> dict[str, Any]:
    """Write samples.jsonl, run.json and junit.xml of a run that was answered; return run.json.

    `sightings` are those of all sessions, at least one. The status is "refused" where a check did
    not hold, else "complete".
    """
    settings = facts["settings"]
    answers = [journal.answers[sample["repeat"], sample["doc_id"]] for sample in samples]
    counted = totals.count(samples, answers, journal.failures, model=settings["model"])
    checks = _checks(settings, facts["data"], counted, sightings)
    folder.write_lines(out / folder.SAMPLES, samples)
    reasons = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
    facts |= {
        "status": "refused" if reasons else "complete",
        "reasons": reasons,
        "checks": [asdict(check) for check in checks],
        "server": {"at_start": sightings[0].identity, "at_end": sightings[-1].identity},
        "totals": counted,
        "speed": totals.speed(answers),
        "hashes": {
            "samples": folder.sha256(out / folder.SAMPLES),
            "journal": folder.sha256(out / folder.JOURNAL),
        },
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    folder.write_json(out / folder.RUN, facts)
    write_junit(out / folder.JUNIT, f"goldgate.{settings['task']}", checks)
    return facts


def _checks(
    settings: Mapping[str, Any],
    data: str,
    counted: Mapping[str, Any],
    sightings: Sequence[Sighting],
) -> list[Check]:
    asked = settings["questions"] * settings["runs"]
    void = counted["null"] + counted["missing"]["text"]
    changed, started = server.changes_within(sightings)
    steady = "it says the same at the start and at the end"
    if started:
        steady += f"; it was started anew between sessions ({'; '.join(started)})"
    models = counted["served_models"]
    return [
        Check(
            "every question is answered",
            counted["answers"] == asked and void == 0 and not counted["broken_off"],
            f"{counted['answers'] - void} of {asked} with a text, {counted['null']} null, "
            f"{counted['missing']['text']} without a text field"
            + _cut_before_text(counted["void_truncated"])
            + _broken_off(counted["broken_off"]),
        ),
        Check(
            "one model id throughout",
            len(models) <= 1,
            ", ".join(models) or "the server names no model in its answers",
        ),
        Check(
            "the server stayed the same",
            not changed,
            "; ".join(changed) or steady,
        ),
        Check(
            "the task is the published one",
            passed=True,  # load_task refuses any other before the first request
            detail=f"task hash {settings['task_hash']}"
            if data == "GSM8K"
            else f"own questions, not GSM8K's: task hash {settings['task_hash']}",
        ),
    ]


def _cut_before_text(number: int) -> str:
    if not number:
        return ""
    return f"; {number} of these were cut off at the token limit, raise --max-tokens"


def _broken_off(number: int) -> str:
    # Only in journals of schema 1: a later one takes no such answer.
    return f"; {number} broken off by the server (finish_reason)" if number else ""


def environment() -> dict[str, Any]:
    """Say what asked and scored: Python, packages, platform, the commit of this checkout."""
    packages = ("lm_eval", "datasets", "aiohttp", "numpy", "scipy")
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: version(name) for name in packages},
        "goldgate": _commit(),
    }


def _commit() -> str:
    # git where there is one: a checkout copied without its history has none to tell.
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607 - the user's own git
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return described.stdout.strip() or "unknown"
