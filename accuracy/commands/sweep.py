"""Run all 2**32 float32 inputs through a kernel's scoring and compare with float64.

This measures the constants of an arithmetic profile on this device: minutes on a GPU, hours on a
CPU. A kernel that refuses as many experts as slots without renormalisation cannot be swept. --out
keeps each finished part, and the same command resumes; --shard divides the work.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
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
from goldgate.errors import GoldgateError
from goldgate.kernels import KernelError, Loaded, find, load
from goldgate.progress import progress
from goldgate.reference import PROFILES

#: Parts of the whole sweep, each kept in a file of its own.
PARTS = 64


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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")


def main(options: argparse.Namespace) -> int:
    """Sweep and print; return 1 if an error is beyond the profile's bound."""
    sys.path.insert(0, "")  # your own kernel may lie in the current folder
    kernel = load(options.kernel, options.arithmetic, options.device)
    known = find(options.kernel)
    if known and (beyond := known.supports(spec_of(options.scoring))):
        raise KernelError(f"{options.kernel}: cannot be swept: it {beyond}")
    profile = PROFILES[options.arithmetic or kernel.arithmetic]
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    index, count = options.shard
    each = PARTS // count
    parts = range((index - 1) * each, index * each)
    with progress(Console(stderr=True)) as add_task:
        advance = add_task("inputs", len(parts) * (CALLS // PARTS) * CALL)
        done = [_part(kernel, number, options.scoring, options.out, advance) for number in parts]
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


def _part(kernel: Loaded, number: int, scoring: str, folder: Path | None, advance: object) -> Swept:
    """Return a part of the sweep: from its file where there is one, else by running it."""
    assert callable(advance)  # noqa: S101 - the type of progress's tasks
    calls = CALLS // PARTS
    about = f"{scoring} of {kernel.name} {kernel.version} on {device_name(kernel.device)}"
    path = folder / f"part-{number:02}.npz" if folder is not None else None
    if path is not None and path.exists():
        with np.load(path) as kept:
            if str(kept["about"]) != about:
                raise GoldgateError(
                    f"{path}: a part of {kept['about']}, not of {about}: name another folder"
                )
            advance(calls * CALL)
            return Swept(int(kept["first"]), *(kept[name] for name in _ARRAYS), scoring=scoring)
    part = sweep(kernel, number * calls, (number + 1) * calls, advance, scoring)
    if path is not None:
        aside = path.with_suffix(".tmp.npz")  # a part is whole or not there
        np.savez(aside, about=about, **asdict(part))
        aside.replace(path)
    return part


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
