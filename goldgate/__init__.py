"""Is a model with a new MoE routing kernel still the same model? Parity, GSM8K, sign-off.

The public names below are imported when they are first used, so that `import goldgate` and a
recorder in a serving engine's Python need numpy and safetensors alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldgate.lazy import lazy_exports

if TYPE_CHECKING:
    from goldgate.accuracy.evaluate import Result, judge
    from goldgate.accuracy.known_failures import KnownFailure, read_known_failures
    from goldgate.accuracy.testing import assert_parity
    from goldgate.errors import GoldgateError
    from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS
    from goldgate.fixtures.constructed import CONSTRUCTORS, construct
    from goldgate.fixtures.output import KernelInfo, Output, open_output, output, write_output
    from goldgate.fixtures.recording import Recording, open_recording, recording, write_recording
    from goldgate.kernels import RoutingKernel
    from goldgate.reference.arithmetic import PROFILES, Profile
    from goldgate.reference.router import Routing, route
    from goldgate.reference.spec import MINIMAX_M2_5, RoutingSpec

__version__ = "0.2.0"

#: Each public name and the module that defines it.
_HOMES = {
    "CONSTRUCTORS": "goldgate.fixtures.constructed",
    "GoldgateError": "goldgate.errors",
    "KernelInfo": "goldgate.fixtures.output",
    "KnownFailure": "goldgate.accuracy.known_failures",
    "MINIMAX_M2_5": "goldgate.reference.spec",
    "Output": "goldgate.fixtures.output",
    "PROFILES": "goldgate.reference.arithmetic",
    "Profile": "goldgate.reference.arithmetic",
    "Recording": "goldgate.fixtures.recording",
    "Result": "goldgate.accuracy.evaluate",
    "Routing": "goldgate.reference.router",
    "RoutingKernel": "goldgate.kernels",
    "RoutingSpec": "goldgate.reference.spec",
    "SHIPPED_OUTPUTS": "goldgate.fixtures",
    "SHIPPED_RECORDINGS": "goldgate.fixtures",
    "assert_parity": "goldgate.accuracy.testing",
    "construct": "goldgate.fixtures.constructed",
    "judge": "goldgate.accuracy.evaluate",
    "open_output": "goldgate.fixtures.output",
    "open_recording": "goldgate.fixtures.recording",
    "output": "goldgate.fixtures.output",
    "read_known_failures": "goldgate.accuracy.known_failures",
    "recording": "goldgate.fixtures.recording",
    "route": "goldgate.reference.router",
    "write_output": "goldgate.fixtures.output",
    "write_recording": "goldgate.fixtures.recording",
}

# A type checker reads the list as it is written here.
__all__ = [
    "CONSTRUCTORS",
    "MINIMAX_M2_5",
    "PROFILES",
    "SHIPPED_OUTPUTS",
    "SHIPPED_RECORDINGS",
    "GoldgateError",
    "KernelInfo",
    "KnownFailure",
    "Output",
    "Profile",
    "Recording",
    "Result",
    "Routing",
    "RoutingKernel",
    "RoutingSpec",
    "__version__",
    "assert_parity",
    "construct",
    "judge",
    "open_output",
    "open_recording",
    "output",
    "read_known_failures",
    "recording",
    "route",
    "write_output",
    "write_recording",
]

if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__, __dir__ = lazy_exports(__name__, _HOMES)
