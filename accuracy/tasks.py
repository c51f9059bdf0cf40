"""What to judge, and the loop that judges it: one task for each kernel and recording.

An input that cannot be used becomes a refusal of its own; the other tasks go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from goldgate.accuracy.account import NotRun
from goldgate.accuracy.blocks import Device
from goldgate.accuracy.calls import Uncovered
from goldgate.accuracy.coverage import RECORDED, looked_at
from goldgate.accuracy.evaluate import judge
from goldgate.accuracy.evidence import Judged, described, offences
from goldgate.accuracy.inputs import inputs
from goldgate.accuracy.isolation import DefectError, Order, Runner, UnwrittenError
from goldgate.accuracy.known_failures import KnownFailure, KnownInput
from goldgate.accuracy.rounding_models import profile_for
from goldgate.accuracy.strided import strided_faults
from goldgate.fixtures import FixtureError, Output, Recording, open_recording, write_recording
from goldgate.fixtures.constructed import Entry
from goldgate.fixtures.plan import Plan, plan_of
from goldgate.fixtures.recording import PADDING
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels import KernelError, NotCoveredError, by_default, find, load
from goldgate.reference import FLOAT32, PROFILES

Advance = Callable[[int], object]


@dataclass(frozen=True)
class Criteria:
    """How everything of one command is judged.

    Attributes:
        profile: judge by this arithmetic profile; None: by what an output's metadata names.
        ordered: whether ids must be in descending order.
        known_failures: the known ones.
        known_inputs: recordings whose bias is known not to be the checkpoint's.
        bias_dtype: the type that the bias is cast to on purpose; None: it is not cast.
        weights_dtype: the type that weights are returned in by design; None: what a kernel's module
            declares, else float32.
        executor: what runs the parts of recordings in files; None: threads of this process.
        device: what screens rows first; None: the processor.

    """

    profile: str | None
    ordered: bool
    known_failures: tuple[KnownFailure, ...]
    known_inputs: tuple[KnownInput, ...] = ()
    bias_dtype: str | None = None
    weights_dtype: str | None = None
    executor: Executor | None = None
    device: Device | None = None


@dataclass(frozen=True)
class Task:
    """One kernel on one recording, not judged yet: `do` judges it."""

    kernel: str
    recording: str
    rows: int
    do: Callable[[Advance], Judged]


@dataclass(frozen=True)
class Source:
    """A recording to run kernels on.

    Attributes:
        title: its name in reports.
        tier: `coverage.RECORDED`, or a tier of `fixtures.constructed`.
        rows: its rows.
        open: opens it, from a file that is there until the context ends.

    """

    title: str
    tier: str
    rows: int
    open: Callable[[], AbstractContextManager[Recording]]


def made(entries: Iterable[Entry], folder: Path) -> Iterator[Source]:
    """Yield constructed recordings, each written to a folder while it is used and no longer."""
    for entry in entries:

        @contextmanager
        def opened(entry: Entry = entry) -> Iterator[Recording]:
            path = folder / f"{entry.name}.safetensors"
            write_recording(path, entry.recording())
            try:
                yield open_recording(path)
            finally:
                path.unlink()

        title = entry.name if entry.name.startswith(entry.tier) else f"{entry.tier}/{entry.name}"
        yield Source(title, entry.tier, entry.rows, opened)


def work(tasks: Sequence[Task], advance: Advance = lambda _: None) -> list[Judged]:
    """Judge tasks in their order.

    An interrupt (Control-C) ends the work: what was judged is returned, and each task that was not
    is a refusal. A file that disappears while it is read is a refusal too.

    Args:
        tasks: what to judge.
        advance: called with a number of rows whenever so many more are judged.

    """
    done: list[Judged] = []
    try:
        for task in tasks:
            done.append(_do(task, advance))  # noqa: PERF401 - what is done outlives an interrupt
    except KeyboardInterrupt:
        why = "interrupted before it was judged"
        done += [Judged(t.kernel, t.recording, refusal=why) for t in tasks[len(done) :]]
    return done


def _do(task: Task, advance: Advance) -> Judged:
    try:
        return task.do(advance)
    except OSError as error:
        why = f"{error.filename or 'a file'}: cannot be read ({error.strerror})"
        return Judged(task.kernel, task.recording, refusal=why)


def recordings_in(folder: Path) -> tuple[dict[str, Recording], dict[str, str]]:
    """Open every recording of a folder (or the one file): by name, and refusals by name."""
    if not folder.exists():
        raise FixtureError(f"{folder}: no such folder: expected recordings, *.safetensors")
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.safetensors"))
    if not files:
        raise FixtureError(f"{folder}: no recordings: expected files *.safetensors")
    opened, refused = {}, {}
    for path in files:
        name = path.stem if folder.is_file() else str(path.relative_to(folder).with_suffix(""))
        try:
            opened[name] = open_recording(path)
        except FixtureError as error:
            refused[name] = str(error)
    return opened, refused


def _recorded(title: str, held: Recording) -> Source:
    return Source(title, RECORDED, held.rows, lambda: nullcontext(held))


def live_tasks(
    named: Sequence[str],
    folders: Sequence[Path],
    options: Criteria,
    *,
    device: str | None,
    runner: Runner,
    save: Path | None,
    more: Sequence[Source] = (),
) -> tuple[list[Task], list[NotRun]]:
    """Return a task for each kernel and recording, and what is not run here and why.

    Args:
        named: kernels by name or "package.module:function"; empty: every one that can run.
        folders: of recordings, or single files.
        options: how to judge; a profile also names the arithmetic of the user's own kernels.
        device: run the user's own kernels on this torch device.
        runner: what runs them; it must be open when a task is done.
        save: write outputs to KERNEL/NAME.safetensors in this folder.
        more: recordings beside those of the folders.

    """
    sources: dict[str, Source] = {}
    tasks: list[Task] = []
    for folder in folders:
        try:
            found, refused = recordings_in(folder)
        except FixtureError as error:
            found, refused = {}, {str(folder): str(error)}
        for title, recording in found.items():
            sources[title] = _recorded(title, recording)
        tasks += [refusal("-", name, why) for name, why in refused.items()]
    sources |= {source.title: source for source in more}
    notes: list[NotRun] = []
    for name in named or by_default():
        order = Order(name, options.profile, device)
        try:
            held = load(name, options.profile, device)  # what is missing is said at once
        except KernelError as error:
            if named:
                tasks.append(refusal(name, "-", str(error)))
            else:
                notes.append(NotRun(name, "", str(error)))
            continue
        how = replace(options, weights_dtype=options.weights_dtype or held.adapter.weights)
        tasks += [_live_task(order, source, how, runner, save) for source in sources.values()]
    return tasks, notes


def folder_of(kernel: str) -> str:
    """Return the folder that a kernel's outputs are saved in."""
    return kernel.replace(":", ".").replace("/", ".")


def _live_task(
    order: Order, source: Source, options: Criteria, runner: Runner, save: Path | None
) -> Task:
    name, title = order.name, source.title
    path = save / folder_of(name) / f"{title}.safetensors" if save is not None else None
    kernel = find(name)

    def do(advance: Advance) -> Judged:
        try:
            runner.check(order)  # before a recording is made for nothing
        except KernelError as error:
            return Judged(name, title, faults=(str(error),))
        with source.open() as recording:
            known = recording.sha256
            try:
                if kernel and (beyond := kernel.supports(recording.spec)):
                    raise NotCoveredError(beyond)  # noqa: TRY301 - as the kernel's own
                if path is not None:
                    path.unlink(missing_ok=True)  # of an earlier run
                ran = runner.run(order, recording, path)
            except NotCoveredError as error:
                why = str(error)
                spans = (plan_of(recording.source) or Plan()).spans(recording.rows)
                asked = looked_at(
                    source.tier, recording, [Uncovered(start, stop, why) for start, stop in spans]
                )
                return Judged(name, title, not_covered=why, recording_sha256=known, looked=asked)
            except (UnwrittenError, DefectError) as error:
                return refused(name, title, str(error), recording)
            except KernelError as error:
                return Judged(name, title, faults=(str(error),), recording_sha256=known)
            left = without(recording, ran.uncovered)
            judged = judged_output(name, title, left, ran.output, options, ran.faults, advance)
            if judged.result is not None:
                more = strided_faults(
                    left,
                    ran.strided,
                    PROFILES[judged.profile],
                    ordered=options.ordered,
                    known_failures=options.known_failures,
                )
                judged = replace(judged, faults=judged.faults + more)
            looked = looked_at(source.tier, recording, ran.uncovered)
        if ran.uncovered and path is not None:
            path.unlink(missing_ok=True)  # elsewhere the rows left out would count as wrong
        return replace(judged, notes=ran.notes, unsaved=ran.unsaved, looked=looked)

    return Task(name, title, source.rows, do)


def without(recording: Recording, uncovered: Sequence[Uncovered]) -> Recording:
    """Return a recording whose rows of uncovered calls count as padding: they are not judged."""
    if not uncovered:
        return recording
    index = np.where(recording.padding(), PADDING, np.arange(recording.rows, dtype=np.int64))
    for one in uncovered:
        index[one.start : one.stop] = PADDING
    return replace(recording, token_index=tensor(index))


def judged_output(
    kernel: str,
    title: str,
    recording: Recording,
    output: Output,
    options: Criteria,
    faults: tuple[str, ...],
    advance: Advance,
) -> Judged:
    """Judge outputs and the inputs that they are for.

    The rounding model that emulated outputs state moves the mean that is expected.
    """
    name = options.profile or output.kernel.arithmetic
    if name not in PROFILES:
        why = f"{kernel}/{title}: arithmetic {name!r}: expected one of {', '.join(PROFILES)}"
        return refused(kernel, title, why, recording)
    profile = profile_for(name, output.kernel, recording.spec)
    result = judge(
        recording,
        output,
        profile,
        ordered=options.ordered,
        weights_dtype=options.weights_dtype or FLOAT32.name,
        known_failures=options.known_failures,
        advance=advance,
        executor=options.executor,
        device=options.device,
    )
    shown = offences(recording, output, profile, result, ordered=options.ordered)
    found = inputs(recording, result, bias_dtype=options.bias_dtype, known=options.known_inputs)
    return Judged(
        kernel,
        title,
        result,
        name,
        output,
        faults,
        shown,
        recording_sha256=recording.sha256,
        inputs=found,
        recorded=described(recording),
    )


def refused(kernel: str, title: str, why: str, recording: Recording) -> Judged:
    """Return the refusal of an opened recording's outputs."""
    try:
        digest = recording.sha256
    except FixtureError:  # it went away, which may be the reason
        digest = None
    return Judged(kernel, title, refusal=why, recording_sha256=digest)


def refusal(kernel: str, title: str, why: str) -> Task:
    """Return a task whose verdict is a refusal."""
    return Task(kernel, title, 0, lambda _: Judged(kernel, title, refusal=why))
