"""Which goldgate this is and what it runs on, as evidence states it."""

from __future__ import annotations

import ast
import hashlib
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import goldgate
from goldgate.places import CHECKOUT, PACKAGE

#: The packages whose releases may change a verdict or what a kernel returns.
_PACKAGES = ("numpy", "numba", "python-flint", "safetensors", "torch", "triton")


#: The modules that judge: of these and of what they import, the judge's hash is.
_JUDGE = (
    "goldgate.accuracy.device",
    "goldgate.accuracy.evaluate",
    "goldgate.accuracy.inputs",
    "goldgate.accuracy.judged",
    "goldgate.accuracy.rounding_models",
    "goldgate.accuracy.strided",
)


@cache
def goldgate_itself() -> dict[str, object]:
    """Return goldgate's version, the commit of its checkout and hashes of its modules.

    `commit` is None for a copy without a history. `sha256` is over the names and contents of every
    module, so that an edited or an installed copy is told from a release; `judge` is
    `judge_sha256`.
    """
    return {
        "version": goldgate.__version__,
        "commit": commit(),
        "sha256": _digest_of(_sources()),
        "judge": judge_sha256(),
    }


@cache
def judge_sha256() -> str:
    """Return a hash of the judge's code, over the names and contents of `judge_modules`."""
    return _digest_of(judge_modules())


def judge_modules() -> dict[str, Path]:
    """Return the modules that judge, and every module of goldgate that they import, by name.

    They are found by reading them, indirect imports and those inside functions too. Of a package
    that loads its names when they are used, the modules of the names that are imported count. What
    is changed elsewhere (a command, a recorder, what runs a kernel) is no change of the judge.
    """
    sources = _sources()
    found, left = dict[str, Path](), list(_JUDGE)
    while left:
        name = left.pop()
        package, _, member = name.rpartition(".")
        path = sources.get(name)
        if path is None and package in sources:
            left.append(_imports(sources[package])[1].get(member, package))
        if path is None or name in found:
            continue
        found[name] = path
        left += _imports(path)[0]
        left.append(package)  # a module's package is run first
    # goldgate/__init__ holds the version: a release is no other judge.
    found.pop("goldgate", None)
    return found


@cache
def _imports(path: Path) -> tuple[list[str], dict[str, str]]:
    """Return what a module imports of goldgate, and what it imports for type checkers alone.

    Returns:
        Dotted names of modules and of what is in them; and the modules of the names that are
        imported under TYPE_CHECKING, which never runs: a package has there what it loads lazily.

    """
    names: list[str] = []
    typed: dict[str, str] = {}
    left: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text(encoding="utf-8")), True)]
    while left:
        node, runs = left.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            left += [(one, False) for one in node.body] + [(one, runs) for one in node.orelse]
            continue
        if isinstance(node, ast.Import) and runs:
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and runs:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.ImportFrom) and node.module:
            typed |= {alias.asname or alias.name: node.module for alias in node.names}
        left += [(one, runs) for one in ast.iter_child_nodes(node)]
    return [name for name in names if name.startswith("goldgate")], typed


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


def _sources() -> dict[str, Path]:
    """Return every module of goldgate by its dotted name."""
    # Folder by folder: in a checkout those below the package are links, which rglob passes over.
    folders = sorted(path for path in PACKAGE.iterdir() if path.is_dir())
    files = {path.relative_to(PACKAGE): path for path in PACKAGE.glob("*.py")}
    for folder in folders:
        inside = folder.resolve()
        for path in inside.rglob("*.py"):
            files[Path(folder.name) / path.relative_to(inside)] = path
    return {
        ".".join(("goldgate", *name.with_suffix("").parts)).removesuffix(".__init__"): path
        for name, path in files.items()
    }


def _digest_of(sources: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(sources.items()):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
