"""`tox -e gsm8k`: candidate against baseline where there are servers, else a demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from rich.console import Console

from goldgate.evals.asking.report import run_report
from goldgate.evals.asking.request import Request, settings_of, task_of
from goldgate.evals.asking.run import run
from goldgate.evals.comparing.compare import STATUS, compare
from goldgate.evals.comparing.compatibility import Rules
from goldgate.evals.comparing.loads import COLLAPSE
from goldgate.evals.errors import EvalError
from goldgate.evals.published import band_report, check_band, check_published
from goldgate.evals.records.folder import read_run, write_json
from goldgate.evals.stats.paired import DEGRADED, INCONCLUSIVE
from goldgate.evals.swapping.demonstration import demonstrate
from goldgate.evals.swapping.endpoints import Endpoints
from goldgate.evals.swapping.outcome import keep
from goldgate.evals.swapping.plan import PLAN, all_questions, register
from goldgate.evals.swapping.preflight import check_baseline, check_complete, check_models
from goldgate.evals.swapping.stepwise import swap_stepwise
from goldgate.evals.swapping.sweep import planned_sweep, sweep


def default_out() -> Path:
    """Return a new folder: answers of an earlier deployment are never taken up by accident."""
    return Path("gsm8k-runs") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def swap(
    request: Request,
    endpoints: Endpoints,
    out: Path,
    *,
    rules: Rules,
    published: tuple[float, float],
    published_protocol: str | None,
    sequential: bool = False,
    loads: Sequence[int] = (),
    collapse: float = COLLAPSE,
    resume: bool,
    console: Console,
) -> int:
    """Ask the arms and judge, or demonstrate the path where there is no candidate.

    `loads` are swept first, each for a loss of `collapse`: what they do not rule out ends the swap.
    Returns the exit status of the verdict; without a baseline never 0: that of DEGRADED where the
    labelled unpaired check finds the score below the published one, else of INCONCLUSIVE; of a
    demonstration 0 where the whole path worked. Raises EvalError where a run cannot finish.
    """
    swept = planned_sweep(loads, collapse, endpoints)
    if not endpoints.candidate_url:
        if sequential:
            raise EvalError("--sequential needs BASE_URL and a baseline (BASELINE_URL or _RUN)")
        return demonstrate(request, out, rules, resume=resume, console=console)
    if sequential:
        return swap_stepwise(
            request, endpoints, out, rules, swept=swept, resume=resume, console=console
        )

    def ask(name: str, url: str) -> Path:
        where = out / name
        one = replace(request, base_url=url)
        facts = run(one, where, resume=resume, console=console, task=task)
        print(run_report(facts, where), end="\n\n")
        check_complete(facts, where)
        return where

    task = plan = None
    if endpoints.baseline_run or endpoints.baseline_url:
        task = task_of(request)
        plan = all_questions(settings_of(request, "", "", task), rules, swept)
        digest = register(out, plan)
        plan = {**plan, "sha256": digest}
        print(f"plan {digest[:12]} ({out / PLAN})", end="\n\n")
    ended = sweep(request, endpoints, out, rules, swept, resume=resume, console=console)
    if ended is not None:
        return ended
    baseline = control = None
    if endpoints.baseline_run:
        baseline = Path(endpoints.baseline_run)
    elif endpoints.baseline_url:
        baseline = ask("baseline", endpoints.baseline_url)
    if baseline is not None:
        check_baseline(baseline, request, rules, task)
        check_models(read_run(baseline), request, endpoints.candidate_url, rules)
    elif request.own_data:
        raise EvalError(
            "--own-data without a baseline: a published score is about GSM8K's questions; "
            "set BASELINE_URL or BASELINE_RUN"
        )
    else:
        check_published(published)
    if endpoints.control:
        control = ask("control", endpoints.baseline_url)
    candidate = ask("candidate", endpoints.candidate_url)
    if baseline is None:
        band = check_band(
            candidate,
            published,
            rules.main_filter,
            rules.max_truncated,
            protocol=published_protocol,
        )
        write_json(out / "unpaired.json", asdict(band))
        print(band_report(band))
        below = band.comparable and not band.consistent
        return STATUS[DEGRADED if below else INCONCLUSIVE]
    found = compare(baseline, candidate, control, rules)
    return keep(found, out, note=None, plan=plan).status
