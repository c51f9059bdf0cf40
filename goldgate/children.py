"""Somebody else's code in a process of its own, which may crash or hang there and nowhere else."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

# What is run may hold a GPU and threads, neither of which survives a fork.
_CONTEXT = multiprocessing.get_context("spawn")

Answer = TypeVar("Answer")


def each(
    function: Callable[..., Answer],
    items: Sequence[str],
    *more: object,
    limit_s: float,
    failed: Callable[[str, str], Answer],
) -> Iterator[Answer]:
    """Yield function(item, *more) of each item, all from one process as long as it lives.

    Args:
        function: a module's own function, whose answer can be pickled; it raises nothing.
        items: what it is called with, in this order.
        more: further arguments.
        limit_s: seconds that an item may take, the start of its process included.
        failed: answers for an item whose process died or did not answer, given the item and why
            in one line. The next item has a new process.

    """
    left = list(items)
    while left:
        pipe, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(
            target=_serve, args=(theirs, function, tuple(left), more), daemon=True
        )
        process.start()
        theirs.close()  # else its death would not end the pipe
        try:
            while left:
                try:
                    if not pipe.poll(limit_s):
                        yield failed(left.pop(0), f"no answer in {limit_s:.0f} s")
                        break
                    answer = pipe.recv()
                except EOFError:
                    process.join()
                    yield failed(left.pop(0), f"its process died ({_end(process.exitcode or 0)})")
                    break
                left.pop(0)
                yield answer
        finally:
            pipe.close()
            process.kill()
            process.join()


def _end(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _serve(
    pipe: Connection, function: Callable[..., Any], items: Sequence[str], more: Sequence[object]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    for item in items:
        pipe.send(function(item, *more))
