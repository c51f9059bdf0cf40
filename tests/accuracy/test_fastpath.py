"""Screening changes nothing: what it settles, the definition says too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.accuracy import blocks
from goldgate.accuracy.blocks import judge_block
from goldgate.accuracy.fast_sigmoid import CHEAP_ERROR, cheap_sigmoid
from goldgate.accuracy.fastpath import UNSETTLED, screen
from goldgate.fixtures.constructed import CONSTRUCTORS, construct
from goldgate.reference import MINIMAX_M2_5, PROFILES, RoutingSpec, route

Honest = Callable[
    [NDArray[np.float32], NDArray[np.float32], int, bool],
    tuple[NDArray[np.int32], NDArray[np.float32]],
]

NAMES = [
    name
    for name in CONSTRUCTORS
    if not name.startswith(("tokens_", "groups_", "dead_", "tied_", "negative_", "scaled"))
]


def _all_bfloat16() -> NDArray[np.float32]:
    bits = np.arange(1 << 16, dtype=np.uint32) << 16
    values = bits.view(np.float32)
    return values[np.isfinite(values)]


def test_cheap_sigmoid_is_as_good_as_claimed() -> None:
    """Over all bfloat16 and 4 million float32 logits its error stays under the claimed bound."""
    rng = np.random.default_rng(1)
    x = np.concatenate([_all_bfloat16(), rng.uniform(-40, 40, 4_000_000).astype(np.float32)])

    with np.errstate(over="ignore"):
        error = np.abs(cheap_sigmoid(x) - 1 / (1 + np.exp(-x.astype(np.float64))))

    assert error.max() < 0.4 * CHEAP_ERROR


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("profile", ["ieee", "conservative", "fast_math"])
def test_screened_and_defined_agree(
    honest: Honest, monkeypatch: pytest.MonkeyPatch, name: str, profile: str
) -> None:
    """Verdicts, worst errors, histogram and drift are the same with and without screening."""
    held = construct(name)
    x, bias32 = held.logits(), held.bias()
    ids, weights = honest(np.ascontiguousarray(x), bias32, held.spec.top_k, False)
    if not held.spec.renormalize:
        weights = np.take_along_axis(1 / (1 + np.exp(-x)), ids, 1) * np.float32(1.5)
    rng = np.random.default_rng(5)
    ids[rng.random(ids.shape) < 0.002] += 1  # some wrong, some duplicate
    weights[rng.random(weights.shape) < 0.002] *= np.float32(1.0001)
    arguments = (x, bias32.astype(np.float64), ids, weights, held.padding(), held.spec)

    fast = judge_block(*arguments, PROFILES[profile], ordered=False)
    monkeypatch.setattr(blocks, "applies", lambda _: False)
    slow = judge_block(*arguments, PROFILES[profile], ordered=False)

    np.testing.assert_array_equal(fast.verdict, slow.verdict)
    np.testing.assert_array_equal(fast.reason, slow.reason)
    np.testing.assert_allclose(fast.over_bound, slow.over_bound, rtol=1e-6)
    np.testing.assert_array_equal(fast.histogram, slow.histogram)
    assert fast.sums.rows == slow.sums.rows
    np.testing.assert_allclose(fast.sums.sums, slow.sums.sums, rtol=1e-6, atol=1e-6)


def test_screening_settles_ordinary_rows(honest: Honest) -> None:
    """Of ordinary rows at most one in a hundred is left to the definition."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((20000, 256), dtype=np.float32)
    bias = rng.normal(0, 0.1, 256).astype(np.float32)
    ids, weights = honest(x, bias, 8, False)

    found = screen(
        x,
        bias.astype(np.float64),
        ids,
        weights,
        np.zeros(20000, bool),
        MINIMAX_M2_5,
        PROFILES["conservative"],
    )

    assert (found.codes == UNSETTLED).mean() < 0.01


@pytest.mark.parametrize("centre", [0, 7, 35])
@pytest.mark.parametrize("multiple", [2, 4])
def test_screening_settles_no_near_tie_for_the_wrong_expert(multiple: int, centre: int) -> None:
    """The ninth expert in the eighth's place, just outside the bound, is not settled as right."""
    held = construct(f"near_ties_{multiple}_bias_{centre}")
    x, bias = held.logits(), held.bias().astype(np.float64)
    nine = route(x, bias, RoutingSpec(256, 9)).ids.astype(np.int32)
    ids = np.ascontiguousarray(nine[:, [0, 1, 2, 3, 4, 5, 6, 8]])
    s = 1 / (1 + np.exp(-np.take_along_axis(x.astype(np.float64), ids, 1)))
    weights = (s / s.sum(axis=1, keepdims=True)).astype(np.float32)
    skip = np.zeros(len(x), bool)

    codes = screen(x, bias, ids, weights, skip, held.spec, PROFILES["ieee"]).codes

    assert (codes == UNSETTLED).all()
