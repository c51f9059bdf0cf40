"""Random error inside the bound, and means that differ between groups of weights."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from goldgate.accuracy.call_sizes import EDGES, RUN, SAMPLE, Calls, class_name
from goldgate.accuracy.chosen import Chosen
from goldgate.accuracy.evaluate import Result, judge
from goldgate.accuracy.random_error import jackknives
from goldgate.accuracy.random_findings import ALL, RandomError
from goldgate.accuracy.rounding_models import profile_for
from goldgate.accuracy.rows import Contract
from goldgate.accuracy.sampled import variance
from goldgate.accuracy.systematic_error import jackknife
from goldgate.fixtures import KernelInfo, Output, Recording
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.plan import Plan
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.mutants.conforming.distributions import CASES, Case
from goldgate.mutants.conforming.kernels import COMPILED, Honest
from goldgate.mutants.faults.scatter import Change, leaning, mantissa
from goldgate.reference import (
    MINIMAX_M2_5,
    PROFILES,
    Routing,
    RoutingSpec,
    U,
    route,
    scale_rounding,
)

Float64 = NDArray[np.float64]
IEEE = KernelInfo("k", "1", "cpu", "hardware", "ieee")
TOP_1 = dataclasses.replace(MINIMAX_M2_5, top_k=1, renormalize=False)


@cache
def _golden(spec: RoutingSpec = MINIMAX_M2_5, rows: int = 6000) -> tuple[Recording, Routing]:
    rng = np.random.default_rng(11)
    logits = rng.standard_normal((rows, spec.num_experts), dtype=np.float32)
    bias = rng.normal(0.0, 0.01, spec.num_experts).astype(np.float32)  # an even load
    return recording("r", logits, bias, spec), route(logits, bias.astype(np.float64), spec)


def _judge(
    change: Change, profile: str = "ieee", spec: RoutingSpec = MINIMAX_M2_5, rows: int = 6000
) -> Result:
    """Judge golden weights that are changed, rounded once."""
    held, golden = _golden(spec, rows)
    weights = change(golden.weights, golden.ids).astype(np.float32)
    output = Output(IEEE, tensor(weights), tensor(golden.ids.astype(np.int32)))
    return judge(held, output, PROFILES[profile])


def _found(change: Change, profile: str = "ieee") -> RandomError:
    result = _judge(change, profile)
    assert not len(result.failing)  # it is inside the bound
    return result.random_error


def _same(w: Float64, _ids: NDArray[np.int64]) -> Float64:
    return w


@pytest.mark.parametrize("profile", ["ieee", "conservative", "fast_math", "expf_div_subtract"])
def test_golden_weights_raise_no_alarm(profile: str) -> None:
    """Weights rounded once pass every profile, well inside each limit."""
    found = _found(_same, profile)

    assert found.findings == ()
    assert found.rms_over_limit < 0.5
    assert found.nearest < 0.5


@pytest.mark.parametrize("profile", ["ieee", "conservative"])
@pytest.mark.parametrize("bits", [20, 21, 22])
def test_a_narrower_type_is_seen_on_its_grid(bits: int, profile: str) -> None:
    """Weights of fewer mantissa bits are caught exactly, by any profile, with their number."""
    found = _found(mantissa(bits), profile)

    assert found.mantissa_bits == bits
    assert f"a type of {bits} mantissa bits" in found.findings[0]


def test_one_weight_off_the_grid_clears_it() -> None:
    """The grid is a fact about all weights: one that needs its last bit ends it."""

    def change(w: Float64, ids: NDArray[np.int64]) -> Float64:
        coarse = mantissa(22)(w, ids)
        odd = np.flatnonzero(w[0].astype(np.float32).view(np.uint32) & 1)[0]
        coarse[0, odd] = w[0, odd]
        return coarse

    assert _found(change).mantissa_bits == 23


@pytest.mark.parametrize("profile", ["ieee", "conservative"])
@pytest.mark.parametrize(
    ("change", "kind", "numbers"),
    [
        (leaning(lambda _, i: 6.0 * (1.0 - 2.0 * (i % 2))), "expert", None),
        (leaning(lambda _, i: 12.0 * (i == 103)), "expert", {103}),
        (leaning(lambda _, i: 12.0 * np.isin(i, (3, 9, 70, 200))), "expert", {3, 9, 70, 200}),
        (leaning(lambda w, _: np.where(np.arange(w.shape[1]) == 3, 9.0, 0.0)), "slot", {3}),
        (
            leaning(lambda w, _: np.where(np.arange(len(w)) % 32 == 5, 9.0, 0.0)[:, None]),
            "row modulo 32",
            {5},
        ),
        (
            leaning(lambda w, _: np.where(np.arange(len(w)) >= 0.97 * len(w), 9.0, 0.0)[:, None]),
            "32nd of the rows",
            {31},
        ),
    ],
)
def test_a_group_that_leans_is_named(
    change: Change, kind: str, numbers: set[int] | None, profile: str
) -> None:
    """An expert, a slot or a position whose weights lean inside the bound is found and named."""
    groups = _judge(change, profile).random_error.groups

    named = {group.number for group in groups if group.kind == kind}
    assert named
    if numbers is not None:
        assert numbers <= named
        assert (groups[0].kind, groups[0].number in numbers) == (kind, True)


def test_random_errors_beyond_roundings_are_seen_by_the_kernels_own_arithmetic() -> None:
    """Noise of +-6 u without a mean is more than IEEE operations make; `conservative` allows it."""
    rng = np.random.default_rng(1)

    def noise(w: Float64, _ids: NDArray[np.int64]) -> Float64:
        return w * (1.0 + rng.choice((-6.0, 6.0), w.shape) * U)

    assert _found(noise).rms_found
    assert not _found(noise, "conservative").found


def test_top_1_is_looked_at_too() -> None:
    """One weight a row, not renormalised: its mean, its experts and its grid are judged."""

    def kinds(change: Change) -> set[str]:
        found = _judge(change, "fast_math", TOP_1, 20000).random_error
        return {group.kind for group in found.groups} | ({"grid"} - {found.mantissa_bits == 23})

    def grid(change: Change) -> int:
        return _judge(change, "fast_math", TOP_1, 20000).random_error.mantissa_bits

    assert _judge(_same, "fast_math", TOP_1, 20000).passed
    assert "all" in kinds(leaning(lambda w, _: np.full_like(w, 4.0)))
    assert "expert" in kinds(leaning(lambda _, i: 4.0 * (1.0 - 2.0 * (i % 2))))
    assert grid(mantissa(21)) == 21


@pytest.mark.parametrize("scale", [2.446, 2.827])
def test_the_scales_rounding_counts_for_top_1_in_its_own_direction(scale: float) -> None:
    """A mean of 2.1 u on the side that the scale as float32 is not on leans; on its own, not."""
    spec = dataclasses.replace(TOP_1, routed_scaling_factor=scale)
    away = float(np.sign(scale_rounding(spec)))

    def leans(mean: float) -> bool:
        found = _judge(leaning(lambda w, _: np.full_like(w, mean)), "fast_math", spec, 20000)
        return any(group.kind == "all" for group in found.random_error.groups)

    assert abs(scale_rounding(spec)) > 0.5 * U
    assert leans(-2.1 * away)
    assert not leans(2.1 * away)


def test_a_rounding_model_widens_no_groups_limit() -> None:
    """Experts that lean by 4.5 u from the others are found under "below" as under "nearest"."""
    held, golden = _golden()
    change = leaning(lambda _, i: 4.5 * (1.0 - 2.0 * (i % 2)) - 1.5)
    weights = tensor(change(golden.weights, golden.ids).astype(np.float32))
    info = KernelInfo("k", "1", "gfx942", "emulated", "conservative", rounding="below")
    output = Output(info, weights, tensor(golden.ids.astype(np.int32)))

    result = judge(held, output, profile_for("conservative", info, held.spec))

    assert not result.systematic_error.found
    assert {group.number for group in result.random_error.groups if "modulo 2" in group.kind}


def test_few_weights_prove_little() -> None:
    """Of five rows nothing is concluded, whatever they show."""
    result = _judge(leaning(lambda _, i: 6.0 * (1.0 - 2.0 * (i % 2))), "ieee", rows=5)

    assert not result.random_error.found


def test_equal_rows_err_alike_and_prove_nothing() -> None:
    """A recording of one row repeated has one rounding, which is no mean over a group."""
    held, golden = _golden()
    logits = np.tile(held.logits(0, 1), (5000, 1))
    repeated = recording("r", logits, held.bias(), MINIMAX_M2_5)
    weights = np.tile(golden.weights[:1] * (1 + 4 * U), (5000, 1)).astype(np.float32)
    ids = np.tile(golden.ids[:1], (5000, 1)).astype(np.int32)

    result = judge(repeated, Output(IEEE, tensor(weights), tensor(ids)), PROFILES["ieee"])

    assert not result.random_error.found


def test_weights_in_bfloat16_by_contract_are_left_out() -> None:
    """A stated output format has its own grid; only float32 weights are looked at."""
    held, golden = _golden()
    bits = golden.weights.astype(np.float32).view(np.uint32) + np.uint32(0x8000)
    coarse = (bits & np.uint32(0xFFFF0000)).view(np.float32)
    ids = tensor(golden.ids.astype(np.int32))

    result = judge(
        held, Output(IEEE, tensor(coarse, "BF16"), ids), PROFILES["ieee"], weights_dtype="bfloat16"
    )

    assert result.passed
    assert result.random_error.weights == 0


@pytest.mark.parametrize("bias", [0.0, 7.0, 35.0])
def test_recovered_weights_scatter_within_their_limit(bias: float) -> None:
    """Cancellation makes large random errors, which their own variance covers, and not twice."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((6000, 256)).astype(np.float32)
    b = rng.normal(bias, 0.1, 256).astype(np.float32)
    golden = route(x, b.astype(np.float64), MINIMAX_M2_5)
    s = np.take_along_axis(golden.scores, golden.ids, axis=1).astype(np.float32)
    s = (s + b[golden.ids]) - b[golden.ids]
    weights = s / s.sum(axis=1, keepdims=True, dtype=np.float32)
    held = recording("r", x, b, MINIMAX_M2_5)
    output = Output(IEEE, tensor(weights), tensor(golden.ids.astype(np.int32)))

    found = judge(held, output, PROFILES["expf_div_subtract"]).random_error

    assert found.findings == ()
    if bias:
        assert found.rms_over_limit > 0.3


def test_the_variance_of_roundings_is_not_exceeded() -> None:
    """A float32 kernel's mean square stays below the variance that its operations allow."""
    held, golden = _golden()
    x = np.take_along_axis(held.logits(), golden.ids, axis=1)
    s = np.float32(1) / (np.float32(1) + np.exp(-x.astype(np.float64)).astype(np.float32))
    weights = s / s.sum(axis=1, keepdims=True, dtype=np.float32)
    exact = np.take_along_axis(golden.scores, golden.ids, axis=1)
    chosen = Chosen(x.astype(np.float64), exact, exact * 0, exact * 0, exact * 0)
    allowed = variance(chosen, Contract(MINIMAX_M2_5, PROFILES["ieee"]))

    r = (weights / golden.weights - 1.0) / U

    assert np.mean(r**2) < np.mean(allowed) < 16 * np.mean(r**2)


@pytest.mark.parametrize("name", ["Qwen3-MoE/huge", "DeepSeek-V2/huge"])
def test_scores_of_zero_leave_the_random_error_a_number(name: str) -> None:
    """Experts whose softmax vanishes even in float64 take no part, whatever a kernel writes."""
    held = construct(name)
    golden = route(held.logits(), held.bias(), held.spec)
    weights = golden.weights.astype(np.float32)
    weights[::3] = np.finfo(np.float32).max
    output = Output(IEEE, tensor(weights), tensor(golden.ids.astype(np.int32)))

    found = judge(held, output, PROFILES["conservative"]).random_error

    assert found.weights
    assert np.isfinite(found.rms_over_limit)


@pytest.mark.parametrize("rows", [1, RUN, SAMPLE, SAMPLE + 1, 10 * SAMPLE, 524288])
def test_the_sample_is_even_and_bounded(rows: int) -> None:
    """At most `SAMPLE` rows of a class are looked at, spread evenly, in whole runs, all if few."""
    calls = Calls.of(Plan((rows,)), rows)
    starts = range(0, rows, 999)
    ends = [(at, min(at + 999, rows)) for at in starts]
    parts = [at + calls.within(at, end).sample(at, end).rows for at, end in ends]
    chosen = np.concatenate(parts)

    assert 0 < len(chosen) <= SAMPLE
    if rows <= SAMPLE:
        assert len(chosen) == rows
    else:
        assert len(chosen) > SAMPLE // 2 - RUN
        assert set(chosen % RUN) == set(range(RUN))


def test_rows_are_told_apart_by_the_size_of_their_call() -> None:
    """Each row has its number in its call, the call's rows and their class; empty calls none."""
    calls = Calls.of(Plan((1, 0, 16, 0, 17, 300)), 334)

    found = calls.sample(0, 334)

    assert found.calls.tolist() == [1] + [16] * 16 + [17] * 17 + [300] * 300
    assert found.numbers.tolist() == [0, *range(16), *range(17), *range(300)]
    assert [class_name(n) for n in sorted(set(found.classes.tolist()))] == [
        "1 to 16 rows",
        "17 to 64 rows",
        "257 to 1024 rows",
    ]
    assert class_name(len(EDGES)) == "more than 65535 rows"


def test_few_rows_of_a_class_are_all_looked_at_beside_many_of_another() -> None:
    """The rows of small calls are not thinned out by those of a large one."""
    rows = 100 * 16 + 20 * SAMPLE
    calls = Calls.of(Plan((16,) * 100 + (10 * SAMPLE,) * 2), rows)

    classes = calls.sample(0, rows).classes

    assert (classes == 0).sum() == 1600
    assert SAMPLE // 2 < (classes > 0).sum() <= SAMPLE


def _decoding(change: Change, most: int, profile: str) -> RandomError:
    """Judge golden weights that are changed in calls of at most so many rows."""
    tokens = [*range(1, 200)]
    held, golden = _golden(rows=sum(tokens))
    calls = {"tokens": tokens, "layout": "contiguous", "state": "second call"}
    held = dataclasses.replace(held, source={"calls": calls})
    size = np.repeat(tokens, tokens)
    changed = change(golden.weights, golden.ids)
    weights = np.where((size <= most)[:, None], changed, golden.weights).astype(np.float32)
    result = judge(
        held, Output(IEEE, tensor(weights), tensor(golden.ids.astype(np.int32))), PROFILES[profile]
    )
    assert not len(result.failing)
    return result.random_error


@pytest.mark.parametrize("profile", ["ieee", "conservative"])
@pytest.mark.parametrize(
    ("change", "most", "words"),
    [
        (mantissa(20), 128, "in calls of 17 to 64 rows: every weight has its last 3 bits 0"),
        (
            leaning(lambda _, i: 8.0 * (1.0 - 2.0 * (i % 2))),
            16,
            "in calls of 1 to 16 rows: weights lean by group, inside the bound: expert modulo 2",
        ),
        (leaning(lambda w, _: np.full_like(w, 8.0)), 16, "in calls of 1 to 16 rows: weights drift"),
    ],
)
def test_a_path_for_few_rows_is_judged_by_itself(
    change: Change, most: int, words: str, profile: str
) -> None:
    """What calls of few rows alone do wrong is found, and named with the size of the calls."""
    found = _decoding(change, most, profile)

    assert any(line.startswith(words) for line in found.findings)
    assert not any("65 to 256" in line for line in found.findings if most <= 16)
    assert _decoding(_same, most, profile).findings == ()


def test_what_no_class_shows_all_calls_together_may() -> None:
    """A fault too small for the rows of any class is found over all of them."""
    change = leaning(lambda _, i: 12.0 * (i == 103))
    tokens = [16] * 30 + [64] * 7 + [256] * 2 + [1000]
    held, golden = _golden(rows=sum(tokens))
    calls = {"tokens": tokens, "layout": "contiguous", "state": "second call"}
    held = dataclasses.replace(held, source={"calls": calls})
    weights = change(golden.weights, golden.ids).astype(np.float32)
    output = Output(IEEE, tensor(weights), tensor(golden.ids.astype(np.int32)))

    found = judge(held, output, PROFILES["conservative"]).random_error

    assert found.classes[-1].calls == ALL
    assert found.classes[-1].weights == sum(one.weights for one in found.classes[:-1])
    assert [(g.kind, g.number) for g in found.groups] == [("expert", 103)]


def test_jackknives_are_the_jackknife_of_each_row() -> None:
    """The standard errors of many groups are those of one at a time, empty units among them."""
    rng = np.random.default_rng(0)
    below = rng.integers(0, 3, (20, 32)).astype(float)
    below[0] = 0.0
    below[0, 5] = 4.0
    above = rng.standard_normal((20, 32)) * below

    found = jackknives(above, below)

    np.testing.assert_allclose(found, list(map(jackknife, above, below)), rtol=1e-9)


def _mixed_calls(seed: int, spec: RoutingSpec, case: Case) -> Recording:
    """Return a recording in calls of 1 to 1,100 rows."""
    tokens = [*range(1, 65), 96, 200, 257, 700, 1100]
    rng = np.random.default_rng([77, seed])
    logits = rng.standard_normal((sum(tokens), spec.num_experts), dtype=np.float32)
    logits = logits * np.float32(case.scale) + np.float32(case.shift)
    bias = rng.normal(case.centre, case.spread, spec.num_experts).astype(np.float32)
    held = recording("r", logits, bias, spec)
    calls = {"tokens": tokens, "layout": "contiguous", "state": "second call"}
    return dataclasses.replace(held, source={"calls": calls})


@pytest.mark.parametrize("renormalize", [True, False])
@pytest.mark.parametrize("honest", COMPILED, ids=lambda one: one.name)
def test_conforming_kernels_raise_no_alarm_in_calls_of_any_size(
    honest: Honest, renormalize: bool
) -> None:
    """Float32 kernels of every form pass class by class, on rows of every distribution.

    Seed 47 of the last distribution has a weight of a small call that is recovered and off by
    thousands of u, which moves the mean that groups are compared with.
    """
    spec = RoutingSpec(384, 8, renormalize=renormalize, routed_scaling_factor=2.5)
    for seed, case in enumerate(CASES, 36):
        held = _mixed_calls(seed, spec, case)
        weights = torch.empty(held.rows, 8)
        ids = torch.empty(held.rows, 8, dtype=torch.int32)
        tensors = torch.from_numpy(np.array(held.logits())), torch.from_numpy(held.bias())

        honest.make()(*tensors, weights, ids, 1, 1, renormalize, 2.5)
        output = Output(IEEE, tensor(weights.numpy()), tensor(ids.numpy()))
        result = judge(held, output, PROFILES[honest.profile])

        assert result.random_error.findings == (), case
        assert result.passed
