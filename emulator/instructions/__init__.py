"""The instruction table: what each mnemonic computes, and where that is stated.

Sources: "ISA" is AMD's "AMD Instinct MI300 Instruction Set Architecture" (CDNA3), the pseudocode of
the instruction of that name; "LLVM" is LLVM's "User Guide for AMDGPU Backend" and its instruction
definitions; "experiment" is a meaning fixed by a property that the tests state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Vector:
    """A vector instruction: a function of its operands, lane by lane.

    Attributes:
        name: without the encoding's suffix.
        inputs: a letter an operand (see `emulator.operands`).
        outputs: a letter a result; "m" results are lane masks in scalar registers.
        function: of the operands, arrays that broadcast to [W, 64], to a result or a tuple.
        source: where the meaning is stated.
        accumulates: the destination is the last operand and is not written out again.
        vcc: VCC is the last operand and is not written out.
        rounded: the function also takes the rounding model and whether subnormals are flushed.

    """

    name: str
    inputs: str
    outputs: str
    function: Callable[..., Any]
    source: str = "ISA"
    accumulates: bool = False
    vcc: bool = False
    rounded: bool = False


@dataclass(frozen=True)
class Scalar:
    """A scalar instruction: a function of its operands, wave by wave.

    Attributes:
        name: the mnemonic.
        inputs: letters u, i or q; "c" is the condition code, not written out.
        outputs: letters u, i or q for the destination, "c" for the condition code.
        function: of the operands, arrays [W], to a result or a tuple.
        source: where the meaning is stated.

    """

    name: str
    inputs: str
    outputs: str
    function: Callable[..., Any]
    source: str = "ISA"
