"""Ask two servers GSM8K, before and after a swap, and compare them: one verdict.

BASE_URL is the candidate; BASELINE_URL or BASELINE_RUN the baseline. Without BASE_URL the path is
demonstrated on a local server, which is no evidence for a release.
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
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: a new gsm8k-runs/TIME")
    parser.add_argument("--resume", action="store_true", help="continue the runs in DIR")
    parser.add_argument(
        "--control", action="store_true", help="ask BASELINE_URL twice: the noise floor"
    )
    plans = parser.add_mutually_exclusive_group()
    plans.add_argument(
        "--sequential",
        action="store_true",
        help="look five times and stop when decided: two thirds of the questions on average",
    )
    plans.add_argument(
        "--all", action="store_true", help="ask every question, then look (the default)"
    )
    parser.add_argument(
        "--collapse",
        type=margin,
        default=20.0,
        metavar="POINTS",
        help="the loss that each load of --concurrency 1,4,... must rule out (default: 20)",
    )
    parser.add_argument(
        "--published",
        type=not_negative,
        nargs=2,
        default=[93.3, 93.4],
        metavar=("LOW", "HIGH"),
        help="for the unpaired check where there is no baseline (default: 93.3 93.4)",
    )
    parser.add_argument(
        "--published-protocol",
        choices=PROTOCOLS,
        help="the protocol that the score was measured with; nobody states it for 93.3 to 93.4",
    )
    add_run_options(parser)
    add_verdict_options(parser)


def main(options: argparse.Namespace) -> int:
    """Ask and compare; return 0 PRESERVED, 1 DEGRADED, 2 REFUSED, 3 INCONCLUSIVE."""
    from goldgate.evals.comparing.loads import main_load  # noqa: PLC0415 - scipy
    from goldgate.evals.endpoints import endpoints_of  # noqa: PLC0415 - with the following
    from goldgate.evals.gsm8k import default_out, swap  # noqa: PLC0415 - lm-eval and scipy

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
