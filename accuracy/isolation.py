"""Kernels in a process of their own: one that crashes ends alone, and nothing judged is lost.

A routing kernel can abort its process (a memory fault on a ROCm device does) or leave a GPU context
in which every later call fails, innocent kernels' included. So each kernel runs in a child, which
is replaced after any failure; outputs come back as files.
"""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from goldgate.accuracy.calls import Run, run
from goldgate.errors import GoldgateError
from goldgate.fixtures import (
    FixtureError,
    Output,
    Recording,
    open_output,
    open_recording,
    write_output,
)
from goldgate.kernels import KernelError, load

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from typing_extensions import Self

# A kernel holds a GPU and threads, neither of which survives a fork.
_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Order:
    """Which kernel to run: the arguments of `goldgate.kernels.load`."""

    name: str
    profile: str | None
    device: str | None


class UnwrittenError(GoldgateError):
    """Outputs that could not be written: the fault of a disk, not of the kernel."""


class Runner:
    """Runs kernels on recordings in one child process at a time; a context manager."""

    def __enter__(self) -> Self:
        """Make the folder that outputs come back in."""
        self._folder = tempfile.TemporaryDirectory(prefix="goldgate-")
        self._order: Order | None = None
        self._process: BaseProcess | None = None
        self._count = 0
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

    def run(self, order: Order, recording: Recording, save: Path | None = None) -> Run:
        """Return a kernel's outputs for a recording, from their file, and what its calls showed.

        Args:
            order: the kernel.
            recording: opened from a file.
            save: where the outputs' file is to stay; None for a temporary one, which also takes
                them where this one cannot be written.

        Raises:
            KernelError: the kernel raised, or its process died.
            UnwrittenError: its outputs could not be written.

        """
        self._count += 1
        spare = Path(self._folder.name) / str(self._count) / f"{recording.name}.safetensors"
        if order != self._order:
            self._stop()
            self._start(order)
        try:
            self._pipe.send((recording.path, save, spare))
            faults, notes, failure, path, unsaved = self._pipe.recv()
        except (EOFError, OSError):
            failure = f"{order.name} on {recording.name}: its process died ({self._end()})"
        if failure:
            self._stop()  # what the kernel left behind may fail every later call
            raise KernelError(failure)
        if path is None:
            raise UnwrittenError(unsaved)
        return Run(open_output(path, recording), faults, notes, unsaved)

    def _start(self, order: Order) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, order), daemon=True)
        self._process.start()
        theirs.close()  # else the child's death would not end the pipe
        self._order = order

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
    loaded = None
    while True:
        try:
            recording, save, spare = pipe.recv()
        except EOFError:
            return
        faults: tuple[str, ...] = ()
        notes: tuple[str, ...] = ()
        failure = unsaved = ""
        path: Path | None = None
        try:
            loaded = loaded or load(order.name, order.profile, order.device)
            held = open_recording(recording)
            ran = run(loaded, held)
            faults, notes = ran.faults, ran.notes
            path, unsaved = _write(ran.output, held, save, spare)
        except KernelError as error:
            failure = str(error)
        except FixtureError as error:  # the recording was there a moment ago
            unsaved = str(error)
        pipe.send((faults, notes, failure, path, unsaved))


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
