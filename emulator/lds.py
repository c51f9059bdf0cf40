"""The local data share: one array a workgroup, with the hardware's allocation and the kernel's.

A kernel asks for some bytes and the hardware gives whole granules. An access past the granule ends
the run. One past what was asked for, inside the granule, works on hardware and is kept as a
finding, because another allocation would break it. A race ends the run: its result is not defined.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.errors import MemoryFaultError
from goldgate.emulator.memory import Where, gather, put
from goldgate.emulator.races import Races
from goldgate.emulator.text import Instruction
from goldgate.emulator.waves import UNDEFINED

#: Bytes of an allocation granule (LLVM's AMDGPU guide, GRANULATED_LDS_SIZE; gfx950: LLVM's
#: AMDGPUBaseInfo, getLdsDwGranularity).
GRANULES = {"gfx942": 512, "gfx950": 1280}

#: Bytes that a workgroup can have at the most (LLVM's AMDGPU target, addressable local memory).
LARGEST = {"gfx942": 64 << 10, "gfx950": 160 << 10}


class Lds:
    """The LDS of a batch's workgroups.

    Attributes:
        asked: bytes that the kernel asked for.
        given: bytes that the hardware gives it, the next multiple of the granule.
        findings: accesses between the two, one line an instruction.
        races: what finds races; None where a workgroup is one wave, which cannot race.

    """

    def __init__(self, groups: int, asked: int, granule: int, *, waves_each: int = 1) -> None:
        self.asked = asked
        self.given = -(-asked // granule) * granule
        self.findings: dict[str, None] = {}
        self.races = Races(groups, self.given // 4) if waves_each > 1 else None
        self._data = np.full(groups * self.given // 4, UNDEFINED, np.uint32).view(np.uint8)

    def load(
        self, addresses: NDArray[np.uint32], size: int, instruction: Instruction, where: Where
    ) -> NDArray[np.uint8]:
        """Return the `size` bytes at each of n addresses, uint8 [n, size].

        Args:
            addresses: bytes from the start of the workgroup's LDS.
            size: bytes of an access.
            instruction: for messages.
            where: whose accesses they are.

        Raises:
            MemoryFaultError: one is past the allocation, or races.

        """
        at = self._checked(addresses, size, instruction, where, "reads")
        return gather(self._data, at, size)

    def store(
        self,
        addresses: NDArray[np.uint32],
        values: NDArray[np.uint8],
        instruction: Instruction,
        where: Where,
    ) -> None:
        """Write uint8 [n, size] at n addresses; arguments and errors as of `load`."""
        at = self._checked(addresses, values.shape[1], instruction, where, "writes")
        put(self._data, at, values, instruction, where)

    def _checked(
        self,
        addresses: NDArray[np.uint32],
        size: int,
        instruction: Instruction,
        where: Where,
        does: str,
    ) -> NDArray[np.int64]:
        """Return the bytes' places in the array, after the bounds and races were checked."""
        last = int(addresses.max(initial=0)) + size
        if len(addresses) and last > self.asked:
            self._past(int(addresses.argmax()), last, size, instruction, where, does)
        at = where.groups * self.given + addresses
        if self.races is not None:
            note = self.races.write if does == "writes" else self.races.read
            for word in range(-(-size // 4)):
                raced = note((at >> 2) + word, where.waves)
                if raced.any():
                    lane = where.one(int(raced.argmax()))
                    raise MemoryFaultError(
                        f"{instruction}: {lane} {does} an LDS word that another wave accesses "
                        "without a barrier between: a race"
                    )
        return at

    def _past(
        self, at: int, last: int, size: int, instruction: Instruction, where: Where, does: str
    ) -> None:
        if last > self.given:
            raise MemoryFaultError(
                f"{instruction}: {where.one(at)} {does} {size} bytes at LDS address "
                f"{last - size}: the workgroup has {self.given} bytes (asked for {self.asked})"
            )
        self.findings.setdefault(
            f"{instruction} {does} LDS past the {self.asked} bytes that the kernel asked for, "
            f"inside the {self.given} that the hardware allocates"
        )
