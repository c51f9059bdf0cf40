"""Ask a server every question, journal each answer, and write a run folder that explains itself."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval.evaluator import evaluate
from lm_eval.models.api_models import JsonChatStr

from evals import folder, server, totals
from evals.client import MODELS, PATHS
from evals.errors import EvalError
from evals.journal import Journal
from evals.junit import Check, write_junit
from evals.progress import RunProgress
from evals.tasks import FILTERS, LoadedTask, load_task, reseed, score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from evals.journal import Answer

# lm-eval's API models send this seed with every request (TemplateAPI's default).
SEED = 1234
DEFAULT_MAX_TOKENS = 256  # lm-eval's default for a task that names none, as gsm8k


@dataclass(frozen=True)
class Request:
    """What a user asks for; the fields are the options of `python -m evals gsm8k`.

    `timeout_s` and `backoff_s` are seconds, `limit` counts questions, `runs` passes over them.
    """

    base_url: str
    model: str | None = None
    api: str = "completions"
    task: str = "gsm8k"
    data: Path | None = None
    own_data: bool = False
    num_fewshot: int | None = None
    max_tokens: int = DEFAULT_MAX_TOKENS
    concurrency: int = 32
    limit: int | None = None
    runs: int = 1
    timeout_s: int = 600
    attempts: int = 5
    backoff_s: float = 0.5


def run(request: Request, out: Path, *, resume: bool, console: Console) -> dict[str, Any]:
    """Run or continue one arm and return what run.json says.

    Raises EvalError, after writing run.json with status "incomplete", where the run cannot
    finish; every answer it had is in the journal.
    """
    base_url = server.normalise(request.base_url)
    key = os.environ.get("OPENAI_API_KEY", "")
    model = _model(request.model, base_url, key)
    task = load_task(
        request.task,
        data=request.data,
        own_data=request.own_data,
        num_fewshot=request.num_fewshot,
        limit=request.limit,
        chat_template=_chat_template if request.api == "chat" else None,
    )
    before = server.stable_identity(base_url, key=key, timeout_s=30)
    settings = _settings(request, base_url, model, task)
    asked = {**settings, "server": server.across_starts(before)}
    with Journal(out / folder.JOURNAL, asked, resume=resume) as journal:
        opening = _opening(journal, settings, task)
        console.print(opening, highlight=False, markup=False, soft_wrap=True)
        started = datetime.now(timezone.utc)
        facts = {
            "schema": folder.SCHEMA,
            "settings": settings,
            "data": "GSM8K" if not request.own_data else "own",
            "server": {"at_start": before},
            "client": {
                "timeout_s": request.timeout_s,
                "attempts": request.attempts,
                "backoff_s": request.backoff_s,
            },
            "environment": _environment(),
            "started": started.isoformat(timespec="seconds"),
        }
        try:
            samples = _ask(request, settings, task, journal, console)
        except (EvalError, KeyboardInterrupt) as error:
            reason = str(error) or "interrupted"
            folder.write_json(
                out / folder.RUN, {**facts, "status": "incomplete", "reasons": [reason]}
            )
            raise
        after = server.identify(base_url, key=key, timeout_s=30)
        return _finish(out, facts, samples, journal, after)


def _model(named: str | None, base_url: str, key: str) -> str:
    """Return the model to ask for, once a server was seen at the address."""
    listed = server.models(base_url, key=key, timeout_s=30)
    if named is not None:
        return named
    if len(listed) != 1:
        found = ", ".join(listed) if listed else "none"
        raise EvalError(f"{base_url}: lists {found} as its models; name one with --model")
    return listed[0]


def _settings(request: Request, base_url: str, model: str, task: LoadedTask) -> dict[str, Any]:
    """Everything that the answers depend on, as far as a client can say it."""
    return {
        "base_url": base_url,
        "model": model,
        "api": request.api,
        "task": task.name,
        "task_hash": task.task_hash,
        "prompts_hash": task.prompts_hash,
        "extractor_hash": task.extractor_hash,
        "questions": task.questions,
        "limit": request.limit,
        "num_fewshot": task.task.config.num_fewshot,
        "generation": {**task.generation, "max_tokens": request.max_tokens, "seed": SEED},
        "concurrency": request.concurrency,
        "order": "as in the data set",
        "runs": request.runs,
        "lm_eval": version("lm_eval"),
    }


def _opening(journal: Journal, settings: Mapping[str, Any], task: LoadedTask) -> str:
    total = task.questions * settings["runs"]
    asked = f"{settings['task']}, {settings['num_fewshot']}-shot, {total} questions"
    at = f"{settings['base_url']}, {settings['concurrency']} at a time"
    words = [f"{asked} to {settings['model']} at {at}"]
    if journal.resumed:
        words.append(f"{journal.resumed} answered before, {total - journal.resumed} left")
    if journal.cut_bytes:
        words.append(
            f"a line that was cut off while written ({journal.cut_bytes} bytes) is asked again"
        )
    return "; ".join(words)


def _ask(
    request: Request,
    settings: Mapping[str, Any],
    task: LoadedTask,
    journal: Journal,
    console: Console,
) -> list[dict[str, Any]]:
    main = FILTERS[0]
    right = sum(
        score(task, answer.doc_id, answer.text or "")[main] for answer in journal.answers.values()
    )

    def cut(answer: Answer) -> bool:
        return totals.truncated(answer, request.max_tokens) is True

    samples: list[dict[str, Any]] = []
    with RunProgress(
        console,
        total=task.questions * request.runs,
        done=len(journal.answers),
        right=right,
        truncated=sum(cut(answer) for answer in journal.answers.values()),
    ) as progress:

        def answered(answer: Answer) -> None:
            right = score(task, answer.doc_id, answer.text or "")[main]
            progress.answered(right=right, truncated=cut(answer))

        lm = MODELS[request.api](
            journal=journal,
            backoff_s=request.backoff_s,
            answered=answered,
            failed=progress.failed,
            model=settings["model"],
            base_url=settings["base_url"] + PATHS[request.api],
            tokenizer_backend=None,
            tokenized_requests=False,
            num_concurrent=request.concurrency,
            max_retries=request.attempts,
            max_gen_toks=request.max_tokens,
            seed=SEED,
            timeout=request.timeout_s,
        )
        for repeat in range(request.runs):
            lm.repeat = repeat
            reseed(task)
            results = evaluate(
                lm,
                {"tasks": {task.name: task.task}, "groups": {}},
                limit=request.limit,
                bootstrap_iters=0,
                apply_chat_template=request.api == "chat",
                fewshot_as_multiturn=request.api == "chat",
            )
            samples += _samples(
                results["samples"][task.name], journal, repeat, task, request.max_tokens
            )
    return samples


def _samples(
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


def _finish(
    out: Path,
    facts: dict[str, Any],
    samples: list[dict[str, Any]],
    journal: Journal,
    after: server.Identity,
) -> dict[str, Any]:
    settings, before = facts["settings"], facts["server"]["at_start"]
    answers = [journal.answers[sample["repeat"], sample["doc_id"]] for sample in samples]
    counted = totals.count(samples, answers, journal.failures, model=settings["model"])
    checks = _checks(settings, facts["data"], counted, server.changes(before, after))
    folder.write_lines(out / folder.SAMPLES, samples)
    reasons = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
    facts |= {
        "status": "refused" if reasons else "complete",
        "reasons": reasons,
        "checks": [asdict(check) for check in checks],
        "server": {"at_start": before, "at_end": after},
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
    settings: Mapping[str, Any], data: str, counted: Mapping[str, Any], changed: Sequence[str]
) -> list[Check]:
    asked = settings["questions"] * settings["runs"]
    void = counted["null"] + counted["missing"]["text"]
    models = counted["served_models"]
    return [
        Check(
            "every question is answered",
            counted["answers"] == asked and void == 0,
            f"{counted['answers'] - void} of {asked} with a text, {counted['null']} null, "
            f"{counted['missing']['text']} without a text field"
            + _cut_before_text(counted["void_truncated"]),
        ),
        Check(
            "one model id throughout",
            len(models) <= 1,
            ", ".join(models) or "the server names no model in its answers",
        ),
        Check(
            "the server stayed the same",
            not changed,
            "; ".join(changed) or "it says the same at the start and at the end",
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


def _environment() -> dict[str, Any]:
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


def _chat_template(history: list[dict[str, str]], *, add_generation_prompt: bool = True) -> Any:  # noqa: ANN401, ARG001 - lm-eval's signature
    # What lm-eval's TemplateAPI.apply_chat_template does without a tokenizer: the server applies
    # the template.
    return JsonChatStr(json.dumps(history, ensure_ascii=False))
