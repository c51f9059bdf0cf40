"""Ask two servers GSM8K, before and after a swap, and compare them: one verdict.

Environment variables name the servers: BASE_URL is the candidate's address; BASELINE_URL is the
baseline's, or BASELINE_RUN is the folder of an earlier run of it. Without BASE_URL the command runs
a demonstration on a local server; it is not evidence. Exit status: 0 PRESERVED, 1 DEGRADED,
2 REFUSED, 3 INCONCLUSIVE.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from goldgate.evals.commands.requests import console, request, rules
from goldgate.evals.errors import EvalError
from goldgate.evals.options import (
    PROTOCOLS,
    add_run_options,
    add_verdict_options,
    margin,
)
from goldgate.options import not_negative


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the runs (default: a new gsm8k-runs/TIME)",
    )
    parser.add_argument("--resume", action="store_true", help="continue the runs in DIR")
    parser.add_argument(
        "--control",
        action="store_true",
        help="ask BASELINE_URL a second time: measures its noise",
    )
    plans = parser.add_mutually_exclusive_group()
    plans.add_argument(
        "--sequential",
        action="store_true",
        help="look five times and stop when it can decide: two thirds of the questions on average",
    )
    plans.add_argument(
        "--all", action="store_true", help="ask every question, then decide (the default)"
    )
    parser.add_argument(
        "--collapse",
        type=margin,
        default=20.0,
        metavar="POINTS",
        help="largest loss to rule out at each concurrency of --concurrency 1,4,... (default: 20)",
    )
    parser.add_argument(
        "--published",
        type=not_negative,
        nargs=2,
        default=[93.3, 93.4],
        metavar=("LOW", "HIGH"),
        help="the published scores of the unpaired check without a baseline (default: 93.3 93.4)",
    )
    parser.add_argument(
        "--published-protocol",
        choices=PROTOCOLS,
        help="the protocol that the score was measured with; that of 93.3 to 93.4 is not published",
    )
    add_run_options(parser)
    add_verdict_options(parser)


def main(options: argparse.Namespace) -> int:
    """Ask and compare; return 0 PRESERVED, 1 DEGRADED, 2 REFUSED, 3 INCONCLUSIVE."""
    from goldgate.evals.comparing.loads import main_load  # noqa: PLC0415 - scipy
    from goldgate.evals.gsm8k import default_out, swap  # noqa: PLC0415 - lm-eval and scipy
    from goldgate.evals.swapping.endpoints import endpoints_of  # noqa: PLC0415 - with the following

    if options.resume and options.out is None:
        raise EvalError("--resume needs --out: name the folder to continue")
    load = main_load(options.concurrency)
    return swap(
        request(options, base_url="", load=load),
        endpoints_of(os.environ, control=options.control),
        options.out or default_out(),
        rules=rules(options),
        published=tuple(options.published),
        published_protocol=options.published_protocol,
        sequential=options.sequential,
        loads=options.concurrency if len(options.concurrency) > 1 else (),
        collapse=options.collapse / 100,
        resume=options.resume,
        console=console(stderr=True),
    )
