"""The local data share: one array a workgroup, with the hardware's allocation and the kernel's.

A kernel asks for some bytes and the hardware gives whole granules. An access past the granule ends
the run. One past what was asked for, inside the granule, works on hardware and is kept as a
finding, because another allocation would break it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.errors import MemoryFaultError
from goldgate.emulator.memory import Where, put
from goldgate.emulator.text import Instruction
from goldgate.emulator.waves import UNDEFINED

#: Bytes of an allocation granule (LLVM's AMDGPU guide, GRANULATED_LDS_SIZE; gfx950: LLVM's
#: AMDGPUBaseInfo, getLdsDwGranularity).
GRANULES = {"gfx942": 512, "gfx950": 1280}


class Lds:
    """The LDS of a batch's workgroups.

    Attributes:
        asked: bytes that the kernel asked for.
        given: bytes that the hardware gives it, the next multiple of the granule.
        findings: accesses between the two, one line an instruction.

    """

    def __init__(self, groups: int, asked: int, granule: int) -> None:
        self.asked = asked
        self.given = -(-asked // granule) * granule
        self.findings: dict[str, None] = {}
        self._data = np.full(groups * self.given // 4, UNDEFINED, np.uint32).view(np.uint8)

    def load(
        self,
        groups: NDArray[np.int64],
        addresses: NDArray[np.uint32],
        size: int,
        instruction: Instruction,
        where: Where,
    ) -> NDArray[np.uint32]:
        """Return the bytes at n addresses as uint32 [n, size / 4], zero-extended below 4 bytes.

        Args:
            groups: each access's workgroup within the batch.
            addresses: bytes from the start of the workgroup's LDS.
            size: bytes of an access.
            instruction: for messages.
            where: for messages.

        Raises:
            MemoryFaultError: one is past the allocation.

        """
        self._check(addresses, size, instruction, where, "reads")
        at = groups * self.given + addresses
        if size >= 4 and not (addresses & np.uint32(3)).any():
            index = (at >> 2)[:, None] + np.arange(size // 4) if size > 4 else (at >> 2)[:, None]
            return np.asarray(self._data.view(np.uint32)[index])
        held = self._data[at[:, None] + np.arange(size)]
        wide = np.zeros((len(at), max(4, size)), np.uint8)
        wide[:, :size] = held
        return wide.view(np.uint32)

    def store(
        self,
        groups: NDArray[np.int64],
        addresses: NDArray[np.uint32],
        values: NDArray[np.uint8],
        instruction: Instruction,
        where: Where,
    ) -> None:
        """Write uint8 [n, size] at n addresses; arguments and errors as of `load`."""
        self._check(addresses, values.shape[1], instruction, where, "writes")
        put(self._data, groups * self.given + addresses, values)

    def _check(
        self,
        addresses: NDArray[np.uint32],
        size: int,
        instruction: Instruction,
        where: Where,
        does: str,
    ) -> None:
        if not len(addresses):
            return
        last = int(addresses.max()) + size
        if last <= self.asked:
            return
        at = int(addresses.argmax())
        what = f"{instruction}: {where.one(at)} {does} {size} bytes at LDS address {last - size}"
        if last > self.given:
            raise MemoryFaultError(
                f"{what}: the workgroup has {self.given} bytes (asked for {self.asked})"
            )
        self.findings.setdefault(
            f"{instruction} {does} LDS past the {self.asked} bytes that the kernel asked for, "
            f"inside the {self.given} that the hardware allocates"
        )
