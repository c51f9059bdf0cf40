"""Run routing kernels on recordings, in calls of many kinds, and judge what they return."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
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
from goldgate.accuracy.isolation import Limits, Runner
from goldgate.accuracy.live import live_tasks, made
from goldgate.accuracy.recorded import judge_tasks
from goldgate.accuracy.saving import saved, to_save
from goldgate.accuracy.tasks import Task
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS
from goldgate.fixtures.constructed import Entry, entries
from goldgate.fixtures.routers import model_named, read_router
from goldgate.options import between, not_negative_int
from goldgate.reference.models import MODELS, Model

#: The tiers of constructed recordings that each `--coverage` adds.
_COVERAGE = {"shipped": (), "ordinary": ("ordinary",), "full": ("ordinary", "pairs", "hostile")}

#: How often a call is made again on the same rows, by default.
_REPEATS = 30


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
        metavar="DIR",
        help="folder of recordings (default: the shipped recordings)",
    )
    _add_coverage_options(parser)
    parser.add_argument(
        "--save-outputs", type=Path, metavar="DIR", help="write the outputs of the kernels"
    )
    parser.add_argument("--device", help="torch device for your own kernel, such as cuda:1")
    parser.add_argument("--shipped", action="store_true", help="judge the shipped outputs first")
    add_judging_options(parser)


def _add_coverage_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--coverage",
        choices=list(_COVERAGE),
        help="what to judge beside the recordings: 'shipped' adds nothing; 'ordinary' adds every "
        "token count at which a kernel may change its path, and each other type, layout, state and "
        "router; 'full' also adds every pair of these, and the hostile rows such as NaN (default: "
        "ordinary with --kernel and without --recordings, else shipped)",
    )
    parser.add_argument(
        "--constructed",
        dest="coverage",
        action="store_const",
        const="full",
        help="deprecated: --coverage full; removed in 0.3",
    )
    router = parser.add_mutually_exclusive_group()
    router.add_argument(
        "--model",
        metavar="NAME",
        help=f"cover only this model's router: {', '.join(MODELS)} "
        "(default: MiniMax-M2.5's in full, the others in part)",
    )
    router.add_argument(
        "--spec", type=Path, metavar="FILE", help="cover only the router of this JSON file"
    )
    parser.add_argument(
        "--require-coverage",
        type=_percent,
        metavar="PERCENT",
        help="exit with 2 unless this part of the ordinary tier's calls was judged, for every "
        "kernel that was run; what a kernel refuses, or this machine has not, counts as not judged",
    )
    parser.add_argument(
        "--repeats",
        type=not_negative_int,
        default=_REPEATS,
        metavar="N",
        help=f"repeat a call of each recording N times (default: {_REPEATS})",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=Limits.call_s,
        metavar="S",
        help="stop a call after S seconds, plus S for each 16,384 rows "
        f"(default: {Limits.call_s:g})",
    )
    parser.add_argument(
        "--first-call-timeout",
        type=_seconds,
        default=Limits.first_s,
        metavar="S",
        help=f"the same for a shape's first call, which may compile (default: {Limits.first_s:g})",
    )


def main(options: argparse.Namespace) -> int:
    """Run and judge; return 0 if all pass, 1 if a verdict failed, 2 if something was refused."""
    how = criteria(options)
    constructed = list(_entries(options))
    if options.save_outputs is not None:  # before anything is measured that could not be saved
        options.save_outputs.mkdir(parents=True, exist_ok=True)
    tasks: list[Task] = []
    not_run: list[NotRun] = []
    if options.shipped:
        # Shipped outputs name their own arithmetic; --arithmetic is about the kernels run here.
        shipped = replace(how, profile=None)
        tasks, not_run = judge_tasks(SHIPPED_RECORDINGS, SHIPPED_OUTPUTS, shipped)
    limits = Limits(options.timeout, options.first_call_timeout)
    with (
        one_interrupt(),
        Runner(limits, options.repeats) as runner,
        tempfile.TemporaryDirectory(prefix="goldgate-") as folder,
    ):
        live, notes = live_tasks(
            options.kernel,
            [options.recordings or SHIPPED_RECORDINGS],
            how,
            device=options.device,
            runner=runner,
            save=options.save_outputs,
            more=list(made(constructed, Path(folder))),
        )
        about = account(options, [*not_run, *notes])
        if options.save_outputs is not None:
            to_save(options.save_outputs, live, notes)
        judged = do_all(tasks + live)
        unsaved = []
        if options.save_outputs is not None:
            unsaved = saved(options.save_outputs, judged[len(tasks) :])
        return report(judged, about, options, unsaved)


def _entries(options: argparse.Namespace) -> Iterator[Entry]:
    """Yield the constructed recordings that the options ask for.

    Raises:
        RouterError: there is no such model, or the router's file cannot be used.

    """
    model = _model(options)
    # What a machine's own kernels pass is known; a quick look at them is what no --kernel asks for.
    quick = not options.kernel or options.recordings is not None
    coverage = options.coverage or ("shipped" if quick and model is None else "ordinary")
    tiers = _COVERAGE[coverage]
    for entry in entries(model, with_pairs="pairs" in tiers) if tiers else ():
        if entry.tier in tiers:
            yield entry


def _model(options: argparse.Namespace) -> Model | None:
    if options.spec is not None:
        return read_router(options.spec)
    return model_named(options.model) if options.model else None


def _percent(text: str) -> float:
    up_to = math.nextafter(100.0, math.inf)
    return between(text, 0.0, up_to, "a percentage above 0, up to 100")


def _seconds(text: str) -> float:
    return between(text, 0.0, math.inf, "a number of seconds above 0")
