"""mlx-lm's routers, where mlx-lm is installed (not in goldgate's own environments)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from goldgate.accuracy.testing import assert_parity
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.recording import recording
from goldgate.kernels import registry
from goldgate.reference import MINIMAX_M2_5, RoutingSpec

pytest.importorskip("mlx_lm", reason="mlx-lm is not here: pip install 'mlx[cpu]' mlx-lm")


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("mlx-minimax", MINIMAX_M2_5),
        ("mlx-deepseek-v3", MINIMAX_M2_5),
        ("mlx-deepseek-v3", RoutingSpec(256, 8, "sigmoid", 8, 4, True, 2.5)),
        ("mlx-deepseek-v3", RoutingSpec(256, 8, renormalize=False)),
    ],
)
def test_ordinary_rows_are_routed_right(name: str, spec: RoutingSpec) -> None:
    """The recorded logits reach the router as they are, and its weights come back."""
    rng = np.random.default_rng(4)
    x = rng.normal(0, 1, (64, 256)).astype(np.float32)
    held = recording("rows", x, rng.random(256).astype(np.float32), spec)
    kernel = registry()[name]

    assert kernel.missing() is None
    assert kernel.supports(spec) is None
    assert_parity(kernel.load().route, held, device="cpu")


def test_experts_of_dropped_groups_win_against_negative_scores() -> None:
    """The finding of docs/findings.md: the best group's experts are not selected."""
    route = registry()["mlx-deepseek-v3"].load().route
    weights, ids = torch.empty(1, 8), torch.empty(1, 8, dtype=torch.int32)

    route(torch.arange(256.0)[None] / 256, torch.full((256,), -1.5), weights, ids, 8, 4, True)

    assert sorted(ids[0].tolist()) == list(range(8))
    with pytest.raises(AssertionError, match="256 of 256 rows fail"):
        assert_parity(route, construct("negative_groups"), device="cpu")
