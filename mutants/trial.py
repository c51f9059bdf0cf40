"""One fault before the judge: what caught it, and what the others would have said."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goldgate.accuracy.calls import run
from goldgate.accuracy.evaluate import Result, judge
from goldgate.accuracy.known_failures import KnownFailure
from goldgate.accuracy.selection import Reason
from goldgate.accuracy.strided import strided_faults
from goldgate.fixtures import (
    FixtureError,
    Output,
    Recording,
    open_output,
    open_recording,
    write_output,
    write_recording,
)
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels import KernelError, Loaded
from goldgate.mutants.conforming.steps import kernel
from goldgate.mutants.fault import (
    CALL,
    DRIFT,
    GRID,
    GROUP,
    REFUSED,
    SCATTER,
    STALE,
    Fault,
    FileFault,
    PlantedKernel,
    adapter_of,
)
from goldgate.mutants.faults import (
    arithmetic,
    calls,
    groups,
    memory,
    outputs,
    rare,
    reading,
    rounding,
    scatter,
    scorings,
    selection,
    sigmoids,
)
from goldgate.mutants.recordings import made
from goldgate.reference import PROFILES

#: Every fault planted in a kernel, and every one planted in a file.
FAULTS: tuple[Fault, ...] = (
    *arithmetic.FAULTS,
    *sigmoids.FAULTS,
    *scorings.FAULTS,
    *selection.FAULTS,
    *groups.FAULTS,
    *memory.FAULTS,
    *calls.FAULTS,
    *reading.FAULTS,
    *rare.FAULTS,
    *rounding.FAULTS,
    *scatter.FAULTS,
)
FILE_FAULTS = outputs.FAULTS


@dataclass(frozen=True)
class Trial:
    """What the judge says of a kernel on a recording.

    Attributes:
        seen: what it was caught by, and in how many rows where rows fail; empty if it passes.
        rows: rows of the recording.
        over_bound: the largest weight error over its bound.
        size: the systematic part of the weights, in u.
        mean: their mean signed error, in u.
        known: rows that fail as a known failure says.
        rms_over_limit: the root mean square of the random error over its limit.
        group: how much of its limit the mean of a group of weights takes for certain.

    """

    seen: dict[str, int]
    rows: int
    over_bound: float = 0.0
    size: float = 0.0
    mean: float = 0.0
    known: int = 0
    rms_over_limit: float = 0.0
    group: float = 0.0


def judged(
    recording: Recording,
    output: Output,
    profile: str,
    calls: int = 0,
    known_failures: Sequence[KnownFailure] = (),
) -> Trial:
    """Judge outputs; `calls` is the number of faults that running the kernel showed."""
    result = judge(recording, output, PROFILES[profile], known_failures=known_failures)
    of_classes = [one.drift for one in result.random_error.classes if one.leans and one.drift]
    drifts = [result.systematic_error, *of_classes]
    return Trial(
        _seen(result, calls),
        result.rows,
        result.weight_error_over_bound,
        max(drift.size for drift in drifts),
        max((drift.mean for drift in drifts), key=abs),
        result.known,
        result.random_error.rms_over_limit,
        result.random_error.nearest,
    )


def try_kernel(
    route: PlantedKernel,
    recording: Recording,
    profiles: tuple[str, ...],
    *,
    repeats: int = 0,
    batch_invariant: bool = False,
) -> tuple[Trial, ...]:
    """Run a kernel as `goldgate parity` does and judge it by each profile.

    Args:
        route: the kernel.
        recording: what it routes.
        profiles: the arithmetic it is judged by.
        repeats: how often its call is made again.
        batch_invariant: whether it claims that rows do not depend on each other.

    """
    adapter = adapter_of(route, batch_invariant=batch_invariant)
    loaded = Loaded(route, "planted", "unversioned", "cpu", profiles[0], adapter=adapter)
    try:
        ran = run(loaded, recording, repeats=repeats)
    except KernelError:
        return (Trial({CALL: 0}, recording.rows),) * len(profiles)
    faults = [ran.faults + strided_faults(recording, ran.strided, PROFILES[p]) for p in profiles]
    return tuple(
        judged(recording, ran.output, p, len(found))
        for p, found in zip(profiles, faults, strict=True)
    )


def try_fault(fault: Fault) -> tuple[Trial, Trial]:
    """Judge a fault by its base kernel's profile, ieee, and by the default for unknown kernels."""
    own, unknown = try_kernel(
        fault.make(),
        made(fault.on),
        ("ieee", "conservative"),
        repeats=fault.repeats,
        batch_invariant=fault.batch_invariant,
    )
    return own, unknown


def try_file(fault: FileFault) -> tuple[Trial, Trial, Output | None]:
    """Write an honest kernel's outputs, damage the file, and judge what can be opened."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        write_recording(path / "recording.safetensors", made(fault.on))
        recording = open_recording(path / "recording.safetensors")
        loaded = Loaded(kernel(), "planted", "unversioned", "cpu", "ieee")
        write_output(path / "output.safetensors", run(loaded, recording).output, recording)
        fault.damage(path / "output.safetensors")
        try:
            opened = open_output(path / "output.safetensors", recording)
        except FixtureError:
            refused = Trial({REFUSED: 0}, recording.rows)
            return refused, refused, None
        # Copied: the file is gone when this returns.
        weights, ids = tensor(opened.weights().copy()), tensor(opened.ids().copy())
        output = Output(opened.kernel, weights, ids)
        return judged(recording, output, "ieee"), judged(recording, output, "conservative"), output


def words(trial: Trial) -> str:
    """Say what was seen, the rows where rows fail and the size where something drifts."""
    parts = [f"{what} {count}" for what, count in trial.seen.items() if count]
    if DRIFT in trial.seen:
        parts.append(f"drift {max(trial.size, abs(trial.mean)):.1f} u")
    parts += [what for what in (GRID, SCATTER, GROUP, STALE, CALL, REFUSED) if what in trial.seen]
    if not parts:
        drift = max(trial.size, abs(trial.mean))
        if trial.known:
            return f"{trial.known} rows fail, all of them listed"
        return f"passes: {trial.over_bound:.1f} of the bound, drift {drift:.1f} u"
    return ", ".join(parts)


def _seen(result: Result, calls: int) -> dict[str, int]:
    seen = {
        Reason(reason).text: int(count)
        for reason, count in zip(*np.unique(result.reasons, return_counts=True), strict=True)
    }
    if result.systematic_error.found:
        seen[DRIFT] = 0
    inside = result.random_error
    seen |= {DRIFT: 0} if inside.leans else {}
    seen |= {GRID: 0} if inside.mantissa_bits < 23 else {}
    seen |= {SCATTER: 0} if inside.rms_found else {}
    seen |= {GROUP: 0} if inside.groups else {}
    if result.stale:
        seen[STALE] = 0
    if calls:
        seen[CALL] = 0
    return seen
