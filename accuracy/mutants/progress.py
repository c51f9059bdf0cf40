"""Progress: bars on a terminal, a line now and then where there is none, as in a job's log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

#: A line each time so much more of a task is done.
_SHARE = 0.05

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
    started, done, said = time.monotonic(), 0, 0

    def advance(steps: int = 1, _now: str | None = None) -> None:
        nonlocal done, said
        done += steps
        share = int(done / (total * _SHARE)) if total else 0
        if share > said:
            said = share
            seconds = time.monotonic() - started
            console.print(f"{name}: {done} of {total}, {seconds:.0f} s", highlight=False)

    return advance
