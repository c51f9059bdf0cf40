"""What a run leaves behind: samples joined with the journal, checks, environment, hashes."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldgate.evals.asking import identity as server
from goldgate.evals.asking.response import split_thought
from goldgate.evals.hashes import doc_sha256, text_sha256
from goldgate.evals.records import folder, summary
from goldgate.evals.records.named import partly_named
from goldgate.evals.records.truncation import truncated
from goldgate.evals.swapping.order import asked
from goldgate.junit import Check, write_junit
from goldgate.provenance import commit
from goldgate.sealed import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from goldgate.evals.asking.journal import Journal
    from goldgate.evals.asking.journal_lines import Answer, Sighting
    from goldgate.evals.task import LoadedTask, Mark


def samples(
    journal: Journal,
    task: LoadedTask,
    marks: Mapping[tuple[int, int], Mapping[str, Mark]],
    settings: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Join the answers of a run with their marks: one record a repeat and question, in order."""
    generation = settings["generation"]
    listed = []
    for repeat in range(settings["runs"]):
        for doc_id in asked(settings):
            answer, mark = journal.answers[repeat, doc_id], marks[repeat, doc_id]
            instance = task.instances[doc_id]
            target = str(task.task.doc_to_target(instance.doc))
            text, thought, closed = split_thought(answer.text or "")
            listed.append(
                {
                    "repeat": repeat,
                    "doc_id": doc_id,
                    "doc_hash": doc_sha256(instance.doc),
                    "prompt_hash": answer.prompt_sha256,
                    "target_hash": text_sha256(target),
                    "question": str(instance.doc.get("question", "")) or _tail(instance),
                    "target": target,
                    "text": None if answer.text is None else text,
                    "thought": _thought(answer, thought, closed=closed),
                    "finish_reason": answer.finish_reason,
                    "truncated": truncated(answer, generation["max_tokens"]),
                    "stop_left_in_text": any(stop in text for stop in generation["until"]),
                    "extracted": {name: one.extracted for name, one in mark.items()},
                    "right": {name: one.right for name, one in mark.items()},
                }
            )
    return listed


def _tail(instance: Any) -> str:  # noqa: ANN401 - lm-eval's Instance
    # Of a task whose documents have no field "question": the end of what was asked.
    return str(instance.args[0])[-400:]


def _thought(answer: Answer, in_text: str | None, *, closed: bool) -> str:
    """Say where the model's thought is: "none", "apart", "in text" or "unfinished"."""
    if in_text is not None:
        return "in text" if closed else "unfinished"
    return "apart" if answer.reasoning else "none"


def finish(
    out: Path,
    facts: dict[str, Any],
    listed: list[dict[str, Any]],
    journal: Journal,
    sightings: Sequence[Sighting],
) -> dict[str, Any]:
    """Write samples.jsonl, run.json and junit.xml of a run that was answered; return run.json.

    run.json is sealed with a digest of its content, which finds what was edited by hand.

    `sightings` are those of all sessions, at least one. The status is "refused" where a check did
    not hold, else "complete".
    """
    settings = facts["settings"]
    answers = [journal.answers[sample["repeat"], sample["doc_id"]] for sample in listed]
    counted = summary.count(listed, answers, journal.failures, model=settings["model"])
    checks = _checks(settings, facts["data"], counted, sightings)
    folder.write_lines(out / folder.SAMPLES, listed)
    reasons = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
    facts |= {
        "status": "refused" if reasons else "complete",
        "reasons": reasons,
        "checks": [asdict(check) for check in checks],
        "server": {"at_start": sightings[0].identity, "at_end": sightings[-1].identity},
        "totals": counted,
        "speed": summary.speed(answers),
        "hashes": {
            "samples": folder.sha256(out / folder.SAMPLES),
            "journal": folder.sha256(out / folder.JOURNAL),
        },
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    facts = json.loads(json.dumps(facts))  # as it is read: what the digest is of
    facts["digest"] = digest(facts)
    folder.write_json(out / folder.RUN, facts)
    write_junit(out / folder.JUNIT, f"goldgate.{settings['task']}", checks)
    return facts


def _checks(
    settings: Mapping[str, Any],
    data: str,
    counted: Mapping[str, Any],
    sightings: Sequence[Sighting],
) -> list[Check]:
    expected = settings["questions"] * settings["runs"]
    # Cut at the limit before the answer began: a truncated answer, within the stated limit.
    void = counted["null"] + counted["missing"]["text"] - counted["void_truncated"]
    changed, started = server.changes_within(sightings)
    steady = "it says the same at the start and at the end"
    if started:
        steady += f"; it was started anew between sessions ({'; '.join(started)})"
    models = counted["served_models"]
    partly = partly_named(counted)
    return [
        Check(
            "every question is answered",
            counted["answers"] == expected and void == 0 and not counted["broken_off"],
            f"{counted['answers'] - void} of {expected} answered, {counted['null']} null, "
            f"{counted['missing']['text']} without a text field"
            + _cut_before_text(counted["void_truncated"])
            + _broken_off(counted["broken_off"]),
        ),
        Check(
            "one model id throughout",
            len(models) <= 1 and "served_models" not in partly,
            partly.get("served_models")
            or ", ".join(models)
            or "the server names no model in its answers",
        ),
        *(
            Check(
                f"one {what} throughout",
                len(counted[key]) <= 1 and key not in partly,
                partly.get(key) or ", ".join(counted[key]) or "the server names none",
            )
            for key, what in (("fingerprints", "system_fingerprint"), ("builds", "server build"))
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
    return f"; {number} of these were cut off at the token limit and count as truncated"


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
        "goldgate": commit() or "unknown",
    }
