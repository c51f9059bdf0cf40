"""What a child process is made to run in test_children.py; it is imported there by name."""

from __future__ import annotations

import os
import signal
import time


def answer(item: str, suffix: str) -> tuple[str, int]:
    """Answer with the item and the process's number, crash or hang, as the item says."""
    if item == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "exit":
        os._exit(3)
    if item == "hang":
        time.sleep(600)
    return item + suffix, os.getpid()


def failed(item: str, why: str) -> tuple[str, int]:
    """Answer for an item whose process did not."""
    return f"{item}: {why}", 0


def trial(name: str, model: str, tokens: tuple[int, ...]) -> str:
    """Stand in for a kernel's trial: it crashes, fails or passes, as the name says."""
    assert (model, tokens) == ("MiniMax-M2.5", (1, 8))
    if name == "crash":
        os.kill(os.getpid(), signal.SIGABRT)
    return "8 tokens: RuntimeError: no" if name == "wrong" else ""
