"""Goldgate in another process: its command line, its environment, its start and its end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from goldgate.places import CHECKOUT

_STOP_S = 10.0


def command(*words: str) -> list[str]:
    """Return the command line of `goldgate WORDS` with this Python."""
    return [sys.executable, "-m", "goldgate", *words]


def environment() -> dict[str, str]:
    """Return this process's environment, from which goldgate can be imported in any folder.

    An installed goldgate is left to the other Python's own path: site-packages in PYTHONPATH would
    come before the standard library.
    """
    if CHECKOUT is None:
        return dict(os.environ)
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(CHECKOUT), *([inherited] if inherited else [])])
    return {**os.environ, "PYTHONPATH": path}


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: int | IO[str] | None = None,
    stderr: int | IO[str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Start a process, yield it, and end it: SIGTERM first, SIGKILL after ten seconds."""
    process = subprocess.Popen(  # noqa: S603 - our own command, or the user's
        command, env=env, cwd=cwd, stdout=stdout, stderr=stderr, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
