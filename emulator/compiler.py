"""HIP device code compiled to assembly text by clang, with a few headers in HIP's place.

The compiler is PyPI's `ziglang`, which carries clang with the AMDGPU target; nothing of ROCm is
needed. `shim/` holds what stands in for HIP, PyTorch, hipCUB, rocPRIM and CK, in our own words.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from goldgate.emulator.errors import EmulationError

SHIM = Path(__file__).with_name("shim")

#: The first clang that knows gfx950.
OLDEST = 20

#: aiter's own flags (aiter/jit/optCompilerConfig.json and core.py) that upstream clang takes, after
#: those that compile device code alone. Two of aiter's it rejects (kernarg-preload,
#: coerce-illegal-types), so the code is not ROCm's to the byte.
FLAGS = (
    *("-x", "hip", "--cuda-device-only", "-nogpuinc", "-nogpulib", "-nostdinc", "-nostdinc++"),
    *("-fdeclspec", "-std=c++20", "-O3", "-w", "-S"),
    *("-fgpu-flush-denormals-to-zero", "-fno-offload-uniform-block"),
    *("-mllvm", "-enable-post-misched=0", "-mllvm", "-amdgpu-early-inline-all=true"),
    *("-mllvm", "-amdgpu-function-calls=false", "-mllvm", "--lsr-drop-solution=1"),
)


class CompilerError(EmulationError):
    """No compiler, one that is too old, or a source that it rejects."""


@dataclass(frozen=True)
class Compiler:
    """A clang that knows the AMDGPU target.

    Attributes:
        command: what runs it.
        version: as it states it, for example "22.1.8".

    """

    command: tuple[str, ...]
    version: str


def find_compiler(command: Sequence[str] | None = None) -> Compiler:
    """Return the compiler of this environment, or of a command, its version checked.

    Raises:
        CompilerError: there is none, or it is too old; the message says what would help.

    """
    if command is None:
        if find_spec("ziglang") is None:
            raise CompilerError(
                "no compiler: expected the package ziglang, whose clang has the AMDGPU target; "
                "install ziglang==0.17.1"
            )
        command = (sys.executable, "-m", "ziglang", "clang")
    try:
        done = subprocess.run(  # noqa: S603 - the compiler
            [*command, "--version"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise CompilerError(f"{command[0]}: cannot be run ({error.strerror})") from None
    found = re.search(r"clang version ((\d+)\.\S+)", done.stdout)
    if found is None:
        raise CompilerError(f"{' '.join(command)} --version: expected clang's version")
    if int(found[2]) < OLDEST:
        raise CompilerError(
            f"clang {found[1]}: expected {OLDEST} or newer, which knows gfx942 and gfx950; "
            "install ziglang==0.17.1"
        )
    return Compiler(tuple(command), found[1])


def compile_hip(compiler: Compiler, source: str, include: Path, target: str) -> str:
    """Return the assembly text of a HIP source's device code.

    Args:
        compiler: from `find_compiler`.
        source: C++.
        include: a folder of headers, with `SHIM`'s among them.
        target: a processor, for example "gfx942".

    Raises:
        CompilerError: clang rejects it; the message holds its first error.

    """
    with tempfile.TemporaryDirectory(prefix="goldgate-") as folder:
        path, result = Path(folder, "kernel.hip"), Path(folder, "kernel.s")
        path.write_text(source, encoding="utf-8")
        command = [*compiler.command, *FLAGS, f"--offload-arch={target}", f"-I{include}"]
        done = subprocess.run(  # noqa: S603 - the compiler
            [*command, "-o", str(result), str(path)], capture_output=True, text=True, check=False
        )
        if done.returncode or not result.exists():
            errors = re.findall(r"([^/\s]+:\d+:\d+: (?:fatal )?error: .*)", done.stderr)
            first = errors[0] if errors else " ".join(done.stderr.split())[:300]
            raise CompilerError(f"clang {compiler.version} rejects the source: {first}")
        return result.read_text(encoding="utf-8")
