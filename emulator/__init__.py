"""An interpreter of AMDGPU assembly text (CDNA3 and CDNA4), numpy over waves and 64 lanes.

It executes what clang's AMDGPU target prints, checks every memory access, and stops at whatever it
does not know. It knows nothing of what a kernel is for.
"""

from .errors import EmulationError, MemoryFaultError, UnknownInstructionError
from .launch import Kernel, Launched, launch, prepare
from .memory import Memory
from .rounding import ROUNDINGS, Rounding
from .text import Program, parse

__all__ = [
    "ROUNDINGS",
    "EmulationError",
    "Kernel",
    "Launched",
    "Memory",
    "MemoryFaultError",
    "Program",
    "Rounding",
    "UnknownInstructionError",
    "launch",
    "parse",
    "prepare",
]
