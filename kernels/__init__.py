"""Kernels that can be run here: one small module each, found by being in this folder.

A module has `KERNEL`, a `Kernel`, or `KERNELS`, several. What it runs has aiter's signature, the
outputs written in place:

    fn(gating_output, correction_bias, topk_weights, topk_ids,
       num_expert_group, topk_group, need_renorm, routed_scaling_factor=1.0)

torch tensors: gating_output [T, E], correction_bias [E], topk_weights float32 [T, k], topk_ids
int32 [T, k].
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from goldgate.errors import GoldgateError
from goldgate.reference import RoutingSpec


class RoutingKernel(Protocol):
    """A routing kernel with the signature of `aiter.biased_grouped_topk` (aiter/ops/topk.py).

    The arguments are torch tensors: gating_output [T, E] float32, bfloat16 or float16;
    correction_bias [E] likewise; topk_weights [T, k] float32 and topk_ids [T, k] int32, both
    written in place. What it returns is ignored.
    """

    def __call__(
        self,
        gating_output: Any,  # noqa: ANN401 - torch.Tensor, which the judge does not import
        correction_bias: Any,  # noqa: ANN401 - as above
        topk_weights: Any,  # noqa: ANN401 - as above
        topk_ids: Any,  # noqa: ANN401 - as above
        num_expert_group: int,
        topk_group: int,
        need_renorm: bool,
        routed_scaling_factor: float = 1.0,
        /,
    ) -> object:
        """Route every row."""


class KernelError(GoldgateError):
    """A kernel that is not there or cannot be used: one line with what would help."""


#: What a module or a call of somebody else's may raise; SystemExit would end the judge as well.
FOREIGN = (Exception, SystemExit)


def one_line(error: BaseException) -> str:
    """Return an exception's type and words in one printable line of at most 300 characters."""
    words = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: " + "".join(c if c.isprintable() else "?" for c in words)


@dataclass(frozen=True)
class Loaded:
    """A kernel ready to be called.

    Attributes:
        route: the function, with aiter's signature.
        name: the function's name, as it stands in output files and known failures.
        version: of the package it comes from.
        device: torch's name of the device that its tensors must be on.
        arithmetic: the name of its arithmetic profile.
        note: what a reader of its outputs should know.
        contiguous: whether it takes contiguous tensors alone, so that it is called on no others.

    """

    route: RoutingKernel
    name: str
    version: str
    device: str
    arithmetic: str
    note: str = ""
    contiguous: bool = False


@dataclass(frozen=True)
class Kernel:
    """A kernel that may run on some machines.

    Attributes:
        name: what `--kernel` calls it.
        summary: what it is and where it comes from.
        missing: returns why it cannot run here and what would run it, or None if it can.
        load: imports it; called only where nothing is missing.
        supports: why a router is beyond it, or None.

    """

    name: str
    summary: str
    missing: Callable[[], str | None]
    load: Callable[[], Loaded]
    supports: Callable[[RoutingSpec], str | None]


def registry() -> dict[str, Kernel]:
    """Return every kernel of this folder by name."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    families = (vars(importlib.import_module(f"{__name__}.{name}")) for name in modules)
    found = [k for family in families for k in family.get("KERNELS", (family.get("KERNEL"),))]
    return {kernel.name: kernel for kernel in found}


def sigmoid_only(spec: RoutingSpec) -> str | None:
    """Refuse routers with another scoring."""
    return None if spec.scoring == "sigmoid" else f"scores with sigmoid, not {spec.scoring}"


def load(name: str, profile: str | None, device: str | None) -> Loaded:
    """Load a kernel: one of this folder by its name, or a user's own by "package.module:function".

    Args:
        name: as above.
        profile: the arithmetic profile of a user's own kernel; None: "conservative".
        device: torch device of a user's own kernel; None: its module's `DEVICE`, else the GPU
            where there is one.

    Raises:
        KernelError: it is unknown, cannot run here, or cannot be imported.

    """
    if ":" in name:
        loaded = load_function(name, profile or "conservative")
        return replace(loaded, device=_usable(device)) if device else loaded
    known = registry()
    if name not in known:
        raise KernelError(
            f"--kernel {name}: no such kernel: expected {', '.join(known)} "
            "or package.module:function"
        )
    if why := known[name].missing():
        raise KernelError(why)
    return known[name].load()


def _usable(device: str) -> str:
    import torch  # noqa: PLC0415 - kernels need torch, the judge does not

    try:
        torch.empty(1, device=device)
    except Exception as error:  # noqa: BLE001 - torch has a type of its own for every cause
        raise KernelError(f"--device {device}: torch cannot use it ({one_line(error)})") from None
    return device


def load_function(path: str, arithmetic: str) -> Loaded:
    """Load a user's own kernel, "package.module:function".

    Raises:
        KernelError: it cannot be imported or is not callable.

    """
    module_name, _, function_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except FOREIGN as error:
        raise KernelError(
            f"--kernel {path}: {module_name} cannot be imported ({one_line(error)})"
        ) from None
    function = getattr(module, function_name, None)
    if not callable(function):
        raise KernelError(f"--kernel {path}: {module_name} has no function {function_name!r}")
    version = str(getattr(module, "__version__", "unversioned"))
    device = str(getattr(module, "DEVICE", "")) or default_device()
    contiguous = bool(getattr(module, "CONTIGUOUS", False))
    return Loaded(function, path, version, device, arithmetic, contiguous=contiguous)


def default_device() -> str:
    """Return "cuda" where torch has a CUDA or ROCm device, else "cpu"; torch must be there.

    Raises:
        KernelError: there is no torch.

    """
    try:
        import torch  # noqa: PLC0415 - kernels need torch, the judge does not
    except ImportError:
        raise KernelError("no torch here: a kernel takes torch tensors; install torch") from None
    return "cuda" if torch.cuda.is_available() else "cpu"
