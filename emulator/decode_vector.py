"""Vector instructions made into steps: operands read, a function applied, results kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.errors import UnknownInstructionError
from goldgate.emulator.floats import flush, fma
from goldgate.emulator.instructions import Vector
from goldgate.emulator.lanes import Dpp, dpp, moved, selected
from goldgate.emulator.operands import (
    Operand,
    Read,
    operand,
    raw_reader,
    reader,
    scalar_register,
    typed,
    vector_register,
)
from goldgate.emulator.run import Execution, Step
from goldgate.emulator.text import Instruction, modifier_list
from goldgate.emulator.waves import Waves

from .instructions.vector_integer import bitop3

_SDWA = {"dst_sel", "dst_unused", "src0_sel", "src1_sel"}
_WIDTH = {"d": 2, "q": 2}

Write = Callable[[Waves, Any], None]


def vector_step(instruction: Instruction, operation: Vector, encoding: str) -> Step:
    """Return the step of an instruction of the table.

    Raises:
        UnknownInstructionError: its operands or modifiers are not those that are known.

    """
    texts = list(instruction.operands)
    written = len(operation.outputs)
    listed = written + len(operation.inputs) - operation.accumulates - operation.vcc
    if len(texts) != listed:
        raise UnknownInstructionError(f"{instruction}: expected {listed} operands")
    sources = texts[written:] + texts[:1] * operation.accumulates + ["vcc"] * operation.vcc
    move = _move(instruction, encoding)
    reads = [
        _source(text, kind, number, instruction, encoding, move)
        for number, (text, kind) in enumerate(zip(sources, operation.inputs, strict=True))
    ]
    writes = [
        _writer(text, kind, instruction, move)
        for text, kind in zip(texts, operation.outputs, strict=False)
    ]
    function = operation.function
    if operation.rounded:
        only = reads[0]

        def step(run: Execution) -> None:
            waves = run.waves
            writes[0](waves, function(only(waves), run.rounding, waves.flushing))

    elif written == 1:
        write = writes[0]

        def step(run: Execution) -> None:
            waves = run.waves
            write(waves, function(*[read(waves) for read in reads]))

    else:

        def step(run: Execution) -> None:
            waves = run.waves
            results = function(*[read(waves) for read in reads])
            for write, result in zip(writes, results, strict=True):
                write(waves, result)

    return step


def _move(instruction: Instruction, encoding: str) -> Dpp | None:
    """Return the lane moves of a DPP instruction; refuse modifiers that are not known."""
    modifiers = set(instruction.modifiers)
    if encoding == "dpp":
        return dpp(instruction)
    if encoding == "sdwa":
        known = {"dst_sel": "DWORD", "dst_unused": "UNUSED_PAD"}
        fits = all(instruction.modifiers.get(k, v) == v for k, v in known.items())
        if modifiers <= _SDWA and fits:
            return None
    elif not modifiers:
        return None
    raise UnknownInstructionError(f"{instruction}: modifiers {sorted(modifiers)} are not known")


def _source(
    text: str,
    kind: str,
    number: int,
    instruction: Instruction,
    encoding: str,
    move: Dpp | None,
) -> Read:
    found = operand(text, instruction)
    if move is not None and number == 0:
        if found.file != "v" or found.count != 1:
            raise UnknownInstructionError(f"{instruction}: DPP of {text} is not known")
        raw, _ = moved(raw_reader(found), move)
    elif encoding == "sdwa" and found.count == 1 and kind != "m":
        name = instruction.modifiers.get(f"src{number}_sel", "DWORD")
        raw = selected(raw_reader(found), name, instruction)
    else:
        return reader(found, kind, instruction)
    return typed(raw, kind, negate=found.negate, absolute=found.absolute)


def _writer(text: str, kind: str, instruction: Instruction, move: Dpp | None) -> Write:
    if kind == "m":
        pair = scalar_register(text, instruction, 2)
        return lambda waves, result: waves.set_mask(pair, result)
    register = vector_register(text, instruction, _WIDTH.get(kind, 1))
    if kind in _WIDTH:
        return lambda waves, result: _set_wide(waves, register, result)
    if move is not None:
        _, written = moved(raw_reader(Operand("v", register)), move)

        def partly(waves: Waves, result: NDArray[Any]) -> None:
            values = flush(result) if kind == "f" and waves.flushing else result
            kept = waves.v[register]
            waves.set_vector(register, np.where(written(waves), values.view(np.uint32), kept))

        # Where every lane is written whatever EXEC is, the plain way does.
        if not (move.zeros and move.enabled.all()):
            return partly
    if kind == "f":
        return lambda waves, result: waves.set_vector(
            register, flush(result) if waves.flushing else result
        )
    if kind == "h":
        return lambda waves, result: waves.set_vector(
            register, np.asarray(result, np.float16).view(np.uint16).astype(np.uint32)
        )
    return lambda waves, result: waves.set_vector(register, result)


def _set_wide(waves: Waves, register: int, result: NDArray[Any]) -> None:
    bits = result.view(np.uint64)
    waves.set_vector(register, (bits & np.uint64(0xFFFFFFFF)).astype(np.uint32))
    waves.set_vector(register + 1, (bits >> np.uint64(32)).astype(np.uint32))


def packed_step(instruction: Instruction, function: Callable[..., Any]) -> Step:
    """Return the step of v_pk_*_f32: two float32 operations on register pairs (CDNA3 ISA, VOP3P).

    op_sel chooses each source's half for the low result, op_sel_hi for the high one.

    Raises:
        UnknownInstructionError: another modifier, or an operand that is no pair.

    """
    known = {"op_sel", "op_sel_hi"}
    if not set(instruction.modifiers) <= known:
        raise UnknownInstructionError(f"{instruction}: expected no modifiers but {known}")
    register = vector_register(instruction.operands[0], instruction, 2)
    sources = [operand(text, instruction) for text in instruction.operands[1:]]
    if any(found.file == "c" or found.count != 2 or found.negate for found in sources):
        raise UnknownInstructionError(f"{instruction}: expected pairs of registers")
    count = len(sources)
    low = modifier_list(instruction, "op_sel", (0,) * count)
    high = modifier_list(instruction, "op_sel_hi", (1,) * count)
    halves = [
        [
            typed(raw_reader(found, half), "f", negate=False, absolute=False)
            for found, half in zip(sources, chosen, strict=True)
        ]
        for chosen in (low, high)
    ]

    def step(run: Execution) -> None:
        waves = run.waves
        results = [function(*[read(waves) for read in reads]) for reads in halves]
        for offset, result in enumerate(results):
            waves.set_vector(register + offset, flush(result) if waves.flushing else result)

    return step


def mixed_step(instruction: Instruction) -> Step:
    """Return the step of v_fma_mix_f32: an fma of float32 and float16 sources (CDNA3 ISA).

    Where op_sel_hi is 1 a source is float16, in the half that op_sel names.

    Raises:
        UnknownInstructionError: another modifier.

    """
    if not set(instruction.modifiers) <= {"op_sel", "op_sel_hi"}:
        raise UnknownInstructionError(f"{instruction}: expected op_sel and op_sel_hi alone")
    register = vector_register(instruction.operands[0], instruction, 1)
    halves = modifier_list(instruction, "op_sel", (0, 0, 0))
    narrow = modifier_list(instruction, "op_sel_hi", (0, 0, 0))
    reads = [
        _mixed(operand(text, instruction), bool(half), bool(is_half), instruction)
        for text, half, is_half in zip(instruction.operands[1:], halves, narrow, strict=True)
    ]

    def step(run: Execution) -> None:
        waves = run.waves
        result = fma(*[read(waves) for read in reads])
        waves.set_vector(register, flush(result) if waves.flushing else result)

    return step


def _mixed(found: Operand, upper: bool, narrow: bool, instruction: Instruction) -> Read:
    if not narrow:
        if upper:
            raise UnknownInstructionError(f"{instruction}: op_sel of a float32 is not known")
        return reader(found, "f", instruction)
    raw = raw_reader(found)
    chosen = (lambda waves: raw(waves) >> np.uint32(16)) if upper else raw
    half = typed(chosen, "h", negate=found.negate, absolute=found.absolute)
    return lambda waves: half(waves).astype(np.float32)


def bitop_step(instruction: Instruction) -> Step:
    """Return the step of v_bitop3_b32.

    Raises:
        UnknownInstructionError: its truth table is missing.

    """
    if set(instruction.modifiers) != {"bitop3"}:
        raise UnknownInstructionError(f"{instruction}: expected bitop3 and no other modifier")
    table = int(instruction.modifiers["bitop3"], 0)
    plain = Instruction(
        instruction.mnemonic, instruction.operands, {}, instruction.line, instruction.text
    )
    return vector_step(
        plain, Vector("v_bitop3_b32", "uuu", "u", lambda a, b, c: bitop3(a, b, c, table)), "e64"
    )


def readlane_step(instruction: Instruction, *, first: bool) -> Step:
    """Return the step of v_readlane_b32 (a lane by number) or v_readfirstlane_b32 (CDNA3 ISA).

    The first lane is the lowest active one, lane 0 if none is; v_readlane_b32 ignores EXEC.

    Raises:
        UnknownInstructionError: an operand is of another kind.

    """
    target = scalar_register(instruction.operands[0], instruction, 1)
    source = vector_register(instruction.operands[1], instruction, 1)
    lane = None if first else _lane_number(operand(instruction.operands[2], instruction))

    def step(run: Execution) -> None:
        waves = run.waves
        at = np.arange(waves.count)
        if lane is not None:
            chosen = lane(waves)
        elif waves.lanes is None:
            chosen = np.zeros(waves.count, np.intp)
        else:
            chosen = waves.lanes.argmax(axis=1)
        waves.set_scalar(target, waves.v[source][at, chosen])

    return step


def _lane_number(found: Operand) -> Callable[[Waves], NDArray[np.intp]]:
    if found.file == "c":
        lane = int(found.index) & 63
        return lambda waves: np.full(waves.count, lane)
    return lambda waves: (waves.s[found.register] & np.uint32(63)).astype(np.intp)
