"""Weight verdicts: every pair against its own bound, and systematic errors inside it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from goldgate.accuracy.chosen import Chosen
from goldgate.accuracy.rounding_models import profile_for, shift_of
from goldgate.accuracy.rows import Contract
from goldgate.accuracy.systematic_error import (
    ResidualSums,
    SystematicError,
    residual_sums,
    systematic_error,
)
from goldgate.accuracy.weights import WeightVerdicts, expected_weights, judge_weights, ulp_histogram
from goldgate.emulator import Rounding
from goldgate.emulator.rounding import evaluate
from goldgate.fixtures import KernelInfo
from goldgate.reference import (
    FLOAT32,
    FORMATS,
    MINIMAX_M2_5,
    PROFILES,
    Profile,
    RoutingSpec,
    U,
    WeightFormat,
    scale_rounding,
    score_error,
)
from goldgate.reference.scoring import scores

IEEE = PROFILES["ieee"]
Weights = NDArray[np.float32]


def _judged(
    x: NDArray[np.float64],
    weights: NDArray[np.float32],
    spec: RoutingSpec = MINIMAX_M2_5,
    weight_format: WeightFormat = FLOAT32,
) -> WeightVerdicts:
    """Judge weights of sigmoid scores whose logits are x [n, k]."""
    s = scores(x, "sigmoid")
    chosen = Chosen(x, s, score_error(x, s, spec, IEEE), x * (1.0 - s), np.zeros_like(s))
    return judge_weights(weights, chosen, Contract(spec, IEEE, weight_format=weight_format))


def _exact(x: NDArray[np.float64]) -> NDArray[np.float32]:
    return expected_weights(scores(x, "sigmoid"), MINIMAX_M2_5).astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 7), st.sampled_from([-1, 1]))
def test_a_weight_moved_past_its_bound_is_caught(seed: int, slot: int, sign: int) -> None:
    """A weight is right up to its own bound and wrong past it, in either direction."""
    x = np.random.default_rng(seed).normal(0, 3, (4, 8))
    exact = _judged(x, _exact(x))
    inside, outside = _exact(x), _exact(x)
    inside[:, slot] = exact.expected[:, slot] + sign * 0.9 * exact.bound[:, slot]
    outside[:, slot] = exact.expected[:, slot] + sign * 1.2 * exact.bound[:, slot]

    assert (_judged(x, inside).over_bound <= 1).all()
    assert (_judged(x, outside).over_bound[:, slot] > 1).all()


def test_swapped_weights_are_caught() -> None:
    """The right weights beside the wrong ids are wrong: pairs are judged, not sets."""
    x = np.array([[3.0, 2, 1, 0, -1, -2, -3, -4]])
    weights = _exact(x)
    weights[0, [2, 3]] = weights[0, [3, 2]]

    over = _judged(x, weights).over_bound

    assert (over[0, [2, 3]] > 1000).all()
    assert (over[0, [0, 1, 4, 5, 6, 7]] < 1).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_never_right(value: float) -> None:
    """NaN and infinity are errors even where nothing else can be asked."""
    for logit in (0.0, -100.0):
        x = np.full((1, 8), logit)
        weights = np.full((1, 8), 0.125, np.float32)
        weights[0, 4] = value

        assert np.isnan(_judged(x, weights).over_bound[0, 4])


def test_where_no_weight_is_bounded_their_sum_is() -> None:
    """Where every score may be flushed to 0, weights pass that sum to 1, none below 0, or are 0."""
    rows = {
        "equal": [0.125] * 8,
        "one has all": [1.0] + [0.0] * 7,
        "rounded": [0.125 + 2.0**-24] * 4 + [0.125] * 4,
        "all 0": [0.0] * 8,
        "all 1": [1.0] * 8,
        "half": [0.0625] * 8,
        "20 u above": [0.125 * (1 + 20 * U)] * 8,
        "one negative": [0.625, -0.5] + [0.875 / 6] * 6,
    }
    weights = np.array(list(rows.values()), np.float32)

    judged = _judged(np.full((len(rows), 8), -100.0), weights)

    passed = np.flatnonzero((judged.over_bound <= 1).all(axis=1))
    assert [list(rows)[row] for row in passed] == ["equal", "one has all", "rounded", "all 0"]
    assert not judged.alone.any()
    assert (judged.unbounded == 8).all()


@pytest.mark.parametrize(("logit", "wrong"), [(-100.0, False), (-87.4, False), (-86.0, True)])
def test_zeros_pass_only_where_every_score_may_be_flushed(logit: float, wrong: bool) -> None:
    """A row of zeros is not bounded below 2**-126, where float32 may have no score left."""
    x = np.full((1, 8), logit)

    judged = _judged(x, np.zeros((1, 8), np.float32))

    assert bool((judged.over_bound > 1).any()) == wrong
    assert (_judged(x, np.ones((1, 8), np.float32)).over_bound > 1).any()


def test_a_scale_moves_the_sum_that_is_asked_of_unbounded_weights() -> None:
    """The weights of a row that nothing bounds sum to the scale, not to 1."""
    x = np.full((2, 8), -100.0)
    spec = RoutingSpec(256, 8, routed_scaling_factor=2.5)
    weights = np.array([[0.125] * 8, [0.3125] * 8], np.float32)

    over = _judged(x, weights, spec).over_bound

    assert (over[0] > 1).all()
    assert (over[1] <= 1).all()


def test_unbounded_weights_are_those_that_would_pass_as_0() -> None:
    """A weight below what flushing may lose is counted as not bounded, its neighbours are not."""
    x = np.array([[2.0, 1, 0, -1, 1, 2, 0, -95.0], [2.0, 1, 0, -1, 1, 2, 0, -20.0]])

    judged = _judged(x, _exact(x))

    assert judged.unbounded.tolist() == [1, 0]
    assert judged.alone.all()


def _rounded(weights: NDArray[np.float32], name: str, *, toward_zero: bool = False) -> Weights:
    """Return weights rounded to float16 or bfloat16, as float32."""
    if name == "F16":
        return weights.astype(np.float16).astype(np.float32)
    bits = weights.view(np.uint32).astype(np.uint64)
    up = np.uint64(0) if toward_zero else 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))
    kept = ((bits + up) & np.uint64(0xFFFF0000)).astype(np.uint32)
    return np.asarray(kept.view(np.float32))


@pytest.mark.parametrize("name", ["BF16", "F16"])
@pytest.mark.parametrize(("renormalize", "scale"), [(True, 1.0), (True, 2.5), (False, 16.0)])
def test_weights_of_a_narrower_type_are_judged_within_its_rounding(
    name: str, renormalize: bool, scale: float
) -> None:
    """One rounding to nearest passes and nearly reaches the bound; two of its ulps do not pass."""
    spec = RoutingSpec(256, 8, renormalize=renormalize, routed_scaling_factor=scale)
    x = np.random.default_rng(3).normal(0, 3, (2000, 8))
    s = scores(x, "sigmoid")
    exact = expected_weights(s, spec).astype(np.float32)

    def over(weights: NDArray[np.float32]) -> float:
        judged = _judged(x, weights, spec, FORMATS[name])
        return float(judged.over_bound.max())

    step = np.float32(1 + 2.0 ** (-6 if name == "BF16" else -9))
    assert 0.9 < over(_rounded(exact, name)) <= 1
    assert over(_rounded(exact * step, name)) > 1
    judged = _judged(x, _rounded(exact, name), spec)
    assert (judged.over_bound > 1).mean() > 0.9  # as float32 they are wrong


def test_bfloat16_weights_that_are_truncated_are_wrong() -> None:
    """Rounding toward zero errs by up to an ulp, twice what rounding to nearest does."""
    x = np.random.default_rng(3).normal(0, 3, (2000, 8))
    weights = _rounded(_exact(x), "BF16", toward_zero=True)

    judged = _judged(x, weights, MINIMAX_M2_5, FORMATS["BF16"])

    assert 0.2 < (judged.over_bound > 1).mean() < 0.8


@pytest.mark.parametrize("name", ["BF16", "F16"])
def test_unbounded_weights_of_a_narrower_type_still_sum_to_the_scale(name: str) -> None:
    """Rounded to a narrower type, a row that nothing bounds sums to 1 within that rounding."""
    x = np.full((3, 8), -100.0)
    exact = np.random.default_rng(4).dirichlet(np.ones(8), 3).astype(np.float32)
    weights = _rounded(exact, name)
    weights[1:] *= np.array([[0.5], [1.0 + 4 * FORMATS[name].roundoff]], np.float32)

    over = _judged(x, weights, MINIMAX_M2_5, FORMATS[name]).over_bound

    assert (over[0] <= 1).all()
    assert (over[1:] > 1).all()


def test_histogram_counts_ulps_of_the_weights_type() -> None:
    """A weight one bfloat16 step off is one ulp off, not 65,536."""
    x = np.zeros((1, 8))
    weights = _exact(x)
    weights[0, 0] += np.float32(2.0**-10)  # an ulp of 1/8
    held = FORMATS["BF16"]

    judged = _judged(x, weights, MINIMAX_M2_5, held)

    assert ulp_histogram(weights, judged, np.array([True]), held).tolist() == [
        7,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
    ]


def test_one_deep_expert_does_not_excuse_the_others() -> None:
    """A selected expert that underflows leaves the bounds of the other weights sharp."""
    x = np.array([[2.0, 1, 0, -1, 1, 2, 0, -95.0]])

    judged = _judged(x, _exact(x))

    assert (judged.bound[0, :7] / judged.expected[0, :7] < 40 * U).all()


def test_histogram_counts_ulps() -> None:
    """Errors land in the bucket of their size in ulps of the exact weight."""
    x = np.zeros((1, 8))
    weights = _exact(x)
    weights[0, 0] += 3 * np.spacing(weights[0, 0])

    counts = ulp_histogram(weights, _judged(x, weights), np.array([True]))

    assert counts.tolist() == [7, 0, 0, 1, 0, 0, 0, 0]


def _drift(
    r: NDArray[np.float64],
    z: NDArray[np.float64],
    s: NDArray[np.float64],
    profile: Profile = IEEE,
    spec: RoutingSpec = MINIMAX_M2_5,
) -> SystematicError:
    """Return the drift of rows whose weights are all as large."""
    return systematic_error(residual_sums(r, z, np.full(r.shape, 0.125), s), spec, profile)


def _drift_of(constant: float, rows: int = 4000) -> SystematicError:
    """Return the drift of a float32 kernel whose log2(e) is another constant."""
    x = np.random.default_rng(1).normal(0, 1, (rows, 8)).astype(np.float32)
    s = (1 / (1 + np.exp2(-np.float32(constant) * x))).astype(np.float32)
    weights = (s / s.sum(axis=1, keepdims=True)).astype(np.float32)
    wide = x.astype(np.float64)
    exact = expected_weights(scores(wide, "sigmoid"), MINIMAX_M2_5)
    r = (weights / exact - 1) / U
    return _drift(r, wide * (1 - scores(wide, "sigmoid")), s, PROFILES["rcp_exp2"])


def test_drift_finds_a_shortened_constant() -> None:
    """log2(e) shortened to 1.4427 is drift, log2(e) rounded to float32 is not."""
    shortened, rounded = _drift_of(1.4427), _drift_of(1.4426950408889634)

    assert shortened.found
    assert shortened.size > 0.8
    assert not rounded.found
    assert rounded.size < 0.13


def test_drift_finds_a_common_scale() -> None:
    """Weights that are all too large by 2 u are drift though each is within its bound."""
    rng = np.random.default_rng(2)
    r = 2.0 + rng.normal(0, 1, (1000, 8))

    found = _drift(r, rng.normal(0, 1, (1000, 8)), rng.random((1000, 8)))

    assert found.found
    assert found.mean == pytest.approx(2.0, abs=0.1)


def test_what_the_scale_rounds_by_is_no_drift() -> None:
    """A mean between 0 and the scale's own rounding as float32 is not the kernel's."""
    rng = np.random.default_rng(2)
    noise, z = rng.normal(0, 1, (1000, 8)), rng.normal(0, 1, (1000, 8))
    s = rng.random((1000, 8))

    def found(mean: float, scale: float) -> bool:
        spec = RoutingSpec(256, 8, routed_scaling_factor=scale)
        return _drift(mean + noise, z, s, spec=spec).found

    assert scale_rounding(RoutingSpec(256, 8, routed_scaling_factor=2.446)) / U > 0.6
    assert scale_rounding(RoutingSpec(256, 8, routed_scaling_factor=2.827)) / U < -0.5
    assert found(0.8, 2.5)
    assert not found(0.8, 2.446)
    assert found(0.8, 2.827)
    assert found(1.6, 2.446)


@pytest.mark.parametrize("own", [-4.5, -1.5, 0.0, 1.5, 4.5])
@pytest.mark.parametrize(("model", "moved"), [("below", -1.5), ("above", 1.5)])
def test_a_rounding_model_moves_what_is_expected_and_widens_nothing(
    model: str, moved: float, own: float
) -> None:
    """With the model's move in the mean, a drift of the kernel's own is found whatever its sign."""
    info = KernelInfo("k", "1", "gfx942", "emulated", "conservative", rounding=model)
    profile = profile_for("conservative", info, MINIMAX_M2_5)
    rng = np.random.default_rng(6)
    z, s = rng.normal(0, 1, (1000, 8)), rng.random((1000, 8))
    r = moved + own + rng.normal(0, 0.5, (1000, 8))

    found = _drift(r, z, s, profile)

    # The move is within half a u of the interval's ends: more than the limit beyond is certain.
    assert found.found == (abs(own) > 1.25 + 0.5)
    assert found.expected_mean == ((-2.0, -1.0) if model == "below" else (1.0, 2.0))


def test_a_rounding_model_excuses_no_mean_of_the_other_sign() -> None:
    """Under "below" a mean of +1.5 u is drift, and of -1.5 u under "above"."""
    rng = np.random.default_rng(7)
    z, s = rng.normal(0, 1, (1000, 8)), rng.random((1000, 8))
    noise = rng.normal(0, 0.5, (1000, 8))

    def found(model: str, mean: float) -> bool:
        info = KernelInfo("k", "1", "gfx942", "emulated", "rcp_exp2", rounding=model)
        return _drift(mean + noise, z, s, profile_for("rcp_exp2", info, MINIMAX_M2_5)).found

    assert found("below", 1.5)
    assert found("above", -1.5)
    assert not found("below", -1.5)
    assert not found("above", 1.5)


@pytest.mark.parametrize(
    ("execution", "arithmetic", "rounding", "renormalize", "shift"),
    [
        ("emulated", "rcp_exp2", "below", True, (-2.0, -1.0)),
        ("emulated", "conservative", "above", True, (1.0, 2.0)),
        ("emulated", "rcp_exp2", "below", False, (-2.0, 1.0)),
        ("emulated", "rcp_exp2", "above", False, (-1.0, 2.0)),
        ("emulated", "rcp_exp2", "nearest", True, (0.0, 0.0)),
        ("emulated", "rcp_exp2", "random (seed 3)", True, (0.0, 0.0)),
        ("emulated", "rcp_exp2", "", True, (0.0, 0.0)),
        ("emulated", "expf_div_subtract", "below", True, (0.0, 0.0)),
        ("hardware", "rcp_exp2", "below", True, (0.0, 0.0)),
    ],
)
def test_only_a_one_sided_model_of_an_emulated_reciprocal_moves_the_mean(
    execution: str,
    arithmetic: str,
    rounding: str,
    renormalize: bool,
    shift: tuple[float, float],
) -> None:
    """An ulp, u to 2 u, in the model's direction; nothing for a division or on hardware."""
    kernel = KernelInfo("k", "1", "gfx942", execution, arithmetic, rounding=rounding)

    assert shift_of(kernel, RoutingSpec(16, 2, renormalize=renormalize)) == shift


@pytest.mark.parametrize("model", ["below", "above"])
@pytest.mark.parametrize("renormalize", [True, False])
def test_a_float32_kernel_with_moved_reciprocals_has_the_expected_mean(
    model: str,
    renormalize: bool,
) -> None:
    """The interval holds a kernel's mean error that the emulator's own functions computed."""
    rounding, rng = Rounding(model), np.random.default_rng(8)
    x = rng.normal(0.0, 2.0, (20000, 8)).astype(np.float32)

    def moved(name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return evaluate(name, values, rounding, flushing=True)

    power = moved("v_exp_f32", (x.astype(np.float64) * -math.log2(math.e)).astype(np.float32))
    s = moved("v_rcp_f32", np.float32(1) + power)
    exact = 1.0 / (1.0 + np.exp(-x.astype(np.float64)))
    weights, golden = s, exact
    if renormalize:
        weights = s * moved("v_rcp_f32", s.sum(axis=1, keepdims=True, dtype=np.float32))
        golden = exact / exact.sum(axis=1, keepdims=True)
    kernel = KernelInfo("k", "1", "gfx942", "emulated", "rcp_exp2", rounding=model)
    low, high = shift_of(kernel, RoutingSpec(16, 8, renormalize=renormalize))

    mean = float(np.average((weights / golden - 1.0) / U, weights=golden))

    assert low <= mean <= high
    assert not -high <= mean <= -low or not renormalize


def test_insignificant_drift_is_none() -> None:
    """A systematic part past its limit proves nothing while its standard error is as large."""
    rng = np.random.default_rng(2)
    r, z, s = rng.normal(0, 40, (200, 8)), rng.normal(0, 1, (200, 8)), rng.random((200, 8))

    measured = _drift(r, z, s)

    assert max(measured.size, abs(measured.mean)) > 0.5
    assert measured.units >= 64
    assert not measured.found


def _repeated(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    row, noise = rng.random((1, 8)), rng.normal(0, 1, (1, 8))
    return np.repeat(row, 500, axis=0), np.repeat(noise + 3, 500, axis=0)


def _few_scores(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at = rng.integers(0, 5, (500, 8))
    return rng.random(5)[at], np.array([3.0, 3.1, 2.9, 3.2, 3.0])[at]


@pytest.mark.parametrize("data", [_repeated, _few_scores])
def test_rounding_that_repeats_itself_is_no_drift(
    data: Callable[[np.random.Generator], tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> None:
    """Equal rows err alike and equal scores err alike: many of them are few observations."""
    rng = np.random.default_rng(4)
    s, r = data(rng)

    measured = _drift(r, rng.normal(0, 1, r.shape), s)

    assert measured.mean > 0.5
    assert measured.rows == 500
    assert not measured.found


def test_one_heavy_row_does_not_outvote_the_others() -> None:
    """A row repeated a thousand times among seventy others leaves the error as large as it is."""
    rng = np.random.default_rng(5)
    s, r, z = rng.random((71, 8)), rng.normal(0, 1, (71, 8)), rng.normal(0, 1, (71, 8))
    r[0] = 2.0 + 0.1 * r[0]
    times = np.array([1000] + [1] * 70)

    r, z, s = (np.repeat(values, times, axis=0) for values in (r, z, s))

    measured = _drift(r, z, s)

    assert measured.mean > 1.5
    assert measured.mean_error > 1.0
    assert not measured.found


def test_few_rows_prove_no_drift() -> None:
    """A single row is never called drift: its standard error means nothing."""
    r = np.linspace(-5, 5, 8)[None]

    assert not _drift(r, np.linspace(-1, 1, 8)[None], np.ones((1, 8))).found


def test_drift_agrees_with_ordinary_regression() -> None:
    """The slope from running sums is numpy's least-squares slope on row-centred values."""
    rng = np.random.default_rng(3)
    z = rng.normal(0, 1, (50, 8))
    r = 0.7 * z + rng.normal(0, 1, (50, 8))
    rc, zc = r - r.mean(axis=1, keepdims=True), z - z.mean(axis=1, keepdims=True)

    s = rng.random((50, 8))

    parts = [residual_sums(r[p], z[p], s[p], s[p]) for p in (slice(0, 20), slice(20, 50))]
    split = systematic_error(parts[0] + parts[1], MINIMAX_M2_5, IEEE)

    slope = np.linalg.lstsq(zc.reshape(-1, 1), rc.ravel(), rcond=None)[0][0]
    assert split.slope == pytest.approx(slope)
    assert split.mean == pytest.approx(np.average(r, weights=s))
    assert split.rows == 50
    assert systematic_error(ResidualSums(), MINIMAX_M2_5, IEEE).found is False


def test_standard_errors_are_those_of_independent_rows() -> None:
    """On independent rows the mean's standard error is the textbook's, over the rows' means."""
    rng = np.random.default_rng(6)
    shared = rng.normal(0, 1, (900, 1)) + 0.1 * rng.normal(0, 1, (900, 8))

    measured = _drift(shared, rng.normal(0, 1, (900, 8)), rng.random((900, 8)))

    expected = shared.mean(axis=1).std(ddof=1) / np.sqrt(900)
    assert measured.mean_error == pytest.approx(expected, rel=0.15)


def test_what_a_profile_claims_to_lean_by_is_no_drift() -> None:
    """A slope within the claimed error a unit of argument passes, however wide the logits are."""
    rng = np.random.default_rng(7)
    z, s = rng.normal(0, 5, (1000, 8)), rng.random((1000, 8))
    noise = rng.normal(0, 1, (1000, 8))

    def found(slope: float, profile: str) -> bool:
        return _drift(slope * z + noise, z, s, PROFILES[profile]).found

    assert not found(1.5, "fast_math")
    assert found(1.5, "ieee")
    assert found(4.0, "fast_math")


def test_approximate_division_may_err_by_more_in_common() -> None:
    """A common error of 0.9 u is what __fdividef does on an H100, and drift of an IEEE kernel."""
    rng = np.random.default_rng(8)
    r, z, s = 0.9 + rng.normal(0, 1, (1000, 8)), rng.normal(0, 1, (1000, 8)), rng.random((1000, 8))

    assert _drift(r, z, s, IEEE).found
    assert not _drift(r, z, s, PROFILES["fast_math"]).found
    assert _drift(r + 1.0, z, s, PROFILES["fast_math"]).found


def test_a_mean_is_taken_of_whole_rows_alone() -> None:
    """What a weight too small to take part has lost, the others have: that is no common scale."""
    rng = np.random.default_rng(9)
    r, z, s = 3.0 + rng.normal(0, 1, (1000, 8)), rng.normal(0, 1, (1000, 8)), rng.random((1000, 8))
    r[:, 7] = np.nan

    measured = _drift(r, z, s)

    assert measured.rows == 1000
    assert measured.mean == 0.0
    assert not measured.found
