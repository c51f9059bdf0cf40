"""Where a kernel can run: what is installed, and the devices that torch has."""

from __future__ import annotations

import contextlib
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from typing import Literal

from goldgate.kernels.kernel import KernelError


def no_gpu(package: str, build: Literal["cuda", "hip"], host: str) -> str | None:
    """Return why a package's kernels for a GPU cannot run here, or None if they can.

    Args:
        package: the module that has them.
        build: what torch must be built for.
        host: what would run them, as in "an NVIDIA host with vLLM".

    """
    for needed in (package, "torch"):
        if not find_spec(needed):
            return f"no {needed} here; {host} runs it"
    import torch  # noqa: PLC0415 - imported only where a kernel may run

    if getattr(torch.version, build) is None or not torch.cuda.is_available():
        return f"{package} is here but no {'NVIDIA GPU' if build == 'cuda' else 'ROCm device'}"
    return None


def on_rocm() -> bool:
    """Return whether torch is here and built for ROCm."""
    if not find_spec("torch"):
        return False
    import torch  # noqa: PLC0415 - as above

    return torch.version.hip is not None


def distribution_version(*names: str) -> str:
    """Return the version of the first distribution that is installed, else "unknown".

    A package that comes from a distribution of another name is found by what it imports.
    """
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            return version(name)
    for name in names:
        for distribution in packages_distributions().get(name, ()):
            return f"{version(distribution)} ({distribution})"
    return "unknown"


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
