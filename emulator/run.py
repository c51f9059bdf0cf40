"""What a step of a program works on, and what kinds of steps there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.lds import Lds
from goldgate.emulator.memory import Memory, Where
from goldgate.emulator.rounding import Rounding
from goldgate.emulator.waves import LANES, Waves

_LANE = np.arange(LANES)


@dataclass
class Execution:
    """A batch of waves with the memory that they share."""

    waves: Waves
    memory: Memory
    lds: Lds
    rounding: Rounding

    def where(self) -> Where:
        """Return whose the active lanes are, in order of waves and lanes."""
        active = self.waves.lanes
        return self._everyone if active is None else self._everyone.part(active.reshape(-1))

    @cached_property
    def _everyone(self) -> Where:
        waves = self.waves
        shape = (waves.count, LANES)
        by_wave = (waves.workgroup, waves.local, np.arange(waves.count))
        workgroups, groups, numbers = (
            np.broadcast_to(values[:, None], shape).reshape(-1) for values in by_wave
        )
        return Where(workgroups, np.broadcast_to(_LANE, shape).reshape(-1), groups, numbers)


#: Executes an instruction in every active lane or wave.
Step = Callable[[Execution], None]


@dataclass(frozen=True)
class Branch:
    """A jump of the waves for which the condition, bool [W], is true; None jumps always."""

    target: int
    condition: Callable[[Waves], NDArray[np.bool_]] | None


@dataclass(frozen=True)
class Barrier:
    """Waits until every wave of the workgroup is here."""


@dataclass(frozen=True)
class End:
    """Ends the wave."""


Action = Step | Branch | Barrier | End
