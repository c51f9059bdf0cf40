"""aiter's kernel executed on recordings by the emulator, in as many processes as there are cores.

Nothing here judges. The emulator is deterministic and checks every access, so each row is executed
once: no second call, no guards.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.fixtures import KernelInfo, Output, Recording, open_recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels.aiter_emulated import NAME
from goldgate.kernels.aiter_emulated.build import build
from goldgate.kernels.aiter_emulated.route import cast, route
from goldgate.kernels.aiter_emulated.variants import Variant, arithmetic

#: Rows that a process executes at a time: some batches of waves, a second or so.
_ROWS = 2048

Map = Callable[..., Iterable[Any]]


@dataclass(frozen=True)
class Launch:
    """One call of the kernel on consecutive rows of a recording.

    Attributes:
        start: the first row.
        tokens: rows of the call, the workgroups of its grid.
        rows: which of them are executed, counted within the call.

    """

    start: int
    tokens: int
    rows: tuple[int, ...]

    def parts(self) -> Iterator[Launch]:
        """Yield the same launch with a few rows at a time."""
        for first in range(0, len(self.rows), _ROWS):
            yield Launch(self.start, self.tokens, self.rows[first : first + _ROWS])


@dataclass(frozen=True)
class Emulated:
    """A variant's outputs for the rows that were executed, and what the emulator found."""

    output: Output
    findings: tuple[str, ...]


@contextmanager
def workers() -> Iterator[Map]:
    """Yield a map over processes, one a core; a single core stays in this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if (cores or 1) == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")  # numba and torch threads survive no fork
    with ProcessPoolExecutor(cores, mp_context=context, initializer=_ignore_interrupts) as pool:
        yield pool.map


def _ignore_interrupts() -> None:
    """Leave Control-C to the parent, which decides what it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def emulate(
    variant: Variant,
    recording: Recording,
    run: Map = map,
    *,
    launches: Sequence[Launch] | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> Emulated:
    """Execute a variant on a recording.

    Args:
        variant: architecture and rounding model.
        recording: opened from a file.
        run: of `workers`.
        launches: the calls to make; None for one of all rows.
        advance: called with a number of rows whenever so many more are done.

    Returns:
        outputs of the executed rows alone, in their order.

    Raises:
        KernelError: the source or the compiler is missing, or the run ends early.

    """
    whole = (Launch(0, recording.rows, tuple(range(recording.rows))),)
    parts = list(_together(part for one in launches or whole for part in one.parts()))
    weights, ids, findings = [], [], dict[str, None]()
    count = len(parts)
    for some in run(_part, [variant] * count, [recording.path] * count, parts):
        weights.append(some[0])
        ids.append(some[1])
        findings.update(dict.fromkeys(some[2]))
        advance(len(some[0]))
    found = build()
    info = KernelInfo(
        NAME,
        found.source.version,
        f"{variant.architecture}, emulated",
        "emulated",
        arithmetic(found, recording.spec),
        found.note(str(variant.rounding)),
        architecture=variant.architecture,
        rounding=str(variant.rounding),
    )
    output = Output(info, tensor(np.concatenate(weights)), tensor(np.concatenate(ids)))
    return Emulated(output, tuple(findings))


def _together(launches: Iterable[Launch]) -> Iterator[list[Launch]]:
    """Yield launches in lists of some `_ROWS` rows."""
    held: list[Launch] = []
    for one in launches:
        held.append(one)
        if sum(len(some.rows) for some in held) >= _ROWS:
            yield held
            held = []
    if held:
        yield held


def _part(
    variant: Variant, path: Path, launches: Sequence[Launch]
) -> tuple[NDArray[np.float32], NDArray[np.int32], tuple[str, ...]]:
    """Execute some launches; runs in a process of its own, which keeps its compiled kernels."""
    recording = open_recording(path)
    spec, gate = recording.spec, recording.gating_output
    bias = recording.correction_bias
    weights, ids, findings = [], [], dict[str, None]()
    for one in launches:
        done = route(
            build(),
            gate.stored(one.start, one.start + one.tokens),
            cast(bias.stored(0, spec.num_experts), bias.dtype, gate.dtype),
            gate.dtype,
            top_k=spec.top_k,
            groups=spec.num_expert_group,
            kept=spec.topk_group,
            renormalize=spec.renormalize,
            scale=spec.routed_scaling_factor,
            architecture=variant.architecture,
            rounding=variant.rounding,
            rows=one.rows,
        )
        weights.append(done.weights[list(one.rows)])
        ids.append(done.ids[list(one.rows)])
        findings.update(dict.fromkeys(done.findings))
    return np.concatenate(weights), np.concatenate(ids), tuple(findings)
