"""Run all 2**32 float32 inputs through a kernel's scoring and compare with float64.

This measures the constants of an arithmetic profile on this device: minutes on a GPU, hours on a
CPU. A kernel that refuses as many experts as slots without renormalisation cannot be swept. --out
keeps each finished part, and the same command resumes; --shard divides the work.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from goldgate.accuracy.calls import device_name
from goldgate.accuracy.report import console as report_console
from goldgate.accuracy.sweep import (
    CALL,
    CALLS,
    SCORINGS,
    Swept,
    by_binade,
    over_bound,
    spec_of,
    sweep,
)
from goldgate.children import each
from goldgate.errors import GoldgateError
from goldgate.kernels import KernelError, Loaded, find, load
from goldgate.options import positive
from goldgate.progress import progress
from goldgate.reference import PROFILES

#: Parts of the whole sweep, each kept in a file of its own.
PARTS = 64

#: Seconds that a part may take: under a second on a GPU, minutes on a CPU, and compilers.
_PART_S = 1800


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "kernel", help="a kernel that `goldgate kernels` lists, or package.module:function"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="keep finished parts in DIR, and resume from them"
    )
    parser.add_argument(
        "--shard",
        type=_shard,
        default=(1, 1),
        metavar="I/N",
        help=f"run only part I of N, N a divisor of {PARTS} (default: 1/1, everything)",
    )
    parser.add_argument(
        "--arithmetic",
        choices=sorted(PROFILES),
        metavar="NAME",
        help="the arithmetic to compare with: "
        + ", ".join(sorted(PROFILES))
        + " (default: the kernel's own)",
    )
    parser.add_argument(
        "--scoring",
        choices=SCORINGS,
        default=SCORINGS[0],
        help="what to sweep (default: %(default)s)",
    )
    parser.add_argument("--device", help="torch device for your own kernel, such as cuda:1")
    parser.add_argument(
        "--timeout",
        type=positive,
        default=_PART_S,
        metavar="S",
        help=f"end a kernel that has not answered one of {PARTS} parts, compiling included, after "
        "S seconds (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")


def main(options: argparse.Namespace) -> int:
    """Sweep and print; return 1 if an error is beyond the profile's bound."""
    sys.path.insert(0, "")  # your own kernel may lie in the current folder
    kernel = _named(options)
    known = find(options.kernel)
    if known and (beyond := known.supports(spec_of(options.scoring))):
        raise KernelError(f"{options.kernel}: cannot be swept: it {beyond}")
    profile = PROFILES[options.arithmetic or kernel.arithmetic]
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    index, count = options.shard
    each = PARTS // count
    parts = range((index - 1) * each, index * each)
    calls = CALLS // PARTS
    with progress(Console(stderr=True)) as add_task:
        advance = add_task("inputs", len(parts) * calls * CALL)
        done = []
        for part in _parts(kernel, parts, options):
            done.append(part)
            advance(calls * CALL)
    swept = Swept(
        done[0].first,
        *(np.concatenate([getattr(one, name) for one in done]) for name in _ARRAYS),
        scoring=options.scoring,
    )
    ratio = over_bound(swept, profile)
    lines = by_binade(swept, ratio)
    found = {
        "kernel": kernel.name,
        "version": kernel.version,
        "device": device_name(kernel.device),
        "scoring": options.scoring,
        "shard": f"{index}/{count}",
        "profile": asdict(profile),
        "largest_error_over_bound": float(ratio.max()),
        "flushed_to_zero": int(swept.flushed.sum()),
        "binades": lines,
    }
    _print(found, lines)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0 if ratio.max() <= 1.0 else 1


_ARRAYS = ("error", "at", "flushed")


def _named(options: argparse.Namespace) -> Loaded:
    try:
        return load(options.kernel, options.arithmetic, options.device, option="KERNEL")
    except KernelError as error:
        if options.kernel in str(error):
            raise
        raise KernelError(f"{options.kernel}: {error}") from None


def _parts(kernel: Loaded, parts: Sequence[int], options: argparse.Namespace) -> Iterator[Swept]:
    """Yield each part of the sweep: from its file where there is one, else by running it.

    Raises:
        KernelError: the kernel refuses the calls, ended its process or did not answer.

    """
    calls = CALLS // PARTS
    about = f"{options.scoring} of {kernel.name} {kernel.version} on {device_name(kernel.device)}"
    held = {number: _kept(_path(options.out, number), about, options.scoring) for number in parts}
    ranges = [f"{n * calls} {(n + 1) * calls}" for n in parts if held[n] is None]
    how = (options.kernel, options.arithmetic, options.device, options.scoring)
    # In a process of its own, which the kernel may end.
    failed = functools.partial(_failed, kernel.name)
    answers = each(_run, ranges, *how, limit_s=options.timeout, failed=failed) if ranges else None
    for number in parts:
        part = held[number]
        if part is None:
            assert answers is not None  # noqa: S101 - there is a range for it
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            part = answer
            _keep(_path(options.out, number), about, part)
        yield part


def _run(
    calls: str, name: str, arithmetic: str | None, device: str | None, scoring: str
) -> Swept | Exception:
    """Run the calls "START STOP" of a sweep; an exception is returned."""
    start, stop = map(int, calls.split())
    try:
        kernel = _loaded(name, arithmetic, device)
        return sweep(kernel, start, stop, scoring=scoring)
    except Exception as error:  # noqa: BLE001 - it is raised in the other process
        return error


@functools.cache
def _loaded(name: str, arithmetic: str | None, device: str | None) -> Loaded:
    return load(name, arithmetic, device)


def _failed(kernel: str, calls: str, why: str) -> Swept | Exception:
    start, stop = map(int, calls.split())
    return KernelError(f"{kernel}: sweeping calls {start:,} to {stop - 1:,} of {CALLS:,}: {why}")


def _path(folder: Path | None, number: int) -> Path | None:
    return folder / f"part-{number:02}.npz" if folder is not None else None


def _kept(path: Path | None, about: str, scoring: str) -> Swept | None:
    if path is None or not path.exists():
        return None
    with np.load(path) as kept:
        if str(kept["about"]) != about:
            raise GoldgateError(
                f"{path}: a part of {kept['about']}, not of {about}: name another folder"
            )
        return Swept(int(kept["first"]), *(kept[name] for name in _ARRAYS), scoring=scoring)


def _keep(path: Path | None, about: str, part: Swept) -> None:
    if path is not None:
        aside = path.with_suffix(".tmp.npz")  # a part is whole or not there
        np.savez(aside, about=about, **asdict(part))
        aside.replace(path)


def _print(found: dict[str, object], lines: list[dict[str, float]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("largest error at", "u", "of the bound", "flushed to 0"):
        table.add_column(heading, justify="right")
    for line in lines:
        cells = (f"{line['at']:.9g}", f"{line['error_u']:.3f}", f"{line['over_bound']:.3f}")
        table.add_row(*cells, f"{line['flushed']:.0f}")
    console = report_console()
    console.print(table)
    console.print(
        f"{found['kernel']} {found['version']} on {found['device']}: largest error "
        f"{found['largest_error_over_bound']:.3f} of the bound, "
        f"{found['flushed_to_zero']} scores above 0 returned as 0",
        highlight=False,
        markup=False,
    )


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    index, count = (int(found[1]), int(found[2])) if found else (0, 1)
    if not 1 <= index <= count or PARTS % count:
        raise argparse.ArgumentTypeError(f"{text!r}: expected I/N, N a divisor of {PARTS}")
    return index, count
