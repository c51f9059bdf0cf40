"""The catalogue: every kernel by name, and how one is loaded."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from goldgate.kernels.adapter import adapter_of
from goldgate.kernels.call_site import CallSite
from goldgate.kernels.hosts import default_device, on_rocm
from goldgate.kernels.kernel import FOREIGN, Kernel, KernelError, Loaded, one_line
from goldgate.kernels.origin import Origin
from goldgate.places import CHECKOUT, PACKAGE


def registry() -> dict[str, Kernel]:
    """Return every kernel of the catalogue by name, the families in alphabetical order."""
    kernels = [kernel for family in _families() for kernel in family.KERNELS]
    return {kernel.name: kernel for kernel in kernels}


def by_default() -> list[str]:
    """Return the names of the kernels that commands take where none is named."""
    return [name for name, kernel in registry().items() if kernel.by_default]


def find(name: str) -> Kernel | None:
    """Return the catalogue's kernel of a name or alias; None where there is none."""
    known = registry()
    aliases = {alias: kernel for kernel in known.values() for alias in kernel.aliases}
    return known.get(name) or aliases.get(name)


def call_sites(*families: str) -> tuple[CallSite, ...]:
    """Return where servers call the kernels of some families, named by their modules, in order."""
    found = {family.__name__.rpartition(".")[2]: family.KERNELS for family in _families()}
    return tuple(site for name in families for kernel in found[name] for site in kernel.call_sites)


@functools.cache
def _origins() -> dict[tuple[str, ...], Origin]:
    """Return the origins of the kernels that servers call, by what tells their call sites apart."""
    return {
        (*site.source, site.name): kernel.origin
        for kernel in registry().values()
        for site in kernel.call_sites
    }


def packages_of(site: CallSite) -> tuple[str, ...]:
    """Return the names that a call site's distribution has, or had in earlier releases."""
    origin = _origins().get((*site.source, site.name))
    return origin.packages if origin and site.package in origin.packages else (site.package,)


def arithmetic_of(site: CallSite, release: str) -> str:
    """Return the arithmetic profile of a call site's kernel in a release.

    It is what the kernel's origin states of the release: the widest where its table has no line for
    it. Where the origin has no table, and on ROCm, for which no table was read or measured, it is
    the call site's own.
    """
    origin = _origins().get((*site.source, site.name))
    if origin is None or not origin.arithmetic or on_rocm():
        return site.arithmetic
    return origin.arithmetic_of(release).profile


def _families() -> list[ModuleType]:
    """Import the modules of this package that define KERNELS."""
    package = sys.modules[__package__]
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"{__package__}.{name}") for name in names]
    return [module for module in modules if hasattr(module, "KERNELS")]


def load(
    name: str, profile: str | None = None, device: str | None = None, *, option: str = "--kernel"
) -> Loaded:
    """Load a kernel of the catalogue, or a user's own, "package.module:function".

    Args:
        name: a name or alias of the catalogue, or a module and function.
        profile: the arithmetic profile of a user's own kernel; None: "conservative".
        device: torch device of a user's own kernel; None: its module's `DEVICE`, else the GPU
            where there is one.
        option: the command's option that names the kernel, for errors.

    Raises:
        KernelError: it is unknown, cannot run here, or cannot be imported.

    """
    if ":" in name:
        loaded = load_function(name, profile or "conservative", option=option)
        return replace(loaded, device=_usable(device)) if device else loaded
    kernel = find(name)
    if kernel is None:
        raise KernelError(
            f"{option} {name}: no such kernel: expected {', '.join(registry())} "
            "or package.module:function"
        )
    if why := kernel.missing():
        raise KernelError(why)
    return kernel.load()


def load_function(path: str, arithmetic: str, *, option: str = "--kernel") -> Loaded:
    """Load a user's own kernel, "package.module:function", also from the working folder.

    Raises:
        KernelError: it cannot be imported or is not callable.

    """
    module_name, _, function_name = path.partition(":")
    try:
        module = _import(module_name)
    except FOREIGN as error:
        raise KernelError(
            f"{option} {path}: {module_name} cannot be imported ({one_line(error)})"
        ) from None
    try:
        function = getattr(module, function_name)
    except AttributeError as error:
        raise KernelError(f"{option} {path}: {error}") from None
    if not callable(function):
        raise KernelError(
            f"{option} {path}: expected a function, found a {type(function).__name__}"
        )
    version = str(getattr(module, "__version__", "unversioned"))
    device = str(getattr(module, "DEVICE", "")) or default_device()
    contiguous = bool(getattr(module, "CONTIGUOUS", False))
    adapter = adapter_of(module, function)
    return Loaded(
        function, path, version, device, arithmetic, contiguous=contiguous, adapter=adapter
    )


def _import(name: str) -> ModuleType:
    """Import a user's module, also from the working folder.

    In a checkout's root the folders of goldgate's own packages would hide modules of their names
    (`kernels`), so that folder is then left out.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")
    if CHECKOUT is None or not (PACKAGE / name.partition(".")[0]).is_dir():
        return importlib.import_module(name)
    whole = list(sys.path)
    sys.path[:] = [entry for entry in whole if Path(entry or ".").resolve() != CHECKOUT]
    try:
        return importlib.import_module(name)
    finally:
        sys.path[:] = whole


def _usable(device: str) -> str:
    import torch  # noqa: PLC0415 - kernels need torch, the judge does not

    try:
        torch.empty(1, device=device)
    except Exception as error:  # noqa: BLE001 - torch has a type of its own for every cause
        raise KernelError(f"--device {device}: torch cannot use it ({one_line(error)})") from None
    return device
