"""Which call each row of a recording was in, and which rows are looked at for the random error.

A dispatcher takes another path for few rows than for many, and a path has an error of its own. So
rows are told apart by the rows of their call, in classes a factor of four wide: a path that begins
or ends at a power of two, and is wider than that, has a class to itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.fixtures.plan import Plan

Int64 = NDArray[np.int64]

#: The most rows of a call of each class but the last, which has no limit. 65,535 is the largest
#: grid dimension of a GPU but for one axis, and the largest number of 16 bits.
EDGES = (16, 64, 256, 1024, 4096, 16384, 65535)

#: Rows of a class that are looked at at the most, and the runs of neighbours that they consist of.
SAMPLE, RUN = 1 << 14, 64


def class_name(number: int) -> str:
    """Return the rows of the calls of a class, in words."""
    if number == len(EDGES):
        return f"more than {EDGES[-1]} rows"
    return f"{EDGES[number - 1] + 1 if number else 1} to {EDGES[number]} rows"


@dataclass(frozen=True)
class Sample:
    """Some of a run of rows, m of them.

    Attributes:
        rows: which, counted from the run's first, ascending, int64 [m].
        numbers: each row's number in its call, int64 [m].
        calls: the rows of its call, int64 [m].
        classes: the class of that, int8 [m].

    """

    rows: Int64
    numbers: Int64
    calls: Int64
    classes: NDArray[np.int8]

    def __len__(self) -> int:
        """Return m."""
        return len(self.rows)

    def where(self, kept: NDArray[np.bool_]) -> Sample:
        """Return those of the m rows that are marked."""
        if kept.all():
            return self
        return Sample(self.rows[kept], self.numbers[kept], self.calls[kept], self.classes[kept])


@dataclass(frozen=True)
class Calls:
    """The calls of a recording that have rows, in their order, c of them.

    Attributes:
        starts: the first row of each, int64 [c].
        rows: how many it has, int64 [c].
        classes: the class of that, int8 [c].
        before: rows of its class in the calls before it, int64 [c].
        steps: of how many runs of each class one is looked at, int64 [classes].

    """

    starts: Int64
    rows: Int64
    classes: NDArray[np.int8]
    before: Int64
    steps: Int64

    @staticmethod
    def of(plan: Plan, rows: int) -> Calls:
        """Return the calls of a plan on a recording of so many rows."""
        spans = [span for span in plan.spans(rows) if span[1] > span[0]]
        starts = np.array([start for start, _ in spans], np.int64)
        sizes = np.array([stop - start for start, stop in spans], np.int64)
        classes = np.searchsorted(EDGES, sizes).astype(np.int8)
        before, steps = np.zeros_like(sizes), np.ones(len(EDGES) + 1, np.int64)
        for number in range(len(steps)):
            own = classes == number
            upto = np.cumsum(sizes[own])
            before[own] = upto - sizes[own]
            steps[number] = max(1, -(-int(upto[-1]) // SAMPLE)) if len(upto) else 1
        return Calls(starts, sizes, classes, before, steps)

    def within(self, start: int, stop: int) -> Calls:
        """Return the calls that the rows start to stop are in."""
        first = int(np.searchsorted(self.starts, start, side="right")) - 1
        some = slice(first, int(np.searchsorted(self.starts, stop)))
        return Calls(
            self.starts[some],
            self.rows[some],
            self.classes[some],
            self.before[some],
            self.steps,
        )

    def sample(self, start: int, stop: int) -> Sample:
        """Return which of the rows start to stop are looked at.

        Runs of `RUN` neighbours of a class, evenly spaced, so that every position modulo 32 is met.
        """
        if len(self.starts) == 1:
            return self._of_one_call(start, stop)
        at = np.arange(start, stop)
        call = np.searchsorted(self.starts, at, side="right") - 1
        numbers, classes = at - self.starts[call], self.classes[call]
        runs = (self.before[call] + numbers) // RUN
        kept = np.flatnonzero(runs % self.steps[classes] == 0)
        return Sample(kept, numbers[kept], self.rows[call[kept]], classes[kept])

    def _of_one_call(self, start: int, stop: int) -> Sample:
        """Return `sample` where there is one call: its runs are counted, not its rows."""
        first, size, number = int(self.starts[0]), int(self.rows[0]), self.classes[0]
        shift = int(self.before[0]) - first
        step = RUN * int(self.steps[number])
        runs = np.arange((start + shift) // step * step, stop + shift, step)
        at = (runs[:, None] + np.arange(RUN)).ravel() - (shift + start)
        kept = at[(at >= 0) & (at < stop - start)]
        return Sample(
            kept, kept + (start - first), np.full_like(kept, size), np.full(len(kept), number)
        )
