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
from goldgate.program import environment, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STANDIN_DATA = PACKAGE / "fixtures" / "standin" / "data"
_START_S = 120.0  # importing torch on a busy machine is the slowest part
_STOP_S = 10.0


def standin_is_here() -> bool:
    """Whether the repository has the stand-in model and its questions."""
    return (STANDIN_DATA / "model" / "model.safetensors").exists()


def standin_command(router: str, port: int = 0, *more: str) -> list[str]:
    """Serve the stand-in model with one of the routing kernels; `more` are further options."""
    return goldgate("serve", "--router", router, "--port", str(port), *more)


def replay_command(completions: Path, arm: str, *, delay_s: float = 0) -> list[str]:
    """Serve recorded completions."""
    delay = str(delay_s)
    return goldgate("replay", str(completions), "--arm", arm, "--delay", delay, "--port", "0")


@contextlib.contextmanager
def serving(
    command: Sequence[str], *, log: Path | None = None, variables: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Start a server that prints `listening on URL`, yield the URL, stop it.

    Args:
        command: the whole command line.
        log: gets what the server writes to stderr; None: this process's stderr.
        variables: more environment variables for the server.

    Raises:
        EvalError: it ends or stays silent instead.

    """
    env = {**environment(), **(variables or {})}
    with (
        contextlib.nullcontext() if log is None else log.open("a", encoding="utf-8") as errors,
        running(command, env=env, stdout=subprocess.PIPE, stderr=errors) as server,
    ):
        printed: queue.Queue[str] = queue.Queue()

        def listen() -> None:
            # Reads on to the end, so that the server never waits for a full pipe.
            for line in server.stdout or ():
                printed.put(line)
            printed.put("")

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            yield _address(printed, command, log)
        finally:
            server.terminate()  # which ends what the listener reads
            listener.join(_STOP_S)


def _address(printed: queue.Queue[str], command: Sequence[str], log: Path | None) -> str:
    while True:
        try:
            line = printed.get(timeout=_START_S)
        except queue.Empty:
            line = ""
        if line.startswith("listening on "):
            return line.removeprefix("listening on ").strip()
        if not line:
            written = log.read_text(encoding="utf-8").split("\n") if log is not None else []
            reason = "".join(f" ({words})" for words in list(filter(None, written))[-1:])
            shown = " ".join(command[1:])
            raise EvalError(f"the local server did not start: python {shown}{reason}")
