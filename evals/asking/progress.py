"""How far a run is: a bar on a terminal, a line every tenth elsewhere (as in the log of a CI).

What goes wrong is said when it happens, not after an hour: failed attempts, truncated answers.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from goldgate.evals.records.truncation import MAX_TRUNCATED, Truncation
from goldgate.text import printable

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from typing_extensions import Self


_FIRST = 20  # answers, before a share of them says anything


class RunProgress:
    """Shows answers, rate, time left, failed attempts and the score so far."""

    def __init__(
        self, console: Console, *, total: int, done: int, right: int, truncated: int
    ) -> None:
        """Start at `done` of `total` answers, `right` of them right, `truncated` cut off."""
        self._console = console
        self._total, self._done, self._right = total, done, right
        self._truncated, self._warned = truncated, False
        self._failures: set[str] = set()
        self._before = done
        self._start = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[score]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(
            "asking", total=total, completed=done, speed="", score=self._score()
        )

    def __enter__(self) -> Self:
        """Draw the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()

    def failed(self, kind: str, words: str) -> None:
        """Say that an attempt failed, once for every kind of failure."""
        if kind not in self._failures:
            self._failures.add(kind)
            self._say(f"an attempt failed: {words}")

    def answered(self, *, right: bool, truncated: bool) -> None:
        """Count one more answer."""
        self._done += 1
        self._right += right
        self._truncated += truncated
        if (
            not self._warned
            and self._done >= _FIRST
            and Truncation(self._done, self._truncated).exceeds()
        ):
            self._warned = True
            self._say(
                f"{self._truncated} of {self._done} answers are cut off at the token limit; a run "
                f"with more than {100 * MAX_TRUNCATED:g} % of them is refused by compare unless "
                "--max-truncated says otherwise: start anew with more --max-tokens"
            )
        rate = (self._done - self._before) / max(time.monotonic() - self._start, 1e-9)
        self._bar.update(
            self._task, completed=self._done, speed=f"{rate:.1f}/s", score=self._score()
        )
        step = max(self._total // 10, 1)
        if not self._console.is_terminal and (self._done % step == 0 or self._done == self._total):
            left = (self._total - self._done) / rate
            self._say(
                f"{self._done}/{self._total} answered, {rate:.1f}/s, {left:.0f} s left, "
                f"{self._score()}"
            )

    def _say(self, words: str) -> None:
        self._console.print(printable(words), highlight=False, markup=False, soft_wrap=True)

    def _score(self) -> str:
        return f"{100 * self._right / self._done:.2f} % right so far" if self._done else ""
