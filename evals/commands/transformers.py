"""Run GSM8K's path against `transformers serve` with the stand-in model, a third-party server.

The questions are the stand-in's own, asked without examples; the server answers slowly, so the
other defaults differ from those below too: --limit 20, --concurrency 2, --max-tokens 512.
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
    parser.set_defaults(limit=20, concurrency=(2,), max_tokens=512, num_fewshot=0, own_data=True)


def main(options: argparse.Namespace) -> int:
    """Serve and ask; return 0 if every question was answered, 2 if not."""
    from goldgate.evals.asking.report import run_report  # noqa: PLC0415 - lm-eval takes a second
    from goldgate.evals.asking.run import run  # noqa: PLC0415 - the same
    from goldgate.evals.servers.local_servers import STANDIN_DATA  # noqa: PLC0415 - with the next
    from goldgate.evals.servers.transformers_server import serving, standin  # noqa: PLC0415 - an extra

    model = standin()
    options.model = model.name  # the one id that the server takes
    options.data = options.data or STANDIN_DATA
    with serving(model) as url:
        facts = run(request(options, url), options.out, resume=False, console=console(stderr=True))
    print(run_report(facts, options.out))
    return 0 if facts["status"] == "complete" else REFUSED
