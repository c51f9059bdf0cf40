"""Softmax and sqrt-softplus routers are judged like sigmoid's: with and without bias and groups."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.accuracy.evaluate import Result, judge
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.selection import Reason, Verdict, judge_rows
from goldgate.fixtures import KernelInfo, Output
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import MODELS, PROFILES, RoutingSpec, route, selection_error

Float32 = NDArray[np.float32]
Scores = Callable[[Float32], Float32]

ROWS = 1500
ONE = np.float32(1)


def _sigmoid(x: Float32) -> Float32:
    return np.asarray(ONE / (ONE + np.exp(-x)))


def _softmax(x: Float32) -> Float32:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _root(x: Float32) -> Float32:
    return np.asarray(np.sqrt(np.maximum(x, np.float32(0)) + np.log1p(np.exp(-np.abs(x)))))


def _scaled_softmax(x: Float32) -> Float32:
    y = x * np.float32(math.log2(math.e))
    e = np.exp2(y - y.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


OWN: dict[str, Scores] = {"sigmoid": _sigmoid, "softmax": _softmax, "sqrtsoftplus": _root}


def _route32(
    x: Float32, bias: Float32, spec: RoutingSpec, score: Scores, *, biased_weights: bool = False
) -> tuple[NDArray[np.int32], Float32]:
    """Route in float32 throughout, as an eager implementation does."""
    s = score(x)
    c = s + bias
    if spec.num_expert_group > 1:
        grouped = c.reshape(len(c), spec.num_expert_group, -1)
        terms = 1 if spec.group_score == "maximum" else 2
        g = np.sort(grouped, axis=2)[:, :, -terms:].sum(axis=2, dtype=np.float32)
        gone = np.argsort(-g, axis=1, kind="stable")[:, spec.topk_group :]
        masked = grouped.copy()
        np.put_along_axis(masked, gone[:, :, None], np.float32(-np.inf), axis=1)
        order = masked.reshape(c.shape)
    else:
        order = c
    ids = np.argsort(-order, axis=1, kind="stable")[:, : spec.top_k].astype(np.int32)
    w = np.take_along_axis(c if biased_weights else s, ids, axis=1)
    if spec.renormalize:
        w = w / w.sum(axis=1, keepdims=True)
    return ids, w * np.float32(spec.routed_scaling_factor)


def _judged(
    x: Float32,
    bias: Float32,
    spec: RoutingSpec,
    answer: tuple[NDArray[np.int32], Float32],
    profile: str = "ieee",
) -> Result:
    ids, weights = answer
    info = KernelInfo("numpy", np.__version__, "cpu", "hardware", profile)
    output = Output(info, tensor(weights), tensor(ids))
    return judge(recording("r", x, bias, spec), output, PROFILES[profile])


def _inputs(spec: RoutingSpec, spread: float) -> tuple[Float32, Float32]:
    rng = np.random.default_rng(20260423)
    x = rng.standard_normal((ROWS, spec.num_experts), dtype=np.float32)
    return x, (spread * rng.standard_normal(spec.num_experts)).astype(np.float32)


SPECS = {name: model.spec for name, model in MODELS.items()} | {
    "softmax, sum of two": RoutingSpec(
        128, 8, "softmax", num_expert_group=8, topk_group=4, routed_scaling_factor=2.827
    ),
    "sqrtsoftplus, maximum": RoutingSpec(
        160,
        6,
        "sqrtsoftplus",
        num_expert_group=8,
        topk_group=3,
        renormalize=False,
        routed_scaling_factor=16.0,
        group_score="maximum",
    ),
}


@pytest.mark.parametrize("spread", [0.0, 0.1])
@pytest.mark.parametrize("name", sorted(SPECS))
def test_a_float32_kernel_passes(name: str, spread: float) -> None:
    """Rows of every published router, with and without a bias, pass and are nearly all exact."""
    spec = SPECS[name]
    x, bias = _inputs(spec, spread)

    result = _judged(x, bias, spec, _route32(x, bias, spec, OWN[spec.scoring]))

    assert result.passed
    assert result.counts[Verdict.EXACT] >= 0.99 * ROWS
    assert 0.02 < result.weight_error_over_bound < 1
    assert (result.weights, result.weights_unbounded) == (ROWS * spec.top_k, 0)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_weights_that_keep_the_bias_are_wrong(name: str) -> None:
    """Weights are scores without their bias, whatever the scoring."""
    spec = SPECS[name]
    x, bias = _inputs(spec, 0.1)
    answer = _route32(x, bias, spec, OWN[spec.scoring], biased_weights=True)

    result = _judged(x, bias, spec, answer)

    assert len(result.failing) > 0.99 * ROWS
    assert set(result.reasons.tolist()) == {Reason.WEIGHT}


@pytest.mark.parametrize("name", ["DeepSeek-V2", "Qwen3-MoE", "DeepSeek-V4-Flash", "Kimi-K2"])
def test_the_weights_of_another_scoring_are_wrong(name: str) -> None:
    """Each scoring's weights fail where the router has another, though the order is the same."""
    spec = SPECS[name]
    x, bias = _inputs(spec, 0.0)
    for scoring in set(OWN) - {spec.scoring}:
        result = _judged(x, bias, spec, _route32(x, bias, spec, OWN[scoring]))

        assert len(result.failing) == ROWS


@pytest.mark.parametrize("name", ["DeepSeek-V2", "DeepSeek-V3", "softmax, sum of two"])
def test_the_other_rule_of_groups_is_wrong(name: str) -> None:
    """A kernel that ranks groups by the other rule fails in the rows where that matters."""
    spec = SPECS[name]
    rules = {"maximum": "sum of two largest", "sum of two largest": "maximum"}
    other = dataclasses.replace(spec, group_score=rules[spec.group_score])
    x, bias = _inputs(spec, 0.0)

    result = _judged(x, bias, spec, _route32(x, bias, other, OWN[spec.scoring]))

    assert 0.1 * ROWS < len(result.failing) < 0.7 * ROWS
    assert set(result.reasons.tolist()) == {Reason.OTHER_EXPERTS}


@pytest.mark.parametrize("multiple", [0.5, 0.9, 1.1, 2.0])
@pytest.mark.parametrize("scoring", sorted(OWN))
def test_near_ties_on_either_side_of_the_bound(scoring: str, multiple: float) -> None:
    """The ninth expert for the eighth is admissible where rounding explains the gap, else wrong."""
    spec = RoutingSpec(256, 8, scoring)
    rng = np.random.default_rng(7)
    x, bias = rng.standard_normal((64, 256), dtype=np.float32), np.zeros(256)
    golden = route(x, bias, RoutingSpec(256, 9, scoring))
    eighth, ninth = golden.ids[:, 7], golden.ids[:, 8]
    at = np.arange(64)
    x[at, ninth] = x[at, eighth]
    s = route(x, bias, spec).scores
    errors = selection_error(x.astype(np.float64), s, bias, spec, PROFILES["ieee"])
    wanted = s[at, eighth] - multiple * 2 * errors[at, eighth]
    inverse: dict[str, Callable[[], NDArray[np.floating]]] = {
        "sigmoid": lambda: np.log(wanted / (1 - wanted)),
        "softmax": lambda: x[at, eighth] + np.log(wanted / s[at, eighth]),
        "sqrtsoftplus": lambda: np.log(np.expm1(wanted**2)),
    }
    x[at, ninth] = inverse[scoring]()
    ids = golden.ids[:, [0, 1, 2, 3, 4, 5, 6, 8]].astype(np.int32)
    rows = Rows(x, bias, ids, None, np.zeros(64, bool))

    found = judge_rows(rows, Contract(spec, PROFILES["ieee"]))

    expected = Verdict.ADMISSIBLE if multiple < 1 else Verdict.WRONG
    assert (found.verdict == expected).mean() > 0.95  # a logit is a float32


def test_softmax_over_the_selected_alone_is_wrong_without_renormalisation() -> None:
    """DeepSeek-V2's weights are shares of all 160 experts, not of the six selected."""
    spec = SPECS["DeepSeek-V2"]
    x, bias = _inputs(spec, 0.0)
    shares = dataclasses.replace(spec, renormalize=True)

    result = _judged(x, bias, spec, _route32(x, bias, shares, _softmax))

    assert len(result.failing) == ROWS


@pytest.mark.parametrize("shift", [-2000.0, 500.0, 10000.0])
def test_scaled_softmax_passes_by_its_own_profile_alone(shift: float) -> None:
    """With large logits exp2(x log2e - max) errs past every other profile's bound, not its own."""
    spec = SPECS["Qwen3-MoE"]
    x, bias = _inputs(spec, 0.0)
    x = x + np.float32(shift)
    answer = _route32(x, bias, spec, _scaled_softmax)

    own = _judged(x, bias, spec, answer, "exp2_prescaled")
    other = _judged(x, bias, spec, answer, "conservative")

    assert own.passed
    assert 0.05 < own.weight_error_over_bound < 1
    assert len(other.failing) > 0.3 * ROWS
