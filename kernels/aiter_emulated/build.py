"""aiter's kernels compiled for one architecture and made ready to be executed."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from goldgate.emulator import EmulationError, Prepared, parse, prepare
from goldgate.emulator.compiler import Compiler, compile_hip, find_compiler
from goldgate.kernels import KernelError
from goldgate.kernels.aiter import GROUPS
from goldgate.kernels.aiter_emulated.shape import (
    PARAMETERS,
    PLAIN,
    SORTED,
    Shape,
    read_shape,
    sorts,
)
from goldgate.kernels.aiter_emulated.source import CHECKOUT, Source, find, stage

ARCHITECTURES = ("gfx942", "gfx950")

#: Gate types: safetensors' name and the C++ type of the kernel's template.
GATES = {"F32": "float", "BF16": "c10::BFloat16", "F16": "c10::Half"}


@dataclass(frozen=True)
class Instantiation:
    """One kernel of the template.

    Attributes:
        gate: "F32", "BF16" or "F16".
        vector: elements of a load, 4, 2 or 1.
        groups: expert groups.
        renormalize: whether weights are divided by their sum.
        sorting: whether it is the sorting kernel.
        biased: whether a bias is added; the host function `grouped_topk` launches the others.
        softmax: whether scores are softmax's, of `grouped_topk` alone.

    """

    gate: str
    vector: int
    groups: int
    renormalize: bool
    sorting: bool
    biased: bool = True
    softmax: bool = False

    @property
    def kernel(self) -> str:
        """The template's name."""
        return SORTED if self.sorting else PLAIN

    def statement(self, parameters: tuple[str, ...]) -> str:
        """Return the C++ statement that instantiates it."""
        kind = GATES[self.gate]
        vector = f"float __attribute__((ext_vector_type({self.vector})))"
        types = ", ".join(PARAMETERS[name].replace("DTYPE_I", kind) for name in parameters)
        flags = (self.renormalize, self.biased, self.softmax)
        return (
            f"using goldgate_vector = {vector};\n"
            f"template __global__ void aiter::{self.kernel}<{kind}, goldgate_vector, "
            f"{self.groups}, {', '.join(str(flag).lower() for flag in flags)}>({types});\n"
        )


class SourceError(KernelError):
    """A source that this compiler or this emulator cannot take: no verdict on the kernel."""


class Build:
    """A source with a compiler: kernels by instantiation, each compiled once.

    Attributes:
        source: aiter's.
        shape: how it is launched.
        compiler: what compiles it.

    """

    def __init__(self, source: Source, compiler: Compiler) -> None:
        self.source, self.compiler = source, compiler
        self.shape: Shape = read_shape(source)
        self._kernels: dict[tuple[Instantiation, str], Prepared] = {}

    def note(self, rounding: str) -> str:
        """Return what a reader of outputs should know: compiler and rounding model."""
        return (
            f"emulated: compiled by clang {self.compiler.version}, not ROCm's; "
            f"rounding of exp and rcp: {rounding}"
        )

    def kernel(self, instantiation: Instantiation, architecture: str) -> Prepared:
        """Return a kernel, compiled and decoded.

        Raises:
            SourceError: the compiler rejects the source, or the emulator an instruction.

        """
        key = (instantiation, architecture)
        if key not in self._kernels:
            try:
                self._kernels[key] = self._compiled(instantiation, architecture)
            except EmulationError as error:
                raise SourceError(
                    f"{self.source.version}: {error}; expected a source that "
                    f"clang {self.compiler.version} compiles to instructions in the emulator's "
                    "table: correct it, or add what is missing to emulator/"
                ) from None
        return self._kernels[key]

    def _compiled(self, instantiation: Instantiation, architecture: str) -> Prepared:
        statement = instantiation.statement(self.shape.parameters[instantiation.kernel])
        text = f"{self.shape.device}\n{statement}"
        with tempfile.TemporaryDirectory(prefix="goldgate-") as folder:
            stage(self.source, Path(folder))
            return prepare(parse(compile_hip(self.compiler, text, Path(folder), architecture)))


def build() -> Build:
    """Return the build of this environment's source and compiler, made once in a process.

    Raises:
        KernelError: one of them is missing or not what was expected.

    """
    return _build(os.environ.get(CHECKOUT, ""))


@lru_cache(maxsize=1)
def _build(_named: str) -> Build:
    source = find()
    try:
        return Build(source, find_compiler())
    except EmulationError as error:
        raise KernelError(str(error)) from None


def instantiation(
    gate: str, experts: int, top_k: int, groups: int, kept: int, *, renormalize: bool
) -> Instantiation:
    """Return the kernel that biased_grouped_topk launches.

    Raises:
        KernelError: it launches none.

    """
    if groups not in GROUPS:
        raise KernelError(f"Unsupported num_expert_group: {groups}: aiter has {GROUPS}")
    vector = {0: 4, 2: 2}.get(experts % 4, 1)
    return Instantiation(gate, vector, groups, renormalize, sorts(experts, top_k, groups, kept))
