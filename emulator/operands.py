"""Operands: registers and constants, and how an instruction reads them as one of its types.

Types are one letter each: u uint32, i int32, f float32, h float16 (in 16 bits), d float64, q
uint64, m a lane mask.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.errors import UnknownInstructionError
from goldgate.emulator.floats import flush
from goldgate.emulator.text import Instruction
from goldgate.emulator.waves import EXEC, M0, VCC, Waves

Read = Callable[[Waves], Any]

_NAMED = {
    "vcc": (VCC, 2),
    "vcc_lo": (VCC, 1),
    "vcc_hi": (VCC + 1, 1),
    "exec": (EXEC, 2),
    "exec_lo": (EXEC, 1),
    "exec_hi": (EXEC + 1, 1),
    "m0": (M0, 1),
}
_REGISTER = re.compile(r"([vs])(?:(\d+)|\[(\d+):(\d+)\])")
_NUMBER = re.compile(r"-?(?:0x[0-9a-f]+|\d+)")
_FLOAT = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?")
_WIDTH = {"u": 1, "i": 1, "f": 1, "h": 1, "d": 2, "q": 2, "m": 2}
_LARGEST_SHORT = 0x7FFFFFFF  # literals up to here are the same sign- and zero-extended


@dataclass(frozen=True)
class Operand:
    """A register or a constant.

    Attributes:
        file: "v", "s" or "c" (a constant).
        index: the register's number, or the constant's value as written.
        count: how many registers.
        negate: whether a minus sign stands before a register.
        absolute: whether it stands between bars.

    """

    file: str
    index: int | float
    count: int = 1
    negate: bool = False
    absolute: bool = False

    @property
    def register(self) -> int:
        """The register's number."""
        return int(self.index)


def operand(text: str, instruction: Instruction) -> Operand:
    """Parse an operand.

    Raises:
        UnknownInstructionError: it is neither a register nor a constant.

    """
    if _NUMBER.fullmatch(text):
        return Operand("c", int(text, 0))
    if _FLOAT.fullmatch(text):
        return Operand("c", float(text))
    negate = text.startswith("-")
    body = text[1:] if negate else text
    absolute = body.startswith("|") and body.endswith("|")
    body = body.strip("|")
    if body in _NAMED:
        index, count = _NAMED[body]
        return Operand("s", index, count, negate, absolute)
    if found := _REGISTER.fullmatch(body):
        first = int(found[2] or found[3])
        count = 1 if found[2] else int(found[4]) - first + 1
        return Operand(found[1], first, count, negate, absolute)
    raise UnknownInstructionError(f"{instruction}: operand {text} is not known")


def scalar_register(text: str, instruction: Instruction, count: int) -> int:
    """Return the number of `count` scalar registers.

    Raises:
        UnknownInstructionError: the operand is something else.

    """
    found = operand(text, instruction)
    if found.file != "s" or found.count != count:
        raise UnknownInstructionError(f"{instruction}: {text}: expected {count} scalar registers")
    return found.register


def vector_register(text: str, instruction: Instruction, count: int) -> int:
    """Return the number of the first of `count` vector registers.

    Raises:
        UnknownInstructionError: the operand is something else.

    """
    found = operand(text, instruction)
    if found.file != "v" or found.count != count:
        raise UnknownInstructionError(f"{instruction}: {text}: expected {count} vector registers")
    return found.register


def raw_reader(found: Operand, offset: int = 0) -> Read:
    """Return a reader of one 32-bit register as uint32 [W, 64], [W, 1] or [1, 1]."""
    index = found.register + offset
    if found.file == "v":
        return lambda waves: waves.v[index]
    if found.file == "s":
        return lambda waves: waves.s[index][:, None]
    value = np.array([[int(found.index) & 0xFFFFFFFF]], np.uint32)
    return lambda _: value


def reader(found: Operand, kind: str, instruction: Instruction) -> Read:
    """Return a reader of an operand as a type; float32 inputs are flushed where MODE says so.

    Raises:
        UnknownInstructionError: the operand's size or modifiers do not fit the type.

    """
    if found.file != "c" and found.count != _WIDTH[kind]:
        raise UnknownInstructionError(
            f"{instruction}: an operand of {found.count} registers where {_WIDTH[kind]} are known"
        )
    if kind == "m":
        return _mask_reader(found)
    if found.file == "c":
        return _constant(found, kind, instruction)
    if (found.negate or found.absolute) and kind not in "ufhd":
        raise UnknownInstructionError(f"{instruction}: a sign modifier on an integer is not known")
    low = raw_reader(found)
    if _WIDTH[kind] == 2:
        return _wide(low, raw_reader(found, 1), kind, found)
    return typed(low, kind, negate=found.negate, absolute=found.absolute)


def typed(raw: Read, kind: str, *, negate: bool, absolute: bool) -> Read:
    """Return a reader of 32 bits as u, i, f or h, with sign modifiers."""
    sign = np.uint32(0x8000 if kind == "h" else 0x80000000)

    def signed(waves: Waves) -> NDArray[np.uint32]:
        bits = raw(waves)
        bits = bits & ~sign if absolute else bits
        return np.asarray(bits ^ sign if negate else bits)

    source = signed if negate or absolute else raw
    if kind == "f":

        def floats(waves: Waves) -> NDArray[np.float32]:
            values = source(waves).view(np.float32)
            return flush(values) if waves.flushing else values

        return floats
    if kind == "i":
        return lambda waves: source(waves).view(np.int32)
    if kind == "h":
        return lambda waves: (source(waves) & np.uint32(0xFFFF)).astype(np.uint16).view(np.float16)
    return source


def _wide(low: Read, high: Read, kind: str, found: Operand) -> Read:
    def joined(waves: Waves) -> NDArray[np.uint64]:
        bits = low(waves).astype(np.uint64) | (high(waves).astype(np.uint64) << np.uint64(32))
        if found.absolute:
            bits &= np.uint64(0x7FFFFFFFFFFFFFFF)
        return np.asarray(bits ^ np.uint64(1 << 63) if found.negate else bits)

    return (lambda waves: joined(waves).view(np.float64)) if kind == "d" else joined


def _mask_reader(found: Operand) -> Read:
    if found.file == "c":
        value = np.array([[bool(int(found.index) & 1)]])
        return lambda _: value
    return lambda waves: waves.mask(found.register)


def constant_bits(value: float, kind: str, instruction: Instruction) -> int:
    """Return a constant's bits as a type: inline constants are numbers of it, literals bits.

    LLVM's AMDGPU operand syntax: a float literal is of the operand's type; an integer is its bits,
    and in a float64 a 32-bit literal is the upper half.

    Raises:
        UnknownInstructionError: its extension to 64 bits would be a guess.

    """
    if not isinstance(value, int):
        form = {"f": "<f", "h": "<e", "d": "<d"}.get(kind, "<f")
        return int.from_bytes(struct.pack(form, value), "little")
    inline = -16 <= value <= 64
    if kind == "d" and not inline:
        return value << 32
    if kind == "q" and not inline and not 0 <= value <= _LARGEST_SHORT:
        raise UnknownInstructionError(f"{instruction}: the literal {value:#x} as 64 bits")
    return value & (0xFFFFFFFFFFFFFFFF if kind in "dq" else 0xFFFFFFFF)


def _constant(found: Operand, kind: str, instruction: Instruction) -> Read:
    bits = constant_bits(found.index, kind, instruction)
    if kind in "dq":
        wide = np.array([[bits]], np.uint64)
        return (lambda _: wide.view(np.float64)) if kind == "d" else (lambda _: wide)
    narrow = np.array([[bits]], np.uint32)
    return typed(lambda _: narrow, kind, negate=False, absolute=False)
