"""The commands: judge recorded outputs, run and judge kernels, list kernels, measure the judge."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from accuracy.deviations import SHIPPED, DeviationError, read_deviations
from accuracy.evidence import Judged, to_json, to_junit
from accuracy.isolation import Runner
from accuracy.kernels import KernelError, registry
from accuracy.mutants import command as mutants
from accuracy.session import FIXTURES, Options, Task, judge_tasks, live_tasks
from accuracy.table import console, show
from fixtures import FixtureError, write_recording
from fixtures.adversarial import CONSTRUCTORS, construct
from reference import PROFILES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 if all pass, 1 if a verdict failed, 2 if something was refused."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.command(options))
    except (DeviationError, FixtureError, KernelError) as error:
        print(f"accuracy: {error}", file=sys.stderr)
    except OSError as error:
        where = error.filename or "output"
        print(f"accuracy: {where}: cannot be used ({error.strerror})", file=sys.stderr)
    return 2


def _judge(options: argparse.Namespace) -> int:
    tasks = list(judge_tasks(options.recordings, options.outputs, _how(options)))
    return _report(_work(tasks), [], options)


def _parity(options: argparse.Namespace) -> int:
    how = _how(options)
    if options.save_outputs is not None:  # before anything is measured that could not be saved
        options.save_outputs.mkdir(parents=True, exist_ok=True)
    tasks: list[Task] = []
    if options.shipped:
        # Shipped outputs name their own profiles; --profile is about the kernels run here.
        shipped = Options(None, how.ordered, how.deviations)
        tasks += judge_tasks(FIXTURES / "recordings", FIXTURES / "outputs", shipped)
    with Runner() as runner, tempfile.TemporaryDirectory(prefix="goldgate-") as made:
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
        return _report(_work(tasks + live), notes, options)


def _kernels(_: argparse.Namespace) -> int:
    for name, kernel in registry().items():
        why = kernel.missing()
        print(f"{name}: {kernel.summary}\n    {'runs here' if why is None else f'not here: {why}'}")
    print("package.module:function: a kernel of your own, with aiter's signature")
    return 0


def _bench(options: argparse.Namespace) -> int:
    from accuracy.bench import bench  # noqa: PLC0415 - needs torch, which judging does not

    bench(options.rows)
    return 0


def _work(tasks: Sequence[Task]) -> list[Judged]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    done = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("judging", total=sum(task.rows for task in tasks))
        try:
            for task in tasks:
                progress.update(bar, description=f"{task.kernel} on {task.recording}")
                done.append(_do(task, lambda rows: progress.advance(bar, rows)))
        except KeyboardInterrupt:  # what was judged is still reported
            why = "interrupted before it was judged"
            done += [Judged(t.kernel, t.recording, refusal=why) for t in tasks[len(done) :]]
    return done


def _do(task: Task, advance: Callable[[int], object]) -> Judged:
    try:
        return task.do(advance)
    except OSError as error:  # a file that went away while it was read
        why = f"{error.filename or 'a file'}: cannot be read ({error.strerror})"
        return Judged(task.kernel, task.recording, refusal=why)


def _report(judged: Sequence[Judged], notes: Sequence[str], options: argparse.Namespace) -> int:
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
        print("accuracy: nothing was judged", file=sys.stderr)
        return 2
    if failed:
        return 1
    return 2 if passed < len(verdicts) else 0


def _how(options: argparse.Namespace) -> Options:
    deviations = read_deviations(SHIPPED)
    for path in options.deviations:
        deviations += read_deviations(path)
    return Options(options.profile, options.ordered, deviations)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m accuracy", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    judging = argparse.ArgumentParser(add_help=False)
    judging.add_argument("--json", type=Path, metavar="FILE", help="write the evidence as JSON")
    judging.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit XML")
    judging.add_argument(
        "--profile",
        choices=sorted(PROFILES),
        help="the arithmetic to judge by (default: what an output names; a kernel of your own: "
        "conservative)",
    )
    judging.add_argument(
        "--ordered", action="store_true", help="fail ids out of order beyond ties and rounding"
    )
    judging.add_argument(
        "--deviations",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="known deviations beside those of accuracy/deviations.toml",
    )

    judge = commands.add_parser("judge", parents=[judging], help="judge recorded outputs")
    judge.add_argument("--recordings", type=Path, required=True, metavar="DIR")
    judge.add_argument("--outputs", type=Path, required=True, metavar="DIR")
    judge.set_defaults(command=_judge)

    parity = commands.add_parser("parity", parents=[judging], help="run kernels and judge them")
    parity.add_argument(
        "--kernel",
        action="append",
        default=[],
        metavar="NAME",
        help="a kernel's name or package.module:function (default: every one that runs here)",
    )
    parity.add_argument("--recordings", type=Path, default=FIXTURES / "recordings", metavar="DIR")
    parity.add_argument(
        "--constructed",
        action="store_true",
        help="judge on every constructed recording too: other shapes, groups, scales, ties, NaN",
    )
    parity.add_argument("--save-outputs", type=Path, metavar="DIR")
    parity.add_argument("--device", help="torch device for a kernel of your own")
    parity.add_argument(
        "--shipped", action="store_true", help="judge the outputs in fixtures/ first"
    )
    parity.set_defaults(command=_parity)

    kernels = commands.add_parser("kernels", help="which kernels run here, which do not and why")
    kernels.set_defaults(command=_kernels)

    bench = commands.add_parser("bench", help="the judge's speed beside torch's float64 router")
    bench.add_argument(
        "--rows", type=_positive, default=1 << 19, help="rows to judge (default 524288)"
    )
    bench.set_defaults(command=_bench)

    mutants.add(commands)
    return parser


if __name__ == "__main__":
    sys.path.insert(0, "")  # a kernel of one's own may lie in the current folder
    sys.exit(main())
