"""Ask an engine's dispatch in a child process, and match what it reaches with the catalogue."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from goldgate.kernels.catalogue import registry
from goldgate.kernels.dispatch.scenario import Found, Scenario, found_from
from goldgate.kernels.kernel import FOREIGN, Kernel, KernelError

#: What a kernel is called on the way, where that is neither its import nor a call site.
_ALSO = {
    "torch.ops.vllm:rocm_aiter_biased_grouped_topk": "aiter-vllm",
}

#: Importing torch and the router takes seconds.
_LIMIT_S = 300


@dataclass(frozen=True)
class Engine:
    """An engine's package.

    Attributes:
        name: "sglang" or "vllm".
        root: the folder that its package folder lies in.
        version: its release, or "unknown".

    """

    name: str
    root: Path
    version: str


def engine(name: str, source: Path | None) -> Engine:
    """Return an engine, installed or in a folder; nothing of it is imported.

    Args:
        name: of its package.
        source: a folder with the package's folder in it, such as an unpacked wheel or a
            repository's python/; None: the one that is installed.

    Raises:
        KernelError: it is not there.

    """
    root = _installed(name) if source is None else source
    if root is None:
        raise KernelError(f"no {name} here; install it, or name an unpacked wheel with --source")
    if not (root / name).is_dir():
        raise KernelError(f"{root}: no folder {name} in it: expected an unpacked wheel of {name}")
    stated = root / name / "_version.py"
    text = stated.read_text(encoding="utf-8") if stated.is_file() else ""
    version = re.search(r"^__version__ = (?:version = )?['\"](.+)['\"]", text, re.MULTILINE)
    return Engine(name, root.resolve(), version[1] if version else "unknown")


def _installed(name: str) -> Path | None:
    with suppress(*FOREIGN):
        found = find_spec(name)
        for folder in (found.submodule_search_locations or ()) if found else ():
            return Path(folder).parent
    return None


def dispatch(held: Engine, scenario: Scenario) -> Found:
    """Return the kernel that an engine reaches, found in a child process.

    Raises:
        KernelError: the engine's code cannot be followed; the message has what it raised.

    """
    command = [sys.executable, "-m", "goldgate.kernels.dispatch.child", str(held.root)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command,
            input=json.dumps(asdict(scenario)),
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise KernelError(f"{held.name} {held.version}: no answer in {_LIMIT_S} s") from None
    lines = done.stdout.strip().splitlines()
    try:
        document = json.loads(lines[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise KernelError(f"{held.name} {held.version}: the child failed: {last}") from None
    if "error" in document:
        raise KernelError(
            f"{held.name} {held.version} on {scenario.platform}: its router cannot be followed "
            f"without the rest of the engine ({document['error']})"
        )
    return found_from(document)


def catalogued(kernel: str, platform: str) -> str | None:
    """Return the catalogue's name of a kernel "module:function" that was reached, or None."""
    if kernel.startswith("torch:"):  # the engine's own use of torch, not ours
        return None
    if kernel in _ALSO:
        return _ALSO[kernel]
    names = [name for name, entry in registry().items() if kernel in _places(entry)]
    here = [name for name in names if name.endswith("-hip") == (platform == "hip")]
    return next(iter([*here, *names]), None)


def _places(entry: Kernel) -> set[str]:
    """Return every "module:function" that a kernel is imported as."""
    sites = [(site.module, site.function) for site in entry.call_sites]
    sites += [site.source for site in entry.call_sites]
    return {entry.origin.imports, *(f"{module}:{function}" for module, function in sites)}


def sources(held: Engine, found: Found) -> dict[str, str]:
    """Return the SHA-256 of each file on the way, by its path in the package."""
    files = dict.fromkeys(step.file for step in found.path)
    root = held.root / held.name
    return {file: hashlib.sha256((root / file).read_bytes()).hexdigest() for file in files}


def this_platform() -> str:
    """Return "hip" or "cuda" where torch has such a device, else "cpu"."""
    with suppress(*FOREIGN):
        import torch  # noqa: PLC0415 - optional

        if torch.cuda.is_available():
            return "hip" if torch.version.hip else "cuda"
    return "cpu"
