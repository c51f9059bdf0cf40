"""Run routing kernels on recordings, twice each, and judge what they return."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from goldgate.accuracy.account import NotRun
from goldgate.accuracy.commands.judging import (
    account,
    add_judging_options,
    criteria,
    do_all,
    one_interrupt,
    report,
)
from goldgate.accuracy.isolation import Runner
from goldgate.accuracy.recorded import judge_tasks
from goldgate.accuracy.saving import saved, to_save
from goldgate.accuracy.tasks import Task, live_tasks
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS, write_recording
from goldgate.fixtures.constructed import CONSTRUCTORS, construct


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--kernel",
        action="append",
        default=[],
        metavar="NAME",
        help="a kernel that `goldgate kernels` lists, or package.module:function of your own "
        "(default: every kernel that runs here)",
    )
    parser.add_argument(
        "--recordings",
        type=Path,
        default=SHIPPED_RECORDINGS,
        metavar="DIR",
        help="what to route (default: the shipped recordings)",
    )
    parser.add_argument(
        "--constructed",
        action="store_true",
        help="add every constructed recording: other shapes, groups, scales, ties, NaN",
    )
    parser.add_argument(
        "--save-outputs", type=Path, metavar="DIR", help="write what the kernels return"
    )
    parser.add_argument("--device", help="torch device for your own kernel, such as cuda:1")
    parser.add_argument(
        "--shipped", action="store_true", help="first judge the outputs that goldgate ships"
    )
    add_judging_options(parser)


def main(options: argparse.Namespace) -> int:
    """Run and judge; return 0 if all pass, 1 if a verdict failed, 2 if something was refused."""
    how = criteria(options)
    if options.save_outputs is not None:  # before anything is measured that could not be saved
        options.save_outputs.mkdir(parents=True, exist_ok=True)
    tasks: list[Task] = []
    not_run: list[NotRun] = []
    if options.shipped:
        # Shipped outputs name their own arithmetic; --arithmetic is about the kernels run here.
        shipped = replace(how, profile=None)
        tasks, not_run = judge_tasks(SHIPPED_RECORDINGS, SHIPPED_OUTPUTS, shipped)
    with (
        one_interrupt(),
        Runner() as runner,
        tempfile.TemporaryDirectory(prefix="goldgate-") as made,
    ):
        folders = [options.recordings]
        if options.constructed:
            folders.append(Path(made))
            for name in CONSTRUCTORS:
                write_recording(Path(made, "constructed", f"{name}.safetensors"), construct(name))
        live, notes = live_tasks(
            options.kernel,
            folders,
            how,
            device=options.device,
            runner=runner,
            save=options.save_outputs,
        )
        about = account(options, [*not_run, *notes])
        if options.save_outputs is not None:
            to_save(options.save_outputs, live, notes)
        judged = do_all(tasks + live)
        if options.save_outputs is not None:
            saved(options.save_outputs, judged[len(tasks) :])
        return report(judged, about, options)
