"""Calls on a side stream, a second device and inside torch.compile; on GPUs alone, so not in CI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from goldgate.accuracy.calls import run
from goldgate.fixtures.constructed import construct
from goldgate.kernels import KernelError, Loaded
from goldgate.kernels.torch_eager import route

Route = Callable[..., Any]

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="these states need a CUDA or ROCm device"
)
two_devices = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs a second GPU")

STATES = [
    "side_stream",
    pytest.param("second_device", marks=two_devices),
    "torch_compile",
]


def _faults(kernel: Route, state: str) -> tuple[str, ...]:
    loaded = Loaded(kernel, "k", "1", "cuda", "ieee")
    return run(loaded, construct(f"MiniMax-M2.5/state_{state}")).faults


@pytest.mark.parametrize("state", STATES)
def test_a_conforming_kernel_answers_alike(state: str) -> None:
    """Torch eager answers as in a plain call, on another stream and device and compiled."""
    assert _faults(route, state) == ()


def test_a_kernel_on_the_default_stream_is_seen() -> None:
    """A kernel that ignores the current stream reads inputs that are not written yet."""

    def default_stream(x: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        with torch.cuda.stream(torch.cuda.default_stream(x.device)):
            route(x, *more)

    faults = _faults(default_stream, "side_stream")

    assert any("side stream:" in fault and "rows differ" in fault for fault in faults)


@two_devices
def test_a_workspace_of_the_first_device_is_seen() -> None:
    """A kernel that keeps a buffer by shape alone fails on the second device."""
    kept: dict[tuple[int, ...], torch.Tensor] = {}

    def keeps(x: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        space = kept.setdefault(tuple(x.shape), torch.empty_like(x))
        torch.add(x, 0.0, out=space)
        route(space, *more)

    with pytest.raises(KernelError, match="device"):
        _faults(keeps, "second_device")


def test_a_branch_of_compiled_code_is_seen() -> None:
    """A kernel that routes otherwise where it is traced is at fault inside torch.compile."""

    def traced(
        x: torch.Tensor,
        b: torch.Tensor,
        w: torch.Tensor,
        i: torch.Tensor,
        *more: Any,  # noqa: ANN401
    ) -> None:
        route(x, b, w, i, *more)
        if torch.compiler.is_compiling():
            i.copy_((i + 1) % x.shape[1])

    faults = _faults(traced, "torch_compile")

    assert any("torch.compile:" in fault and "rows differ" in fault for fault in faults)
