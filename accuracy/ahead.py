"""Work that runs ahead of its use: functions called in order, in one other thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

#: Results that wait or are being made while an earlier one is used.
AHEAD = 2


@dataclass(frozen=True)
class Step(Generic[T]):
    """A function to call ahead.

    Attributes:
        call: makes a result.
        cancel: called from another thread while `call` runs: makes it raise soon.

    """

    call: Callable[[], T]
    cancel: Callable[[], object]


@contextmanager
def ahead(steps: Sequence[Step[T]]) -> Iterator[Callable[[], T]]:
    """Call functions one after the other in a thread, while the caller uses their results.

    Yields a function that waits for the next result, in the steps' order, and raises what its step
    raised. While a result is used, no more than the `AHEAD` steps behind it have begun. However the
    block ends, nothing runs any more behind it: the steps that have not begun never do, and the one
    that runs is cancelled and waited for.
    """
    left = iter(steps)
    begun: deque[tuple[Step[T], Future[T]]] = deque()
    with ThreadPoolExecutor(1, "goldgate-ahead") as thread:

        def following() -> T:
            while len(begun) <= AHEAD and (step := next(left, None)) is not None:
                begun.append((step, thread.submit(step.call)))
            # It stays among the begun while it is waited for: an interrupt may end the wait.
            wait([begun[0][1]])
            return begun.popleft()[1].result()

        try:
            yield following
        finally:
            for step, future in begun:
                if not future.cancel() and not future.done():
                    step.cancel()
