"""Ask both arms a slice of the questions at each of several loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from goldgate.evals.asking.request import Request, task_of
from goldgate.evals.asking.run import run
from goldgate.evals.comparing.compare import STATUS, compare_runs
from goldgate.evals.comparing.compatibility import Rules
from goldgate.evals.comparing.loads import LOADS, Load, slice_of, sweep_report, worst
from goldgate.evals.comparing.stepwise import ORDER_SEED
from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import Run, read_run, write_json
from goldgate.evals.stats.paired import PRESERVED
from goldgate.evals.swapping.endpoints import Endpoints
from goldgate.evals.swapping.plan import Sweep
from goldgate.evals.swapping.preflight import check_complete, check_listed
from goldgate.text import printable


def sweep(
    request: Request,
    endpoints: Endpoints,
    out: Path,
    rules: Rules,
    planned: Sweep | None,
    *,
    resume: bool,
    console: Console,
) -> int | None:
    """Ask, compare and report each load; return the exit status where that ends the swap.

    None where every load rules the collapse out, or none is planned. Every load has run folders of
    its own in `out`. Raises EvalError where the servers serve different models, and where a
    run cannot finish.
    """
    if planned is None:
        return None
    loads, collapse = planned.loads, planned.collapse
    check_listed(request, endpoints, rules)
    task = task_of(request)
    # All loads have a part of alpha, and each a single look.
    strict = replace(rules, margin=collapse, alpha=rules.alpha / len(loads), single_look=True)
    found: list[Load] = []
    for concurrency in loads:
        questions = slice_of(
            concurrency, task.questions, len(loads), collapse=collapse, alpha=rules.alpha
        )
        arms: list[Run] = []
        for name, url in (
            ("baseline", endpoints.baseline_url),
            ("candidate", endpoints.candidate_url),
        ):
            folder = out / f"load-{concurrency}" / name
            one = replace(
                request,
                base_url=url,
                concurrency=concurrency,
                prefix=questions,
                order_seed=ORDER_SEED if request.order_seed is None else request.order_seed,
                runs=1,
            )
            facts = run(one, folder, resume=resume, console=console, task=task)
            check_complete(facts, folder)
            arms.append(read_run(folder))
        found.append(
            Load(
                concurrency,
                questions,
                compare_runs(arms[0], arms[1], None, strict, [], timed=False),
            )
        )
    write_json(
        out / LOADS,
        [
            {
                "concurrency": load.concurrency,
                "questions": load.questions,
                "verdict": load.verdict,
                "lost_beyond_chance": load.small,
                "paired": {name: asdict(paired) for name, paired in load.found.paired.items()},
            }
            for load in found
        ],
    )
    print(printable(sweep_report(found, collapse)), end="\n\n")
    ended = worst(found)
    if ended == PRESERVED:
        return None
    # A collapse at one load is the answer, and the cheaper one.
    print(f"{ended}: at a load of the sweep; the whole comparison was not run.")
    return STATUS[ended]


def planned_sweep(loads: Sequence[int], collapse: float, endpoints: Endpoints) -> Sweep | None:
    """Return the sweep over these loads, None where there are none.

    Raises EvalError where it has not two servers to ask.
    """
    if not loads:
        return None
    if not (endpoints.baseline_url and endpoints.candidate_url):
        raise EvalError("several loads are asked of both servers: set BASE_URL and BASELINE_URL")
    return Sweep(tuple(loads), collapse)
