"""Ask a server every question and journal each answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldgate.evals.asking import identity as server
from goldgate.evals.asking.client import MODELS
from goldgate.evals.asking.journal import Journal
from goldgate.evals.asking.journal_lines import CUT, END, START, Sighting
from goldgate.evals.asking.progress import RunProgress
from goldgate.evals.asking.request import (
    Request,
    max_tokens_of,
    overrides_of,
    settings_of,
    task_of,
)
from goldgate.evals.asking.response import split_thought
from goldgate.evals.errors import EvalError
from goldgate.evals.records import evidence, folder
from goldgate.evals.records.truncation import truncated
from goldgate.evals.swapping.order import asked, order_of
from goldgate.evals.task import LoadedTask, Mark, score
from goldgate.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from goldgate.evals.asking.journal_lines import Answer

_LOOK_S = 30.0  # how long a page of the server may take
_LOOK_AFTER_CUT_S = 5.0  # where it may be the server that does not answer


def run(
    request: Request,
    out: Path,
    *,
    resume: bool,
    console: Console,
    task: LoadedTask | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> dict[str, Any]:
    """Run or continue one arm and return what run.json says.

    `task` saves loading the request's task again. `advance` is called with a number of answers
    whenever so many more are there, those of earlier sessions first. Raises EvalError, after
    writing run.json with status "incomplete", where the run cannot finish; every answer it had is
    in the journal.
    """
    base_url = server.normalise(request.base_url)
    key = os.environ.get("OPENAI_API_KEY", "")
    model = server.model_to_ask(request.model, base_url, key=key, timeout_s=_LOOK_S)
    task = task or task_of(request)
    before = server.stable_identity(base_url, key=key, timeout_s=_LOOK_S)
    settings = settings_of(request, base_url, model, task)
    # What is asked of an order may grow: every answer names its question.
    journaled = {**settings, "questions": settings["population"]}
    journaled["server"] = server.across_starts(before)
    with Journal(out / folder.JOURNAL, journaled, resume=resume) as journal:
        opening = printable(_opening(journal, settings))
        console.print(opening, highlight=False, markup=False, soft_wrap=True)
        started = datetime.now(timezone.utc)
        facts = {
            "schema": folder.SCHEMA,
            "settings": settings,
            "data": "GSM8K" if not request.own_data else "own",
            "server": {"at_start": before},
            "client": {"timeout_s": request.timeout_s, **asdict(request.retrying)},
            "environment": evidence.environment(),
            "started": started.isoformat(timespec="seconds"),
        }
        ids = asked(settings)
        wanted = {(repeat, doc_id) for repeat in range(request.runs) for doc_id in ids}
        left = len(wanted - journal.answers.keys())
        # A finished run that is resumed leaves its journal as it is: nothing is asked.
        session = bool(left or journal.unseen)
        try:
            if left:
                _check_unchanged(journal)
            if session:
                journal.saw(Sighting(START, before))
            marks = _ask(request, settings, task, journal, console, advance)
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
        samples = evidence.samples(journal, task, marks, settings)
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


def _opening(journal: Journal, settings: Mapping[str, Any]) -> str:
    total = settings["questions"] * settings["runs"]
    what = f"{settings['task']}, {settings['num_fewshot']}-shot, {total} questions"
    at = f"{settings['base_url']}, {settings['concurrency']} at a time"
    words = [f"{what} to {settings['model']} at {at}"]
    if journal.resumed:
        words.append(f"{journal.resumed} answered before, {max(total - journal.resumed, 0)} left")
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
) -> dict[tuple[int, int], dict[str, Mark]]:
    """Ask what is missing and mark every answer of the run, by repeat and question."""
    limit = max_tokens_of(request, task)
    order = _order(settings)
    wanted = [(repeat, doc_id) for repeat in range(request.runs) for doc_id in order]
    known = [journal.answers[key] for key in wanted if key in journal.answers]
    marks = {answer.key: _marks(task, answer) for answer in known}
    main = task.filters[0]
    advance(len(known))

    def cut(answer: Answer) -> bool:
        return truncated(answer, limit) is True

    with RunProgress(
        console,
        total=len(wanted),
        done=len(known),
        right=sum(mark[main].right for mark in marks.values()),
        truncated=sum(map(cut, known)),
    ) as progress:

        def answered(answer: Answer) -> None:
            marks[answer.key] = _marks(task, answer)
            progress.answered(right=marks[answer.key][main].right, truncated=cut(answer))
            advance(1)

        lm = MODELS[request.endpoint](
            journal=journal,
            retrying=request.retrying,
            overrides=overrides_of(request, task),
            answered=answered,
            failed=progress.failed,
            model=settings["model"],
            base_url=settings["base_url"] + server.ENDPOINTS[request.endpoint],
            tokenizer_backend=None,
            tokenized_requests=False,
            num_concurrent=request.concurrency,
            max_gen_toks=limit,
            seed=request.seed,
            timeout=request.timeout_s,
        )
        for repeat in range(request.runs):
            lm.repeat = repeat
            lm.ask([task.instances[doc_id] for doc_id in order])
    return marks


def _order(settings: Mapping[str, Any]) -> list[int]:
    return order_of(settings["order"], settings["population"])[: settings["questions"]]


def _marks(task: LoadedTask, answer: Answer) -> dict[str, Mark]:
    # As lm-eval does, null is scored as no text.
    text, _, _ = split_thought(answer.text or "")
    return score(task, answer.doc_id, text)
