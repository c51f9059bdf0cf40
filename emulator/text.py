"""Assembly text as clang's AMDGPU target prints it, parsed into instructions and a descriptor.

The syntax is that of LLVM's "User Guide for AMDGPU Backend" and its operand and modifier pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from goldgate.emulator.errors import EmulationError, UnknownInstructionError

_MNEMONIC = re.compile(r"\t([a-z]\w*)(?:\s+(.*?))?\s*$")
_LABEL = re.compile(r"([.\w$]+):")
_DESCRIPTOR = re.compile(r"\s+\.amdhsa_(\w+)\s+(\S+)")
_ARGUMENT = re.compile(r"[\s-]*\.(offset|size|value_kind|name):\s+(\S+)")


@dataclass(frozen=True)
class Instruction:
    """One line of assembly.

    Attributes:
        mnemonic: as it is printed, encoding suffix (`_e32`, `_dpp`) included.
        operands: their text, in order.
        modifiers: name to value; a modifier without a value maps to "".
        line: its number in the text, from 1.
        text: the line, for messages.

    """

    mnemonic: str
    operands: tuple[str, ...]
    modifiers: Mapping[str, str]
    line: int
    text: str

    def __str__(self) -> str:
        """Return the line as messages show it."""
        return f"`{self.text}` (line {self.line})"


@dataclass(frozen=True)
class Argument:
    """One kernel argument of the metadata: its bytes in the kernarg segment and what fills them."""

    offset: int
    size: int
    kind: str


@dataclass(frozen=True)
class Program:
    """A kernel's text.

    Attributes:
        name: the symbol.
        target: the processor, for example "gfx942".
        instructions: in order; a program counter is an index into them.
        labels: each label's program counter.
        descriptor: the `.amdhsa_` values that are integers, by name.
        arguments: of the metadata, in order.

    """

    name: str
    target: str
    instructions: tuple[Instruction, ...]
    labels: Mapping[str, int]
    descriptor: Mapping[str, int]
    arguments: tuple[Argument, ...]


def parse(text: str) -> Program:
    """Parse the one kernel of an assembly text.

    Raises:
        EmulationError: it holds no kernel or several, or one has no metadata.

    """
    names = re.findall(r"^\s+\.amdhsa_kernel\s+(\S+)", text, flags=re.MULTILINE)
    target = re.search(r'\.amdgcn_target\s+"[\w-]*?(gfx\w+)', text)
    if len(names) != 1 or target is None:
        raise EmulationError(
            f"assembly text: expected one kernel and its target, found {len(names)} kernels"
        )
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    descriptor: dict[str, int] = {}
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if found := _DESCRIPTOR.match(line):
            if found[2].lstrip("-").isdecimal():
                descriptor[found[1]] = int(found[2])
        elif label := _LABEL.match(line):
            inside = inside or label[1] == names[0]
            if label[1].startswith(".Lfunc_end"):
                inside = False
            labels[label[1]] = len(instructions)
        elif inside:
            found = _MNEMONIC.match(line.partition(";")[0])
            if found and not found[1].startswith("."):
                instructions.append(_instruction(found[1], found[2] or "", number))
    if not instructions:
        raise EmulationError(f"assembly text: {names[0]} has no instructions")
    return Program(
        names[0], target[1], tuple(instructions), labels, descriptor, tuple(_arguments(text))
    )


def _instruction(mnemonic: str, rest: str, line: int) -> Instruction:
    text = f"{mnemonic} {rest}".strip()
    if mnemonic in ("s_waitcnt", "s_nop"):  # counters and spaces: nothing here is delayed
        return Instruction(mnemonic, (), {}, line, text)
    parts = _split(rest, ",")
    operands, modifiers = parts, dict[str, str]()
    if parts:
        last, *words = _split(parts[-1], " ")
        operands = [*parts[:-1], last]
        for word in words:
            name, _, value = word.partition(":")
            modifiers[name] = value
    return Instruction(mnemonic, tuple(operands), modifiers, line, text)


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator that stands in no brackets."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character in "[(") - (character in "])")
        if character == separator and not depth:
            parts.append(text[start:at].strip())
            start = at + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def _arguments(text: str) -> Iterator[Argument]:
    """Yield the entries of `.args` in the metadata, which is YAML of one fixed shape."""
    _, found, after = text.partition("    .args:")
    if not found:
        return
    block = re.split(r"^ {4}\.", after, maxsplit=1, flags=re.MULTILINE)[0]
    for entry in re.split(r"^ {6}- ", block, flags=re.MULTILINE)[1:]:
        values = {}
        for line in entry.splitlines():
            if match := _ARGUMENT.match(line):
                values[match[1]] = match[2]
        yield Argument(int(values["offset"]), int(values["size"]), values["value_kind"])


def modifier_list(instruction: Instruction, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return a modifier such as op_sel:[0,1,0] as integers.

    Raises:
        UnknownInstructionError: it is not a list of integers.

    """
    value = instruction.modifiers.get(name)
    if value is None:
        return default
    numbers = value.strip("[]").split(",")
    if not all(number.strip().isdecimal() for number in numbers):
        raise UnknownInstructionError(f"{instruction}: modifier {name}:{value} is not known")
    return tuple(int(number) for number in numbers)
