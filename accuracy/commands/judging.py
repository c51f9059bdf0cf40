"""What `judge` and `parity` share: their options, the work with progress, the report."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console

from goldgate.accuracy.account import Account, Covered, NotRun, exit_status, missing, to_json
from goldgate.accuracy.coverage import Coverage
from goldgate.accuracy.document import write_text
from goldgate.accuracy.evidence import Judged
from goldgate.accuracy.junit import to_junit
from goldgate.accuracy.known_failures import SHIPPED, read_known_failures, read_known_inputs
from goldgate.accuracy.narrow import NARROW
from goldgate.accuracy.report import console, show
from goldgate.accuracy.tasks import Criteria, Task, work
from goldgate.accuracy.tiers import Coverages, coverages, detailed, show_tiers
from goldgate.fixtures.tensorfile import sha256
from goldgate.progress import progress
from goldgate.reference import PROFILES

#: Options that say where the evidence goes, not what it is of.
_DESTINATIONS = ("json", "junit", "save_outputs", "command", "run", "server_arguments", "require")


def add_judging_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how outputs are judged and where the evidence goes."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the evidence as JSON")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the evidence as JUnit")
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="NAME",
        help="exit with 2 unless this kernel was run; may be given several times",
    )
    parser.add_argument(
        "--arithmetic",
        "--profile",
        dest="profile",
        choices=sorted(PROFILES),
        metavar="NAME",
        help="the arithmetic whose error bounds apply: "
        + ", ".join(sorted(PROFILES))
        + " (default: "
        "the one that an output names; for your own kernel: conservative)",
    )
    parser.add_argument(
        "--ordered",
        action="store_true",
        help="fail rows whose ids are not in descending score order, ties and rounding excepted",
    )
    parser.add_argument(
        "--bias-dtype",
        choices=NARROW,
        help="accept a bias that was cast to this type (default: a bias that is not the "
        "checkpoint's fails its recording)",
    )
    parser.add_argument(
        "--weights-dtype",
        choices=NARROW,
        help="accept weights of this type, judged within its rounding (default: weights narrower "
        "than float32 are refused where the kernel's module does not declare them: WEIGHTS)",
    )
    parser.add_argument(
        "--known-failures",
        "--deviations",  # the spelling of 0.1.0
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
    files = [SHIPPED, *options.known_failures]
    known = tuple(one for path in files for one in read_known_failures(path))
    inputs = tuple(one for path in files for one in read_known_inputs(path))
    return Criteria(
        options.profile, options.ordered, known, inputs, options.bias_dtype, options.weights_dtype
    )


def account(
    options: argparse.Namespace, not_run: Sequence[NotRun] = (), coverage: Covered | None = None
) -> Account:
    """Return what the options asked for, with what did not run and what was covered."""
    asked = {
        name: [str(one) for one in value] if isinstance(value, list) else _plain(value)
        for name, value in sorted(vars(options).items())
        if name not in _DESTINATIONS
    }
    files = [SHIPPED, *options.known_failures]
    read = {path.name if path == SHIPPED else str(path): sha256(path) for path in files}
    return Account(
        {"command": options.command, **asked},
        tuple(not_run),
        tuple(options.require),
        read=read,
        coverage=coverage,
    )


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def unjudged(
    judged: Sequence[Judged], not_run: Sequence[NotRun], named: Sequence[str] | None
) -> Iterator[str]:
    """Yield a line for each kernel that was asked and of which nothing was judged.

    Args:
        judged: what has a verdict or was refused.
        not_run: what was not, and why.
        named: the kernels that were named; empty: whatever runs here, of which a kernel that
            supports no recording is no error; None: every kernel that has outputs was asked.

    """
    found = {one.kernel for one in judged if not one.unweighed or one.verdict == "FAIL"}
    whys = {note.kernel: note.why for note in not_run if note.recording}
    whys |= {one.kernel: one.unweighed for one in judged if one.unweighed}
    for kernel, why in whys.items():
        if kernel not in found and (named is None or kernel in named):
            option = "--outputs" if named is None else "--kernel"
            yield f"{option} {kernel}: nothing was judged: {why}"


def below(covered: Sequence[Coverage], least: float | None) -> Iterator[str]:
    """Yield a line for each kernel of whose ordinary calls less than a percentage was judged."""
    if least is None:
        return
    for one in covered:
        share, (judged, asked) = one.share("ordinary"), one.calls.get("ordinary", (0, 0))
        if 100.0 * share < least:
            yield (
                f"--require-coverage {one.kernel}: {judged} of {asked} calls of the ordinary tier "
                f"were judged, {100.0 * share:.1f} %: expected {least:g} %"
            )


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Let the first Control-C end the work, and any later one wait for the report."""

    def first(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGINT, first)
    except ValueError:  # not in the main thread, where no interrupt arrives either
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def do_all(tasks: Sequence[Task]) -> list[Judged]:
    """Judge every task, with progress on stderr."""
    with progress(Console(stderr=True)) as add_task:
        advance = add_task("judging rows", sum(task.rows for task in tasks))
        return work(tasks, advance)


def report(
    judged: Sequence[Judged],
    about: Account,
    options: argparse.Namespace,
    unsaved: Sequence[str] = (),
    named: Sequence[str] | None = None,
) -> int:
    """Write the evidence, print the table, and return the exit status.

    `named` is what `unjudged` takes; None where the options name kernels, or none can be named.

    A file that cannot be written, or could not (`unsaved`, a line each), is named after the table
    and makes a pass exit with 2. What a kernel does not support was not run: it is no verdict.
    """
    beyond = [NotRun(o.kernel, o.recording, o.not_covered) for o in judged if o.not_covered]
    looked_at, notes = coverages(judged), about.not_run
    if named is None:
        named = getattr(options, "kernel", None)
    judged = [one for one in judged if not one.not_covered]
    about = replace(
        about,
        shortfalls=(
            *unjudged(judged, (*notes, *beyond), named),
            *below(looked_at, getattr(options, "require_coverage", None)),
        ),
        not_run=(*notes, *beyond),
        coverage=Coverages(looked_at) if looked_at else about.coverage,
    )
    unwritten = list(unsaved)
    for path, text in ((options.json, to_json), (options.junit, to_junit)):
        if path:
            try:
                write_text(path, text(judged, about))
            except OSError as error:
                reason = error.strerror or type(error).__name__
                unwritten.append(f"{path}: the evidence cannot be written ({reason})")
    unwritten += [one.unsaved for one in judged if one.unsaved]
    to = console()
    show(to, detailed(judged), notes)
    show_tiers(to, judged, looked_at)
    verdicts = [one.verdict for one in judged]
    passed, failed = verdicts.count("PASS"), verdicts.count("FAIL")
    counts = f"{passed} passed, {failed} failed, {verdicts.count('REFUSED')} refused"
    if unweighed := verdicts.count("NOT COVERED"):
        counts += f"; NOT COVERED: the weights of {unweighed} recordings"
    inputs = {one.recording for one in judged if one.input_verdict == "FAIL"}
    if inputs:
        counts += f"; INPUT FAIL of {len(inputs)} recordings"
    if about.not_run:
        counts += f"; {len(about.not_run)} not run"
    to.print(f"\n{counts}")
    status = exit_status(judged, about)
    if not passed + failed:
        print(f"goldgate {options.command}: nothing was judged", file=sys.stderr)
    for line in (*missing(judged, about), *unwritten):
        print(f"goldgate {options.command}: {line}", file=sys.stderr)
    return 2 if unwritten and not status else status
