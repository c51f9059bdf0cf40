"""Progress: bars on a terminal, a line every ten seconds elsewhere, as in a job's log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

#: Seconds between two lines.
_EVERY_S = 10.0

#: Adds a task of so many steps; returns what is called with a number of steps whenever they are
#: done, and with what is done next.
AddTask = Callable[[str, int], Callable[..., None]]


@contextmanager
def progress(console: Console | None = None) -> Iterator[AddTask]:
    """Show progress on a console; yields what adds a task.

    Args:
        console: None: standard error. rich draws the bars; where it is not installed, as in a
            serving engine's Python, there are lines.

    """
    if console is None:
        console = _standard_error()
    if console is None or not console.is_terminal:
        yield lambda name, total: _lines(console, name, total)
        return
    from rich.progress import (  # noqa: PLC0415 - a recorder's Python may have no rich
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

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


def _standard_error() -> Console | None:
    try:
        from rich.console import Console  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        return None
    return Console(stderr=True)


def _lines(console: Console | None, name: str, total: int) -> Callable[..., None]:
    started, done = time.monotonic(), 0
    printed = started

    def advance(steps: int = 1, _now: str | None = None) -> None:
        nonlocal done, printed
        done += steps
        now = time.monotonic()
        if now - printed >= _EVERY_S:
            printed = now
            line = f"{name}: {done} of {total}, {now - started:.0f} s"
            if console is None:
                print(line, file=sys.stderr)
            else:
                console.print(line, highlight=False)

    return advance
