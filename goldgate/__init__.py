"""Is a model with a new MoE routing kernel still the same model? Parity, GSM8K, sign-off.

The public names below are loaded when they are first used, so that `import goldgate` and a recorder
in a serving engine's Python need numpy and safetensors alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldgate.accuracy.evaluate import Result, judge
    from goldgate.accuracy.testing import assert_parity
    from goldgate.errors import GoldgateError
    from goldgate.fixtures.output import KernelInfo, Output, open_output, write_output
    from goldgate.fixtures.recording import Recording, open_recording, write_recording
    from goldgate.kernels import RoutingKernel
    from goldgate.reference.arithmetic import PROFILES, Profile
    from goldgate.reference.router import Routing, route
    from goldgate.reference.spec import RoutingSpec

__version__ = "0.2.0"

#: Each public name and the module that defines it.
_HOMES = {
    "GoldgateError": "goldgate.errors",
    "KernelInfo": "goldgate.fixtures.output",
    "Output": "goldgate.fixtures.output",
    "PROFILES": "goldgate.reference.arithmetic",
    "Profile": "goldgate.reference.arithmetic",
    "Recording": "goldgate.fixtures.recording",
    "Result": "goldgate.accuracy.evaluate",
    "Routing": "goldgate.reference.router",
    "RoutingKernel": "goldgate.kernels",
    "RoutingSpec": "goldgate.reference.spec",
    "assert_parity": "goldgate.accuracy.testing",
    "judge": "goldgate.accuracy.evaluate",
    "open_output": "goldgate.fixtures.output",
    "open_recording": "goldgate.fixtures.recording",
    "route": "goldgate.reference.router",
    "write_output": "goldgate.fixtures.output",
    "write_recording": "goldgate.fixtures.recording",
}

__all__ = [
    "PROFILES",
    "GoldgateError",
    "KernelInfo",
    "Output",
    "Profile",
    "Recording",
    "Result",
    "Routing",
    "RoutingKernel",
    "RoutingSpec",
    "__version__",
    "assert_parity",
    "judge",
    "open_output",
    "open_recording",
    "route",
    "write_output",
    "write_recording",
]


def __getattr__(name: str) -> object:
    """Load a public name from its module (PEP 562)."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'goldgate' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
