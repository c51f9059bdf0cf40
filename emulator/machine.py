"""Execution of a batch of waves: the lowest program counter first, until every wave has ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.errors import EmulationError
from goldgate.emulator.run import Action, Barrier, Branch, End, Execution
from goldgate.emulator.waves import EXEC, Waves

#: Instructions that a batch may execute; a kernel that loops for ever ends here.
LIMIT = 10_000_000


class _Scheduler:
    """Where each wave is: its program counter, whether it has ended or waits at a barrier."""

    def __init__(self, count: int, local: NDArray[np.int64]) -> None:
        self.counters = np.zeros(count, np.int64)
        self.ended = np.zeros(count, bool)
        self.waiting = np.zeros(count, bool)
        self.local = local

    def choose(self, waves: Waves) -> int | None:
        """Activate the waves with the lowest program counter and return it; None at the end."""
        ready = ~(self.ended | self.waiting)
        if not ready.any():
            return None
        counter = int(self.counters[ready].min())
        group = ready & (self.counters == counter)
        waves.activate(None if group.all() else group)
        return counter

    def release(self) -> NDArray[np.int64]:
        """Return the workgroups whose waves all wait or have ended; they go on."""
        missing = np.zeros(int(self.local.max()) + 1, bool)
        missing[self.local[~(self.waiting | self.ended)]] = True
        free = self.waiting & ~missing[self.local]
        self.waiting &= ~free
        return np.unique(self.local[free])


def execute(actions: Sequence[Action], run: Execution) -> int:
    """Run every wave to its end.

    Returns:
        how many instructions were executed, each for all waves that were at it.

    Raises:
        EmulationError: an instruction cannot be executed, memory was missed, or the program does
            not end.

    """
    waves = run.waves
    scheduler = _Scheduler(waves.count, waves.local)
    executed = 0
    with np.errstate(all="ignore"):  # exceptions are masked, as in compute kernels
        while (counter := scheduler.choose(waves)) is not None:
            if counter == len(actions):
                raise EmulationError("the program runs past its last instruction")
            executed += _straight(actions, run, scheduler, counter)
            if executed > LIMIT:
                raise EmulationError(
                    f"the program is at instruction {counter} after {LIMIT} instructions: "
                    "expected it to end"
                )
    return executed


def _straight(
    actions: Sequence[Action], run: Execution, scheduler: _Scheduler, counter: int
) -> int:
    """Execute the active waves until they part, end, wait or reach others; return how many."""
    waves = run.waves
    group = np.ones(waves.count, bool) if waves.active is None else waves.active
    others = scheduler.counters[~(group | scheduler.ended | scheduler.waiting)]
    meeting = int(others.min()) if len(others) else len(actions)
    executed = 0
    while counter < meeting:
        action = actions[counter]
        executed += 1
        counter += 1
        if isinstance(action, Branch):
            jumps = None if action.condition is None else action.condition(waves)[group]
            if jumps is None or jumps.all():
                counter = action.target
                if len(others):  # backward jumps may pass others: choose again
                    break
            elif jumps.any():
                targets = np.full(waves.count, counter)
                targets[np.nonzero(group)[0][jumps]] = action.target
                np.copyto(scheduler.counters, targets, where=group)
                return executed
        elif isinstance(action, Barrier):
            scheduler.counters[group] = counter
            scheduler.waiting |= group
            _release(run, scheduler)
            if scheduler.waiting.any():
                return executed
        elif isinstance(action, End):
            scheduler.ended |= group
            waves.s[EXEC : EXEC + 2, group] = 0
            _release(run, scheduler)  # a wave that has ended is not waited for
            return executed
        else:
            action(run)
        if executed > LIMIT:
            break
    scheduler.counters[group] = counter
    return executed


def _release(run: Execution, scheduler: _Scheduler) -> None:
    """Let the workgroups go on whose waves are all at the barrier."""
    if scheduler.waiting.any():
        groups = scheduler.release()
        if run.lds.races is not None:
            run.lds.races.barrier(groups)
