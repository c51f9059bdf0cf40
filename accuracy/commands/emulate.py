"""Execute aiter's kernel from its own source, without AMD hardware, and judge what it returns.

The source comes from aiter's package on PyPI (downloaded by hash, not installed) or a checkout of
your own; clang compiles it for gfx942 and gfx950; an interpreter executes it under four models of
the rounding that AMD does not publish. docs/emulation.md states what that shows and what not.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from goldgate.accuracy.commands.judging import (
    account,
    add_judging_options,
    criteria,
    one_interrupt,
    report,
)
from goldgate.accuracy.emulated_cases import not_launched
from goldgate.accuracy.emulated_plan import (
    Plan,
    beyond,
    coverage,
    plan_constructed,
    plan_recordings,
)
from goldgate.accuracy.emulated_statements import held_against_each_other, statements
from goldgate.accuracy.emulated_tasks import Uncertified, emulated_tasks
from goldgate.accuracy.emulation import workers
from goldgate.accuracy.report import console
from goldgate.accuracy.saving import saved, to_save
from goldgate.accuracy.tasks import recordings_in, refusal, work
from goldgate.emulator.compiler import find_compiler
from goldgate.fixtures import SHIPPED_RECORDINGS
from goldgate.kernels.aiter_emulated.build import build
from goldgate.kernels.aiter_emulated.source import CHECKOUT, VERSION, wheel_path
from goldgate.kernels.aiter_emulated.source import fetch as download
from goldgate.kernels.aiter_emulated.variants import variants
from goldgate.progress import progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--aiter",
        type=Path,
        metavar="DIR",
        help=f"a checkout of aiter to compile (default: the package of {VERSION})",
    )
    parser.add_argument(
        "--recordings",
        type=Path,
        metavar="DIR",
        help="folder of recordings, routed in full with every variant (default: the shipped "
        "recordings, and the constructed ones with one variant)",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="also route every constructed recording in full with every variant",
    )
    parser.add_argument(
        "--save-outputs", type=Path, metavar="DIR", help="write the outputs of the kernel"
    )
    parser.add_argument(
        "--fetch", action="store_true", help="download aiter's package and do nothing else"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the random rounding model (default: 0)"
    )
    add_judging_options(parser)


def main(options: argparse.Namespace) -> int:
    """Execute and judge; return 0 if all pass, 1 if a verdict failed, 2 if one was refused."""
    how = criteria(options)
    _source(options.aiter, fetch=options.fetch)
    if options.fetch:
        return 0
    build()  # what is missing or has changed is reported before anything runs
    if options.save_outputs is not None:
        options.save_outputs.mkdir(parents=True, exist_ok=True)
    with (
        one_interrupt(),
        tempfile.TemporaryDirectory(prefix="goldgate-") as made,
        workers() as run,
    ):
        found, refused = recordings_in(options.recordings or SHIPPED_RECORDINGS)
        every = variants(options.seed)
        plan: list[Plan] = plan_recordings(found, every)
        left_out = list(beyond(found))
        if options.recordings is None or options.all:
            some = every if options.all else every[:1]
            more, beyond_it = plan_constructed(Path(made), some, whole=options.all)
            plan += more
            left_out += (*beyond_it, *not_launched())
        with progress(Console(stderr=True)) as add_task:
            advance = add_task("rows executed and judged", sum(2 * len(one.rows) for one in plan))
            loose = Uncertified()
            tasks = emulated_tasks(plan, how, run, options.save_outputs, loose, advance)
            tasks += [refusal("-", name, why) for name, why in refused.items()]
            if options.save_outputs is not None:
                kept = {(o.variant.name, o.title) for o in plan if o.judged is o.recording}
                to_save(
                    options.save_outputs,
                    [task for task in tasks if (task.kernel, task.recording) in kept],
                    left_out,
                )
            judged, unsaved = work(tasks, advance), list[str]()
            if options.save_outputs is not None:
                some_saved = [o for o in judged if (o.kernel, o.recording) in kept]
                unsaved = saved(options.save_outputs, some_saved)
    held = held_against_each_other(judged)
    # What no variant executes stands under the name that they share: it is of no kernel alone.
    status = report(held, account(options, left_out), options, unsaved, named=())
    to = console()
    for line in (*coverage(plan), *statements(judged, loose)):
        to.print(line, markup=False)
    return status


def _source(checkout: Path | None, *, fetch: bool) -> None:
    """Set where the source comes from; download it where it is not here."""
    if checkout is not None:
        os.environ[CHECKOUT] = str(checkout.resolve())
    elif not os.environ.get(CHECKOUT):
        if not wheel_path().exists():
            if not fetch:
                find_compiler()  # without one, 40 MB would be downloaded for nothing
            print(f"downloading amd-aiter {VERSION} (40 MB)", file=sys.stderr)
        download()
