"""Moves between lanes that an instruction's encoding does on its first source: DPP and SDWA."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.errors import UnknownInstructionError
from goldgate.emulator.operands import Read
from goldgate.emulator.text import Instruction
from goldgate.emulator.waves import LANES, Waves

_LANE = np.arange(LANES)
_ROW, _IN_ROW = _LANE // 16, _LANE % 16
_FIRST = _LANE - _IN_ROW  # each row's first lane
#: DPP modifiers beside the control.
MASKS = ("row_mask", "bank_mask", "bound_ctrl")
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
    controls = [name for name in modifiers if name not in MASKS]
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
    everywhere = np.ones(LANES, bool)
    if control == "quad_perm" and re.fullmatch(r"\[[0-3](,\s*[0-3]){3}\]", value):
        chosen = np.array([int(digit) for digit in re.findall(r"\d", value)])
        return _LANE - _LANE % 4 + chosen[_LANE % 4], everywhere
    fixed = {
        ("row_mirror", ""): (_FIRST + 15 - _IN_ROW, everywhere),
        ("row_half_mirror", ""): (_LANE - _LANE % 8 + 7 - _LANE % 8, everywhere),
        ("row_bcast", "15"): ((_FIRST - 1) % LANES, _ROW > 0),
        ("row_bcast", "31"): (np.full(LANES, 31), _LANE >= 32),
    }
    if (control, value) in fixed:
        return fixed[control, value]
    amount = int(value) if value.isdecimal() else -1
    by_amount = {
        "row_shl": ((_LANE + amount) % LANES, _IN_ROW + amount < 16),
        "row_shr": ((_LANE - amount) % LANES, amount <= _IN_ROW),
        "row_ror": (_FIRST + (_IN_ROW - amount) % 16, everywhere),
        "row_newbcast": (_FIRST + amount, everywhere),
    }
    if control in by_amount and (0 if control == "row_newbcast" else 1) <= amount <= 15:
        return by_amount[control]
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
