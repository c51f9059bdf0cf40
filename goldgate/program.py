"""The command line and environment that start goldgate in another process."""

from __future__ import annotations

import os
import sys

from goldgate.places import CHECKOUT


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
