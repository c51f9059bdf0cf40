"""Ask both arms a slice of the questions at each of several loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from goldgate.evals.asking.request import Request, task_of
from goldgate.evals.asking.run import run
from goldgate.evals.comparing.compare import compare_runs
from goldgate.evals.comparing.compatibility import Rules
from goldgate.evals.comparing.loads import COLLAPSE, Load, slice_of, sweep_report, worst
from goldgate.evals.comparing.stepwise import ORDER_SEED
from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import Run, read_run, write_json
from goldgate.evals.swapping.endpoints import Endpoints
from goldgate.evals.swapping.preflight import check_complete
from goldgate.text import printable


def sweep(
    request: Request,
    endpoints: Endpoints,
    out: Path,
    rules: Rules,
    loads: Sequence[int],
    *,
    collapse: float = COLLAPSE,
    resume: bool,
    console: Console,
) -> str:
    """Ask, compare and report each load; return the verdict over all of them.

    Every load has run folders of its own in `out`. Raises EvalError without two servers, and where
    a run cannot finish.
    """
    if not (endpoints.baseline_url and endpoints.candidate_url):
        raise EvalError("several loads are asked of both servers: set BASE_URL and BASELINE_URL")
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
        out / "loads.json",
        [
            {
                "concurrency": load.concurrency,
                "questions": load.questions,
                "verdict": load.verdict,
                "paired": {name: asdict(paired) for name, paired in load.found.paired.items()},
            }
            for load in found
        ],
    )
    print(printable(sweep_report(found, collapse)), end="\n\n")
    return worst(found)
