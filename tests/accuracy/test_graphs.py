"""Kernels under graph replay; on a CUDA or ROCm device alone, so not in CI."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from goldgate.accuracy.calls import run
from goldgate.fixtures.constructed import construct
from goldgate.kernels import Loaded, NotCoveredError, RoutingKernel
from goldgate.kernels.torch_eager import route

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="graphs need a CUDA or ROCm device"
)


def _loaded(function: RoutingKernel) -> Loaded:
    return Loaded(function, "k", "1", "cuda", "ieee")


def test_an_honest_kernel_replays_what_it_answers() -> None:
    """Torch eager captured on other inputs answers the recorded ones, bit for bit."""
    ran = run(_loaded(route), construct("tokens_65"))

    assert ran.faults == ran.notes == ()


def test_a_kernel_that_bakes_its_bias_into_the_graph_is_seen() -> None:
    """A bias copied while capturing is the capture's for ever: plain calls cannot show it."""

    def bakes(x: torch.Tensor, b: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        if torch.cuda.is_current_stream_capturing():
            b = kept[-1]
        else:
            kept.append(b.clone())
        route(x, b, *more)

    kept: list[torch.Tensor] = []

    faults = run(_loaded(bakes), construct("bias_near_7")).faults

    assert len(faults) == 1
    assert "rows under graph replay" in faults[0]


def test_a_kernel_that_cannot_be_captured_is_said_not_to_have_been() -> None:
    """A kernel that waits for the device is no fault, and later calls are not harmed."""

    def waits(x: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        float(x.sum())
        route(x, *more)

    for _ in range(2):
        ran = run(_loaded(waits), construct("tokens_65"))

        assert ran.faults == ()
        assert "cannot be captured" in ran.notes[0]


@pytest.mark.parametrize("state", ["side_stream", "second_device", "torch_compile"])
def test_calls_elsewhere_answer_as_plain_calls(state: str) -> None:
    """On a side stream, a second device and inside torch.compile torch eager answers as before."""
    held = construct(f"MiniMax-M2.5/state_{state}")

    try:
        ran = run(_loaded(route), held)
    except NotCoveredError as error:
        pytest.skip(str(error))

    assert ran.faults == ()
