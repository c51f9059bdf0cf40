"""Which goldgate this is and what it runs on, as evidence states it."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import goldgate
from goldgate.places import CHECKOUT, PACKAGE

#: The packages whose releases may change a verdict or what a kernel returns.
_PACKAGES = ("numpy", "numba", "python-flint", "safetensors", "torch", "triton")


@cache
def goldgate_itself() -> dict[str, object]:
    """Return goldgate's version, the commit of its checkout and a hash of its modules.

    `commit` is None for a copy without a history. `sha256` is over the names and contents of every
    module, so that an edited or an installed copy is told from a release.
    """
    return {"version": goldgate.__version__, "commit": commit(), "sha256": _sources()}


@cache
def environment() -> dict[str, object]:
    """Return the Python, the packages (None: not installed) and the platform, without its name."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def commit() -> str | None:
    """Return the checkout's commit, `-dirty` where files differ; None for one without history."""
    if CHECKOUT is None:
        return None
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607 - the user's own git
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None


def _sources() -> str:
    digest = hashlib.sha256()
    # Folder by folder: in a checkout those below the package are links, which rglob passes over.
    folders = sorted(path for path in PACKAGE.iterdir() if path.is_dir())
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.glob("*.py")}
    for folder in folders:
        inside = folder.resolve()
        for path in inside.rglob("*.py"):
            files[f"{folder.name}/{path.relative_to(inside).as_posix()}"] = path
    for name, path in sorted(files.items()):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
