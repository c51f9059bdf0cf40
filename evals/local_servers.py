"""Servers on loopback that the suite starts itself: the stand-in model, or recorded completions."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from goldgate.evals.errors import EvalError
from goldgate.places import PACKAGE
from goldgate.program import command as goldgate
from goldgate.program import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STANDIN_DATA = PACKAGE / "fixtures" / "standin" / "data"
_START_S = 120.0  # importing torch on a busy machine is the slowest part
_STOP_S = 10.0


def standin_is_here() -> bool:
    """Whether the repository has the stand-in model and its questions."""
    return (STANDIN_DATA / "model" / "model.safetensors").exists()


def standin_command(router: str) -> list[str]:
    """Serve the stand-in model with one of the routing kernels."""
    return goldgate("serve", "--router", router, "--port", "0")


def replay_command(completions: Path, arm: str, *, delay_s: float = 0) -> list[str]:
    """Serve recorded completions."""
    delay = str(delay_s)
    return goldgate("replay", str(completions), "--arm", arm, "--delay", delay, "--port", "0")


@contextlib.contextmanager
def serving(command: Sequence[str]) -> Iterator[str]:
    """Start a server that says `listening on URL`, yield the URL, stop it.

    Raises EvalError where it ends or stays silent instead; what it wrote to stderr was shown.
    """
    server = subprocess.Popen(  # noqa: S603 - our own command
        command,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    said: queue.Queue[str] = queue.Queue()

    def listen() -> None:
        # Reads on to the end, so that the server never waits for a full pipe.
        for line in server.stdout or ():
            said.put(line)
        said.put("")

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield _address(said, command)
    finally:
        server.terminate()
        try:
            server.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        listener.join()
        if server.stdout is not None:
            server.stdout.close()


def _address(said: queue.Queue[str], command: Sequence[str]) -> str:
    shown = " ".join(command[1:])
    while True:
        try:
            line = said.get(timeout=_START_S)
        except queue.Empty:
            line = ""
        if line.startswith("listening on "):
            return line.removeprefix("listening on ").strip()
        if not line:
            raise EvalError(f"the embedded server did not start: python {shown}")
