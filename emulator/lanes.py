"""Moves between lanes that an instruction's encoding does on its first source: DPP and SDWA."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import UnknownInstructionError
from .operands import Read
from .text import Instruction
from .waves import LANES, Waves

_LANE = np.arange(LANES)
_ROW, _IN_ROW = _LANE // 16, _LANE % 16
_CONTROLS = ("quad_perm", "row_", "wave_")
_SELECTIONS = {
    "BYTE_0": (0, 0xFF),
    "BYTE_1": (8, 0xFF),
    "BYTE_2": (16, 0xFF),
    "BYTE_3": (24, 0xFF),
    "WORD_0": (0, 0xFFFF),
    "WORD_1": (16, 0xFFFF),
    "DWORD": (0, 0xFFFFFFFF),
}


@dataclass(frozen=True)
class Dpp:
    """Data-parallel primitives: each lane's source, and what happens where there is none.

    Attributes:
        source: the lane that each lane reads, int [64].
        valid: whether that lane exists, bool [64].
        enabled: lanes that row_mask and bank_mask leave on, bool [64].
        zeros: whether a lane without a source reads 0 (bound_ctrl) or is not written.

    """

    source: NDArray[np.intp]
    valid: NDArray[np.bool_]
    enabled: NDArray[np.bool_]
    zeros: bool


def dpp(instruction: Instruction) -> Dpp:
    """Return the lane moves of a DPP instruction's modifiers.

    Raises:
        UnknownInstructionError: its control is not known.

    """
    modifiers = instruction.modifiers
    controls = [name for name in modifiers if name.startswith(_CONTROLS)]
    controls = [name for name in controls if name not in ("row_mask",)]
    if len(controls) != 1:
        raise UnknownInstructionError(f"{instruction}: expected one DPP control")
    control = controls[0]
    source, valid = _moves(control, modifiers[control], instruction)
    rows, banks = (int(modifiers.get(name, "0xf"), 0) for name in ("row_mask", "bank_mask"))
    enabled = ((rows >> _ROW) & 1).astype(bool) & ((banks >> (_IN_ROW // 4)) & 1).astype(bool)
    return Dpp(source, valid, enabled, "bound_ctrl" in modifiers)


def _moves(
    control: str, value: str, instruction: Instruction
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return each lane's source and whether it exists (CDNA3 ISA, DPP; LLVM's `dpp_ctrl`)."""
    amount = int(value) if value.isdecimal() else 0
    first = _LANE - _IN_ROW
    everywhere = np.ones(LANES, bool)
    if control == "quad_perm" and re.fullmatch(r"\[[0-3](,\s*[0-3]){3}\]", value):
        chosen = np.array([int(digit) for digit in re.findall(r"\d", value)])
        return _LANE - _LANE % 4 + chosen[_LANE % 4], everywhere
    if control == "row_shl" and 1 <= amount <= 15:  # noqa: PLR2004 - lanes of a row
        return (_LANE + amount) % LANES, _IN_ROW + amount < 16  # noqa: PLR2004 - as above
    if control == "row_shr" and 1 <= amount <= 15:  # noqa: PLR2004 - as above
        return (_LANE - amount) % LANES, _IN_ROW >= amount
    if control == "row_ror" and 1 <= amount <= 15:  # noqa: PLR2004 - as above
        return first + (_IN_ROW - amount) % 16, everywhere
    if control == "row_mirror":
        return first + 15 - _IN_ROW, everywhere
    if control == "row_half_mirror":
        return _LANE - _LANE % 8 + 7 - _LANE % 8, everywhere
    if control == "row_bcast" and amount == 15:  # noqa: PLR2004 - the last lane of a row
        return (first - 1) % LANES, _ROW > 0
    if control == "row_bcast" and amount == 31:  # noqa: PLR2004 - the last lane of the first half
        return np.full(LANES, 31), _LANE >= 32  # noqa: PLR2004 - as above
    if control == "row_newbcast" and 0 <= amount <= 15 and value:  # noqa: PLR2004 - as above
        return first + amount, everywhere
    raise UnknownInstructionError(f"{instruction}: DPP control {control}:{value} is not known")


def moved(raw: Read, move: Dpp) -> tuple[Read, Callable[[Waves], NDArray[np.bool_]]]:
    """Return a reader of the moved source, and of the lanes that are then written.

    A lane that EXEC turns off is no source (CDNA3 ISA, DPP).
    """

    def exists(waves: Waves) -> NDArray[np.bool_]:
        if waves.lanes is None:
            return move.valid[None, :]
        return move.valid & waves.lanes[:, move.source]

    def read(waves: Waves) -> NDArray[np.uint32]:
        values = np.broadcast_to(raw(waves), (waves.count, LANES))[:, move.source]
        return np.asarray(np.where(exists(waves), values, np.uint32(0)))

    def written(waves: Waves) -> NDArray[np.bool_]:
        enabled = move.enabled if move.zeros else move.enabled & exists(waves)
        return np.broadcast_to(enabled, (waves.count, LANES))

    return read, written


def selected(raw: Read, name: str, instruction: Instruction) -> Read:
    """Return a reader of an SDWA selection, zero-extended.

    Raises:
        UnknownInstructionError: the selection is not known.

    """
    if name not in _SELECTIONS:
        raise UnknownInstructionError(f"{instruction}: SDWA selection {name} is not known")
    shift, mask = _SELECTIONS[name]
    if shift == 0 and name == "DWORD":
        return raw
    return lambda waves: (raw(waves) >> np.uint32(shift)) & np.uint32(mask)
