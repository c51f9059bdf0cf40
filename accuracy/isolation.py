"""Kernels in a process of their own: one that crashes or hangs ends alone, nothing judged is lost.

A routing kernel can abort its process (a memory fault on a ROCm device does), never return, or
leave a GPU context in which every later call fails, those of other kernels too. So each kernel runs
in a child, which is replaced after any failure; outputs come back as files.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from goldgate.accuracy.calls import KernelRun
from goldgate.accuracy.kernel_process import Done, Order, serve
from goldgate.errors import GoldgateError
from goldgate.fixtures import Recording, open_output
from goldgate.fixtures.plan import plan_of
from goldgate.kernels import KernelError, NotCoveredError

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


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class UnwrittenError(GoldgateError):
    """Outputs that could not be written: the fault of a disk, not of the kernel."""


class DefectError(GoldgateError):
    """An exception of goldgate's own while a kernel ran: no verdict on the kernel."""


class StoppedError(GoldgateError):
    """`Runner.cancel` ended the run, or came before it: no verdict on the kernel."""


class Runner:
    """Runs kernels on recordings in one child process at a time; a context manager.

    One thread at a time may use it; `cancel` alone may be called from another.
    """

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
        self._cancelled, self._cancel = _CONTEXT.Pipe(duplex=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child; outputs that were not saved elsewhere are gone."""
        self._stop()
        self._cancelled.close()
        self._cancel.close()
        self._folder.cleanup()

    def cancel(self) -> None:
        """End the run that is under way in another thread; later runs raise as it does.

        An interrupt arrives in the main thread: one that waits for a kernel is woken by this.
        """
        self._cancel.send_bytes(b"cancel")

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
            StoppedError: `cancel` was called.

        """
        self.check(order)
        self._check_cancelled()
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
            done = Done(failure=f"{where}: its process died ({self._end()})")
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

    def _receive(self, order: Order, where: str) -> Done:
        """Wait for the recording's end, each call within its limit."""
        now, calls, first = "loading it", 0, True
        limit = max(_LOADING_S, self._limits.first_s)
        started = told = time.monotonic()
        while True:
            left = started + limit - time.monotonic()
            ready = wait((self._pipe, self._cancelled), max(0.0, min(left, _COMPILING_S)))
            self._check_cancelled()
            if self._pipe in ready:
                message = self._pipe.recv()
                if calls:  # the one before has returned
                    self._answered.add(order)
                if isinstance(message, Done):
                    return message
                calls += 1
                first = message.shape not in self._seen
                self._seen.add(message.shape)
                now, limit = message.words, self._limits.of(message.rows, first=first)
                started = told = time.monotonic()
            elif left <= 0.0:
                self._silent[order] = self._silent.get(order, 0) + 1
                return Done(failure=f"{where}: {now}: no answer in {limit:.0f} s")
            elif calls and first and time.monotonic() - told >= _COMPILING_S:
                told = time.monotonic()
                self._tell(
                    f"{where}: compiling? {now}: {told - started:.0f} s, limit {limit:.0f} s "
                    "(--first-call-timeout)"
                )

    def _check_cancelled(self) -> None:
        if self._cancelled.poll():
            self._stop()
            raise StoppedError("the run was cancelled")

    def _start(self, order: Order) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=serve, args=(theirs, order), daemon=True)
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
