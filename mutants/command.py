"""Plant faults in kernels and outputs, and check that the judge catches each of them.

It also checks that no conforming kernel fails, and that docs/kill-matrix.md has these results.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from goldgate.kernels import KernelError
from goldgate.options import positive
from goldgate.progress import progress

if TYPE_CHECKING:
    from goldgate.mutants.conforming.volume import VolumeResult

#: Questions of each arm of the default set: the fewest hundreds with which one lost answer is still
#: PRESERVED at the margin of 1.5 points (Tango's bound: -1.48 points).
_DEFAULT_LIMIT = 300

#: Processes that try the faults: two use two cores, and hold 1.5 GB each on the largest recordings.
_PROCESSES = min(2, os.cpu_count() or 1)

#: As a shell reports a program that Ctrl-C ended.
_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--rows",
        type=positive,
        default=5_000_000,
        help="rows on which conforming kernels must pass (default: 5000000); with --write, the "
        "result of 100000000 or more is kept",
    )
    parser.add_argument(
        "--rows-only",
        type=Path,
        metavar="FILE",
        help="only judge conforming kernels, on --rows rows; results are kept in FILE, and an "
        "interrupted run resumes from it",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="write the pages of docs/kill-matrix.md and their pictures; kernels that are served "
        "replace their kept results",
    )
    parser.add_argument(
        "--end-to-end",
        nargs="+",
        metavar="NAME",
        help="only serve the stand-in with these kernels and ask it: kernel names, 'default' or "
        "'all'; 'list' prints the names, 'none' runs every other part (without this option: every "
        "other part, then 'default')",
    )
    parser.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help=f"questions to ask each served kernel (default: {_DEFAULT_LIMIT} for 'default', else "
        "all)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the served kernels' runs; an existing one is resumed "
        "(default: a new gsm8k-runs/mutants-TIME)",
    )
    parser.add_argument(
        "--jobs", type=positive, default=1, help="kernels served at once, sharing the processors"
    )


def main(options: argparse.Namespace) -> int:
    """Return 0 if every fault was caught, no honest kernel was and the document is current."""
    if not find_spec("torch"):
        raise KernelError("no torch here: faults are planted in kernels of torch tensors")
    if options.rows_only:
        return _rows_only(options.rows_only, options.rows, write=options.write)
    asked: list[str] = options.end_to_end or ["default"]
    if asked == ["list"]:
        return _list()
    arms = _arms(asked)
    try:
        wrong = [] if options.end_to_end and asked != ["none"] else _planted(options)
        if arms:
            wrong += _served(arms, options)
    except KeyboardInterrupt:
        print("goldgate mutants: interrupted; --out resumes the runs", file=sys.stderr)
        return _INTERRUPTED
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def _rows_only(path: Path, rows: int, *, write: bool) -> int:
    """Judge honest kernels on rows, from where the file says; return 1 if one is called wrong."""
    from goldgate.mutants.conforming import volume  # noqa: PLC0415 - needs torch

    partial = volume.kept_partial(path, rows)
    try:
        with progress(Console(stderr=True)) as add_task:
            left = volume.blocks(rows) - partial.blocks
            judged = add_task("blocks of honest rows", left)
            for kind, kernel, trial in volume.volume(rows, partial.blocks, _PROCESSES):
                found = partial.found.added(kind, kernel, trial)
                partial = replace(partial, blocks=partial.blocks + 1, found=found)
                volume.keep_partial(partial, path)
                judged(1, kernel.name)
    except KeyboardInterrupt:
        print(f"goldgate mutants: interrupted; {path} keeps what was found", file=sys.stderr)
        return _INTERRUPTED
    found = partial.found
    if write and found.rows >= volume.LONG:
        volume.keep(found)
    print(_honest_rows(found))
    for alarm in found.alarms:
        print(f"honest kernel called wrong: {alarm}", file=sys.stderr)
    return 1 if found.alarms else 0


def _honest_rows(found: VolumeResult) -> str:
    return (
        f"honest kernels: {found.rows} rows, {len(found.alarms)} alarms; the largest weight error "
        f"{found.over_bound:.2f} of its bound ({found.over_bound_of}), random error "
        f"{found.rms_over_limit:.2f} of its limit ({found.rms_over_limit_of}), mean of a group "
        f"{found.group:.2f} of its limit ({found.group_of})"
    )


def _planted(options: argparse.Namespace) -> list[str]:
    """Try faults and honest kernels on recordings; return what is wrong."""
    from goldgate.mutants import matrix  # noqa: PLC0415 - need torch
    from goldgate.mutants.conforming import volume  # noqa: PLC0415 - need torch
    from goldgate.mutants.report import matrix_page, page  # noqa: PLC0415 - need torch

    lines = []
    found = volume.VolumeResult()
    with progress(Console(stderr=True)) as add_task:
        tried = add_task("faults and honest kernels", matrix.count())
        lines = matrix.all_lines(lambda line: tried(1, line.name), _PROCESSES)
        judged = add_task("blocks of honest rows", volume.blocks(options.rows))
        for kind, kernel, trial in volume.volume(options.rows, jobs=_PROCESSES):
            found = found.added(kind, kernel, trial)
            judged(1, kernel.name)
    wrong = [f"honest kernel called wrong: {alarm}" for alarm in found.alarms]
    wrong += [
        f"{line.name} on {line.on}: not as expected: {line.seen}"
        for line in lines
        if not line.expected
    ]
    if options.write:
        if found.rows >= volume.LONG:
            volume.keep(found)
        page.write(lines)
    elif differing := page.stale(lines):
        wrong.append(f"{page.SUMMARY}: not current; goldgate mutants --write")
        wrong += differing
    faults = [line for line in lines if line.family not in (*matrix_page.RIGHT, matrix_page.KNOWN)]
    caught = sum(bool(line.caught[0]) for line in faults)
    print(f"{caught} of {len(faults)} planted faults caught")
    print(_honest_rows(found))
    return wrong


def _served(arms: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Serve the stand-in with kernels and ask it; return what is wrong."""
    from goldgate.mutants.report import page  # noqa: PLC0415 - need torch
    from goldgate.mutants.report.served_page import as_text  # noqa: PLC0415 - as above
    from goldgate.mutants.served import end_to_end  # noqa: PLC0415 - need torch
    from goldgate.mutants.served.asking import Asking, ask_all  # noqa: PLC0415 - as above
    from goldgate.mutants.served.routers import ARMS, BASELINE, EXPECTED  # noqa: PLC0415 - as above

    default = options.end_to_end in (None, ["default"])
    limit = options.limit or (_DEFAULT_LIMIT if default else None)
    if options.write and not default and limit is not None:
        raise KernelError("--write keeps runs of every question only; leave out --limit")
    how = Asking((options.out or _new_folder()).resolve(), limit, options.jobs)
    console = Console(stderr=True)
    console.print(f"runs: {how.out}", highlight=False, soft_wrap=True)
    routers = {BASELINE: BASELINE, **{name: ARMS[name].router for name in arms}}
    with progress(console) as add_task:
        served = add_task("kernels served", len(routers))
        answers = add_task("answers", len(routers) * end_to_end.questions(limit))
        ask_all(routers, how, answers, lambda _: served())
        judged = add_task("kernels judged", len(arms))
        found = end_to_end.results(how.out, arms, judged)
    print(as_text(found))
    if options.write and not default:
        end_to_end.write_results(end_to_end.merged(found, end_to_end.read_results()))
        page.write_served()
    return [
        f"{arm.title}: {arm.verdict}{', ' + arm.reason if arm.reason else ''}; "
        f"expected {EXPECTED[arm.name]}"
        for arm in found.arms
        if default and arm.verdict != EXPECTED[arm.name]
    ] + [
        f"{arm.title}: kernel parity {'fails' if arm.caught else 'passes'} it"
        for arm in found.arms
        if arm.caught != arm.is_fault
    ]


def _arms(asked: Sequence[str]) -> list[str]:
    """Return the arms that are asked for, each once."""
    from goldgate.mutants.served.routers import ARMS, EXPECTED, NOT_SERVED, slug  # noqa: PLC0415 - torch

    sets = {"none": [], "default": list(EXPECTED), "all": list(ARMS)}
    unserved = {slug(title): why for title, why in NOT_SERVED.items()}
    names: dict[str, None] = {}
    for name in asked:
        if name in unserved:
            raise KernelError(f"{name} cannot be served: {unserved[name]}")
        if name not in sets and name not in ARMS:
            near = get_close_matches(name, ARMS, 3, 0.4)
            hint = f"did you mean {', '.join(near)}? " if near else ""
            raise KernelError(f"no kernel {name!r} to serve: {hint}--end-to-end list names all")
        names.update(dict.fromkeys(sets.get(name, [name])))
    return list(names)


def _list() -> int:
    from goldgate.mutants.served.routers import ARMS, NOT_SERVED, slug  # noqa: PLC0415 - torch

    for arm in ARMS.values():
        print(f"{arm.name}  ({arm.family})")
    for title, why in NOT_SERVED.items():
        print(f"not served: {slug(title)}: {why}")
    return 0


def _new_folder() -> Path:
    """Return a new folder: answers of an earlier checkout are never taken up by accident."""
    now = datetime.now().astimezone()
    return Path("gsm8k-runs") / f"mutants-{now:%Y%m%d-%H%M%S}"
