"""Kernel parity in your own tests: `pytest test_my_router.py`."""

from __future__ import annotations

import pytest
from my_router import route

from goldgate import SHIPPED_RECORDINGS, assert_parity, construct, open_recording


@pytest.mark.parametrize("name", ["normal", "offset"])
def test_the_router_is_right_on_recorded_tensors(name: str) -> None:
    """Thousands of rows: MiniMax-M2.5's shape, biases near 0 and near 7."""
    recording = open_recording(SHIPPED_RECORDINGS / f"{name}.safetensors")

    assert_parity(route, recording, profile="ieee")


@pytest.mark.parametrize(
    "name", ["exact_ties", "near_ties_1_bias_7", "unnormalised", "shape_384_8"]
)
def test_the_router_is_right_on_hard_rows(name: str) -> None:
    """Ties, near-ties at the bound, a scale, another number of experts."""
    assert_parity(route, construct(name), profile="ieee")
