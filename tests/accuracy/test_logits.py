"""Logits of other sizes than N(0, 1): conforming kernels pass, faults are found."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from goldgate.accuracy.evaluate import Result, judge
from goldgate.accuracy.one_call import call
from goldgate.accuracy.systematic_error import MIN_UNITS
from goldgate.fixtures import KernelInfo, Output, Recording
from goldgate.fixtures.constructed import REPRESENTATIVES, base_of, entries, model_rows_of
from goldgate.fixtures.factors import combined
from goldgate.fixtures.logits import LEVELS, draw, level_of
from goldgate.fixtures.model_rows import whole_logits
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels import Loaded
from goldgate.kernels.adapter import Adapter
from goldgate.reference import MODELS, PROFILES
from goldgate.reference.models import Model
from goldgate.reference.spec import GROUP_SCORES

Scores = Callable[[torch.Tensor], torch.Tensor]


def _exp2(x: torch.Tensor) -> torch.Tensor:
    return torch.exp2(x * torch.tensor(math.log2(math.e)))


def _softmax(exp: Scores) -> Scores:
    def scores(x: torch.Tensor) -> torch.Tensor:
        e = exp(x - x.max(dim=1, keepdim=True).values)
        return e / e.sum(dim=1, keepdim=True)

    return scores


def _numpy_exp(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.exp(x.numpy()))


def _scaled_softmax(x: torch.Tensor) -> torch.Tensor:
    y = x * torch.tensor(math.log2(math.e))
    e = torch.exp2(y - y.max(dim=1, keepdim=True).values)
    return e / e.sum(dim=1, keepdim=True)


def _stable_root(x: torch.Tensor) -> torch.Tensor:
    return (x.clamp_min(0) + torch.log1p(torch.exp(-x.abs()))).sqrt()


def _branched_root(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x > 20, x, torch.log(1 + torch.exp(x.clamp_max(20)))).sqrt()


#: Float32 forms that model code and kernels have, with the profile that each claims.
CONFORMING: dict[str, tuple[str, Scores, str]] = {
    "torch softmax": ("softmax", lambda x: torch.softmax(x, dim=1), "ieee"),
    "exp": ("softmax", _softmax(torch.exp), "ieee"),
    "numpy exp": ("softmax", _softmax(_numpy_exp), "ieee"),
    "exp2": ("softmax", _softmax(_exp2), "fast_math"),
    "exp2 of scaled logits": ("softmax", _scaled_softmax, "exp2_prescaled"),
    "torch softplus": (
        "sqrtsoftplus",
        lambda x: torch.nn.functional.softplus(x).sqrt(),
        "ieee",
    ),
    "log1p": ("sqrtsoftplus", _stable_root, "ieee"),
    "log": ("sqrtsoftplus", _branched_root, "fast_math"),
    "sigmoid": ("sigmoid", torch.sigmoid, "ieee"),
    "exp2 sigmoid": ("sigmoid", lambda x: 1 / (1 + _exp2(-x)), "rcp_exp2"),
}


def _overflowing_softmax(x: torch.Tensor) -> torch.Tensor:
    e = torch.exp(x)
    return e / e.sum(dim=1, keepdim=True)


def _half_softmax(x: torch.Tensor) -> torch.Tensor:
    """Subtract, and keep the difference in bfloat16: right at N(0, 1) to three digits alone."""
    below = (x - x.max(dim=1, keepdim=True).values).bfloat16().float()
    e = torch.exp(below)
    return e / e.sum(dim=1, keepdim=True)


def _added_epsilon(x: torch.Tensor) -> torch.Tensor:
    return (torch.log(1 + torch.exp(x.clamp(-10, 20))) + (x - 20).clamp_min(0)).sqrt()


#: Faults that N(0, 1) hides, or shows as well.
FAULTS: dict[str, tuple[str, Scores, bool]] = {
    "softmax without the largest subtracted": ("softmax", _overflowing_softmax, True),
    "log(1 + exp(x)) that overflows": (
        "sqrtsoftplus",
        lambda x: torch.log(1 + torch.exp(x)).sqrt(),
        True,
    ),
    "softplus of clamped logits": ("sqrtsoftplus", _added_epsilon, True),
    "sigmoid through an exponential that overflows": (
        "sigmoid",
        lambda x: torch.exp(x) / (1 + torch.exp(x)),
        True,
    ),
    "softmax of differences in bfloat16": ("softmax", _half_softmax, False),
    "sigmoid for softmax": ("softmax", torch.sigmoid, False),
    "softplus for its root": ("sqrtsoftplus", torch.nn.functional.softplus, False),
}


def _kernel(scores: Scores, scoring: str, profile: str) -> Loaded:
    """Return a kernel that routes in float32 with these scores and any rule of the groups."""

    def route(
        x: torch.Tensor,
        bias: torch.Tensor,
        weights: torch.Tensor,
        ids: torch.Tensor,
        groups: int,
        kept: int,
        renormalize: bool,
        scale: float = 1.0,
        *,
        group_score: str,
    ) -> None:
        s = scores(x.float())
        c = s + bias.float()
        if groups > 1:
            grouped = c.view(len(c), groups, -1)
            merit = grouped.topk(GROUP_SCORES[group_score], dim=2).values.sum(dim=2)
            stays = torch.zeros(len(c), groups, dtype=torch.bool)
            stays.scatter_(1, merit.topk(kept, dim=1).indices, value=True)
            c = grouped.masked_fill(~stays.unsqueeze(2), -torch.inf).view(c.shape)
        chosen = c.topk(ids.shape[1], dim=1).indices
        w = s.gather(1, chosen)
        if renormalize:
            w = w / w.sum(dim=1, keepdim=True)
        weights.copy_(w * scale)
        ids.copy_(chosen)

    told = Adapter(told=("group_score",), scorings=(scoring,))
    return Loaded(route, "k", "1", "cpu", profile, adapter=told)  # type: ignore[arg-type]  # told


@cache
def _of(scoring: str) -> tuple[Recording, ...]:
    """Return ordinary recordings of a scoring: each distribution, in fewer rows, and hard rows."""
    found = []
    for model in REPRESENTATIVES:
        if model.spec.scoring != scoring:
            continue
        for level in LEVELS:
            name = f"{model.name}/{level}"
            base = base_of(model) | {"logits": level}
            found.append(combined(name, base, (200,), model.spec))
        found += [e.recording() for e in model_rows_of(model) if e.tier == "ordinary"]
    return tuple(found)


def _judged(kernel: Loaded, held: Recording, profile: str) -> Result:
    called = call(kernel, held, 0, held.rows)
    info = KernelInfo("k", "1", "cpu", "hardware", profile)
    output = Output(info, tensor(called.weights), tensor(called.ids))
    return judge(held, output, PROFILES[profile])


@pytest.mark.parametrize("form", CONFORMING)
def test_conforming_kernels_pass_at_every_size(form: str) -> None:
    """No float32 form fails on any ordinary rows of its scoring, judged by its own profile."""
    scoring, scores, profile = CONFORMING[form]
    kernel = _kernel(scores, scoring, profile)

    for held in _of(scoring):
        result = _judged(kernel, held, profile)

        assert result.passed, (held.source["name"], result.reasons, result.systematic_error)


def test_few_exponentials_are_no_sample() -> None:
    """Of whole logits a softmax that keeps its row's sum repeats a few errors: no verdict on it."""
    for model in REPRESENTATIVES:
        if model.spec.scoring == "softmax" and not model.spec.renormalize:
            held = whole_logits("DeepSeek-V2/whole_logits", model)
            scores = CONFORMING["torch softmax"][1]

            found = _judged(_kernel(scores, "softmax", "ieee"), held, "ieee").systematic_error

            assert found.units < MIN_UNITS
            assert abs(found.mean) > 0.5


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault: str) -> None:
    """Each fault fails on some ordinary rows; those of large logits alone pass N(0, 1)."""
    scoring, scores, hidden = FAULTS[fault]
    kernel = _kernel(scores, scoring, "ieee")

    failing = [
        str(held.source["name"])
        for held in _of(scoring)
        if not _judged(kernel, held, "ieee").passed
    ]

    assert any(name.endswith("/normal") for name in failing) != hidden
    assert any(not name.endswith("/normal") for name in failing)


def test_every_scoring_has_rows_with_and_without_a_bias() -> None:
    """Each scoring, with and without a bias, has every distribution and rows of both tiers."""
    table = {entry.name for entry in entries()}
    found = {(model.spec.scoring, model.has_bias): model.name for model in REPRESENTATIVES}

    assert set(found) == {
        *((scoring, bias) for scoring in ("softmax", "sqrtsoftplus") for bias in (False, True)),
        ("sigmoid", True),
    }
    for name in found.values():
        words = {f"{name}/logits_{level.replace(' ', '_')}" for level in LEVELS[1:]}
        assert words | {f"{name}/near_ties_1", f"{name}/huge"} <= table


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: str(model.name))
def test_a_named_model_has_hard_and_hostile_rows(model: Model) -> None:
    """Each published router's own table has every distribution, near ties and hostile rows."""
    table = {entry.name.rpartition("/")[2]: entry.tier for entry in entries(model)}

    assert {f"logits_{level.replace(' ', '_')}" for level in LEVELS[1:]} <= set(table)
    assert any(name.startswith("near_ties_1") for name in table)
    assert "hostile" in table.values()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("experts", "k"), [(256, 8), (896, 16), (16, 2), (128, 1)])
def test_levels_are_read_off_what_was_drawn(level: str, experts: int, k: int) -> None:
    """Rows drawn at a level are recognised as of that level, and are finite."""
    x: Any = draw(np.random.default_rng(3), 65, experts, level)

    assert level_of(x, k) == level
    assert np.isfinite(x).all()


def test_rows_of_padding_have_no_level() -> None:
    """Rows that are not finite say nothing: without others the level is the usual one."""
    assert level_of(np.full((3, 8), np.nan, np.float32), 2) == "normal"
    with pytest.raises(ValueError, match="logits 'odd'"):
        draw(np.random.default_rng(0), 1, 8, "odd")
