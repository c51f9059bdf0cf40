"""Kernels to run and recordings to run them on: a task for each pair, in two halves.

The first half makes the recording's file and runs the kernel; the second judges what it answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from goldgate.accuracy.account import NotRun
from goldgate.accuracy.ahead import Step
from goldgate.accuracy.calls import KernelRun, Uncovered
from goldgate.accuracy.coverage import RECORDED, looked_at
from goldgate.accuracy.evidence import Judged
from goldgate.accuracy.isolation import DefectError, Runner, UnwrittenError
from goldgate.accuracy.kernel_process import Order
from goldgate.accuracy.strided import strided_faults
from goldgate.accuracy.tasks import (
    Advance,
    Criteria,
    Judging,
    Task,
    judged_output,
    recordings_in,
    refusal,
    refused,
)
from goldgate.fixtures import FixtureError, Recording, open_recording, write_recording
from goldgate.fixtures.constructed import Entry
from goldgate.fixtures.plan import Plan, plan_of
from goldgate.fixtures.recording import PADDING
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels import KernelError, NotCoveredError, by_default, find, load
from goldgate.reference import PROFILES


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
                path.unlink(missing_ok=True)  # its folder may be gone after an interrupt

        title = entry.name if entry.name.startswith(entry.tier) else f"{entry.tier}/{entry.name}"
        yield Source(title, entry.tier, entry.rows, opened)


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
    path = (
        save / folder_of(order.name) / f"{source.title}.safetensors" if save is not None else None
    )

    def run() -> Judging:
        return _run(order, source, options, runner, path)

    def do(advance: Advance) -> Judged:
        judging = run()
        return judging(advance)

    return Task(order.name, source.title, source.rows, do, Step(run, runner.cancel))


def _run(
    order: Order, source: Source, options: Criteria, runner: Runner, path: Path | None
) -> Judging:
    """Run a kernel on a recording, whose file is there until the answers are judged."""
    name, title = order.name, source.title
    try:
        runner.check(order)  # before a recording is made for nothing
    except KernelError as error:
        return _decided(Judged(name, title, faults=(str(error),)))
    with ExitStack() as files:
        recording = files.enter_context(source.open())
        known = recording.sha256
        try:
            kernel = find(name)
            if kernel and (beyond := kernel.supports(recording.spec)):
                raise NotCoveredError(beyond)  # noqa: TRY301 - as the kernel's own
            if path is not None:
                path.unlink(missing_ok=True)  # of an earlier run
            ran = runner.run(order, recording, path)
        except NotCoveredError as error:
            why = str(error)
            spans = (plan_of(recording.source) or Plan()).spans(recording.rows)
            left_out = [Uncovered(start, stop, why) for start, stop in spans]
            asked = looked_at(source.tier, recording, left_out)
            return _decided(
                Judged(name, title, not_covered=why, recording_sha256=known, looked=asked)
            )
        except (UnwrittenError, DefectError) as error:
            return _decided(refused(name, title, str(error), recording))
        except KernelError as error:
            return _decided(Judged(name, title, faults=(str(error),), recording_sha256=known))
        kept = files.pop_all()

    def judging(advance: Advance) -> Judged:
        with kept:
            judged = _judged(name, source, recording, ran, options, advance)
        if ran.uncovered and path is not None:
            path.unlink(missing_ok=True)  # elsewhere the rows left out would count as wrong
        return judged

    return judging


def _decided(judged: Judged) -> Judging:
    return lambda _: judged


def _judged(
    name: str,
    source: Source,
    recording: Recording,
    ran: KernelRun,
    options: Criteria,
    advance: Advance,
) -> Judged:
    """Judge what a kernel answered, on plain and on strided tensors."""
    left = without(recording, ran.uncovered)
    judged = judged_output(name, source.title, left, ran.output, options, ran.faults, advance)
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
    return replace(judged, notes=ran.notes, unsaved=ran.unsaved, looked=looked)


def without(recording: Recording, uncovered: Sequence[Uncovered]) -> Recording:
    """Return a recording whose rows of uncovered calls count as padding: they are not judged."""
    if not uncovered:
        return recording
    index = np.where(recording.padding(), PADDING, np.arange(recording.rows, dtype=np.int64))
    for one in uncovered:
        index[one.start : one.stop] = PADDING
    return replace(recording, token_index=tensor(index))
