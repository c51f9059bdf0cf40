"""The registers of a batch of waves of 64 lanes, executed together.

Register files are arrays over waves, so that one numpy operation executes an instruction in every
wave. Waves that are not at the instruction, and lanes that EXEC turns off, keep their values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.errors import NotEmulatedError

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

LANES = 64
#: Scalar registers by their operand encodings (LLVM's AMDGPU guide; CDNA3 ISA, scalar operands).
VCC, M0, EXEC = 106, 124, 126
_SCALARS = 128
_FULL = np.uint32(0xFFFFFFFF)

#: What registers hold at first: a NaN that no kernel computes, so that a result made of a register
#: that was never written shows.
UNDEFINED = np.uint32(0x7FC0DEAD)

_DENORMALS_32 = 4  # MODE bits 5:4, CDNA3 ISA, MODE register: 0 flushes, 3 keeps


def pack(mask: Bool) -> tuple[U32, U32]:
    """Return a bool [W, 64] mask as the low and the high words of 64-bit masks, each [W]."""
    words = np.packbits(mask, axis=1, bitorder="little").view(np.uint32)
    return words[:, 0], words[:, 1]


def unpack(low: U32, high: U32) -> Bool:
    """Return 64-bit masks, given as words [W], as bool [W, 64]."""
    words = np.stack([low, high], axis=1).view(np.uint8)
    return np.unpackbits(words, axis=1, bitorder="little").view(np.bool_)


class Waves:
    """W waves that execute one program.

    Attributes:
        v: vector registers, uint32 [n, W, 64].
        s: scalar registers by operand encoding, uint32 [128, W].
        scc: the scalar condition code, bool [W].
        mode: the MODE register, uint32 [W].
        workgroup: each wave's workgroup number in the grid, int64 [W].
        local: each wave's workgroup number within the batch, int64 [W].
        active: which waves execute now, bool [W]; None for all.
        lanes: which lanes execute now, bool [W, 64]; None for all.
        flushing: whether float32 subnormals are flushed in the waves that execute now.

    """

    def __init__(self, workgroup: NDArray[np.int64], registers: int, mode: int) -> None:
        count = len(workgroup)
        self.v = np.full((registers, count, LANES), UNDEFINED, np.uint32)
        self.s = np.full((_SCALARS, count), UNDEFINED, np.uint32)
        self.s[EXEC : EXEC + 2] = _FULL
        self.scc = np.zeros(count, bool)
        self.mode = np.full(count, mode, np.uint32)
        self.workgroup = workgroup
        self.local = workgroup - workgroup.min()
        self.active: Bool | None = None
        self.lanes: Bool | None = None
        self.flushing = True
        self.refresh()

    @property
    def count(self) -> int:
        """W, the number of waves."""
        return len(self.workgroup)

    def activate(self, active: Bool | None) -> None:
        """Choose the waves that execute the next instructions."""
        self.active = active
        self.refresh()

    def refresh(self) -> None:
        """Derive what depends on EXEC, MODE and the waves that execute.

        Raises:
            EmulationError: these waves keep subnormals in part and flush them in part.

        """
        low, high = self.s[EXEC], self.s[EXEC + 1]
        if self.active is None and (low & high == _FULL).all():
            self.lanes = None
        else:
            self.lanes = unpack(low, high)
            if self.active is not None:
                self.lanes &= self.active[:, None]
        field = (self.mode if self.active is None else self.mode[self.active]) >> np.uint32(
            _DENORMALS_32
        ) & np.uint32(3)
        kinds = set(np.unique(field).tolist())
        if not kinds <= {0} and not kinds <= {3}:
            raise NotEmulatedError(
                f"MODE: float32 denormal modes {sorted(kinds)} in one instruction: "
                "expected 0 or 3 in every wave"
            )
        self.flushing = kinds != {3}

    def set_vector(self, register: int, values: Any) -> None:  # noqa: ANN401 - any 32-bit type
        """Write a vector register's active lanes; values broadcast to [W, 64]."""
        raw = values if values.dtype == np.uint32 else values.view(np.uint32)
        if self.lanes is None:
            self.v[register] = raw
        else:
            np.copyto(self.v[register], raw, where=self.lanes)

    def set_scalar(self, register: int, values: U32) -> None:
        """Write a scalar register [W] in the active waves."""
        if self.active is None:
            self.s[register] = values
        else:
            np.copyto(self.s[register], values, where=self.active)
        if register >= EXEC:
            self.refresh()

    def set_pair(self, register: int, low: U32, high: U32) -> None:
        """Write two scalar registers [W] in the active waves, EXEC as one."""
        for at, values in ((register, low), (register + 1, high)):
            if self.active is None:
                self.s[at] = values
            else:
                np.copyto(self.s[at], values, where=self.active)
        if register >= EXEC:
            self.refresh()

    def set_scc(self, values: Bool) -> None:
        """Write the condition code [W] in the active waves."""
        if self.active is None:
            self.scc = np.broadcast_to(values, self.scc.shape).copy()
        else:
            np.copyto(self.scc, values, where=self.active)

    def set_mask(self, register: int, mask: Bool) -> None:
        """Write a lane mask to a scalar pair; lanes that do not execute read 0."""
        mask = np.broadcast_to(mask, (self.count, LANES))
        if self.lanes is not None:
            mask = mask & self.lanes
        self.set_pair(register, *pack(np.ascontiguousarray(mask)))

    def mask(self, register: int) -> Bool:
        """Return a scalar pair as lanes, bool [W, 64]."""
        return unpack(self.s[register], self.s[register + 1])
