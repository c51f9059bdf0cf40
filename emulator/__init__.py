"""An interpreter of AMDGPU assembly text (CDNA3 and CDNA4), numpy over waves and 64 lanes.

It executes what clang's AMDGPU target prints, checks every memory access, and stops at whatever it
does not know. It knows nothing of what a kernel is for.
"""

from goldgate.emulator.errors import (
    EmulationError,
    MemoryFaultError,
    NotEmulatedError,
    UnknownInstructionError,
)
from goldgate.emulator.launch import Launched, Prepared, launch, prepare
from goldgate.emulator.memory import Memory
from goldgate.emulator.rounding import ROUNDINGS, Rounding
from goldgate.emulator.text import Program, parse

__all__ = [
    "ROUNDINGS",
    "EmulationError",
    "Launched",
    "Memory",
    "MemoryFaultError",
    "NotEmulatedError",
    "Prepared",
    "Program",
    "Rounding",
    "UnknownInstructionError",
    "launch",
    "parse",
    "prepare",
]
