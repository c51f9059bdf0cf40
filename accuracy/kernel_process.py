"""The process that a kernel runs in: a recording's path comes in, the outputs' file goes back.

It tells of each call before it is made, so that the process which waits knows what hangs.
"""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from goldgate.accuracy.blame import defect, of_kernel
from goldgate.accuracy.calls import Uncovered, run
from goldgate.fixtures import FixtureError, Output, Recording, open_recording, write_output
from goldgate.kernels import FOREIGN, KernelError, NotCoveredError, load, one_line
from goldgate.reference import RoutingSpec


@dataclass(frozen=True)
class Order:
    """Which kernel to run: the arguments of `goldgate.kernels.load`."""

    name: str
    profile: str | None
    device: str | None


@dataclass(frozen=True)
class Begun:
    """A call has begun: its rows and what a kernel may compile for."""

    rows: int
    shape: tuple[object, ...]
    words: str


@dataclass(frozen=True)
class Done:
    """A recording is done, or failed, or is not supported: then that says why.

    `defect` is an exception of goldgate's own.
    """

    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    uncovered: tuple[Uncovered, ...] = ()
    failure: str = ""
    unsupported: str = ""
    defect: str = ""
    path: Path | None = None
    unsaved: str = ""
    strided: Path | None = None


#: glibc's numbers for mallopt: when freed memory is returned, and how many blocks are mappings.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4

#: Bytes of freed memory that the process keeps at most.
_KEPT = 1 << 30


def _keep_memory() -> None:
    """Let glibc, where it is the C library, keep freed memory for the next call's tensors.

    Pages that each call maps afresh cost a sixth of the processor time of torch-eager's calls. They
    also hold zeros, so that a kernel which reads what it did not write would look right.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


def serve(pipe: Connection, order: Order) -> None:
    """Run an order's kernel on every recording that is asked for, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    # OpenMP's idle threads would spin on the cores that the judge works on: on two loaded cores a
    # small call of torch's then takes 30 times as long. It is read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    _keep_memory()
    loaded = None

    def before(logits: Any, spec: RoutingSpec) -> None:  # noqa: ANN401 - a torch.Tensor
        rows, kind = len(logits), str(logits.dtype).removeprefix("torch.")
        # Compilers treat one token apart from more.
        shape = (spec, kind, logits.is_contiguous(), min(2, rows))
        words = (
            f"call of {rows} tokens ({spec.num_experts} experts, top {spec.top_k}, {kind} logits)"
        )
        pipe.send(Begun(rows, shape, words))

    while True:
        try:
            recording, save, spare, repeats = pipe.recv()
        except EOFError:
            return
        try:
            loaded = loaded or replace(load(order.name, order.profile, order.device), before=before)
            held = open_recording(recording)
            ran = run(loaded, held, repeats=repeats)
            path, unsaved = _write(ran.output, held, save, spare)
            done = Done(ran.faults, ran.notes, ran.uncovered, path=path, unsaved=unsaved)
            if ran.strided is not None:
                beside, failed = _write(ran.strided, held, spare.with_name("strided.safetensors"))
                done = replace(done, strided=beside, unsaved=unsaved or failed)
        except NotCoveredError as error:
            done = Done(unsupported=str(error))
        except KernelError as error:
            done = Done(failure=str(error))
        except FixtureError as error:  # the recording was there a moment ago
            done = Done(unsaved=str(error))
        except FOREIGN as error:
            where = f"{order.name} on {Path(recording).stem}"
            if of_kernel(error, loaded):
                done = Done(failure=f"{where}: {one_line(error)}")
            else:
                done = Done(defect=f"{where}: {defect(error)}")
        pipe.send(done)


def _write(output: Output, recording: Recording, *files: Path | None) -> tuple[Path | None, str]:
    """Write outputs to the first of the files that takes them; return it and what failed."""
    failed = []
    for path in files:
        if path is None:
            continue
        try:
            write_output(path, output, recording)
        except OSError as error:
            failed.append(f"{path}: the outputs cannot be written ({error.strerror})")
            continue
        return path, "; ".join(failed)
    return None, "; ".join(failed)
