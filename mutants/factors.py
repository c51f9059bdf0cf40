"""Recordings that differ in one factor of a call: the scoring, the logits' size, layout, state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from goldgate.fixtures import Recording
from goldgate.fixtures.logits import draw
from goldgate.fixtures.plan import Plan
from goldgate.fixtures.recording import PADDING, recording
from goldgate.reference import MINIMAX_M2_5, RoutingSpec

#: Rows of most recordings; every so many of them one is padding where there is any.
_ROWS, PADDING_EVERY = 1024, 16

_SOFTMAX = RoutingSpec(128, 8, scoring="softmax")
_SOFTMAX_GROUPS = RoutingSpec(
    160,
    6,
    scoring="softmax",
    num_expert_group=8,
    topk_group=3,
    renormalize=False,
    routed_scaling_factor=16.0,
    group_score="maximum",
)
_SQRTSOFTPLUS = RoutingSpec(256, 6, scoring="sqrtsoftplus", routed_scaling_factor=1.5)
_GROUPED = RoutingSpec(256, 8, num_expert_group=8, topk_group=4, routed_scaling_factor=2.5)

Maker = Callable[[np.random.Generator, str], Recording]


def _drawn(
    rng: np.random.Generator,
    name: str,
    *,
    spec: RoutingSpec = MINIMAX_M2_5,
    level: str = "normal",
    rows: int = _ROWS,
    bias_mean: float = 0.0,
    bias_spread: float = 0.1,
    plan: Plan | None = None,
) -> Recording:
    logits = draw(rng, rows, spec.num_experts, level)
    bias = rng.normal(bias_mean, bias_spread, spec.num_experts).astype(np.float32)
    held = recording(name, logits, bias, spec)
    return held if plan is None else replace(held, source={**held.source, "calls": plan.to_dict()})


def _padding_between(rng: np.random.Generator, name: str) -> Recording:
    """Rows of which one in `PADDING_EVERY` is padding."""
    logits = draw(rng, _ROWS, 256, "normal")
    index = np.arange(_ROWS)
    index[PADDING_EVERY // 2 :: PADDING_EVERY] = PADDING
    bias = rng.normal(0, 0.1, 256).astype(np.float32)
    return recording(name, logits, bias, MINIMAX_M2_5, token_index=index)


def _swallowed(rng: np.random.Generator, name: str) -> Recording:
    """Scores below half a unit in the last place of their biases."""
    logits = rng.standard_normal((_ROWS, 256), dtype=np.float32) - np.float32(17)
    return recording(name, logits, rng.normal(7, 0.1, 256).astype(np.float32), MINIMAX_M2_5)


_unbiased = partial(_drawn, bias_spread=0.0)


def _called(plan: Plan) -> Maker:
    return lambda rng, name: _drawn(rng, name, rows=sum(plan.tokens), plan=plan)


#: What each recording is and what makes it, by name.
MAKERS: dict[str, tuple[str, Maker]] = {
    "softmax": (
        "softmax without a bias, 128 experts, logits N(0, 1) (Qwen3-MoE's shape)",
        partial(_unbiased, spec=_SOFTMAX),
    ),
    "softmax-large": (
        "the same router, logits N(100, 1): exp overflows where the largest is not subtracted",
        partial(_unbiased, spec=_SOFTMAX, level="large"),
    ),
    "softmax-dominant": (
        "the same router, one logit of each row 40 above the others",
        partial(_unbiased, spec=_SOFTMAX, level="dominant"),
    ),
    "softmax-groups": (
        (
            "softmax without a bias, 8 groups of which 3 stay by their maximum, not renormalised, "
            "scale 16 (DeepSeek-V2's shape)"
        ),
        partial(_unbiased, spec=_SOFTMAX_GROUPS),
    ),
    "sqrtsoftplus": (
        "sqrt(softplus), bias N(0, 0.1), top-6, scale 1.5 (DeepSeek-V4's shape)",
        partial(_drawn, spec=_SQRTSOFTPLUS),
    ),
    "sqrtsoftplus-large": (
        "the same router, logits N(100, 1): exp overflows",
        partial(_drawn, spec=_SQRTSOFTPLUS, level="large"),
    ),
    "sqrtsoftplus-low": (
        "the same router, logits N(-12, 1): 1 + exp(x) keeps few digits of exp(x)",
        partial(_drawn, spec=_SQRTSOFTPLUS, level="low"),
    ),
    "swallowed": (
        "logits N(-17, 1), bias near 7: a bias of 7 leaves no digit of a score that is added to it",
        _swallowed,
    ),
    "top-1": (
        "8,192 rows, 128 experts, top-1, not renormalised",
        partial(_drawn, spec=RoutingSpec(128, 1, renormalize=False), rows=8192),
    ),
    "grouped-below": (
        "8 groups of which 4 stay, bias near -20000: every biased score is below -10000",
        partial(_drawn, spec=_GROUPED, bias_mean=-20000.0, bias_spread=1.0),
    ),
    "padding-between": (f"as normal, one row in {PADDING_EVERY} is padding", _padding_between),
    "offset-views": (
        "as normal, every tensor 4 bytes behind a boundary of 16",
        _called(Plan((_ROWS,), "offset")),
    ),
    "gate-columns": (
        "as normal, the logits of a row two elements apart",
        _called(Plan((_ROWS,), "gate columns strided")),
    ),
    "between": (
        "as normal, with a call of another shape in front of the call",
        _called(Plan((_ROWS,), state="another shape between")),
    ),
    "batches": (
        "as normal, the rows alone and in batches of other sizes",
        _called(Plan((_ROWS,), state="other batches")),
    ),
}
