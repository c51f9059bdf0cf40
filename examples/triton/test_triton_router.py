"""The Triton kernel judged on a few rows; on a GPU, `goldgate parity` judges all recordings."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("triton")

from triton_router import DEVICE, route

from goldgate import assert_parity, construct


@pytest.mark.parametrize("name", ["tokens_33", "shape_100_8"])
def test_the_triton_router_is_right(name: str) -> None:
    """One number of experts is a power of two, the other is not."""
    assert_parity(route, construct(name), profile="fast_math", device=DEVICE)
