"""Start another project's server on loopback, and wait until it answers."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import requests

from goldgate.evals.errors import EvalError
from goldgate.program import environment, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

START_S = 180.0


@contextlib.contextmanager
def serving(
    name: str,
    command: Callable[[int], list[str]],
    ready: str,
    variables: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[str]:
    """Serve on a free port of loopback and yield the address.

    Args:
        name: what errors call the server.
        command: its command line for a port.
        ready: the path that answers once it can be asked.
        variables: more environment variables.
        cwd: the folder that it runs in; None: this process's.

    Raises:
        EvalError: the server ends or does not answer in time.

    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    env = {**environment(), **(variables or {})}
    silent = subprocess.DEVNULL
    with running(command(port), env=env, cwd=cwd, stdout=silent, stderr=silent) as server:
        _wait(name, url + ready, server)
        yield url


def _wait(name: str, url: str, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise EvalError(f"{name} ended with status {server.returncode} at its start")
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, timeout=5).ok:
                return
        time.sleep(0.2)
    raise EvalError(f"{name} did not answer within {START_S:g} s")
