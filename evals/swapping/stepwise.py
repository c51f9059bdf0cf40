"""`goldgate swap --sequential`: register the plan, ask both arms look by look, keep the outcome."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from goldgate.evals.asking.request import Request, settings_of, task_of
from goldgate.evals.asking.run import run
from goldgate.evals.comparing import stepwise
from goldgate.evals.comparing.compare import Comparison, as_checks, as_json
from goldgate.evals.comparing.compatibility import Rules
from goldgate.evals.comparing.page import page
from goldgate.evals.comparing.stepwise import (
    ORDER_SEED,
    AskArm,
    Step,
    arm_from_run,
    check_looks,
    describe,
    follow,
    keep_look,
    sequential_report,
    sequential_sentence,
)
from goldgate.evals.comparing.warnings import cautions
from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import Run, read_run, write_text
from goldgate.evals.records.verdict import VERDICT, write_verdict
from goldgate.evals.stats.sequential import bounds, looks_of
from goldgate.evals.swapping.endpoints import Endpoints
from goldgate.evals.swapping.plan import PLAN, Sweep, register
from goldgate.evals.swapping.plan import sequential as sequential_plan
from goldgate.evals.swapping.preflight import (
    check_baseline,
    check_complete,
    check_listed,
    check_models,
)
from goldgate.evals.swapping.sweep import sweep
from goldgate.junit import write_junit


def swap_stepwise(
    request: Request,
    endpoints: Endpoints,
    out: Path,
    rules: Rules,
    *,
    swept: Sweep | None = None,
    resume: bool,
    console: Console,
) -> int:
    """Follow a sequential plan: register it, ask look by look, and keep what it ended with.

    The loads of `swept` are asked first; what they do not rule out ends the swap.
    """
    if not (endpoints.baseline_url or endpoints.baseline_run):
        raise EvalError("--sequential needs a baseline: set BASELINE_URL or BASELINE_RUN")
    if request.runs != 1 or endpoints.control:
        raise EvalError("--sequential asks every question once; drop --runs and --control")
    if request.order_seed is None:
        request = replace(request, order_seed=ORDER_SEED)
    task = task_of(request)
    looks = looks_of(task.questions)
    console.print("computing the bounds of the plan by enumeration", highlight=False)
    plan = bounds(looks, rules.margin, rules.alpha)
    settings = settings_of(request, "", "", task)
    registered = sequential_plan(settings, rules, plan, swept)
    digest = register(out, registered)
    check_looks(out / "candidate", plan)
    print(f"plan {digest[:12]} ({out / PLAN}): looks at {', '.join(map(str, looks))} questions")
    ended = sweep(request, endpoints, out, rules, swept, resume=resume, console=console)
    if ended is not None:
        return ended

    def arm(name: str, url: str) -> AskArm:
        asked = 0

        def ask(questions: int) -> Run:
            nonlocal asked
            one = replace(request, base_url=url, prefix=questions)
            # Only the first look can find answers of an earlier process.
            facts = run(one, out / name, resume=resume or asked > 0, console=console, task=task)
            check_complete(facts, out / name)
            asked = questions
            return read_run(out / name)

        return ask

    if endpoints.baseline_run:
        path = Path(endpoints.baseline_run)
        earlier = read_run(path)
        baseline = arm_from_run(path, earlier, settings["order"])
        check_baseline(path, replace(request, prefix=earlier.settings["questions"]), rules, task)
        check_models(earlier, request, endpoints.candidate_url, rules)
    else:
        check_listed(request, endpoints, rules)
        baseline = arm("baseline", endpoints.baseline_url)
    candidate = arm("candidate", endpoints.candidate_url)

    def keep(look: int, step: Step, found: Comparison) -> None:
        print(describe(plan, look, step))
        keep_look(out / "candidate", plan, step, found)

    outcome = follow(plan, settings["order"], rules, baseline, candidate, keep)
    found = replace(outcome.found, verdict=outcome.verdict, look=None)
    write_verdict(
        out / VERDICT,
        {
            **as_json(found),
            "sequential": stepwise.as_json(outcome, digest),
            "note": None,
            "cautions": list(cautions(found)),
            "plan": {**registered, "sha256": digest},
        },
    )
    write_text(out / "verdict.html", page(found, sequential_sentence(outcome)))
    write_junit(out / "verdict.xml", "goldgate.gsm8k.compare", as_checks(found))
    print()
    print(sequential_report(outcome, digest))
    print(f"evidence: {out}", end="\n\n")
    return outcome.status
