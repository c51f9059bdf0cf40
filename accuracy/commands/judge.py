"""Judge the outputs of kernels, KERNEL/NAME.safetensors, against recordings of the same names."""

from __future__ import annotations

import argparse
from pathlib import Path

from goldgate.accuracy.commands.judging import (
    account,
    add_judging_options,
    criteria,
    do_all,
    one_interrupt,
    report,
)
from goldgate.accuracy.recorded import judge_tasks
from goldgate.fixtures import SHIPPED_RECORDINGS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--recordings",
        type=Path,
        default=SHIPPED_RECORDINGS,
        metavar="DIR",
        help="what was routed (default: the shipped recordings)",
    )
    parser.add_argument(
        "--outputs", type=Path, required=True, metavar="DIR", help="what kernels returned"
    )
    parser.add_argument(
        "--partial",
        action="store_true",
        help="leave out recordings that a folder without manifest.json has no output for",
    )
    add_judging_options(parser)


def main(options: argparse.Namespace) -> int:
    """Judge; return 0 if all pass, 1 if a verdict failed, 2 if something was refused."""
    with one_interrupt():
        tasks, not_run = judge_tasks(
            options.recordings, options.outputs, criteria(options), partial=options.partial
        )
        about = account(options, not_run)
        return report(do_all(tasks), about, options)
