"""What a step of a program works on, and what kinds of steps there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.lds import Lds
from goldgate.emulator.memory import Memory, Where
from goldgate.emulator.rounding import Rounding
from goldgate.emulator.waves import LANES, Waves

_LANE = np.arange(LANES)


@dataclass
class Run:
    """A batch of waves with the memory that they share."""

    waves: Waves
    memory: Memory
    lds: Lds
    rounding: Rounding

    def where(self) -> Where:
        """Return the workgroup and the lane of each active lane, in order of waves and lanes."""
        waves = self.waves
        shape = (waves.count, LANES)
        workgroups = np.broadcast_to(waves.workgroup[:, None], shape)
        lanes = np.broadcast_to(_LANE, shape)
        if waves.lanes is None:
            return Where(workgroups.reshape(-1), lanes.reshape(-1))
        return Where(workgroups[waves.lanes], lanes[waves.lanes])


#: Executes an instruction in every active lane or wave.
Step = Callable[[Run], None]


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
