"""Screening changes nothing: what it settles, the definition says too."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from goldgate.accuracy import blocks
from goldgate.accuracy.blocks import judge_block
from goldgate.accuracy.fast.weigh import MOST_CHOSEN, UNSETTLED
from goldgate.accuracy.fastpath import applies, screen
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.selection import Reason, Verdict
from goldgate.fixtures.constructed import CONSTRUCTORS, construct
from goldgate.fixtures.tensorfile import Stored, float32
from goldgate.reference import MINIMAX_M2_5, PROFILES, RoutingSpec, route
from tests.accuracy.narrow_rows import assert_narrow_rows_are_marked
from tests.accuracy.sums_bound import assert_over_bounds_agree, sums_bound

Honest = Callable[
    [NDArray[np.float32], NDArray[np.float32], int, bool],
    tuple[NDArray[np.int32], NDArray[np.float32]],
]


def _answers(
    x: NDArray[np.float32], bias: NDArray[np.float64], spec: RoutingSpec, seed: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return golden answers, and among them every kind of change that a kernel can make."""
    rng = np.random.default_rng(seed)
    golden = route(x, bias, spec)
    ids = golden.ids.astype(np.int32)
    with np.errstate(over="ignore"):
        weights = golden.weights.astype(np.float32)
    weights *= (1 + rng.integers(-2, 3, weights.shape) * 2.0**-24).astype(np.float32)
    changed = rng.random(len(x))
    for t in np.flatnonzero(changed < 0.3):
        j, k = rng.integers(0, spec.top_k, 2)
        kind = int(changed[t] * 30)
        if kind == 0:
            ids[t, j] = rng.integers(0, spec.num_experts)
        elif kind == 1:
            ids[t, j] = (-1, spec.num_experts, 2**31 - 1)[rng.integers(3)]
        elif kind == 2:
            weights[t, j] = (np.nan, np.inf, -0.1, 0.0)[rng.integers(4)]
        elif kind == 3:
            weights[t, j] *= np.float32(1 + rng.uniform(-4e-6, 4e-6))
        elif kind < 7:
            ids[t, [j, k]] = ids[t, [k, j]]
            weights[t, [j, k]] = weights[t, [k, j]]
    return ids, weights


def _assert_screening_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    stored: Stored,
    bias: NDArray[np.float32],
    spec: RoutingSpec,
    *,
    profile: str = "conservative",
    ordered: bool = False,
    padding: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> float:
    """Judge with and without screening, compare, and return the fraction of rows settled."""
    wide = bias.astype(np.float64)
    padding = np.zeros(len(stored), bool) if padding is None else padding
    ids, weights = _answers(float32(stored), wide, spec, seed)
    rows = Rows(stored, wide, ids, weights, padding)
    contract = Contract(spec, PROFILES[profile], ordered)

    fast = judge_block(rows, contract)
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "applies", lambda _: False)
        slow = judge_block(rows, contract)

    np.testing.assert_array_equal(fast.verdict, slow.verdict)
    np.testing.assert_array_equal(fast.reason, slow.reason)
    np.testing.assert_array_equal(fast.histogram, slow.histogram)
    assert_over_bounds_agree(fast.over_bound, slow.over_bound, rows, contract)
    assert fast.sums.rows == slow.sums.rows
    np.testing.assert_array_equal(fast.sums.sums[:, :, 0], slow.sums.sums[:, :, 0])
    allowed = sums_bound(rows, contract, slow.sums.sums[:, :, 0])
    assert (np.abs(fast.sums.sums - slow.sums.sums) <= allowed).all()
    settled = screen(rows, contract)
    return float((settled.codes != UNSETTLED).mean())


@pytest.mark.parametrize("profile", ["ieee", "conservative", "tanh"])
@pytest.mark.parametrize("name", sorted(CONSTRUCTORS))
def test_screened_and_defined_agree(
    monkeypatch: pytest.MonkeyPatch, name: str, profile: str
) -> None:
    """Verdicts, reasons, worst errors, histogram and sums are the same with and without it."""
    held = construct(name)
    if held.rows > 4096 or not applies(held.spec):
        pytest.skip("no smaller than others like it, or not screened")

    _assert_screening_changes_nothing(
        monkeypatch,
        held.stored_logits(0, held.rows),
        held.bias(),
        held.spec,
        profile=profile,
        padding=held.padding(),
    )


@pytest.mark.parametrize("groups", [(1, 1), (8, 4), (4, 1)])
@pytest.mark.parametrize("scoring", ["sigmoid", "softmax"])
@pytest.mark.parametrize("renormalize", [True, False])
@pytest.mark.parametrize("shape", [(64, 1), (256, 8), (1024, 16), (104, 3)])
def test_routers_agree(
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, int],
    renormalize: bool,
    scoring: str,
    groups: tuple[int, int],
) -> None:
    """So they are for every shape and scoring, and most of the right rows are settled."""
    experts, k = shape
    spec = RoutingSpec(
        experts,
        k,
        scoring=scoring,
        num_expert_group=groups[0],
        topk_group=groups[1],
        renormalize=renormalize,
        routed_scaling_factor=2.5,
    )
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1.5, (600, experts)).astype(np.float32)
    bias = rng.normal(0, 0.1 if scoring == "sigmoid" else 0.002, experts).astype(np.float32)

    settled = _assert_screening_changes_nothing(monkeypatch, x, bias, spec, profile="ieee")

    # Three in ten were changed. One renormalised weight is the scale: errors lie on the edges.
    assert settled > 0.6 or k == 1


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("bias", [0.0, 0.3, 7.0, 1e6, 1e30, 3e38])
@pytest.mark.parametrize("groups", [(1, 1), (8, 4)])
def test_hard_values_agree(
    monkeypatch: pytest.MonkeyPatch, groups: tuple[int, int], bias: float, ordered: bool
) -> None:
    """So they are with NaN, infinite and saturated logits, repeated values and huge biases."""
    rng = np.random.default_rng(4)
    x = rng.normal(0, 3, (600, 64)).astype(np.float32)
    x[:100] = np.round(x[:100])
    x[100:200] *= 30
    x[200:300] -= 60
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 88.8, -104.0], np.float32)
    at = rng.random((200, 64)) < 0.1
    x[300:500][at] = rng.choice(special, int(at.sum()))
    b = (rng.choice([-1.0, 1.0, 0.0], 64) * rng.random(64) * bias).astype(np.float32)
    spec = RoutingSpec(64, 6, num_expert_group=groups[0], topk_group=groups[1])

    _assert_screening_changes_nothing(monkeypatch, x, b, spec, ordered=ordered, profile="ieee")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32 - 1),
    experts=st.sampled_from([8, 24, 160]),
    k=st.integers(1, 8),
    center=st.sampled_from([0.0, -12.0, -35.0, 9.0]),
    width=st.sampled_from([0.0, 0.01, 1.0, 10.0]),
    dtype=st.sampled_from(["F32", "BF16", "F16"]),
    profile=st.sampled_from(sorted(PROFILES)),
    renormalize=st.booleans(),
)
def test_drawn_rows_agree(
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    experts: int,
    k: int,
    center: float,
    width: float,
    dtype: str,
    profile: str,
    renormalize: bool,
) -> None:
    """So they are wherever the logits lie, in each type that a recording has."""
    rng = np.random.default_rng(seed)
    x = rng.normal(center, width, (200, experts)).astype(np.float32)
    bias = rng.normal(0, rng.choice([0.0, 0.1, 3.0]), experts).astype(np.float32)
    stored: Stored = x
    if dtype == "F16":
        stored = x.astype(np.float16)
    if dtype == "BF16":
        stored = (x.view(np.uint32) >> 16).astype(np.uint16)
    spec = RoutingSpec(experts, k, renormalize=renormalize)

    _assert_screening_changes_nothing(monkeypatch, stored, bias, spec, profile=profile, seed=seed)


@pytest.mark.parametrize("k", [MOST_CHOSEN, MOST_CHOSEN + 1])
def test_rows_of_many_experts_agree(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    """With as many experts a token as the pass counts, and with one more, which it leaves alone."""
    rng = np.random.default_rng(6)
    x = rng.normal(0, 1, (100, 160)).astype(np.float32)
    bias = rng.normal(0, 0.1, 160).astype(np.float32)
    spec = RoutingSpec(160, k)

    if applies(spec):
        _assert_screening_changes_nothing(monkeypatch, x, bias, spec, profile="ieee")

    assert applies(spec) == (k == MOST_CHOSEN)


@pytest.mark.parametrize("experts", [4, 33])
def test_a_zero_has_no_sign(monkeypatch: pytest.MonkeyPatch, experts: int) -> None:
    """Softmax rows whose largest logits are 0 and -0 fall into the same units either way."""
    rng = np.random.default_rng(0)
    x = -np.abs(rng.normal(0, 1, (300, experts))).astype(np.float32)
    at = np.argsort(rng.random(x.shape), axis=1)
    np.put_along_axis(x, at[:, :2], np.array([[0.0, -0.0]], np.float32), axis=1)
    bias = rng.normal(0, 0.1, experts).astype(np.float32)
    spec = RoutingSpec(experts, 2, scoring="softmax")

    settled = _assert_screening_changes_nothing(monkeypatch, x, bias, spec)

    assert settled > 0.5


def test_sums_are_the_same_from_run_to_run() -> None:
    """Screened twice, in whichever threads, a recording gives the same bits."""
    held = construct("tokens_1024")
    bias = held.bias().astype(np.float64)
    ids, weights = _answers(held.logits(), bias, held.spec, 1)
    rows = Rows(held.logits(), bias, ids, weights, np.zeros(held.rows, bool))
    contract = Contract(held.spec, PROFILES["ieee"])

    one, two = (screen(rows, contract) for _ in range(2))

    assert one.sums.sums.tobytes() == two.sums.sums.tobytes()
    assert one.over_bound.tobytes() == two.over_bound.tobytes()


def test_screening_settles_ordinary_rows(honest: Honest) -> None:
    """Of ordinary rows at most one in a hundred is left to the definition."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((20000, 256), dtype=np.float32)
    bias = rng.normal(0, 0.1, 256).astype(np.float32)
    ids, weights = honest(x, bias, 8, False)
    rows = Rows(x, bias.astype(np.float64), ids, weights, np.zeros(20000, bool))

    found = screen(rows, Contract(MINIMAX_M2_5, PROFILES["conservative"]))

    assert (found.codes == UNSETTLED).mean() < 0.01


#: Biases and logits at the edges of float32 and of the exponential.
_BIASES = [0.0, -0.0, 1e-45, 2.0**-126, 7.0, 35.0, 1e4, 1e7, 1e16, 1e30, 8e37, 1e38, 2e38, 3.4e38]
_LOGITS = [0.0, 0.5, 1.0, 17.0, 40.0, 87.5, 88.8, 104.0, 746.0, 1e16, 3e38, np.inf]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_screened_and_defined_agree_on_extreme_inputs(data: st.DataObject) -> None:
    """Whatever biases and logits there are: what the pass settles, the definition says too."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    k, rows, experts = data.draw(st.sampled_from([1, 4, 8])), 6, 16
    spec = RoutingSpec(experts, k, renormalize=data.draw(st.booleans()))
    profile = PROFILES[data.draw(st.sampled_from(sorted(PROFILES)))]
    pool = data.draw(st.lists(st.sampled_from(_BIASES), min_size=1, max_size=3))
    bias = (rng.choice(pool, experts) * rng.choice([-1, 1], experts)).astype(np.float32)
    bias += data.draw(st.sampled_from([0.0, 0.1])) * rng.standard_normal(experts).astype(np.float32)
    x = rng.normal(0, data.draw(st.sampled_from([1.0, 30.0])), (rows, experts))
    edges = rng.choice(_LOGITS, x.shape) * rng.choice([-1, 1], x.shape)
    x = np.where(rng.random(x.shape) < data.draw(st.sampled_from([0.0, 0.1, 0.9])), edges, x)
    x[rng.random(x.shape) < 0.02] = np.nan
    logits, wide = x.astype(np.float32), bias.astype(np.float64)
    golden = route(logits, wide, spec)
    ids = golden.ids.astype(np.int32)
    other = rng.random(ids.shape) < data.draw(st.sampled_from([0.0, 0.1, 0.5]))
    ids[other] = rng.integers(0, experts, other.sum())
    s = np.nan_to_num(np.take_along_axis(golden.scores, ids.astype(np.int64), 1), nan=0.5)
    with np.errstate(invalid="ignore", divide="ignore"):
        weights = (s / s.sum(axis=1, keepdims=True) if spec.renormalize else s).astype(np.float32)
    asked = Rows(logits, wide, ids, weights, np.zeros(rows, bool))
    contract = Contract(spec, profile)

    fast = judge_block(asked, contract)
    with mock.patch.object(blocks, "applies", return_value=False):
        slow = judge_block(asked, contract)

    np.testing.assert_array_equal(fast.verdict, slow.verdict)
    np.testing.assert_array_equal(fast.reason, slow.reason)
    assert_over_bounds_agree(fast.over_bound, slow.over_bound, asked, contract)
    np.testing.assert_array_equal(fast.histogram, slow.histogram)
    assert fast.sums.rows == slow.sums.rows


@pytest.mark.parametrize("name", ["near_ties_1_bias_7", "few_selectable", "exact_ties", "infinite"])
def test_ids_alone_have_the_same_verdicts_with_and_without_the_fast_path(
    honest: Honest, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Without weights the fast path settles rows by their ids, as the definition judges them."""
    held = construct(name)
    x, bias32 = held.logits(), held.bias()
    ids, _ = honest(np.ascontiguousarray(x), bias32, held.spec.top_k, False)
    ids[np.random.default_rng(5).random(ids.shape) < 0.01] += 1
    rows = Rows(x, bias32.astype(np.float64), ids, None, held.padding())
    contract = Contract(held.spec, PROFILES["ieee"])

    fast = judge_block(rows, contract)
    monkeypatch.setattr(blocks, "applies", lambda _: False)
    slow = judge_block(rows, contract)

    np.testing.assert_array_equal(fast.verdict, slow.verdict)
    np.testing.assert_array_equal(fast.reason, slow.reason)
    assert (fast.unbounded == -1).all()
    assert fast.over_bound.max() == fast.histogram.sum() == fast.sums.rows == 0


def test_biases_whose_difference_leaves_float32_are_left_to_the_definition() -> None:
    """Biases of 2e38 and -2e38: an expert of the latter in the last slot is wrong in every row."""
    x = np.random.default_rng(0).standard_normal((64, 16), dtype=np.float32)
    bias = np.where(np.arange(16) < 8, 2e38, -2e38).astype(np.float32).astype(np.float64)
    spec = RoutingSpec(16, 8)
    golden = route(x, bias, spec)
    ids, padding = golden.ids.astype(np.int32), np.zeros(64, bool)
    ids[:, 7] = 12
    weights = golden.weights.astype(np.float32)
    rows = Rows(x, bias, ids, weights, padding)

    found = judge_block(rows, Contract(spec, PROFILES["ieee"]))

    assert (found.verdict == Verdict.WRONG).all()
    assert (found.reason == Reason.OTHER_EXPERTS).all()


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
    rows = Rows(x, bias, ids, weights, np.zeros(len(x), bool))

    codes = screen(rows, Contract(held.spec, PROFILES["ieee"])).codes

    assert (codes == UNSETTLED).all()


def test_a_row_on_a_narrow_grid_is_marked() -> None:
    """Of float32 rows those that bfloat16 or float16 holds are marked, and few others."""
    assert_narrow_rows_are_marked()
