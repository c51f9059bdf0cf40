"""Ask a server every question and journal each answer."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval.evaluator import evaluate
from lm_eval.models.api_models import JsonChatStr

from goldgate.evals.asking import identity as server
from goldgate.evals.asking.client import MODELS
from goldgate.evals.asking.journal import CUT, END, START, Journal, Sighting
from goldgate.evals.errors import EvalError
from goldgate.evals.progress import RunProgress
from goldgate.evals.records import evidence, folder
from goldgate.evals.records import summary as totals
from goldgate.evals.task import LoadedTask, is_right, load_task, reseed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    from goldgate.evals.asking.journal import Answer

# lm-eval's API models send this seed with every request (TemplateAPI's default).
SEED = 1234
_LOOK_S = 30.0  # how long a page of the server may take
_LOOK_AFTER_CUT_S = 5.0  # where it may be the server that does not answer
DEFAULT_MAX_TOKENS = 256  # lm-eval's default for a task that names none, as gsm8k


@dataclass(frozen=True)
class Request:
    """What a user asks for; the fields are the options of `goldgate gsm8k`.

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


def run(
    request: Request,
    out: Path,
    *,
    resume: bool,
    console: Console,
    advance: Callable[[int], object] = lambda _: None,
) -> dict[str, Any]:
    """Run or continue one arm and return what run.json says.

    `advance` is called with a number of answers whenever so many more are there, those of earlier
    sessions first.
    Raises EvalError, after writing run.json with status "incomplete", where the run cannot
    finish; every answer it had is in the journal.
    """
    base_url = server.normalise(request.base_url)
    key = os.environ.get("OPENAI_API_KEY", "")
    model = server.model_to_ask(request.model, base_url, key=key, timeout_s=_LOOK_S)
    task = task_of(request)
    before = server.stable_identity(base_url, key=key, timeout_s=_LOOK_S)
    settings = settings_of(request, base_url, model, task)
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
            "environment": evidence.environment(),
            "started": started.isoformat(timespec="seconds"),
        }
        left = task.questions * request.runs - len(journal.answers)
        # A finished run that is resumed leaves its journal as it is: nothing is asked.
        session = bool(left or journal.unseen)
        try:
            if left:
                _check_unchanged(journal)
            if session:
                journal.saw(Sighting(START, before))
            samples = _ask(request, settings, task, journal, console, advance)
            if session:
                journal.saw(Sighting(END, _look_again(base_url, key, before)))
        except (EvalError, KeyboardInterrupt) as error:
            reason = str(error) or "interrupted"
            folder.write_json(
                out / folder.RUN, {**facts, "status": "incomplete", "reasons": [reason]}
            )
            _look_after_cut(journal, base_url, key)
            raise
        # A finished journal of schema 1 has no sightings of its own.
        seen = journal.sightings or [Sighting(START, before)]
        return evidence.finish(out, facts, samples, journal, seen)


def _check_unchanged(journal: Journal) -> None:
    changed, _ = server.changes_within(journal.sightings)
    if changed:
        raise EvalError(
            f"{journal.path}: the server changed in an earlier session ({'; '.join(changed)}), "
            "which no further answer mends; choose another --out"
        )


def _look_again(base_url: str, key: str, before: server.Identity) -> server.Identity:
    after = server.look_again(before, base_url, key=key, timeout_s=_LOOK_S)
    if after is None:
        raise EvalError(
            f"{base_url}: every question is answered, but the server no longer says who it is, "
            "so that nobody can tell whether it changed; start it and continue with --resume"
        )
    return after


def _look_after_cut(journal: Journal, base_url: str, key: str) -> None:
    """Record who is there, so that another server at a later look is not taken for this one."""
    if not journal.unseen:
        return
    start = journal.sightings[-1].identity
    found = server.look_again(start, base_url, key=key, timeout_s=_LOOK_AFTER_CUT_S)
    if found is not None:
        journal.saw(Sighting(CUT, found))


def task_of(request: Request) -> LoadedTask:
    """Load the questions that a request asks, with its examples and in its form."""
    return load_task(
        request.task,
        data=request.data,
        own_data=request.own_data,
        num_fewshot=request.num_fewshot,
        limit=request.limit,
        chat_template=_chat_template if request.api == "chat" else None,
    )


def settings_of(request: Request, base_url: str, model: str, task: LoadedTask) -> dict[str, Any]:
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
    advance: Callable[[int], object],
) -> list[dict[str, Any]]:
    advance(len(journal.answers))
    right = sum(
        is_right(task, answer.doc_id, answer.text or "") for answer in journal.answers.values()
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
            right = is_right(task, answer.doc_id, answer.text or "")
            progress.answered(right=right, truncated=cut(answer))
            advance(1)

        lm = MODELS[request.api](
            journal=journal,
            backoff_s=request.backoff_s,
            answered=answered,
            failed=progress.failed,
            model=settings["model"],
            base_url=settings["base_url"] + server.ENDPOINTS[request.api],
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
            samples += evidence.join(
                results["samples"][task.name], journal, repeat, task, request.max_tokens
            )
    return samples


def _chat_template(history: list[dict[str, str]], *, add_generation_prompt: bool = True) -> Any:  # noqa: ANN401, ARG001 - lm-eval's signature
    # What lm-eval's TemplateAPI.apply_chat_template does without a tokenizer: the server applies
    # the template.
    return JsonChatStr(json.dumps(history, ensure_ascii=False))
