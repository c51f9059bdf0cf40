"""What to judge, and the loop that judges it: one task for each kernel and recording.

An input that cannot be used becomes a refusal of its own; the other tasks go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from goldgate.accuracy.ahead import Step, ahead
from goldgate.accuracy.blocks import Device
from goldgate.accuracy.evaluate import judge
from goldgate.accuracy.evidence import Judged, described, offences
from goldgate.accuracy.inputs import inputs
from goldgate.accuracy.known_failures import KnownFailure, KnownInput
from goldgate.accuracy.rounding_models import profile_for
from goldgate.fixtures import FixtureError, Output, Recording, open_recording
from goldgate.fixtures.hashing import cores
from goldgate.reference import FLOAT32, PROFILES

#: Called with a number of rows whenever so many more are judged.
Advance = Callable[[int], object]

#: Judges; takes what shows progress.
Judging = Callable[[Advance], Judged]


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
        executor: what hashes files and runs the parts of recordings in them; None: threads of this
            process.
        cores: for these threads; None: all.
        device: what screens rows first; None: the processor.

    """

    profile: str | None
    ordered: bool
    known_failures: tuple[KnownFailure, ...]
    known_inputs: tuple[KnownInput, ...] = ()
    bias_dtype: str | None = None
    weights_dtype: str | None = None
    executor: Executor | None = None
    cores: int | None = None
    device: Device | None = None


@dataclass(frozen=True)
class Task:
    """One kernel on one recording, not judged yet.

    Attributes:
        kernel: the outputs' folder or the `--kernel` argument.
        recording: its name.
        rows: its rows; 0 for a refusal.
        do: judges it; runs the kernel first, where there is one to run.
        run: where there is a kernel to run, that alone: runs it and returns what judges its
            answers. It may be called in another thread; None where there is none.
        hash: begins to hash the recording, where that has not begun.

    """

    kernel: str
    recording: str
    rows: int
    do: Judging
    run: Step[Judging] | None = None
    hash: Callable[[], object] = lambda: None


def work(tasks: Sequence[Task], advance: Advance = lambda _: None) -> list[Judged]:
    """Judge tasks in their order; kernels run in another thread, ahead of the judge.

    Kernels run in the tasks' order too, and at most two recordings ahead of the one that is judged.
    Recordings are hashed ahead as well, no more of them than there are cores: what is read of a
    file is still in memory when it is judged.
    An interrupt (Control-C) ends the work: what was judged is returned, and each task that was not
    is a refusal. A file that disappears while it is read is a refusal too.

    Args:
        tasks: what to judge.
        advance: called with a number of rows whenever so many more are judged.

    """
    done: list[Judged] = []
    try:
        with ahead([task.run for task in tasks if task.run is not None]) as ran:
            for number, task in enumerate(tasks):
                for later in tasks[number : number + 1 + cores()]:
                    later.hash()
                done.append(_done(task, ran, advance))
    except KeyboardInterrupt:
        why = "interrupted before it was judged"
        done += [Judged(t.kernel, t.recording, refusal=why) for t in tasks[len(done) :]]
    return done


def _done(task: Task, ran: Callable[[], Judging], advance: Advance) -> Judged:
    try:
        judging = task.do if task.run is None else ran()
        return judging(advance)
    except OSError as error:
        why = f"{error.filename or 'a file'}: cannot be read ({error.strerror})"
        return Judged(task.kernel, task.recording, refusal=why)


def recordings_in(
    folder: Path, opening: Callable[[Path], Recording] = open_recording
) -> tuple[dict[str, Recording], dict[str, str]]:
    """Open every recording of a folder (or the one file): by name, and refusals by name.

    Raises:
        FixtureError: there is none.

    """
    if not folder.exists():
        raise FixtureError(f"{folder}: no such folder: expected recordings, *.safetensors")
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.safetensors"))
    if not files:
        raise FixtureError(f"{folder}: no recordings: expected files *.safetensors")
    opened, refused = {}, {}
    for path in files:
        name = path.stem if folder.is_file() else str(path.relative_to(folder).with_suffix(""))
        try:
            opened[name] = opening(path)
        except FixtureError as error:
            refused[name] = str(error)
    return opened, refused


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
        cores=options.cores,
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
