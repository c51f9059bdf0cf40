"""Memory with bounds: buffers at addresses far apart, and each workgroup's LDS.

Every access is checked. One that is not inside a buffer ends the run with the instruction, the
workgroup, the lane and the address, so a run that ends well is also evidence of the kernel's
addressing on these inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.errors import MemoryFaultError
from goldgate.emulator.text import Instruction

Words = NDArray[np.uint32]
Addresses = NDArray[np.uint64]

_FIRST = 0x1000_0000_0000
_APART = 1 << 40  # no overrun of one buffer lands in another


@dataclass(frozen=True)
class Where:
    """Whose accesses these are, in their order.

    Attributes:
        workgroups: each access's workgroup in the grid, [n].
        lanes: its lane within the wave, [n].
        groups: its workgroup within the batch, [n].
        waves: its wave within the batch, [n].

    """

    workgroups: NDArray[np.int64]
    lanes: NDArray[np.int64]
    groups: NDArray[np.int64]
    waves: NDArray[np.int64]

    def part(self, chosen: NDArray[np.bool_]) -> Where:
        """Return those of some accesses."""
        if chosen.all():
            return self
        held = (self.workgroups, self.lanes, self.groups, self.waves)
        return Where(*(values[chosen] for values in held))

    def one(self, at: int) -> str:
        """Name the lane of one access."""
        return f"workgroup {int(self.workgroups[at])}, lane {int(self.lanes[at])}"


@dataclass(frozen=True)
class Buffer:
    """Bytes at an address.

    Attributes:
        name: for messages.
        base: the first byte's address.
        data: uint8 [n]; writes go here.
        writable: whether a kernel may write.

    """

    name: str
    base: int
    data: NDArray[np.uint8]
    writable: bool


@dataclass
class Memory:
    """The buffers that a kernel may touch."""

    buffers: list[Buffer] = field(default_factory=list)

    def add(self, name: str, values: NDArray[Any], *, writable: bool) -> int:
        """Place an array's bytes, shared and not copied, and return their address.

        Raises:
            ValueError: the array is not contiguous.

        """
        if not values.flags.c_contiguous:
            raise ValueError(f"{name}: expected a contiguous array")
        base = _FIRST + _APART * len(self.buffers)
        self.buffers.append(Buffer(name, base, values.reshape(-1).view(np.uint8), writable))
        return base

    def load(
        self, addresses: Addresses, size: int, instruction: Instruction, where: Where
    ) -> NDArray[np.uint8]:
        """Return the `size` bytes at each of n addresses, uint8 [n, size].

        Raises:
            MemoryFaultError: one is not inside a buffer.

        """
        result = np.empty((len(addresses), size), np.uint8)
        for buffer, chosen, offsets in self._parts(addresses, size, instruction, where, "reads"):
            result[chosen] = gather(buffer.data, offsets, size)
        return result

    def store(
        self,
        addresses: Addresses,
        values: NDArray[np.uint8],
        instruction: Instruction,
        where: Where,
    ) -> None:
        """Write uint8 [n, size] at n addresses.

        Raises:
            MemoryFaultError: one is not inside a buffer that may be written, or two lanes write
                different values to one place.

        """
        size = values.shape[1]
        for buffer, chosen, offsets in self._parts(addresses, size, instruction, where, "writes"):
            if not buffer.writable:
                lane = where.one(int(np.nonzero(chosen)[0][0]))
                raise MemoryFaultError(
                    f"{instruction}: {lane} writes {buffer.name}, which is an input"
                )
            put(buffer.data, offsets, values[chosen], instruction, where.part(chosen))

    def _parts(
        self,
        addresses: Addresses,
        size: int,
        instruction: Instruction,
        where: Where,
        does: str,
    ) -> list[tuple[Buffer, NDArray[np.bool_], NDArray[np.int64]]]:
        """Split accesses by the buffer that they lie in."""
        index = (addresses >> np.uint64(40)).astype(np.int64) - (_FIRST >> 40)
        parts = []
        for number in np.unique(index):
            chosen = index == number
            known = 0 <= number < len(self.buffers)
            buffer = self.buffers[number] if known else None
            base = np.uint64(buffer.base if buffer else 0)
            offsets = (addresses[chosen] - base).astype(np.int64)
            length = len(buffer.data) if buffer else -1
            wrong = offsets > length - size if buffer else np.ones(len(offsets), bool)
            if wrong.any():
                at = int(np.nonzero(chosen)[0][np.nonzero(wrong)[0][0]])
                raise MemoryFaultError(
                    f"{instruction}: {where.one(at)} {does} {size} bytes at address "
                    f"{int(addresses[at]):#x}: {self._near(int(addresses[at]))}"
                )
            assert buffer is not None  # noqa: S101 - unknown buffers have only wrong offsets
            parts.append((buffer, chosen, offsets))
        return parts

    def _near(self, address: int) -> str:
        """Say which buffer an address has missed, and by how much."""
        if not self.buffers:
            return "there is no buffer"
        near = min(
            self.buffers,
            key=lambda b: max(b.base - address, address - b.base - len(b.data) + 1, 0),
        )
        offset = address - near.base
        return f"offset {offset} of {near.name}, which has {len(near.data)} bytes"


def gather(data: NDArray[np.uint8], offsets: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """Return the `size` bytes at each offset, uint8 [n, size]."""
    if size >= 4 and not (offsets & 3).any() and len(data) % 4 == 0:
        words = data.view(np.uint32)
        at = (offsets >> 2)[:, None] + np.arange(size // 4)
        return np.asarray(words[at].view(np.uint8))
    return np.asarray(data[offsets[:, None] + np.arange(size)])


def put(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    values: NDArray[np.uint8],
    instruction: Instruction,
    where: Where,
) -> None:
    """Scatter uint8 [n, size] to offsets.

    Raises:
        MemoryFaultError: two lanes write different values to one byte.

    """
    size = values.shape[1]
    if size >= 4 and not (offsets & 3).any() and len(data) % 4 == 0:
        words = data.view(np.uint32)
        at = (offsets >> 2)[:, None] + np.arange(size // 4)
        given = np.ascontiguousarray(values).view(np.uint32)
        words[at] = given
        other = words[at] != given
    else:
        at = offsets[:, None] + np.arange(size)
        data[at] = values
        other = data[at] != values
    if other.any():
        lane = where.one(int(other.any(axis=1).argmax()))
        raise MemoryFaultError(
            f"{instruction}: {lane} and another lane write different values to one place: a race"
        )
