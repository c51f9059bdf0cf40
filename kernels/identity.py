"""What identifies a kernel on this machine: release, commit, hashes of its files, the device."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from goldgate.kernels.catalogue import registry
from goldgate.kernels.hosts import distribution_version
from goldgate.kernels.kernel import FOREIGN, Kernel, KernelError, Loaded
from goldgate.kernels.origin import Origin
from goldgate.kernels.swept import sweeps_of
from goldgate.reference import MINIMAX_M2_5, PROFILES
from goldgate.reference.models import MODELS

#: Types of logits and of a bias, by safetensors' names.
_TYPES = ("F32", "BF16", "F16")


def named(name: str) -> dict[str, Any]:
    """Return `described` of the catalogue's kernel of a name, for a process of its own."""
    return described(registry()[name])


def unloadable(name: str, why: str) -> dict[str, Any]:
    """Return a kernel's entry where loading it ended the process or did not end."""
    return described(registry()[name], refused=f"{name}: loading it: {why}")


def tried(kernel: Kernel) -> Loaded | str:
    """Return a kernel loaded, or in one line why it cannot run here.

    A package may be installed and not importable: only loading it shows that.
    """
    if why := kernel.missing():
        return why
    try:
        return kernel.load()
    except KernelError as error:
        return str(error)


def arithmetic(kernel: Kernel, release: str | None, loaded: Loaded | None) -> dict[str, str]:
    """Return the profile that a kernel is judged by and where it comes from."""
    line = kernel.origin.arithmetic_of(release or "unknown")
    if loaded is None or loaded.arithmetic == line.profile:
        return {"profile": line.profile, "source": line.source}
    return {"profile": loaded.arithmetic, "source": PROFILES[loaded.arithmetic].source}


def calls(loaded: Loaded) -> dict[str, Any]:
    """Return which calls a kernel takes of the routers that it supports.

    `contiguous` is whether it takes contiguous tensors alone; `refused` has, for types of logits
    and bias that its launcher refuses, "BF16 logits, F16 bias", the reason.
    """
    adapter = loaded.adapter
    # Its own scoring and rule of groups, so that it refuses no router here.
    spec = replace(MINIMAX_M2_5, scoring=adapter.scorings[0], group_score=adapter.group_scores[0])
    refused = {}
    for gate in _TYPES:
        for bias in _TYPES:
            if why := adapter.refusal(spec, 1, gate, bias):
                refused[f"{gate} logits, {bias} bias"] = why
    return {"contiguous": loaded.contiguous, "weights": adapter.weights, "refused": refused}


def described(kernel: Kernel, *, refused: str | None = None) -> dict[str, Any]:
    """Return a kernel's entry as `goldgate kernels --json` has it; docs/kernels.md lists the keys.

    A kernel that may run here is loaded, the others are not imported.

    Args:
        kernel: of the catalogue.
        refused: why it is not to be loaded; None: it is.

    """
    origin = kernel.origin
    found = refused or tried(kernel)
    why, loaded = (found, None) if isinstance(found, str) else (None, found)
    stated = distribution_version(*origin.packages) if origin.packages else "unknown"
    release = loaded.version if loaded else None if stated == "unknown" else stated
    return {
        "name": kernel.name,
        "aliases": list(kernel.aliases),
        "summary": kernel.summary,
        "import": origin.imports or None,
        "package": _installed(origin),
        "version": release,
        "commit": _commit(origin),
        "files": files(origin),
        "arithmetic": arithmetic(kernel, release, loaded),
        "swept": [asdict(one) for one in sweeps_of(kernel.name)],
        "supports": {name: kernel.supports(model.spec) for name, model in MODELS.items()},
        "calls": calls(loaded) if loaded else None,
        "environment": environment(origin),
        "by_default": kernel.by_default,
        "runs_here": why is None,
        "why_not": why,
        "runs_on": origin.runs_on or None,
    }


def files(origin: Origin) -> dict[str, str]:
    """Return the SHA-256 of the files that identify a build, by their path in the package."""
    found = {}
    for pattern in origin.files:
        top, _, inside = pattern.partition("/")
        for folder in _folders(top):
            for path in sorted(folder.glob(inside)):
                found[f"{top}/{path.relative_to(folder).as_posix()}"] = _sha256(path)
    return found


def environment(origin: Origin) -> dict[str, str]:
    """Return the variables of the environment that choose what runs."""
    named = {key: value for key, value in os.environ.items() if key.startswith(origin.environment)}
    return dict(sorted(named.items()))


@cache
def accelerator() -> dict[str, object] | None:
    """Return the first GPU's name, architecture, compute units and runtime; None where is none."""
    try:
        import torch  # noqa: PLC0415 - optional
    except (ImportError, OSError, RuntimeError):
        return None
    if not torch.cuda.is_available():
        return None
    about = torch.cuda.get_device_properties(0)
    hip = torch.version.hip
    gcn = str(getattr(about, "gcnArchName", ""))
    return {
        "name": about.name,
        "architecture": gcn.partition(":")[0] if hip else f"sm_{about.major}{about.minor}",
        "compute_units": about.multi_processor_count,
        "runtime": f"ROCm {hip}" if hip else f"CUDA {torch.version.cuda}",
    }


def machine() -> dict[str, object]:
    """Return the processor's architecture and the accelerator."""
    return {"processor": platform.machine(), "accelerator": accelerator()}


def _folders(top: str) -> list[Path]:
    with suppress(*FOREIGN):  # a finder of somebody else's may raise anything
        found = find_spec(top)
        if found is not None:
            return [Path(folder) for folder in found.submodule_search_locations or ()]
    return []


@cache
def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _installed(origin: Origin) -> str | None:
    """Return the name of the distribution that is installed."""
    for name in origin.packages:
        with suppress(PackageNotFoundError):
            distribution(name)
            return name
    return None


def _commit(origin: Origin) -> str | None:
    """Return the commit that pip installed from, where it installed from a repository (PEP 610)."""
    name = _installed(origin)
    stated = distribution(name).read_text("direct_url.json") if name else None
    if not stated:
        return None
    with suppress(ValueError, AttributeError):
        commit = json.loads(stated).get("vcs_info", {}).get("commit_id")
        return str(commit) if commit else None
    return None
