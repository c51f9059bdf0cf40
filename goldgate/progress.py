"""Progress: bars on a terminal, a line every ten seconds elsewhere, as in a job's log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

#: Seconds between two lines.
_EVERY_S = 10.0

#: Adds a task of so many steps; returns what is called with a number of steps whenever they are
#: done, and with what is done next.
AddTask = Callable[[str, int], Callable[..., None]]


@contextmanager
def progress(console: Console) -> Iterator[AddTask]:
    """Show progress on a console; yields what adds a task."""
    if not console.is_terminal:
        yield lambda name, total: _lines(console, name, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:

        def add(name: str, total: int) -> Callable[..., None]:
            bar = bars.add_task(name, total=total)

            def advance(steps: int = 1, now: str | None = None) -> None:
                bars.update(bar, advance=steps, description=now or name)

            return advance

        yield add


def _lines(console: Console, name: str, total: int) -> Callable[..., None]:
    started, done = time.monotonic(), 0
    printed = started

    def advance(steps: int = 1, _now: str | None = None) -> None:
        nonlocal done, printed
        done += steps
        now = time.monotonic()
        if now - printed >= _EVERY_S:
            printed = now
            console.print(f"{name}: {done} of {total}, {now - started:.0f} s", highlight=False)

    return advance
