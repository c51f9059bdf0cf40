"""The threads that judge: as many at a time as the hashes that are pending leave cores.

A file's SHA-256 is one chain, so that its thread takes longest; sharing its core with another would
make everything end later. So hashes have all cores but one, and judging has what they leave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from goldgate.fixtures.hashing import Hashing, cores, hashing

T = TypeVar("T")
R = TypeVar("R")

#: More threads than this only fight for memory bandwidth.
MAX_THREADS = 16


class Turns:
    """Lets only so many threads work at a time that each pending hash has a core, at least one."""

    def __init__(self, count: int, hashes: Hashing) -> None:
        self._count, self._hashes, self._working = count, hashes, 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn, which ends with the context."""
        changed = self._hashes.changed
        with changed:
            changed.wait_for(self._is_free)
            self._working += 1
        try:
            yield
        finally:
            with changed:
                self._working -= 1
                changed.notify_all()

    def _is_free(self) -> bool:
        free = self._count - self._hashes.pending
        return self._working < max(1, min(MAX_THREADS, free))


def in_turns(do: Callable[[T], R], todo: Sequence[T], count: int | None = None) -> Generator[R]:
    """Yield what a function returns for each of `todo`, in their order, computed in threads.

    If the iterator is closed before its end, or the function raises, no more calls begin.

    Args:
        do: releases the interpreter's lock most of the time.
        todo: its arguments.
        count: cores for these threads and those that hash; None: all.

    """
    count = cores() if count is None else count
    hashes = hashing()
    turns = Turns(count, hashes)
    found: deque[Future[R]] = deque(Future() for _ in todo)
    left = deque(zip(todo, found, strict=True))

    def work() -> None:
        while True:
            # What waits for a turn has taken nothing: the results come in order.
            with turns.one():
                try:
                    argument, future = left.popleft()
                except IndexError:
                    return
                try:
                    future.set_result(do(argument))
                except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
                    future.set_exception(error)

    threads = max(1, min(MAX_THREADS, count, len(todo)))
    with hashes.shared(count), ThreadPoolExecutor(threads, "goldgate-judge") as pool:
        for _ in range(threads):
            pool.submit(work)
        try:
            while found:  # a result that was yielded is kept no longer
                yield found.popleft().result()
        finally:
            left.clear()
