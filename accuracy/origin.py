"""Where a kernel that was run comes from: its package, its source, the device it ran on."""

from __future__ import annotations

import hashlib
import inspect
import platform
import sys
from pathlib import Path

from goldgate.kernels import Loaded


def origin(kernel: Loaded) -> dict[str, str]:
    """Return package, source_sha256 and architecture of a loaded kernel; "" where unknown.

    The source is the file of the module that defines the function. Of a kernel that goldgate calls
    through a module of its own it says nothing, so that the package's release stands alone.
    """
    module = str(getattr(kernel.route, "__module__", ""))
    ours = module.startswith("goldgate.")
    return {
        "package": kernel.name.split(":")[0].split(".")[0].split()[0] if ours else _top(module),
        "source_sha256": "" if ours else _source(kernel.route),
        "architecture": kernel.processor.partition(",")[0]
        if kernel.execution == "emulated"
        else architecture(kernel.device),
    }


def architecture(device: str) -> str:
    """Return a torch device's architecture: gfx942 and the like, sm_90, or the processor's."""
    if not device.startswith("cuda"):
        return platform.machine()
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    about = torch.cuda.get_device_properties(device)
    gcn = str(getattr(about, "gcnArchName", ""))
    return gcn.split(":", maxsplit=1)[0] if torch.version.hip else f"sm_{about.major}{about.minor}"


def _top(module: str) -> str:
    return module.partition(".")[0]


def _source(function: object) -> str:
    try:
        path = inspect.getsourcefile(inspect.unwrap(function))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        # An instance of a class, or a function compiled from no Python.
        held = sys.modules.get(str(getattr(function, "__module__", "")))
        path = getattr(held, "__file__", None)
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""
    except OSError:
        return ""
