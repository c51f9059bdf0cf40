"""torch.compile of the eager router, as engines use it where they have no kernel of their own."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from shutil import which
from typing import Any

from goldgate.kernels.hosts import default_device
from goldgate.kernels.kernel import (
    Kernel,
    Loaded,
    RoutingKernel,
    sigmoid_only,
)
from goldgate.kernels.origin import Arithmetic, Origin
from goldgate.kernels.torch_eager import route


def _missing() -> str | None:
    if not find_spec("torch"):
        return "no torch here; any torch with a compiler for its device runs it"
    import torch  # noqa: PLC0415 - imported only where a kernel may run

    if not torch.cuda.is_available() and which("g++") is None:
        return "no g++ here: on a CPU torch.compile needs a C++ compiler"
    return None


def _load() -> Loaded:
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    @cache
    def compiled() -> RoutingKernel:  # at the first call: the compiler takes seconds to import
        return torch.compile(route, dynamic=True)

    def compiled_route(*arguments: Any) -> None:  # noqa: ANN401 - passed on
        compiled()(*arguments)

    # The compiled exponential on a GPU is Triton's, which is of the fast class.
    arithmetic = "fast_math" if torch.cuda.is_available() else "ieee"
    name, release = "torch.compile: sigmoid, topk, gather, divide", str(torch.__version__)
    return Loaded(compiled_route, name, release, default_device(), arithmetic)


KERNELS = (
    Kernel(
        name="torch-compile",
        summary="torch.compile of the eager router in float32",
        missing=_missing,
        load=_load,
        supports=sigmoid_only,
        origin=Origin(
            "torch:compile",
            ("torch",),
            "any host with torch and a compiler for its device",
            (
                Arithmetic(
                    r"2\..*", "fast_math", "on a GPU: Triton's exponential, as moe_fused_gate"
                ),
            ),
            environment=("TORCHINDUCTOR_", "TORCH_COMPILE"),
        ),
        by_default=False,  # on a CPU it compiles for half a minute
    ),
)
