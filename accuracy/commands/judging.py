"""What `judge` and `parity` share: their options, the work with progress, the report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from goldgate.accuracy.evidence import Judged, to_json, to_junit
from goldgate.accuracy.known_failures import SHIPPED, read_known_failures
from goldgate.accuracy.report import console, show
from goldgate.accuracy.tasks import Criteria, Task, work
from goldgate.progress import progress
from goldgate.reference import PROFILES


def add_judging_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how outputs are judged and where the evidence goes."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the evidence as JSON")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the evidence as JUnit")
    parser.add_argument(
        "--arithmetic",
        "--profile",
        dest="profile",
        choices=sorted(PROFILES),
        help="the arithmetic whose error bounds apply (default: the one that an output names; "
        "for your own kernel: conservative)",
    )
    parser.add_argument(
        "--ordered",
        action="store_true",
        help="fail ids that are out of order by more than ties and rounding",
    )
    parser.add_argument(
        "--known-failures",
        "--known-failures",
        dest="known_failures",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="more known failures, beside those of accuracy/known_failures.toml",
    )


def criteria(options: argparse.Namespace) -> Criteria:
    """Return the criteria that the options ask for.

    Raises:
        KnownFailureError: a file of known failures cannot be used.

    """
    known = read_known_failures(SHIPPED)
    for path in options.known_failures:
        known += read_known_failures(path)
    return Criteria(options.profile, options.ordered, known)


def do_all(tasks: Sequence[Task]) -> list[Judged]:
    """Judge every task, with progress on stderr."""
    with progress(Console(stderr=True)) as add_task:
        advance = add_task("judging rows", sum(task.rows for task in tasks))
        return work(tasks, advance)


def report(judged: Sequence[Judged], notes: Sequence[str], options: argparse.Namespace) -> int:
    """Print the table, write the evidence, and return the exit status."""
    to = console()
    show(to, judged, notes)
    for path, text in ((options.json, to_json), (options.junit, to_junit)):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(judged), encoding="utf-8")
    verdicts = [one.verdict for one in judged]
    passed, failed = verdicts.count("PASS"), verdicts.count("FAIL")
    to.print(f"\n{passed} passed, {failed} failed, {verdicts.count('REFUSED')} refused")
    if not passed + failed:
        print(f"goldgate {options.command}: nothing was judged", file=sys.stderr)
        return 2
    if failed:
        return 1
    return 2 if passed < len(verdicts) else 0
