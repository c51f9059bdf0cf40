"""No float32 arithmetic that a profile allows moves a score, selection or weight past its bound.

Kernels are float32 evaluations in numpy whose exponential, division and logarithm err at random by
as many ulps as the profile permits; sums run in several orders. Truth is float64, whose own error,
about 1e-16 relative, is far below the bounds' second-order allowance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.reference import (
    PROFILES,
    Profile,
    RoutingSpec,
    U,
    group_error,
    row_sum_error,
    scale_rounding,
    score_error,
    selection_error,
    selection_error_ceiling,
    weight_error,
)
from goldgate.reference.bounds import _PEAK, shared_error
from goldgate.reference.formulas import TINY
from goldgate.reference.scoring import scores

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
F = TypeVar("F", np.float32, np.float64)

T, E, K = 96, 256, 8
OWN_FORMS = {"conservative", "tanh", "exp2_prescaled"}  # not what "conservative" is the largest of
ONE = np.float32(1.0)
LOG2E = 1.4426950408889634  # log2(e) to float64

DISTRIBUTIONS: dict[str, Callable[[np.random.Generator], Float64]] = {
    "normal": lambda rng: rng.normal(0, 1, (T, E)),
    "wide": lambda rng: rng.normal(0, 5, (T, E)),
    "near zero": lambda rng: rng.normal(0, 1e-3, (T, E)),
    "saturated": lambda rng: rng.normal(18, 4, (T, E)),
    "deep": lambda rng: rng.uniform(-87, -20, (T, E)),
    "deepest": lambda rng: rng.uniform(-87.3, -80, (T, E)),
    "overflowing": lambda rng: rng.uniform(-120, -85, (T, E)),
    "every size": lambda rng: rng.choice([-1, 1], (T, E)) * 10.0 ** rng.uniform(-8, 2, (T, E)),
    "half lattice": lambda rng: np.round(rng.normal(0, 3, (T, E)) * 8) / 8,
    "mixed": lambda rng: rng.choice([-1000.0, -60.0, -10.0, -1.0, 0.0, 1.5, 20.0, 95.0], (T, E)),
}
BIASES = {"0": (0.0, 0.0), "0.3": (0.0, 0.3), "7": (7.0, 0.1), "35": (35.0, 1), "-1.5": (-1.5, 0.2)}


def chosen_by(ids: NDArray[np.int64], values: NDArray[F]) -> NDArray[F]:
    """Return the values [T, E] or [E] at each row's ids."""
    rows = np.broadcast_to(values, (len(ids), values.shape[-1]))
    return np.take_along_axis(rows, ids, axis=1)


class Arithmetic:
    """Float32 operations that err as far as a profile lets them; flush drops subnormal results."""

    def __init__(self, profile: Profile, seed: int, *, flush: bool, aligned: int = 0) -> None:
        self.profile = profile
        self.rng = np.random.default_rng(seed)
        self.flush = flush
        self.aligned = aligned

    def rounded(self, value: Float64, limit: float | Float64) -> Float32:
        """Round to float32 and stray while the relative error stays within limit u."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            near = value.astype(np.float32)
            signs = self.rng.choice([-1, 1], value.shape)
            sign = np.full(value.shape, self.aligned) if self.aligned else signs
            steps = (sign * np.maximum(np.floor((np.asarray(limit) - 1) / 2), 0)).astype(np.int32)
            normal = (near >= TINY) & (near < np.finfo(np.float32).max / 2)
            far = np.where(normal, (near.view(np.int32) + steps).view(np.float32), near)
            # A faithful operation may return either neighbour of the real value.
            side = np.where(sign > 0, np.float32(np.inf), np.float32(-np.inf))
            further = np.nextafter(far, side)
            fits = np.abs(further.astype(np.float64) - value) <= np.asarray(limit) * U * value
            result = np.where(normal & fits, further, far)
        return np.where(np.abs(result) < TINY, np.float32(0), result) if self.flush else result

    def exp(self, x: Float32) -> Float32:
        """Exponentiate; the argument errs by alpha and the result by the profile's eps."""
        exponent = x.astype(np.float64)
        with np.errstate(over="ignore", under="ignore"):
            if self.profile.prescaled:
                value = np.exp2((x * np.float32(LOG2E)).astype(np.float64))
            elif self.profile.exponent:
                product = (exponent * LOG2E).astype(np.float32)  # log2e a double, rounded once
                value = np.exp2(product.astype(np.float64))
            else:
                value = np.exp(exponent)
            limit = self.profile.exp + self.profile.exp_per_unit * np.abs(exponent)
        return self.rounded(value, np.where(np.isfinite(limit), limit, 0.0))

    def exp2(self, y: Float32) -> Float32:
        """Raise 2 to y; the result errs by the profile's eps."""
        with np.errstate(under="ignore"):
            return self.rounded(np.exp2(y.astype(np.float64)), self.profile.exp)

    def divide(self, a: Float32 | np.float32, b: Float32) -> Float32:
        """Return a / b."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            value = np.asarray(np.asarray(a, dtype=np.float64) / b)
        return self.rounded(value, self.profile.divide)

    def tanh(self, x: Float32) -> Float32:
        """Take the hyperbolic tangent, as far off as the profile says."""
        value = np.tanh(x.astype(np.float64))
        strayed = self.rounded(np.abs(value), self.profile.tanh)
        return np.asarray(np.copysign(np.minimum(strayed, ONE), x))

    def log(self, a: Float32) -> Float32:
        """Take the logarithm of a, at least 1."""
        return self.rounded(np.log(a.astype(np.float64)), self.profile.log)

    def log1p(self, a: Float32) -> Float32:
        """Take the logarithm of 1 + a."""
        return self.rounded(np.log1p(a.astype(np.float64)), self.profile.log)

    def plain(self, a: Float32) -> Float32:
        """Return a float32 result, flushed where the hardware flushes."""
        return np.where(np.abs(a) < TINY, np.float32(0), a) if self.flush else a


def forward(values: Float32) -> Float32:
    """Sum rows from the first to the last."""
    return np.cumsum(values, axis=1, dtype=np.float32)[:, -1:]


def backward(values: Float32) -> Float32:
    """Sum rows from the last to the first."""
    return forward(values[:, ::-1])


def ascending(values: Float32) -> Float32:
    """Sum rows from the smallest to the largest."""
    return forward(np.sort(values, axis=1))


def descending(values: Float32) -> Float32:
    """Sum rows from the largest to the smallest, which loses most."""
    return forward(np.sort(values, axis=1)[:, ::-1])


def butterfly(values: Float32) -> Float32:
    """Sum rows in halves, as a warp does."""
    while values.shape[1] > 1:
        if values.shape[1] % 2:
            values = np.pad(values, ((0, 0), (0, 1)))
        half = values.shape[1] // 2
        values = values[:, :half] + values[:, half:]
    return values


ORDERS = (forward, backward, ascending, descending, butterfly)


def sigmoid32(x: Float32, do: Arithmetic) -> Float32:
    """Return 1 / (1 + exp(-x)) in float32; 1/2 + tanh(x/2)/2 by the profile of that form."""
    if do.profile.tanh:
        return np.asarray(np.float32(0.5) + np.float32(0.5) * do.tanh(np.float32(0.5) * x))
    with np.errstate(over="ignore"):
        return do.divide(ONE, ONE + do.exp(-x))


def sqrtsoftplus32(x: Float32, do: Arithmetic, form: str) -> Float32:
    """Return sqrt(softplus(x)) in float32, in one of the forms that libraries use."""
    with np.errstate(over="ignore"):
        if form == "log":  # with torch's threshold of 20
            softplus = np.where(x > 20, x, do.log(ONE + do.exp(np.minimum(x, np.float32(20)))))
        elif form == "log1p":
            softplus = np.where(x > 20, x, do.log1p(do.exp(np.minimum(x, np.float32(20)))))
        else:
            softplus = np.maximum(x, np.float32(0)) + do.log1p(do.exp(-np.abs(x)))
    return do.plain(np.sqrt(softplus))


def softmax32(x: Float32, do: Arithmetic, order: Callable[[Float32], Float32]) -> Float32:
    """Return softmax in float32, its sum in the given order; scaled first where profiles say so."""
    if do.profile.prescaled:
        y = x * np.float32(LOG2E)
        e = do.exp2(y - y.max(axis=1, keepdims=True))
    else:
        e = do.exp(x - x.max(axis=1, keepdims=True))
    return do.divide(e, order(e))


def weights32(chosen: Float32, spec: RoutingSpec, do: Arithmetic) -> Iterator[Float32]:
    """Yield weights of float32 scores [T, k]: divided or multiplied, in every order of summation.

    Rows whose scores were all flushed give NaN or infinity, as a kernel would.
    """
    scale = np.float32(spec.routed_scaling_factor)
    if not spec.renormalize:
        yield do.plain(chosen * scale)
        return
    for order in ORDERS:
        with np.errstate(invalid="ignore", over="ignore"):
            total = order(chosen)
            yield do.plain(do.divide(chosen, total) * scale)
            yield do.plain(do.plain(chosen * do.divide(ONE, total)) * scale)


def spec_of(
    scoring: str = "sigmoid", *, renormalize: bool = True, scale: float = 1.0, groups: int = 1
) -> RoutingSpec:
    """Return a router of 256 experts."""
    return RoutingSpec(
        E,
        K,
        scoring,
        num_expert_group=groups,
        topk_group=max(1, groups // 2),
        renormalize=renormalize,
        routed_scaling_factor=scale,
    )


def logits_of(name: str) -> Float32:
    """Return seeded float32 logits of a distribution."""
    rng = np.random.default_rng(sorted(DISTRIBUTIONS).index(name))
    return DISTRIBUTIONS[name](rng).astype(np.float32)


def bias_of(name: str) -> Float32:
    """Return a seeded float32 bias."""
    mean, spread = BIASES[name]
    return np.random.default_rng(len(name)).normal(mean, spread, E).astype(np.float32)


def kernels(profile: Profile) -> list[Arithmetic]:
    """Return arithmetics that stray at random, all upwards, all downwards, and flush or not."""
    return [
        Arithmetic(profile, seed, flush=flush, aligned=aligned)
        for seed, (flush, aligned) in enumerate(
            [(False, 0), (True, 0), (True, 1), (False, -1), (True, -1)]
        )
    ]


def over(error: Float64, bound: Float64) -> float:
    """Return the largest error over bound; NaN fails every comparison, so it is never hidden."""
    return float(np.max(error / bound))


@pytest.mark.parametrize("distribution", sorted(DISTRIBUTIONS))
@pytest.mark.parametrize("name", sorted(PROFILES))
def test_sigmoid_scores_and_selections_stay_within_their_bounds(
    name: str, distribution: str
) -> None:
    """|s' - s| <= score_error and |c' - c| <= selection_error <= its ceiling, for every bias."""
    profile, spec = PROFILES[name], spec_of()
    x = logits_of(distribution)
    wide = x.astype(np.float64)
    s = scores(wide, "sigmoid")
    bound = score_error(wide, s, spec, profile)

    for do in kernels(profile):
        computed = sigmoid32(x, do)
        assert over(np.abs(computed - s), bound) <= 1
        for kind in BIASES:
            b = bias_of(kind)
            limit = selection_error(wide, s, b.astype(np.float64), spec, profile)
            assert over(np.abs((computed + b).astype(np.float64) - (s + b)), limit) <= 1
            assert (limit <= selection_error_ceiling(b.astype(np.float64), profile)).all()


@pytest.mark.parametrize("distribution", sorted(DISTRIBUTIONS))
@pytest.mark.parametrize("name", sorted(PROFILES))
def test_sigmoid_weights_stay_within_their_bounds(name: str, distribution: str) -> None:
    """|w' - w| <= weight_error at the kernel's own ids, in every order of summation."""
    profile = PROFILES[name]
    x = logits_of(distribution)
    s = scores(x.astype(np.float64), "sigmoid")

    for kind, do in zip(BIASES, kernels(profile), strict=True):
        b = bias_of(kind)
        computed = sigmoid32(x, do)
        ids = np.argsort(-(computed + b), axis=1, kind="stable")[:, :K]
        chosen, bias, real = chosen_by(ids, computed), chosen_by(ids, b), chosen_by(ids, s)
        if profile.recovered:
            chosen = do.plain((chosen + bias) - bias)
        for scale, renormalize in [(1.0, True), (2.5, True), (2.5, False), (2.827, True)]:
            spec = spec_of(renormalize=renormalize, scale=scale)
            s_error = chosen_by(ids, score_error(x.astype(np.float64), s, spec, profile))
            bound = weight_error(real, s_error, bias.astype(np.float64), spec, profile)
            total = real.sum(axis=1, keepdims=True) if renormalize else np.ones((T, 1))
            usable = np.isfinite(bound)
            for w in weights32(chosen, spec, do):
                error = np.abs(w - real / total * scale)
                assert (error <= bound)[usable].all(), (kind, spec)
        if distribution not in ("overflowing", "deepest", "deep", "mixed", "wide"):
            assert usable.all()


@pytest.mark.parametrize("renormalize", [True, False])
def test_the_weights_bound_counts_the_rounding_of_the_scale(renormalize: bool) -> None:
    """A scale that is no float32 widens the bound by what it rounds by, and by nothing else."""
    s = np.linspace(0.1, 0.9, K)[None]
    part = s / s.sum() if renormalize else s
    inexact = spec_of(renormalize=renormalize, scale=2.827)
    exact = spec_of(renormalize=renormalize, scale=float(np.float32(2.827)))

    wide, narrow = (
        weight_error(s, np.zeros((1, K)), np.zeros(K), spec, PROFILES["ieee"])
        / spec.routed_scaling_factor
        for spec in (inexact, exact)
    )

    rounding = abs(float(np.float32(2.827)) / 2.827 - 1)
    assert 0.5 * U < rounding < U
    np.testing.assert_allclose((wide - narrow) / part, rounding, rtol=1e-3)
    assert scale_rounding(exact) == 0.0


def test_the_weights_bound_counts_every_addition_of_the_sum() -> None:
    """Exact scores whose k - 1 additions all round down move a weight by nearly (k - 1) u."""
    s = np.full((1, K), 0.999 * U, dtype=np.float32)
    s[0, 0] = 1.0
    real = s.astype(np.float64)

    w = s / descending(s)

    error = np.abs(w - real / real.sum())
    bound = weight_error(real, np.zeros((1, K)), np.zeros(K), spec_of(), PROFILES["ieee"])
    assert error.max() > (K - 2) * U
    assert (error <= bound).all()


@pytest.mark.parametrize("distribution", sorted(set(DISTRIBUTIONS) - {"overflowing", "deepest"}))
def test_numpys_own_float32_sigmoid_stays_within_the_ieee_bound(distribution: str) -> None:
    """Numpy's float32 exp and division, with no noise added, are inside the profile ieee."""
    x = logits_of(distribution)
    s = scores(x.astype(np.float64), "sigmoid")

    with np.errstate(over="ignore"):
        computed = ONE / (ONE + np.exp(-x))

    bound = score_error(x.astype(np.float64), s, spec_of(), PROFILES["ieee"])
    assert over(np.abs(computed - s), bound) <= 1


@pytest.mark.parametrize("distribution", sorted(DISTRIBUTIONS))
def test_exp2_with_a_float32_log2e_stays_within_the_fast_math_bound(distribution: str) -> None:
    """Rounding log2e itself to float32, as __expf does, stays inside fast_math."""
    profile, x = PROFILES["fast_math"], logits_of(distribution)
    s = scores(x.astype(np.float64), "sigmoid")
    do = Arithmetic(profile, 7, flush=True)

    with np.errstate(over="ignore", under="ignore"):
        y = do.rounded(np.exp2((-x * np.float32(LOG2E)).astype(np.float64)), 2.0)
        computed = do.divide(ONE, ONE + y)

    bound = score_error(x.astype(np.float64), s, spec_of(), profile)
    assert over(np.abs(computed - s), bound) <= 1


def test_numpys_float32_exponential_is_as_accurate_as_the_profile_says() -> None:
    """Over a million logits numpy's float32 exp errs by no more than the profile ieee allows."""
    x = np.linspace(-87, 88, 2**20).astype(np.float32)

    error = np.abs(np.exp(x) / np.exp(x.astype(np.float64)) - 1) / U

    assert 0.5 < error.max() <= PROFILES["ieee"].exp


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_bounds_are_not_vacuous(name: str) -> None:
    """Arithmetic at a profile's limits reaches a tenth of every bound, and half of the scores'."""
    profile, spec = PROFILES[name], spec_of()
    x, b = logits_of("normal"), bias_of("0.3")
    wide, bias = x.astype(np.float64), b.astype(np.float64)
    s = scores(wide, "sigmoid")
    bound = score_error(wide, s, spec, profile)
    limit = selection_error(wide, s, bias, spec, profile)
    ids = np.argsort(-(s + bias), axis=1)[:, :K]
    real, s_error = chosen_by(ids, s), chosen_by(ids, bound)
    w_bound = weight_error(real, s_error, bias[ids], spec, profile)
    reached: dict[str, float] = {"score": 0.0, "selection": 0.0, "weight": 0.0}

    for do in kernels(profile):
        computed = sigmoid32(x, do)
        chosen = chosen_by(ids, computed)
        if profile.recovered:
            chosen = (chosen + b[ids]) - b[ids]
        w = do.divide(chosen, descending(chosen))
        w_error = np.abs(w - real / real.sum(axis=1, keepdims=True))
        found = {
            "score": over(np.abs(computed - s), bound),
            "selection": over(np.abs((computed + b).astype(np.float64) - (s + bias)), limit),
            "weight": over(w_error, w_bound),
        }
        reached = {key: max(reached[key], found[key]) for key in reached}

    assert reached["score"] >= 0.5
    assert reached["selection"] >= 0.5
    assert reached["weight"] >= 0.1


def test_honest_float32_reaches_a_tenth_of_the_conservative_score_bound() -> None:
    """Numpy's plain float32 sigmoid, nothing added, uses a tenth of even the widest bound."""
    x = logits_of("saturated")
    s = scores(x.astype(np.float64), "sigmoid")

    computed = ONE / (ONE + np.exp(-x))

    bound = score_error(x.astype(np.float64), s, spec_of(), PROFILES["conservative"])
    assert over(np.abs(computed - s), bound) >= 0.1


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_score_bound_is_nearly_reached_when_all_errors_align(name: str) -> None:
    """With every operation off by its limit one way the score errs by 99 % of its bound."""
    profile, spec = PROFILES[name], spec_of()
    x = np.linspace(-60, 16, 4001)[None]
    s = scores(x, "sigmoid")
    exponential = np.exp(-x) * (1 - profile.slope * np.abs(x) * U)

    computed = 1 / ((1 + exponential * (1 - profile.exp * U)) * (1 - U)) * (1 + profile.divide * U)
    if profile.tanh:
        tangent = np.tanh(x / 2)
        computed = (0.5 + 0.5 * (tangent + np.abs(tangent) * profile.tanh * U)) * (1 + U)

    ratio = np.abs(computed - s) / score_error(x, s, spec, profile)
    assert ratio.min() >= 0.99
    assert ratio.max() <= 1


def test_sigmoid_bound_is_the_contracts_formula() -> None:
    """It is 1.0001 s ((1 - s)(alpha |x| u + eps_e) + u + eps_r) + 2**-126."""
    x = np.array([[-80.0, -3.0, 0.0, 0.5, 12.0]])
    s = scores(x, "sigmoid")

    bound = score_error(x, s, spec_of(), PROFILES["rcp_exp2"])

    rho = (1 - s) * (np.abs(x) * U + 2 * U) + U + 2 * U
    np.testing.assert_allclose(bound, 1.0001 * s * rho + 2.0**-126, rtol=1e-12)


@pytest.mark.parametrize(("bias", "low", "high"), [(0.3, 5, 10), (-0.9, 4, 10), (7.0, 16, 26)])
def test_selection_bounds_have_the_contracts_size(bias: float, low: float, high: float) -> None:
    """Certifying a pair takes about 8 u for |b| < 1 and about 22 u for biases near 7."""
    x = np.random.default_rng(0).normal(0, 1, (64, E))
    s = scores(x, "sigmoid")

    a = selection_error(x, s, np.full(E, bias), spec_of(), PROFILES["rcp_exp2"])

    assert low <= 2 * np.median(a) / U <= high


def test_peak_bounds_the_slope_of_the_exponents_error() -> None:
    """No x has s (1 - s) |x| above _PEAK: a grid, its Lipschitz constant, and the tail."""
    step = 1e-4
    x = np.arange(0.0, 50.0, step)
    s = scores(x[None], "sigmoid")[0]

    largest = (s * (1 - s) * x).max()

    # |d/dx s (1 - s) x| <= 1/4 + max s (1 - s) |1 - 2 s| |x| <= 1/4 + largest; it is even in x.
    assert largest + (0.25 + largest + step) * step <= _PEAK
    assert 50 * np.exp(-50.0) < _PEAK  # x exp(-x) falls from there on
    assert largest >= 0.2238


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
@pytest.mark.parametrize("name", sorted(PROFILES))
def test_softmax_stays_within_its_bounds(name: str, order: Callable[[Float32], Float32]) -> None:
    """Scores, selections and renormalised weights of float32 softmax are within their bounds."""
    profile, spec = PROFILES[name], spec_of("softmax", scale=2.5)
    for distribution in sorted(DISTRIBUTIONS):
        x = logits_of(distribution)
        b = bias_of("0.3")
        wide, bias = x.astype(np.float64), b.astype(np.float64)
        s = scores(wide, "softmax")
        bound = score_error(wide, s, spec, profile)
        shared = s * shared_error(wide, s, spec, profile)
        limit = selection_error(wide, s, bias, spec, profile)
        do = Arithmetic(profile, 1, flush=True)

        computed = softmax32(x, do, order)

        ids = np.argsort(-computed, axis=1, kind="stable")[:, :K]
        chosen, real, s_error = chosen_by(ids, computed), chosen_by(ids, s), chosen_by(ids, bound)
        c = b[ids]
        if profile.recovered:
            chosen = (chosen + c) - c
        w = do.divide(chosen, order(chosen)) * np.float32(2.5)
        w_error = np.abs(w - 2.5 * real / real.sum(axis=1, keepdims=True))
        w_bound = weight_error(real, s_error, c.astype(np.float64), spec, profile)
        assert over(np.abs(computed - s), bound + shared) <= 1
        assert over(np.abs((computed + b).astype(np.float64) - (s + bias)), limit) <= 1
        assert (w_error <= w_bound).all()


@pytest.mark.parametrize("centre", [30.0, -1000.0, 3000.0, 1e5, 1e7])
def test_softmax_of_scaled_logits_needs_the_bound_of_its_own(centre: float) -> None:
    """Exp2(x log2e - max) errs with |x|: inside its own bound, far outside the one of |x - max|."""
    own, other, spec = PROFILES["exp2_prescaled"], PROFILES["conservative"], spec_of("softmax")
    rng = np.random.default_rng(8)
    x = (centre + rng.normal(0, 2, (T, E))).astype(np.float32)
    wide, none = x.astype(np.float64), np.zeros(E)
    s = scores(wide, "softmax")
    y = x * np.float32(LOG2E)

    e = np.exp2(y - y.max(axis=1, keepdims=True))
    computed = e / e.sum(axis=1, keepdims=True)

    error = np.abs(computed - s)
    ids = np.argsort(-computed, axis=1, kind="stable")[:, :K]
    chosen, real = chosen_by(ids, computed), chosen_by(ids, s)
    w_error = np.abs(chosen / chosen.sum(axis=1, keepdims=True) - real / real.sum(axis=1)[:, None])
    reached = {}
    for profile in (own, other):
        s_error = score_error(wide, s, spec, profile)
        limit = selection_error(wide, s, none, spec, profile)
        w_bound = weight_error(real, chosen_by(ids, s_error), none[ids], spec, profile)
        reached[profile.name] = (over(error, limit), over(w_error, w_bound))
    assert max(reached["exp2_prescaled"]) <= 1
    if centre != 30.0:
        assert min(reached["conservative"]) > 2
    assert min(reached["exp2_prescaled"]) > 0.02


def test_scaled_logits_beyond_the_first_order_are_bounded_or_nothing_is_said() -> None:
    """Products that err by up to e stay inside the bound; past that it is inf, never too small."""
    profile, spec = PROFILES["exp2_prescaled"], spec_of("softmax", renormalize=False)
    size = 10.0 ** np.linspace(2, 12, 400)[:, None]
    offsets = np.concatenate([np.linspace(0, 8, 60), np.linspace(10, 400, 39)])
    x = np.concatenate([size, size - offsets], axis=1).astype(np.float32).astype(np.float64)
    s = scores(x, "softmax")
    exponent = profile.prescaled * U * np.abs(x)

    for worst in (np.ones(100), -np.ones(100), np.where(np.arange(100) % 2, -1.0, 1.0)):
        y = x - x[:, :1] + worst * exponent
        e = np.exp(y - y.max(axis=1, keepdims=True))
        computed = e / e.sum(axis=1, keepdims=True)

        bound = score_error(x, s, spec, profile)
        assert over(np.abs(computed - s), bound) <= 1
        for part in (slice(0, 8), slice(40, 48), slice(60, 100)):
            renormalised = RoutingSpec(100, len(range(100)[part]), "softmax")
            some = score_error(x, s, renormalised, profile)[:, part]
            limit = weight_error(s[:, part], some, np.zeros(some.shape[1]), renormalised, profile)
            with np.errstate(invalid="ignore", divide="ignore"):
                w, real = (v[:, part] / v[:, part].sum(axis=1)[:, None] for v in (computed, s))
                assert not (np.abs(w - real) > limit)[np.isfinite(limit)].any()
    assert np.isinf(bound[size[:, 0] > 1.7e7]).all()
    assert np.isfinite(bound[size[:, 0] < 1e4]).all()


def test_masked_logits_leave_the_bound_of_scaled_softmax_sharp() -> None:
    """Logits of -1e30 or -inf, as masks are written, have scores of 0 and excuse nobody else."""
    profile, spec = PROFILES["exp2_prescaled"], spec_of("softmax")
    x = np.random.default_rng(9).normal(0, 1, (4, E))
    x[:2, ::2], x[2:, ::2] = -1e30, -np.inf

    bound = score_error(x, scores(x, "softmax"), spec, profile)

    assert (bound[:, ::2] <= TINY).all()
    assert (bound[:, 1::2] < 1e-5 * scores(x, "softmax")[:, 1::2]).all()


@pytest.mark.parametrize("form", ["log", "log1p", "max"])
@pytest.mark.parametrize("name", sorted(PROFILES))
def test_sqrtsoftplus_stays_within_its_bounds(name: str, form: str) -> None:
    """Scores, selections and weights of float32 sqrt(softplus) are within their bounds."""
    profile, spec = PROFILES[name], spec_of("sqrtsoftplus")
    for distribution in sorted(DISTRIBUTIONS):
        x = logits_of(distribution)
        b = bias_of("7")
        wide, bias = x.astype(np.float64), b.astype(np.float64)
        s = scores(wide, "sqrtsoftplus")
        bound = score_error(wide, s, spec, profile)
        limit = selection_error(wide, s, bias, spec, profile)
        for do in kernels(profile):
            computed = sqrtsoftplus32(x, do, form)

            assert over(np.abs(computed - s), bound) <= 1
            assert over(np.abs((computed + b).astype(np.float64) - (s + bias)), limit) <= 1
            ids = np.argsort(-(computed + b), axis=1, kind="stable")[:, :K]
            chosen, real = chosen_by(ids, computed), chosen_by(ids, s)
            s_error = chosen_by(ids, bound)
            if profile.recovered:
                chosen = (chosen + b[ids]) - b[ids]
            with np.errstate(invalid="ignore"):
                w = do.divide(chosen, forward(chosen))
            w_bound = weight_error(real, s_error, bias[ids], spec, profile)
            w_error = np.abs(w - real / real.sum(axis=1, keepdims=True))
            assert (w_error <= w_bound)[np.isfinite(w_bound)].all()


@pytest.mark.parametrize("kind", sorted(BIASES))
def test_group_maxima_stay_within_their_bound(kind: str) -> None:
    """The largest c' of a group, or of any c' inside A, is within max A, which it reaches."""
    profile, b = PROFILES["fast_math"], bias_of(kind)
    spec = dataclasses.replace(spec_of(groups=8), group_score="maximum")
    for distribution in ("normal", "wide", "deep", "half lattice"):
        x = logits_of(distribution)
        wide, bias = x.astype(np.float64), b.astype(np.float64)
        s = scores(wide, "sigmoid")
        a = selection_error(wide, s, bias, spec, profile)
        g = (s + bias).reshape(T, 8, -1).max(axis=2)
        bound = group_error(s + bias, a, spec)

        for do in kernels(profile):
            largest = (sigmoid32(x, do) + b).reshape(T, 8, -1).max(axis=2)
            assert over(np.abs(largest - g), bound) <= 1
        for sign in (-1, 1):
            moved = (s + bias + sign * a).reshape(T, 8, -1).max(axis=2)
            assert 0.5 <= over(np.abs(moved - g), bound) <= 1 + 1e-6  # float64


@pytest.mark.parametrize("groups", [2, 4, 8])
@pytest.mark.parametrize("kind", sorted(BIASES))
def test_group_scores_stay_within_their_bound(kind: str, groups: int) -> None:
    """A float32 sum of the two largest c', or of any c' inside A, is within group_error."""
    profile, spec, b = PROFILES["fast_math"], spec_of(groups=groups), bias_of(kind)
    for distribution in ("normal", "wide", "deep", "half lattice"):
        x = logits_of(distribution)
        wide, bias = x.astype(np.float64), b.astype(np.float64)
        s = scores(wide, "sigmoid")
        a = selection_error(wide, s, bias, spec, profile)
        top = np.partition((s + bias).reshape(T, groups, -1), -2, axis=2)[:, :, -2:]
        bound = group_error(s + bias, a, spec)

        for do in kernels(profile):
            largest = np.partition((sigmoid32(x, do) + b).reshape(T, groups, -1), -2, axis=2)
            g = largest[:, :, -1] + largest[:, :, -2]
            assert over(np.abs(g - top.sum(axis=2)), bound) <= 1
        for sign in (-1, 1):  # every A used up, and the sum's rounding too
            g = np.partition((s + bias + sign * a).reshape(T, groups, -1), -2, axis=2)[:, :, -2:]
            total = g.sum(axis=2)
            error = np.abs(total + sign * U * np.abs(total) - top.sum(axis=2))
            assert 0.3 <= over(error, bound) <= 1


def test_group_error_takes_minus_infinity_for_experts_that_cannot_be_selected() -> None:
    """A group with NaN logits has a finite bound made of the experts that remain."""
    spec = RoutingSpec(6, 1, num_expert_group=2, topk_group=1)
    biased = np.array([[1.0, -np.inf, 2.0, -np.inf, -np.inf, 3.0]])
    errors = np.where(np.isfinite(biased), 1e-6, 0.0)

    bound = group_error(biased, errors, spec)

    np.testing.assert_allclose(bound, [[2e-6 + 3 * U, 2e-6 + 3 * U]], rtol=1e-3)


@pytest.mark.parametrize("scoring", ["sigmoid", "softmax", "sqrtsoftplus"])
@pytest.mark.parametrize("name", sorted(set(PROFILES) - OWN_FORMS))
def test_conservative_bounds_are_never_the_smaller(name: str, scoring: str) -> None:
    """Every bound of every form that exponentiates x or x - max is at most the conservative one."""
    spec = spec_of(scoring)
    for distribution in sorted(DISTRIBUTIONS):
        x = logits_of(distribution).astype(np.float64)
        s = scores(x, scoring)
        b = bias_of("7").astype(np.float64)
        bounds = {}
        for key in (name, "conservative"):
            profile = PROFILES[key]
            moved = score_error(x, s, spec, profile)
            bounds[key] = (
                moved,
                shared_error(x, s, spec, profile),
                selection_error(x, s, b, spec, profile),
                selection_error_ceiling(b, profile),
                weight_error(s[:, :K], moved[:, :K], b[:K], spec, profile),
            )

        for other, widest in zip(bounds[name], bounds["conservative"], strict=True):
            assert (other <= widest).all()


def test_a_larger_figure_never_gives_a_smaller_bound() -> None:
    """Each figure of a profile widens the bounds it enters, so none is ignored."""
    x = logits_of("normal").astype(np.float64)
    base = PROFILES["rcp_exp2"]
    for figure, scoring in [
        *((f, "sigmoid") for f in ("exponent", "exp", "exp_per_unit", "divide")),
        ("log", "sqrtsoftplus"),
        ("exp", "softmax"),
        *(("prescaled", scoring) for scoring in ("sigmoid", "softmax", "sqrtsoftplus")),
    ]:
        spec, s = spec_of(scoring), scores(x, scoring)
        wider = dataclasses.replace(base, **{figure: getattr(base, figure) + 1.0})

        narrow, wide = (score_error(x, s, spec, profile) for profile in (base, wider))

        assert (wide > narrow).mean() > 0.99


def test_weights_that_may_all_be_flushed_have_no_bound() -> None:
    """Where every selected score may become 0 the weights' bound is inf, never NaN."""
    x = np.array([[-95.0] * K, [-200.0] * K, [-800.0] * K, [-60.0] * K])
    s = scores(x, "sigmoid")
    spec = RoutingSpec(K, K)

    for profile in PROFILES.values():
        moved = score_error(x, s, spec, profile)
        bound = weight_error(s, moved, np.zeros(K), spec, profile)

        assert np.isinf(bound[:3]).all()
        assert np.isfinite(bound[3]).all() or profile.recovered or profile.tanh


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_sum_of_renormalised_weights_stays_within_its_bound(name: str) -> None:
    """Whatever scores a kernel holds, its weights sum to the scale within the bound."""
    profile = PROFILES[name]
    rng = np.random.default_rng(10)
    held = {
        "any": rng.uniform(0, 1, (T, K)),
        "every size": 10.0 ** rng.uniform(-37, 0, (T, K)),
        "few bits": rng.integers(0, 3, (T, K)) * 2.0**-23,
        "near the smallest": rng.uniform(1, 9, (T, K)) * TINY,
        "one": np.where(np.arange(K) == 3, 1.0, 0.0) * rng.uniform(0.5, 1, (T, 1)),
    }
    reached = 0.0
    for scale in (1.0, 2.5, 2.827):
        spec = spec_of(scale=scale)
        bound = row_sum_error(spec, profile)
        for values in held.values():
            chosen = values.astype(np.float32)
            chosen = chosen[chosen.sum(axis=1) > 0]
            for do in kernels(profile):
                for w in weights32(chosen, spec, do):
                    usable = np.isfinite(w).all(axis=1)  # 1 / sum may overflow
                    off = np.abs(w[usable].astype(np.float64).sum(axis=1) - scale)
                    reached = max(reached, over(off, np.full(len(off), bound)))
    assert 0.25 <= reached <= 1


def test_the_sum_of_two_weights_is_bounded_by_its_roundings() -> None:
    """One addition, a correctly rounded division and the scale: 4 u for top-2, not more."""
    spec = RoutingSpec(8, 2)

    assert row_sum_error(spec, PROFILES["ieee"]) == pytest.approx(4 * U, rel=1e-3)


def test_selection_errors_are_zero_for_logits_that_cannot_be_selected() -> None:
    """NaN logits have A = 0 and leave the bounds of the others finite."""
    x = np.array([[0.5, np.nan, -np.inf, np.inf]])
    spec = RoutingSpec(4, 2)

    a = selection_error(x, scores(x, "sigmoid"), np.full(4, 7.0), spec, PROFILES["ieee"])

    assert a[0, 1] == 0
    assert (a[0, [0, 2, 3]] > 0).all()
    assert np.isfinite(a).all()


def test_softmax_weights_without_renormalisation_stay_within_their_bound() -> None:
    """The sum's error does not cancel where weights are not renormalised."""
    profile, spec = PROFILES["ieee"], spec_of("softmax", renormalize=False)
    x = np.full((1, E), np.log(1.4 * U), dtype=np.float32)  # each addition to 1 rounds up
    x[0, 0] = 0.0
    wide = x.astype(np.float64)
    s = scores(wide, "softmax")

    computed = softmax32(x, Arithmetic(profile, 0, flush=False), descending)

    bound = weight_error(s, score_error(wide, s, spec, profile), np.zeros(E), spec, profile)
    assert over(np.abs(computed - s), bound) <= 1


@pytest.mark.parametrize("x", [-20.0, -30.0, -60.0, -87.0])
def test_sqrtsoftplus_bound_of_deep_negatives_certifies_something(x: float) -> None:
    """|sqrt(p') - sqrt(p)| <= sqrt(|p' - p|) with |p' - p| about 2 u: never above 1e-3."""
    logits = np.array([[x]])

    bound = score_error(
        logits, scores(logits, "sqrtsoftplus"), RoutingSpec(1, 1, "sqrtsoftplus"), PROFILES["ieee"]
    )

    assert bound[0, 0] <= 1e-3


def test_fast_math_logarithm_near_one_stays_within_the_sqrtsoftplus_bound() -> None:
    """CUDA's __logf near 1 has only an absolute bound, 2**-21.41, which fast_math must carry."""
    x = np.linspace(-12, -1, 1000)[None]
    spec = RoutingSpec(1000, 1, "sqrtsoftplus")
    s = scores(x, "sqrtsoftplus")

    computed = np.sqrt(np.log1p(np.exp(x)) + 2.0**-21.41)

    assert over(np.abs(computed - s), score_error(x, s, spec, PROFILES["fast_math"])) <= 1


def test_a_flushed_weight_times_a_scale_stays_within_its_bound() -> None:
    """A weight flushed to 0 just under 2**-126 and then scaled by 2.5 loses 2.5 * 2**-126."""
    spec = RoutingSpec(8, 8, routed_scaling_factor=2.5)
    x = np.full((1, 8), 40.0)
    x[0, 7] = -85.5
    s = scores(x, "sigmoid")
    real = 2.5 * s / s.sum()
    assert TINY < s[0, 7] < 7 * TINY

    computed = np.where(real / 2.5 < TINY, 0.0, real)

    bound = weight_error(
        s, score_error(x, s, spec, PROFILES["rcp_exp2"]), np.zeros(8), spec, PROFILES["rcp_exp2"]
    )
    assert over(np.abs(computed - real), bound) <= 1
