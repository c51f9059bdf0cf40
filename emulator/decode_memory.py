"""Loads and stores made into steps: scalar, global and LDS, with every access checked."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.decode_scalar import scalar_reader
from goldgate.emulator.errors import UnknownInstructionError
from goldgate.emulator.memory import Where
from goldgate.emulator.operands import operand, raw_reader, reader, scalar_register, vector_register
from goldgate.emulator.run import Execution, Step
from goldgate.emulator.text import Instruction
from goldgate.emulator.waves import LANES, Waves

#: Bytes of an access and whether a narrower value is sign-extended (CDNA3 ISA).
_GLOBAL = {
    "ubyte": (1, False),
    "sbyte": (1, True),
    "ushort": (2, False),
    "sshort": (2, True),
    "byte": (1, False),
    "short": (2, False),
    "dword": (4, False),
    "dwordx2": (8, False),
    "dwordx3": (12, False),
    "dwordx4": (16, False),
}
_SCALAR = {
    "s_load_dword": 1,
    "s_load_dwordx2": 2,
    "s_load_dwordx4": 4,
    "s_load_dwordx8": 8,
    "s_load_dwordx16": 16,
}
#: Bytes of an LDS access, and how many of them one instruction makes.
_LDS = {
    "u8": (1, 1),
    "u16": (2, 1),
    "b8": (1, 1),
    "b16": (2, 1),
    "b32": (4, 1),
    "b64": (8, 1),
    "b96": (12, 1),
    "b128": (16, 1),
    "2_b32": (4, 2),
    "2_b64": (8, 2),
}
_Value = TypeVar("_Value", bound=np.generic)
_CACHE = {"sc0", "sc1", "nt"}  # cache hints: no effect on what is read


def memory_step(instruction: Instruction) -> Step | None:
    """Return the step of a load, a store or a permutation, or None for another instruction.

    Raises:
        UnknownInstructionError: its size, operands or modifiers are not known.

    """
    name = instruction.mnemonic
    if name in _SCALAR:
        return _scalar_load(instruction, _SCALAR[name])
    for prefix, store in (("global_load_", False), ("global_store_", True)):
        if name.startswith(prefix) and name.removeprefix(prefix) in _GLOBAL:
            return _global(instruction, *_GLOBAL[name.removeprefix(prefix)], store=store)
    for prefix, store in (("ds_read", False), ("ds_write", True)):
        size = name.removeprefix(prefix).removeprefix("_")
        if name.startswith(prefix) and size in _LDS:
            return _lds(instruction, *_LDS[size], store=store)
    if name in ("ds_bpermute_b32", "ds_permute_b32"):
        return _permute(instruction, backward=name == "ds_bpermute_b32")
    return None


def _modifiers(instruction: Instruction, known: set[str]) -> dict[str, int]:
    if not set(instruction.modifiers) <= known:
        raise UnknownInstructionError(
            f"{instruction}: modifiers {sorted(set(instruction.modifiers) - known)} are not known"
        )
    return {k: int(v, 0) for k, v in instruction.modifiers.items() if k not in _CACHE}


def _scalar_load(instruction: Instruction, count: int) -> Step:
    target = scalar_register(instruction.operands[0], instruction, count)
    base = scalar_reader(instruction.operands[1], "q", instruction)
    offset = scalar_reader(instruction.operands[2], "u", instruction)
    _modifiers(instruction, set())

    def step(run: Execution) -> None:
        waves = run.waves
        addresses = np.broadcast_to(base(waves) + offset(waves).astype(np.uint64), waves.count)
        active = waves.active
        chosen = slice(None) if active is None else active
        held = (waves.workgroup, waves.local, np.arange(waves.count))
        workgroups, groups, numbers = (values[chosen] for values in held)
        where = Where(workgroups, np.zeros(len(groups), np.int64), groups, numbers)
        loaded = run.memory.load(addresses[chosen], 4 * count, instruction, where)
        words = loaded.view(np.uint32)
        for number in range(count):
            waves.s[target + number, chosen] = words[:, number]

    return step


def _global(instruction: Instruction, size: int, signed: bool, *, store: bool) -> Step:
    texts = instruction.operands
    address_text, value_text = (texts[0], texts[1]) if store else (texts[1], texts[0])
    offset = _modifiers(instruction, {"offset", *_CACHE}).get("offset", 0)
    count = max(1, size // 4)
    value = vector_register(value_text, instruction, count)
    if texts[2] == "off":
        base = reader(operand(address_text, instruction), "q", instruction)
        lane = None
    else:
        base = reader(operand(texts[2], instruction), "q", instruction)
        lane = raw_reader(operand(address_text, instruction))
    shift = np.uint64(offset & 0xFFFFFFFFFFFFFFFF)

    def addresses(waves: Waves) -> NDArray[np.uint64]:
        found = base(waves) + shift
        if lane is not None:
            found = found + lane(waves).astype(np.uint64)
        return _chosen(waves, found)

    def load(run: Execution) -> None:
        waves = run.waves
        loaded = run.memory.load(addresses(waves), size, instruction, run.where())
        if size < 4:
            narrow = loaded.view(f"{'i' if signed else 'u'}{size}")[:, 0]
            _scatter(waves, value, narrow.astype(np.int64).astype(np.uint32))
            return
        words = loaded.view(np.uint32)
        for number in range(count):
            _scatter(waves, value + number, words[:, number])

    def save(run: Execution) -> None:
        waves = run.waves
        raw = _gather(waves, value, count, size)
        run.memory.store(addresses(waves), raw, instruction, run.where())

    return save if store else load


def _lds(instruction: Instruction, size: int, parts: int, *, store: bool) -> Step:
    texts = instruction.operands
    known = {"offset"} if parts == 1 else {"offset0", "offset1"}
    found = _modifiers(instruction, known)
    # ds_read2 and ds_write2 count their offsets in elements (CDNA3 ISA).
    offsets = (
        [found.get("offset", 0)]
        if parts == 1
        else [found.get(f"offset{part}", 0) * size for part in (0, 1)]
    )
    count = max(1, size // 4)
    if store:
        lane = raw_reader(operand(texts[0], instruction))
        registers = [vector_register(text, instruction, count) for text in texts[1:]]
    else:
        lane = raw_reader(operand(texts[1], instruction))
        first = vector_register(texts[0], instruction, count * parts)
        registers = [first + count * part for part in range(parts)]

    def load(run: Execution) -> None:
        waves = run.waves
        base, where = _chosen(waves, lane(waves)), run.where()
        for offset, register in zip(offsets, registers, strict=True):
            raw = run.lds.load(base + np.uint32(offset), size, instruction, where)
            words = raw.view(np.uint32) if size >= 4 else _zero_extended(raw)
            for number in range(count):
                _scatter(waves, register + number, words[:, number])

    def save(run: Execution) -> None:
        waves = run.waves
        base, where = _chosen(waves, lane(waves)), run.where()
        for offset, register in zip(offsets, registers, strict=True):
            raw = _gather(waves, register, count, size)
            run.lds.store(base + np.uint32(offset), raw, instruction, where)

    return save if store else load


def _permute(instruction: Instruction, *, backward: bool) -> Step:
    """Return ds_bpermute_b32 (read from a lane) or ds_permute_b32 (write to one); CDNA3 ISA.

    A lane that EXEC turns off gives 0 when read; what no lane writes to is 0; of several writers
    the highest lane's value stays.
    """
    target = vector_register(instruction.operands[0], instruction, 1)
    lane = raw_reader(operand(instruction.operands[1], instruction))
    value = raw_reader(operand(instruction.operands[2], instruction))
    offset = np.uint32(_modifiers(instruction, {"offset"}).get("offset", 0))

    def step(run: Execution) -> None:
        waves = run.waves
        shape = (waves.count, LANES)
        at = ((np.broadcast_to(lane(waves), shape) + offset) >> np.uint32(2)) & np.uint32(63)
        values = np.broadcast_to(value(waves), shape)
        if backward:
            if waves.lanes is not None:
                values = np.where(waves.lanes, values, np.uint32(0))
            result = np.take_along_axis(values, at.astype(np.intp), axis=1)
        else:
            result = np.zeros(shape, np.uint32)
            rows, lanes = np.nonzero(np.ones(shape, bool) if waves.lanes is None else waves.lanes)
            result[rows, at[rows, lanes]] = values[rows, lanes]
        waves.set_vector(target, result)

    return step


def _chosen(waves: Waves, values: NDArray[_Value]) -> NDArray[_Value]:
    """Return the active lanes' values in order, [n]."""
    whole = np.broadcast_to(values, (waves.count, LANES))
    return whole.reshape(-1) if waves.lanes is None else whole[waves.lanes]


def _zero_extended(raw: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return uint8 [n, 1 or 2] as uint32 [n, 1]."""
    return raw.view(f"u{raw.shape[1]}").astype(np.uint32)


def _gather(waves: Waves, register: int, count: int, size: int) -> NDArray[np.uint8]:
    """Return the active lanes' registers as bytes, uint8 [n, size]."""
    words = np.stack([_chosen(waves, waves.v[register + i]) for i in range(count)], axis=1)
    return words.view(np.uint8)[:, :size]


def _scatter(waves: Waves, register: int, values: NDArray[np.uint32]) -> None:
    """Write the active lanes of a register from [n]."""
    if waves.lanes is None:
        waves.v[register] = values.reshape(waves.count, LANES)
    else:
        waves.v[register][waves.lanes] = values
