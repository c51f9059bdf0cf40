"""Float64 scores are as good as `float64_error` says: held against Arb and 80-bit arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import flint
import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.reference.scoring import TINY64, U64, exponents, float64_error, scores, sensitivity
from goldgate.reference.spec import SCORINGS

Float64 = NDArray[np.float64]

#: Below this logit sqrt(exp(x)) is normal in float64 while exp(x) is not.
EXP_UNDERFLOWS = -708.0


def arb_sigmoid(x: float) -> flint.arb:
    """Return an enclosure of sigmoid(x)."""
    return 1 / (1 + flint.arb(-x).exp())


def arb_sqrtsoftplus(x: float) -> flint.arb:
    """Return an enclosure of sqrt(log(1 + exp(x)))."""
    return (max(x, 0.0) + flint.arb(-abs(x)).exp().log1p()).sqrt()


REAL: dict[str, Callable[[float], flint.arb]] = {
    "sigmoid": arb_sigmoid,
    "sqrtsoftplus": arb_sqrtsoftplus,
}
CLAIM = {"sigmoid": 4.0, "sqrtsoftplus": 8.0}


def all_bfloat16() -> Float64:
    """Return every finite bfloat16 value, 65280 of them."""
    bits = np.arange(2**16, dtype=np.uint32) << np.uint32(16)
    values = bits.view(np.float32)
    return np.asarray(values[np.isfinite(values)], dtype=np.float64)


def sample_float32(count: int, seed: int) -> Float64:
    """Return float32 values: of any bits, of a router's range, and up to where exp overflows."""
    rng = np.random.default_rng(seed)
    anything = rng.integers(0, 2**32, count // 4, dtype=np.uint32).view(np.float32)
    usual = rng.normal(0.0, 4.0, count // 2)
    wide = rng.uniform(-120.0, 120.0, count // 4)
    x = np.concatenate([anything[np.isfinite(anything)], usual, wide]).astype(np.float32)
    return np.asarray(x, dtype=np.float64)


def beyond(x: Float64, scoring: str, bound: Float64) -> list[float]:
    """Return the logits whose float64 score Arb does not prove to be within the bound."""
    computed = scores(x[None], scoring)[0]
    real = REAL[scoring]
    with flint.ctx.workprec(128):
        return [
            logit
            for logit, s, limit in zip(x.tolist(), computed.tolist(), bound.tolist(), strict=True)
            if not abs(real(logit) - s) <= limit
        ]


def claimed(x: Float64, scoring: str) -> Float64:
    """Return float64_error at the computed scores of single logits."""
    return float64_error(x[None], scores(x[None], scoring), scoring).ravel()


def test_sigmoid_is_within_its_error_for_every_bfloat16_logit() -> None:
    """The 4 u64 claim holds, proven by Arb, for all 65280 finite bfloat16 logits."""
    x = all_bfloat16()

    wrong = beyond(x, "sigmoid", claimed(x, "sigmoid"))

    assert len(x) == 65280
    assert wrong == []


def test_sqrtsoftplus_is_within_its_error_for_bfloat16_logits_above_underflow() -> None:
    """The 8 u64 claim holds, proven by Arb, for all bfloat16 logits above -708."""
    x = all_bfloat16()
    x = x[x >= EXP_UNDERFLOWS]

    wrong = beyond(x, "sqrtsoftplus", claimed(x, "sqrtsoftplus"))

    assert wrong == []


def test_sqrtsoftplus_is_within_its_error_for_bfloat16_logits_below_underflow() -> None:
    """The 8 u64 claim holds below -708 too, where sqrt(exp(x)) is still a normal number."""
    x = all_bfloat16()
    x = x[x < EXP_UNDERFLOWS]

    wrong = beyond(x, "sqrtsoftplus", claimed(x, "sqrtsoftplus"))

    assert wrong == []


@pytest.mark.parametrize("scoring", ["sigmoid", "sqrtsoftplus"])
def test_scores_of_float32_logits_are_within_their_relative_error(scoring: str) -> None:
    """4 u64 (sigmoid) and 8 u64 (sqrtsoftplus) relative hold against Arb, float32 logits."""
    x = sample_float32(100_000, seed=1)
    x = x[x >= EXP_UNDERFLOWS]

    wrong = beyond(x, scoring, CLAIM[scoring] * U64 * scores(x[None], scoring)[0])

    assert len(x) > 80_000
    assert wrong == []


def test_sigmoid_is_within_its_error_for_two_million_float32_logits() -> None:
    """4 u64 relative, proven by Arb: the computed score times 1 + exp(-x) is as near to 1."""
    x = sample_float32(2_000_000, seed=3)
    x = x[x >= EXP_UNDERFLOWS]
    # Of s' (1 + exp(-x)) = s' / s the claim, relative to s', allows this much and no less.
    limit = 4.0 * U64 / (1.0 + 4.0 * U64)
    wrong, worst = [], flint.arb(0)

    with flint.ctx.workprec(80):
        for logit, s in zip(x.tolist(), scores(x[None], "sigmoid")[0].tolist(), strict=True):
            off = abs(s * (1 + flint.arb(-logit).exp()) - 1)
            if not off <= limit:
                wrong.append(logit)
            worst = max(worst, off)

    assert len(x) > 1_700_000
    assert wrong == []
    assert worst > U64  # nearer than one rounding would mean that nothing was compared


def extended_scores(x: Float64, scoring: str) -> NDArray[np.longdouble]:
    """Return scores in x87 80-bit arithmetic."""
    e = np.exp(-np.abs(x.astype(np.longdouble)))
    if scoring == "sigmoid":
        return np.asarray(np.where(x >= 0, 1, e) / (1 + e))
    return np.sqrt(np.maximum(x, 0).astype(np.longdouble) + np.log1p(e))


@pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than float64 here"
)
@pytest.mark.parametrize("scoring", ["sigmoid", "sqrtsoftplus"])
def test_two_million_float32_logits_agree_with_80_bit_arithmetic(scoring: str) -> None:
    """The claims less 2**-60 hold against 80-bit arithmetic, itself within 2**-60 of Arb."""
    own = np.longdouble(2.0**-60)
    x = sample_float32(2_000_000, seed=2)
    x = x[x >= EXP_UNDERFLOWS]
    extended = extended_scores(x, scoring)
    worst = np.longdouble(0)

    with flint.ctx.workprec(128):
        for logit, s in zip(x[::100].tolist(), extended[::100], strict=True):
            high = float(s)  # a long double is the exact sum of two doubles
            low = float(s - np.longdouble(high))
            real = REAL[scoring](logit)
            assert abs(real - high - low) <= real * float(own)
    for start in range(0, len(x), 2**18):
        part = slice(start, start + 2**18)
        wide = extended[part]
        worst = max(worst, (abs(scores(x[None, part], scoring)[0] - wide) / wide).max())

    assert worst <= CLAIM[scoring] * U64 - own
    assert worst >= U64  # nearer than one rounding would mean that nothing was compared


@pytest.mark.parametrize("experts", [2, 3, 64, 896])
def test_softmax_is_within_its_error(experts: int) -> None:
    """Softmax of rows of every spread is within its stated error, proven by Arb."""
    rng = np.random.default_rng(experts)
    rows = 8000 // experts
    spread = 10.0 ** rng.uniform(-3, 2.5, (rows, 1))
    x = (rng.normal(0.0, 1.0, (rows, experts)) * spread).astype(np.float32).astype(np.float64)
    x[0, 0] = -np.inf
    x[1, 1:] = x[1, 0]
    computed = scores(x, "softmax")
    bound = float64_error(x, computed, "softmax")
    wrong = []

    with flint.ctx.workprec(200):
        for t in range(rows):
            terms = [flint.arb(v).exp() if v > -np.inf else flint.arb(0) for v in x[t].tolist()]
            total = sum(terms, flint.arb(0))
            pairs = zip(terms, computed[t].tolist(), bound[t].tolist(), strict=True)
            wrong += [(t, s) for term, s, limit in pairs if not abs(term / total - s) <= limit]

    assert wrong == []
    assert (bound[computed > 0] / computed[computed > 0]).min() < 2 * (experts + 8) * U64 + TINY64


@pytest.mark.parametrize("scoring", SCORINGS)
def test_nan_is_never_a_score_and_moves_no_other(scoring: str) -> None:
    """A NaN logit scores NaN and every other score is what it is without that expert."""
    x = np.array([[0.5, np.nan, -3.0, np.nan, 11.0]])

    s = scores(x, scoring)

    assert np.isnan(s[0, [1, 3]]).all()
    assert s[0, [0, 2, 4]].tolist() == scores(x[:, [0, 2, 4]], scoring)[0].tolist()


def test_infinite_logits_have_the_limits_as_scores() -> None:
    """Sigmoid gives 0 and 1, softmax 0 for -inf and nothing for +inf, sqrtsoftplus 0 and +inf."""
    x = np.array([[-np.inf, np.inf]])

    assert scores(x, "sigmoid").tolist() == [[0.0, 1.0]]
    assert scores(x, "sqrtsoftplus").tolist() == [[0.0, np.inf]]
    assert scores(np.array([[-np.inf, 2.0]]), "softmax").tolist() == [[0.0, 1.0]]
    assert np.isnan(scores(np.array([[1.0, np.inf]]), "softmax")).all()
    assert np.isnan(scores(np.array([[-np.inf, -np.inf]]), "softmax")).all()


@pytest.mark.parametrize("scoring", SCORINGS)
def test_scores_never_fall_as_the_logit_rises(scoring: str) -> None:
    """A larger logit never has a smaller score, which the exact order takes for granted."""
    x = np.sort(np.concatenate([np.linspace(-800, 800, 20_001), np.linspace(-1, 1, 20_001)]))

    s = scores(x[None], scoring)[0]

    bound = float64_error(x[None], s[None], scoring)[0]
    assert (s[1:] - s[:-1] >= -(bound[1:] + bound[:-1])).all()


def test_softmax_exponentiates_the_distance_to_the_largest_logit() -> None:
    """Exponents are x - max for softmax, NaN apart, and the logits themselves otherwise."""
    x = np.array([[1.0, np.nan, 3.5, -np.inf]])

    assert np.array_equal(exponents(x, "softmax"), [[-2.5, np.nan, 0.0, -np.inf]], equal_nan=True)
    assert exponents(x, "sigmoid") is x
    assert exponents(x, "sqrtsoftplus") is x


@pytest.mark.parametrize("scoring", ["sigmoid", "sqrtsoftplus"])
def test_sensitivity_is_the_logarithmic_derivative(scoring: str) -> None:
    """A score changes by z h relative when its logit changes by h relative."""
    x = np.concatenate([np.linspace(-80, -0.01, 4001), np.linspace(0.01, 30, 4001)])[None]
    h = 2.0**-20

    z = sensitivity(x, scores(x, scoring), scoring)

    ratio = np.log(scores(x * (1 + h), scoring) / scores(x * (1 - h), scoring)) / (2 * h)
    np.testing.assert_allclose(z, ratio, rtol=1e-6, atol=1e-9)


def test_softmax_sensitivity_is_the_derivative_up_to_a_shared_term() -> None:
    """Differences of z within a row are those of the scores' logarithmic derivatives."""
    x = np.random.default_rng(3).normal(0, 3, (50, 16))
    h = 2.0**-20

    z = sensitivity(x, scores(x, "softmax"), "softmax")

    ratio = np.log(scores(x * (1 + h), "softmax") / scores(x * (1 - h), "softmax")) / (2 * h)
    np.testing.assert_allclose(z - z[:, :1], ratio - ratio[:, :1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("scoring", "logit"),
    [
        ("sigmoid", np.inf),
        ("sigmoid", -np.inf),
        ("sqrtsoftplus", np.inf),
        ("sqrtsoftplus", -np.inf),
    ],
)
def test_sensitivity_is_nan_for_infinite_logits(scoring: str, logit: float) -> None:
    """An infinite logit has no relative change, so it takes no part in a drift fit."""
    x = np.array([[logit, 1.0]])

    z = sensitivity(x, scores(x, scoring), scoring)

    assert np.isnan(z[0, 0])
    assert np.isfinite(z[0, 1])
