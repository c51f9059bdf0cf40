"""Scalar instructions made into steps, and the jumps."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.errors import UnknownInstructionError
from goldgate.emulator.instructions import Scalar
from goldgate.emulator.operands import constant_bits, operand, scalar_register
from goldgate.emulator.run import Branch, Execution, Step
from goldgate.emulator.text import Instruction, Program
from goldgate.emulator.waves import EXEC, VCC, Waves

Values = Callable[[Waves], Any]
_MODE = re.compile(r"hwreg\(HW_REG_MODE(?:,\s*(\d+),\s*(\d+))?\)")
_LOW = np.uint64(0xFFFFFFFF)


def scalar_step(instruction: Instruction, operation: Scalar) -> Step:
    """Return the step of a scalar instruction of the table.

    Raises:
        UnknownInstructionError: its operands are not those that are known.

    """
    inputs = operation.inputs.replace("c", "")
    written = len(operation.outputs.replace("c", ""))
    texts = instruction.operands
    if len(texts) != written + len(inputs) or instruction.modifiers:
        raise UnknownInstructionError(
            f"{instruction}: expected {written + len(inputs)} operands and no modifiers"
        )
    reads = [
        scalar_reader(text, kind, instruction)
        for text, kind in zip(texts[written:], inputs, strict=True)
    ]
    if operation.inputs.endswith("c"):
        reads.append(lambda waves: waves.scc)
    kind = operation.outputs[0]
    target = -1
    if kind != "c":
        target = scalar_register(texts[0], instruction, 2 if kind == "q" else 1)
    function, conditional = operation.function, operation.outputs.endswith("c")

    def step(run: Execution) -> None:
        waves = run.waves
        result = function(*[read(waves) for read in reads])
        if kind == "c":
            waves.set_scc(result)
            return
        if conditional:
            result, condition = result
            waves.set_scc(condition)
        _set(waves, target, kind, result)

    return step


def _set(waves: Waves, target: int, kind: str, result: NDArray[Any]) -> None:
    if kind == "q":
        waves.set_pair(
            target, (result & _LOW).astype(np.uint32), (result >> np.uint64(32)).astype(np.uint32)
        )
    else:
        waves.set_scalar(target, result.view(np.uint32))


def scalar_reader(text: str, kind: str, instruction: Instruction) -> Values:
    """Return a reader of a scalar operand as u, i or q, an array [W] or [1].

    Raises:
        UnknownInstructionError: it is no scalar operand of that size.

    """
    found = operand(text, instruction)
    count = 2 if kind == "q" else 1
    if found.negate or found.absolute or found.file == "v":
        raise UnknownInstructionError(f"{instruction}: {text}: expected a scalar operand")
    if found.file == "c":
        bits = constant_bits(found.index, kind, instruction)
        fixed = np.array([bits], np.uint64 if kind == "q" else np.uint32)
        fixed = fixed.view(np.int32) if kind == "i" else fixed
        return lambda _: fixed
    if found.count != count:
        raise UnknownInstructionError(f"{instruction}: {text}: expected {count} registers")
    at = found.register
    if kind == "q":
        return lambda waves: (
            waves.s[at].astype(np.uint64) | (waves.s[at + 1].astype(np.uint64) << np.uint64(32))
        )
    if kind == "i":
        return lambda waves: waves.s[at].view(np.int32)
    return lambda waves: waves.s[at]


def saveexec_step(instruction: Instruction, logic: Callable[[Any, Any], Any]) -> Step:
    """Return the step of s_*_saveexec_b64: EXEC saved, then combined (CDNA3 ISA).

    Raises:
        UnknownInstructionError: an operand is no scalar pair.

    """
    target = scalar_register(instruction.operands[0], instruction, 2)
    read = scalar_reader(instruction.operands[1], "q", instruction)
    execution = scalar_reader("exec", "q", instruction)

    def step(run: Execution) -> None:
        waves = run.waves
        before = execution(waves)
        after = logic(read(waves), before)
        _set(waves, target, "q", before)
        _set(waves, EXEC, "q", after)
        waves.set_scc(after != 0)

    return step


def setreg_step(instruction: Instruction) -> Step:
    """Return the step of s_setreg_imm32_b32 on MODE: `size` bits at `offset` (CDNA3 ISA).

    Raises:
        UnknownInstructionError: it is about another register.

    """
    found = _MODE.fullmatch(instruction.operands[0])
    if found is None:
        raise UnknownInstructionError(
            f"{instruction}: register {instruction.operands[0]} is not known"
        )
    offset, size = int(found[1] or 0), int(found[2] or 32)
    field = ((1 << size) - 1) << offset
    value = np.uint32((int(instruction.operands[1], 0) << offset) & field)
    keep = np.uint32(~field & 0xFFFFFFFF)

    def step(run: Execution) -> None:
        waves = run.waves
        mode = waves.mode & keep | value
        waves.mode = mode if waves.active is None else np.where(waves.active, mode, waves.mode)
        waves.refresh()

    return step


def _pair_is_zero(register: int) -> Callable[[Waves], NDArray[np.bool_]]:
    return lambda waves: (waves.s[register] | waves.s[register + 1]) == 0


def _not(condition: Callable[[Waves], NDArray[np.bool_]]) -> Callable[[Waves], NDArray[np.bool_]]:
    return lambda waves: ~condition(waves)


_CONDITIONS: dict[str, Callable[[Waves], NDArray[np.bool_]] | None] = {
    "s_branch": None,
    "s_cbranch_scc0": lambda waves: ~waves.scc,
    "s_cbranch_scc1": lambda waves: waves.scc,
    "s_cbranch_vccz": _pair_is_zero(VCC),
    "s_cbranch_vccnz": _not(_pair_is_zero(VCC)),
    "s_cbranch_execz": _pair_is_zero(EXEC),
    "s_cbranch_execnz": _not(_pair_is_zero(EXEC)),
}


def branch(instruction: Instruction, program: Program) -> Branch | None:
    """Return the jump that an instruction is, or None.

    Raises:
        UnknownInstructionError: its label is not in the text.

    """
    if instruction.mnemonic not in _CONDITIONS:
        return None
    label = instruction.operands[0]
    if label not in program.labels:
        raise UnknownInstructionError(f"{instruction}: there is no label {label}")
    return Branch(program.labels[label], _CONDITIONS[instruction.mnemonic])
