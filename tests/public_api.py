"""Every public name with its type, checked by mypy: tests/test_api.py runs it on this file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import goldgate
from goldgate import (
    CONSTRUCTORS,
    MINIMAX_M2_5,
    PROFILES,
    SHIPPED_OUTPUTS,
    SHIPPED_RECORDINGS,
    GoldgateError,
    KernelInfo,
    KnownFailure,
    Output,
    Profile,
    Recording,
    Result,
    Routing,
    RoutingKernel,
    RoutingSpec,
    assert_parity,
    construct,
    judge,
    open_output,
    open_recording,
    output,
    read_known_failures,
    recording,
    route,
    write_output,
    write_recording,
)


def constants() -> None:
    """Use what is no function."""
    version: str = goldgate.__version__
    spec: RoutingSpec = MINIMAX_M2_5
    profile: Profile = PROFILES["ieee"]
    constructors: Mapping[str, object] = CONSTRUCTORS
    folders: tuple[Path, Path] = SHIPPED_RECORDINGS, SHIPPED_OUTPUTS
    print(version, spec, profile, constructors, folders)


def judge_arrays(
    logits: NDArray[np.float32],
    bias: NDArray[np.float32],
    weights: NDArray[np.float32],
    ids: NDArray[np.int32],
    folder: Path,
) -> bool:
    """Judge a kernel's outputs, from arrays to a verdict."""
    spec = RoutingSpec(num_experts=logits.shape[1], top_k=ids.shape[1])
    write_recording(folder / "mine.safetensors", recording("mine", logits, bias, spec))
    held: Recording = open_recording(folder / "mine.safetensors")
    golden: Routing = route(held.logits(), held.bias(), held.spec)
    kernel = KernelInfo("mine", "1", "a GPU", "hardware", "conservative")
    made: Output = output(kernel, weights, ids)
    write_output(folder / "outputs.safetensors", made, held)
    again = open_output(folder / "outputs.safetensors", held)
    known: tuple[KnownFailure, ...] = read_known_failures(folder / "known.toml")
    result: Result = judge(held, again, PROFILES["ieee"], ordered=True, known_failures=known)
    return bool(result.passed and golden.defined.all())


def assert_kernel(kernel: RoutingKernel, name: str) -> None:
    """Run a kernel on constructed rows."""
    try:
        assert_parity(kernel, construct(name), profile="ieee", device="cpu", ordered=False)
    except GoldgateError as error:
        print(error)
