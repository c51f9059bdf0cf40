"""Whose exception it is that ended a kernel's process: the kernel's, or goldgate's own.

What a kernel raises in a call is caught there. What is raised elsewhere comes from goldgate, or
from a kernel through it: from the kernel's own code in another place, or from a device that an
earlier call left broken, which the next use of the device reports.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from goldgate.kernels import Loaded, one_line

#: What drivers call a fault of the device.
_DEVICE_FAULTS = ("CUDA error", "HIP error", "an illegal memory access", "misaligned address")


def device_fault(error: BaseException) -> bool:
    """Say whether an exception reports a fault of the device."""
    return any(words in str(error) for words in _DEVICE_FAULTS)


def of_kernel(error: BaseException, kernel: Loaded | None) -> bool:
    """Say whether an exception is the kernel's: a fault of its device, or raised below its code.

    Args:
        error: as it was caught, with its traceback.
        kernel: the kernel; None: it could not be loaded.

    """
    if device_fault(error):
        return True
    name = (getattr(kernel.route, "__module__", None) or "") if kernel else ""
    file = getattr(sys.modules.get(name), "__file__", None)
    if not file or name.startswith("goldgate."):  # a wrapper of goldgate's own
        return False
    return any(frame.filename == file for frame in traceback.extract_tb(error.__traceback__))


def defect(error: BaseException) -> str:
    """Name an exception of goldgate's own in one line: type, words, and where it was raised."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"memory ran out ({one_line(error)})"
    *_, last = traceback.extract_tb(error.__traceback__) or [None]
    at = f" at {Path(last.filename).name}:{last.lineno}" if last else ""
    return f"{one_line(error)}{at}; no verdict: this is a bug in goldgate, please report it"
