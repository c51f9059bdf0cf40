"""What ends an emulated run."""

from __future__ import annotations

from goldgate.errors import GoldgateError


class EmulationError(GoldgateError):
    """A program that cannot be executed: one line that names the instruction and what is wrong."""


class NotEmulatedError(EmulationError):
    """What hardware would do is not known here: a limit of the emulator, no fault of a program."""


class UnknownInstructionError(NotEmulatedError):
    """An instruction, operand or modifier outside the table; nothing is guessed."""


class MemoryFaultError(EmulationError):
    """An access outside every buffer, or a write to one that is read only."""
