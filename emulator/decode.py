"""A program's instructions made into actions, once, before any wave runs."""

from __future__ import annotations

import re

from .decode_memory import memory_step
from .decode_scalar import branch, saveexec_step, scalar_step, setreg_step
from .decode_vector import bitop_step, mixed_step, packed_step, readlane_step, vector_step
from .errors import UnknownInstructionError
from .floats import fma
from .instructions import Scalar, Vector, compare, scalar, vector_float, vector_integer
from .run import Action, Barrier, End, Run
from .text import Instruction, Program

VECTOR: dict[str, Vector] = {
    operation.name: operation
    for table in (vector_float, vector_integer, compare)
    for operation in table.OPERATIONS
}
SCALAR: dict[str, Scalar] = {operation.name: operation for operation in scalar.OPERATIONS}
_PACKED = {
    "v_pk_add_f32": lambda a, b: a + b,
    "v_pk_mul_f32": lambda a, b: a * b,
    "v_pk_fma_f32": fma,
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


def _nothing(_: Run) -> None:
    """Do nothing: every result is there at once."""


def _step(instruction: Instruction) -> Action | None:
    name = instruction.mnemonic
    found = _ENCODING.fullmatch(name)
    base, encoding = (found[1], found[2]) if found else (name, "")
    if base in VECTOR:
        return vector_step(instruction, VECTOR[base], encoding)
    if name in SCALAR:
        return scalar_step(instruction, SCALAR[name])
    if name in scalar.SAVEEXEC:
        return saveexec_step(instruction, scalar.SAVEEXEC[name])
    if name in _PACKED:
        return packed_step(instruction, _PACKED[name])
    if name == "v_fma_mix_f32":
        return mixed_step(instruction)
    if name == "v_bitop3_b32":
        return bitop_step(instruction)
    if name in ("v_readlane_b32", "v_readfirstlane_b32"):
        return readlane_step(instruction, first=name == "v_readfirstlane_b32")
    if name == "s_setreg_imm32_b32":
        return setreg_step(instruction)
    return memory_step(instruction)


def mnemonics() -> frozenset[str]:
    """Return every mnemonic of the table, without encoding suffixes."""
    special = {
        *("s_nop", "s_waitcnt", "s_barrier", "s_endpgm", "s_setreg_imm32_b32"),
        *("v_fma_mix_f32", "v_bitop3_b32", "v_readlane_b32", "v_readfirstlane_b32"),
    }
    return frozenset({*VECTOR, *SCALAR, *scalar.SAVEEXEC, *_PACKED, *special})
