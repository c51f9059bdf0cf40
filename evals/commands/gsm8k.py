"""Ask a server every GSM8K question, score the answers and keep each in a run folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from goldgate.evals.commands.requests import REFUSED, console, request
from goldgate.evals.options import add_run_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--base-url", required=True, help="http://HOST:PORT, with or without /v1")
    parser.add_argument("--out", required=True, type=Path, metavar="RUN", help="the run folder")
    parser.add_argument("--resume", action="store_true", help="continue the run that is in RUN")
    add_run_options(parser)


def main(options: argparse.Namespace) -> int:
    """Ask; return 0 if every question was answered, 2 if not."""
    from goldgate.evals.asking.report import run_report  # noqa: PLC0415 - lm-eval takes a second
    from goldgate.evals.asking.run import run  # noqa: PLC0415 - the same

    how = request(options, options.base_url)
    facts = run(how, options.out, resume=options.resume, console=console(stderr=True))
    print(run_report(facts, options.out))
    return 0 if facts["status"] == "complete" else REFUSED
