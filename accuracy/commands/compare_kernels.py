"""Compare a new routing kernel with the old one, and explain every row that changed.

OLD and NEW are kernels that `goldgate kernels` lists, package.module:function of your own, or
folders of recorded outputs (one kernel's NAME.safetensors). Exit status: 0 every difference is
explained (a tie, rounding within both bounds) and neither kernel has a systematic error, 1 a
difference is not explained, 2 an input was refused.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from goldgate.accuracy.changes_report import show, to_json
from goldgate.accuracy.commands.judging import account, one_interrupt
from goldgate.accuracy.document import write_text
from goldgate.accuracy.isolation import Runner
from goldgate.accuracy.known_failures import SHIPPED, read_known_failures
from goldgate.accuracy.narrow import NARROW
from goldgate.accuracy.pairs import Compared, compare_all, side
from goldgate.accuracy.report import console
from goldgate.accuracy.tasks import recordings_in
from goldgate.fixtures import SHIPPED_RECORDINGS
from goldgate.progress import progress
from goldgate.reference import PROFILES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("old", metavar="OLD", help="the kernel that is replaced")
    parser.add_argument("new", metavar="NEW", help="the kernel that replaces it")
    parser.add_argument(
        "--recordings",
        type=Path,
        default=SHIPPED_RECORDINGS,
        metavar="DIR",
        help="folder of recordings that both route (default: the shipped recordings)",
    )
    for which in ("old", "new"):
        parser.add_argument(
            f"--{which}-arithmetic",
            choices=sorted(PROFILES),
            help=f"the arithmetic of {which.upper()} (default: the one that its outputs name; for "
            "your own kernel: conservative)",
        )
    parser.add_argument("--device", help="torch device for your own kernels, such as cuda:1")
    parser.add_argument(
        "--partial",
        action="store_true",
        help="leave out recordings that a folder without manifest.json has no output for",
    )
    parser.add_argument(
        "--weights-dtype",
        choices=NARROW,
        help="accept weights of this type from either (default: what a kernel's module declares)",
    )
    parser.add_argument(
        "--known-failures",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="more known failures, beside those of accuracy/known_failures.toml",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the comparison as JSON")


def main(options: argparse.Namespace) -> int:
    """Compare; return 0 if every difference is explained, 1 if one is not, 2 if refused."""
    files = [SHIPPED, *options.known_failures]
    known = tuple(one for path in files for one in read_known_failures(path))
    opened, broken = recordings_in(options.recordings)
    options.require = []
    about = account(options)
    how = {"partial": options.partial, "weights_dtype": options.weights_dtype}
    with one_interrupt(), Runner() as old_runner, Runner() as new_runner:
        old = side(options.old, options.old_arithmetic, options.device, old_runner, **how)
        new = side(options.new, options.new_arithmetic, options.device, new_runner, **how)
        with progress(Console(stderr=True)) as add_task:
            advance = add_task("comparing rows", sum(one.rows for one in opened.values()))
            done = [Compared(name, refusal=why) for name, why in broken.items()]
            done += compare_all(opened, old, new, known, advance)
        failed = ""
        if options.json:
            try:
                write_text(options.json, to_json(done, options.old, options.new, about))
            except OSError as error:
                reason = error.strerror or type(error).__name__
                failed = f"{options.json}: the comparison cannot be written ({reason})"
        status = show(console(), done, options.old, options.new)
    if failed:
        print(f"goldgate {options.command}: {failed}", file=sys.stderr)
    return 2 if failed and not status else status
