"""Kernels in a process of their own: one that crashes or hangs ends alone, nothing judged is lost.

A routing kernel can abort its process (a memory fault on a ROCm device does), never return, or
leave a GPU context in which every later call fails, those of other kernels too. So each kernel runs
in a child, which is replaced after any failure; outputs come back as files.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from goldgate.accuracy.blame import defect, of_kernel
from goldgate.accuracy.calls import KernelRun, Uncovered, run
from goldgate.errors import GoldgateError
from goldgate.fixtures import (
    FixtureError,
    Output,
    Recording,
    open_output,
    open_recording,
    write_output,
)
from goldgate.fixtures.plan import plan_of
from goldgate.kernels import FOREIGN, KernelError, NotCoveredError, load, one_line
from goldgate.reference import RoutingSpec

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from typing_extensions import Self

# A kernel holds a GPU and threads, neither of which survives a fork.
_CONTEXT = multiprocessing.get_context("spawn")

#: Rows for which a call has another `Limits.call_s`.
_LIMIT_ROWS = 16384

#: Seconds after which a first call that has not returned is shown as compiling, and again.
_COMPILING_S = 10.0

#: Seconds that loading a kernel may take at least: torch's import and a process's start.
_LOADING_S = 120.0

#: Calls without an answer after which a kernel that has answered others is not called again;
#: one that has answered no call has one.
_HANGS = 3


@dataclass(frozen=True)
class Order:
    """Which kernel to run: the arguments of `goldgate.kernels.load`."""

    name: str
    profile: str | None
    device: str | None


@dataclass(frozen=True)
class Limits:
    """How long a call may take, in seconds.

    Attributes:
        call_s: a call of few rows; one of `_LIMIT_ROWS` has twice that, and so on.
        first_s: the first call of a shape, which may compile for many minutes, and the import.

    """

    call_s: float = 60.0
    first_s: float = 1800.0

    def of(self, rows: int, *, first: bool) -> float:
        """Return the limit of a call of so many rows."""
        grown = self.call_s * (1.0 + rows / _LIMIT_ROWS)
        return max(self.first_s, grown) if first else grown


@dataclass(frozen=True)
class _Begun:
    """A call has begun: its rows and what a kernel may compile for."""

    rows: int
    shape: tuple[object, ...]
    words: str


@dataclass(frozen=True)
class _Done:
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


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class UnwrittenError(GoldgateError):
    """Outputs that could not be written: the fault of a disk, not of the kernel."""


class DefectError(GoldgateError):
    """An exception of goldgate's own while a kernel ran: no verdict on the kernel."""


class Runner:
    """Runs kernels on recordings in one child process at a time; a context manager."""

    def __init__(
        self,
        limits: Limits | None = None,
        repeats: int = 0,
        tell: Callable[[str], object] = _tell,
    ) -> None:
        """Keep the limits, how often a call is repeated, and what shows that one compiles."""
        self._limits, self._repeats, self._tell = limits or Limits(), repeats, tell

    def __enter__(self) -> Self:
        """Make the folder that outputs come back in."""
        self._folder = tempfile.TemporaryDirectory(prefix="goldgate-")
        self._order: Order | None = None
        self._process: BaseProcess | None = None
        self._count = 0
        self._seen: set[tuple[object, ...]] = set()
        self._answered: set[Order] = set()
        self._silent: dict[Order, int] = {}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child; outputs that were not saved elsewhere are gone."""
        self._stop()
        self._folder.cleanup()

    def check(self, order: Order) -> None:
        """Refuse a kernel that has never answered, or whose calls hang again and again.

        Raises:
            KernelError: it is not called again.

        """
        hangs = self._silent.get(order, 0)
        if hangs >= (_HANGS if order in self._answered else 1):
            raise KernelError(f"{order.name} is not called again: {hangs} calls gave no answer")

    def run(self, order: Order, recording: Recording, save: Path | None = None) -> KernelRun:
        """Return a kernel's outputs for a recording, from their file, and what its calls showed.

        Args:
            order: the kernel.
            recording: opened from a file.
            save: where the outputs' file is to stay; None for a temporary one, which also takes
                them where this one cannot be written.

        Raises:
            NotCoveredError: the kernel supports no call of the recording.
            KernelError: the kernel raised, its process died, or a call did not return in time.
            UnwrittenError: its outputs could not be written.
            DefectError: goldgate itself raised, or memory ran out.

        """
        self.check(order)
        self._count += 1
        spare = Path(self._folder.name) / str(self._count) / f"{recording.name}.safetensors"
        plan = plan_of(recording.source)
        if order != self._order or (plan is not None and plan.state == "first call"):
            self._stop()  # another kernel, or a call that must be the first of its process
            self._start(order)
        where = f"{order.name} on {recording.name}"
        try:
            self._pipe.send((recording.path, save, spare, self._repeats))
            done = self._receive(order, where)
        except (EOFError, OSError):
            done = _Done(failure=f"{where}: its process died ({self._end()})")
        if done.unsupported:
            raise NotCoveredError(done.unsupported)
        if done.failure or done.defect:
            self._stop()  # what the kernel left behind may fail every later call
            raise KernelError(done.failure) if done.failure else DefectError(done.defect)
        if done.path is None:
            raise UnwrittenError(done.unsaved)
        output = open_output(done.path, recording)
        strided = open_output(done.strided, recording) if done.strided else None
        return KernelRun(
            output, done.faults, done.notes, done.uncovered, done.unsaved, strided=strided
        )

    def _receive(self, order: Order, where: str) -> _Done:
        """Wait for the recording's end, each call within its limit."""
        now, calls, first = "loading it", 0, True
        limit = max(_LOADING_S, self._limits.first_s)
        started = told = time.monotonic()
        while True:
            left = started + limit - time.monotonic()
            if self._pipe.poll(max(0.0, min(left, _COMPILING_S))):
                message = self._pipe.recv()
                if calls:  # the one before has returned
                    self._answered.add(order)
                if isinstance(message, _Done):
                    return message
                calls += 1
                first = message.shape not in self._seen
                self._seen.add(message.shape)
                now, limit = message.words, self._limits.of(message.rows, first=first)
                started = told = time.monotonic()
            elif left <= 0.0:
                self._silent[order] = self._silent.get(order, 0) + 1
                return _Done(failure=f"{where}: {now}: no answer in {limit:.0f} s")
            elif calls and first and time.monotonic() - told >= _COMPILING_S:
                told = time.monotonic()
                self._tell(
                    f"{where}: compiling? {now}: {told - started:.0f} s, limit {limit:.0f} s "
                    "(--first-call-timeout)"
                )

    def _start(self, order: Order) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, order), daemon=True)
        self._process.start()
        theirs.close()  # else the child's death would not end the pipe
        self._order, self._seen = order, set()

    def _stop(self) -> None:
        if self._process is not None:
            self._pipe.close()
            self._process.kill()  # it may hang in the kernel
            self._process.join()
        self._process = self._order = None

    def _end(self) -> str:
        if self._process is None:
            return "never started"
        self._process.join()
        code = self._process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _serve(pipe: Connection, order: Order) -> None:
    """Run an order's kernel on every recording that is asked for, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    # OpenMP's idle threads would spin on the cores that the judge works on: on two loaded cores a
    # small call of torch's then takes 30 times as long. It is read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    loaded = None

    def before(logits: Any, spec: RoutingSpec) -> None:  # noqa: ANN401 - a torch.Tensor
        rows, kind = len(logits), str(logits.dtype).removeprefix("torch.")
        # Compilers treat one token apart from more.
        shape = (spec, kind, logits.is_contiguous(), min(2, rows))
        words = (
            f"call of {rows} tokens ({spec.num_experts} experts, top {spec.top_k}, {kind} logits)"
        )
        pipe.send(_Begun(rows, shape, words))

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
            done = _Done(ran.faults, ran.notes, ran.uncovered, path=path, unsaved=unsaved)
            if ran.strided is not None:
                beside, failed = _write(ran.strided, held, spare.with_name("strided.safetensors"))
                done = replace(done, strided=beside, unsaved=unsaved or failed)
        except NotCoveredError as error:
            done = _Done(unsupported=str(error))
        except KernelError as error:
            done = _Done(failure=str(error))
        except FixtureError as error:  # the recording was there a moment ago
            done = _Done(unsaved=str(error))
        except FOREIGN as error:
            where = f"{order.name} on {Path(recording).stem}"
            if of_kernel(error, loaded):
                done = _Done(failure=f"{where}: {one_line(error)}")
            else:
                done = _Done(defect=f"{where}: {defect(error)}")
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
