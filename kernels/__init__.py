"""The catalogue of routing kernels: a module a family, found by being in this folder.

A family's module has `KERNELS`, a tuple of `Kernel`. Parity runs them, the stand-in is served with
them, `goldgate kernels` lists them, and the recorder reads servers' calls by their `call_sites`.
Importing the package or any family needs numpy alone: a recorder does so inside a serving engine.
What a kernel runs has aiter's signature, `RoutingKernel`.
"""

from goldgate.kernels.call_site import CallSite, UnsupportedCallError, by_module
from goldgate.kernels.catalogue import (
    arithmetic_of,
    by_default,
    call_sites,
    find,
    load,
    load_function,
    packages_of,
    registry,
)
from goldgate.kernels.hosts import default_device, distribution_version
from goldgate.kernels.kernel import (
    FOREIGN,
    Kernel,
    KernelError,
    Loaded,
    NotCoveredError,
    RoutingKernel,
    one_line,
    recorded_only,
    sigmoid_only,
)

__all__ = [
    "FOREIGN",
    "CallSite",
    "Kernel",
    "KernelError",
    "Loaded",
    "NotCoveredError",
    "RoutingKernel",
    "UnsupportedCallError",
    "arithmetic_of",
    "by_default",
    "by_module",
    "call_sites",
    "default_device",
    "distribution_version",
    "find",
    "load",
    "load_function",
    "one_line",
    "packages_of",
    "recorded_only",
    "registry",
    "sigmoid_only",
]
