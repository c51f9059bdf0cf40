"""A program's instructions made into actions, once, before any wave runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np

from goldgate.emulator.decode_memory import memory_step
from goldgate.emulator.decode_scalar import branch, saveexec_step, scalar_step, setreg_step
from goldgate.emulator.decode_vector import (
    bitop_step,
    mixed_step,
    packed_step,
    readlane_step,
    vector_step,
)
from goldgate.emulator.errors import UnknownInstructionError
from goldgate.emulator.floats import fma
from goldgate.emulator.instructions import (
    Scalar,
    Vector,
    compare,
    scalar,
    vector_float,
    vector_integer,
)
from goldgate.emulator.run import Action, Barrier, End, Execution, Step
from goldgate.emulator.text import Instruction, Program

VECTOR: dict[str, Vector] = {
    operation.name: operation
    for table in (vector_float, vector_integer, compare)
    for operation in table.OPERATIONS
}
SCALAR: dict[str, Scalar] = {operation.name: operation for operation in scalar.OPERATIONS}
#: Instructions whose operands or modifiers are read in a way of their own.
SPECIAL: dict[str, Callable[[Instruction], Step]] = {
    "v_pk_add_f32": partial(packed_step, function=np.add),
    "v_pk_mul_f32": partial(packed_step, function=np.multiply),
    "v_pk_fma_f32": partial(packed_step, function=fma),
    "v_fma_mix_f32": mixed_step,
    "v_bitop3_b32": bitop_step,
    "v_readlane_b32": partial(readlane_step, first=False),
    "v_readfirstlane_b32": partial(readlane_step, first=True),
    "s_setreg_imm32_b32": setreg_step,
    **{name: partial(saveexec_step, logic=logic) for name, logic in scalar.SAVEEXEC.items()},
}
_ENCODING = re.compile(r"(.*)_(e32|e64|dpp|sdwa)")


def decode(program: Program) -> tuple[Action, ...]:
    """Return an action for each instruction.

    Raises:
        UnknownInstructionError: the first that is not in the table, by name.

    """
    return tuple(action(one, program) for one in program.instructions)


def action(instruction: Instruction, program: Program) -> Action:
    """Return what an instruction does.

    Raises:
        UnknownInstructionError: it is not in the table.

    """
    name = instruction.mnemonic
    try:
        found = _control(instruction, program) or _step(instruction)
    except (IndexError, ValueError):
        raise UnknownInstructionError(f"{instruction}: operands that are not known") from None
    if found is None:
        raise UnknownInstructionError(
            f"{instruction}: instruction {name} is not in the emulator's table"
        )
    return found


def _control(instruction: Instruction, program: Program) -> Action | None:
    name = instruction.mnemonic
    if name in ("s_nop", "s_waitcnt"):
        return _nothing
    if name == "s_barrier":
        return Barrier()
    if name == "s_endpgm":
        return End()
    return branch(instruction, program)


def _nothing(_: Execution) -> None:
    """Do nothing: every result is there at once."""


def _step(instruction: Instruction) -> Action | None:
    name = instruction.mnemonic
    found = _ENCODING.fullmatch(name)
    base, encoding = (found[1], found[2]) if found else (name, "")
    if base in VECTOR:
        return vector_step(instruction, VECTOR[base], encoding)
    if name in SCALAR:
        return scalar_step(instruction, SCALAR[name])
    if name in SPECIAL:
        return SPECIAL[name](instruction)
    return memory_step(instruction)
