"""Run GSM8K against llama-cpp-python's server with SmolLM2-135M, a third-party server.

The questions are GSM8K's, which are downloaded from the hub; without a network pass --data DIR, or
--data fixtures/standin/data --own-data for the stand-in's. The server answers one request at a
time, so the defaults differ from those below: --limit 20, --concurrency 2, --max-tokens 128.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from goldgate.evals.commands.requests import REFUSED, console, request
from goldgate.evals.options import add_run_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run folder")
    add_run_options(parser)
    # The server answers one request at a time, in seconds.
    parser.set_defaults(limit=20, concurrency=(2,), max_tokens=128)


def main(options: argparse.Namespace) -> int:
    """Serve and ask; return 0 if every question was answered, 2 if not."""
    from goldgate.evals.asking.report import run_report  # noqa: PLC0415 - lm-eval takes a second
    from goldgate.evals.asking.run import run  # noqa: PLC0415 - the same
    from goldgate.evals.servers.llama_server import serving, weights  # noqa: PLC0415 - an extra of its own

    with serving(weights()) as url:
        facts = run(request(options, url), options.out, resume=False, console=console(stderr=True))
    print(run_report(facts, options.out))
    return 0 if facts["status"] == "complete" else REFUSED
