"""Judge the outputs of kernels, KERNEL/NAME.safetensors, against recordings of the same names."""

from __future__ import annotations

import argparse
from pathlib import Path

from goldgate.accuracy.commands.judging import add_judging_options, criteria, do_all, report
from goldgate.accuracy.tasks import judge_tasks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--recordings", type=Path, required=True, metavar="DIR", help="what was routed"
    )
    parser.add_argument(
        "--outputs", type=Path, required=True, metavar="DIR", help="what kernels returned"
    )
    add_judging_options(parser)


def main(options: argparse.Namespace) -> int:
    """Judge; return 0 if all pass, 1 if a verdict failed, 2 if something was refused."""
    tasks = list(judge_tasks(options.recordings, options.outputs, criteria(options)))
    return report(do_all(tasks), [], options)
