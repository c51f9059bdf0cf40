"""The tie theorem, and exact comparison held against plain Arb at 400 bits."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import flint
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldgate.reference.exact import ExactRow, dense_ranks
from goldgate.reference.spec import SCORINGS

BIASES = (0.0, 7.0, 35.0, -1.5, 0.25, -7.0)

float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)
moderate = st.floats(-80, 80, width=32)
biases = st.one_of(st.sampled_from(BIASES), st.floats(-40, 40, width=32))


def next_float32(value: float, steps: int = 1) -> float:
    """Return the float32 a number of steps above."""
    direction = np.float32(math.copysign(math.inf, steps))
    result = np.float32(value)
    for _ in range(abs(steps)):
        result = np.nextafter(result, direction)
    return float(result)


def plain_sign(
    logits: Sequence[float],
    bias: Sequence[float],
    scoring: str,
    left: Sequence[int],
    right: Sequence[int],
) -> int:
    """Return the sign of sum(c over left) - sum(c over right) by the definition, at 400 bits.

    0 says that 400 bits show no difference: no cancelling, no rewriting, no theorem.
    """
    with flint.ctx.workprec(400):
        e = [flint.arb(x).exp() if x > -math.inf else flint.arb(0) for x in logits]
        if scoring == "softmax":
            s = [value / sum(e, flint.arb(0)) for value in e]
        elif scoring == "sigmoid":
            s = [
                flint.arb(1) if x == math.inf else 1 - 1 / (1 + value)
                for x, value in zip(logits, e, strict=True)
            ]
        else:
            s = [
                (1 + value).log().sqrt() if x > -math.inf else value
                for x, value in zip(logits, e, strict=True)
            ]
        gap = sum((s[i] + bias[i] for i in left), flint.arb(0))
        gap -= sum((s[j] + bias[j] for j in right), flint.arb(0))
        return 1 if gap > 0 else -1 if gap < 0 else 0


@pytest.mark.parametrize("scoring", SCORINGS)
@given(x=float32s, b=biases, other=float32s)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_equal_bits_tie(scoring: str, x: float, b: float, other: float) -> None:
    """Two experts with equal logits and equal biases tie, whatever the rest of the row."""
    row = ExactRow([x, other, x], [b, 1.0, b], scoring)

    assert row.compare(0, 2) == 0
    assert row.compare_sums([0], [2]) == 0


@pytest.mark.parametrize("scoring", SCORINGS)
def test_signed_zeros_are_one_value(scoring: str) -> None:
    """+0 and -0 tie as logits and as biases."""
    row = ExactRow([0.0, -0.0, 1.0, 1.0], [0.5, 0.5, 0.0, -0.0], scoring)

    assert row.compare(0, 1) == 0
    assert row.compare(2, 3) == 0
    assert row.compare_sums([0, 2], [1, 3]) == 0


@given(x=float32s, y=float32s, b=biases, d=biases)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_sigmoid_experts_with_unequal_bits_never_tie(
    x: float, y: float, b: float, d: float
) -> None:
    """Finite logits tie only with equal logits and equal biases; the comparison ends with a sign.

    Logit 0 is no exception among finite logits: no other finite logit has a rational score.
    """
    row = ExactRow([x, y], [b, d], "sigmoid")

    sign = row.compare(0, 1)

    assert (sign == 0) == (x == y and b == d)
    assert row.compare(1, 0) == -sign
    assert row.compare_sums([0], [1]) == sign


def test_the_nearest_representable_pairs_are_told_apart() -> None:
    """A bias that cancels the scores' difference as well as floats can still leaves a sign.

    The second bias is the float64 nearest to s_0 + b_0 - s_1, and its neighbours.
    """
    rng = random.Random(5)  # noqa: S311  # test data, no secret
    signs = set()

    for _ in range(500):
        x, y = (float(np.float32(rng.gauss(0, 4))) for _ in range(2))
        b = rng.choice(BIASES)
        with flint.ctx.workprec(400):
            ideal = float(1 / (1 + flint.arb(-x).exp()) + b - 1 / (1 + flint.arb(-y).exp()))
        for d in (math.nextafter(ideal, -math.inf), ideal, math.nextafter(ideal, math.inf)):
            sign = ExactRow([x, y], [b, d], "sigmoid").compare(0, 1)
            assert sign == plain_sign([x, y], [b, d], "sigmoid", [0], [1]) != 0
            signs.add(sign)

    assert signs == {-1, 1}


@pytest.mark.parametrize(
    ("first", "second", "sign"),
    [
        ((0.0, 0.0), (math.inf, -0.5), 0),
        ((0.0, 0.0), (-math.inf, 0.5), 0),
        ((0.0, 35.0), (math.inf, 34.5), 0),
        ((math.inf, 6.0), (-math.inf, 7.0), 0),
        ((math.inf, -1.5), (-math.inf, -0.5), 0),
        ((math.inf, 1.0), (math.inf, 1.0), 0),
        ((-math.inf, 1.0), (-math.inf, 1.0), 0),
        ((0.0, 0.0), (-math.inf, next_float32(0.5)), -1),
        ((0.0, 0.0), (-math.inf, next_float32(0.5, -1)), 1),
        ((math.inf, 6.0), (-math.inf, next_float32(7.0)), -1),
        ((math.inf, 0.0), (1e38, 0.0), 1),
        ((-math.inf, 0.0), (-1e38, 0.0), -1),
        ((-math.inf, 1.0), (1e38, 0.0), 1),
        ((0.0, 0.5), (1e38, 0.0), 1),
        ((0.0, -0.5), (-1e38, 0.0), -1),
        ((1e-45, 0.0), (-math.inf, 0.5), 1),
        ((-1e-45, 0.0), (-math.inf, 0.5), -1),
        ((1e-45, 0.5), (math.inf, 0.0), 1),
    ],
)
def test_rational_sigmoid_scores_are_compared_exactly(
    first: tuple[float, float], second: tuple[float, float], sign: int
) -> None:
    """Scores 0, 1/2 and 1 tie with biases exactly 1/2 or 1 apart, and with no others."""
    row = ExactRow([first[0], second[0]], [first[1], second[1]], "sigmoid")

    assert row.compare(0, 1) == sign
    assert row.compare(1, 0) == -sign


@given(x=float32s, y=float32s, b=biases)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_groups_of_opposite_logits_tie(x: float, y: float, b: float) -> None:
    """{x, -x} ties {y, -y} as sums, since sigmoid(x) + sigmoid(-x) = 1 = {0, 0} = {inf, -inf}."""
    row = ExactRow([x, -x, y, -y, 0.0, 0.0, math.inf, -math.inf], [b] * 8, "sigmoid")

    pairs = [(0, 1), (2, 3), (4, 5), (6, 7)]

    assert {row.compare_sums(p, q) for p in pairs for q in pairs} == {0}


@given(x=moderate, y=moderate, steps=st.sampled_from([-2, -1, 1, 2]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_groups_of_nearly_opposite_logits_do_not_tie(x: float, y: float, steps: int) -> None:
    """One step away from {x, -x} the sum is above or below {y, -y} as the step is."""
    row = ExactRow([next_float32(x, steps), -x, y, -y], [0.0] * 4, "sigmoid")

    assert row.compare_sums([0, 1], [2, 3]) == (1 if steps > 0 else -1)


def test_group_sums_tie_through_their_biases() -> None:
    """Sums tie when logits cancel and the biases' total makes up for the rational rest."""
    row = ExactRow([2.0, -2.0, 0.0, math.inf], [0.25, 0.25, 1.0, -1.0], "sigmoid")

    assert row.compare_sums([0, 1], [2, 3]) == 0
    assert row.compare_sums([0, 2], [3, 1]) == row.compare_sums([0, 0], [1, 3]) == 1


@pytest.mark.parametrize("m", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("x", [-3.0, 0.0, 1e38, 1e-45])
def test_softmax_of_equal_logits_ties_a_bias_of_one_over_m(m: int, x: float) -> None:
    """With all others -inf, m equal logits score 1/m and tie a score 0 with bias 1/m."""
    logits = [x] * m + [-math.inf] * 3
    b = [0.0] * m + [1 / m, next_float32(1 / m), next_float32(1 / m, -1)]

    row = ExactRow(logits, b, "softmax")

    assert [row.compare(0, j) for j in (m, m + 1, m + 2)] == [0, -1, 1]


def test_softmax_ties_only_where_every_coefficient_vanishes() -> None:
    """A single other finite logit, even one of score exp(-2e38), breaks the tie with 1/m."""
    row = ExactRow([1e38, 1e38, -1e38, -math.inf], [0.0, 0.0, 0.0, 0.5], "softmax")

    assert row.compare(0, 3) == -1
    assert row.compare_sums([0, 1], [3, 3]) == -1


def test_softmax_ignores_nan_logits() -> None:
    """An expert that cannot be selected takes no part in the others' scores."""
    row = ExactRow([0.5, math.nan, 0.5, -math.inf], [0.0, 0.0, 0.0, 0.5], "softmax")

    assert row.compare(0, 3) == 0


@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("x", [1e38, -1e38, 1e-45, -1e-45, 88.7, -103.3, 0.0, 17.0])
def test_neighbouring_logits_are_ordered(scoring: str, x: float) -> None:
    """Adjacent float32 logits of any size with equal biases are ordered as the logits are."""
    above = next_float32(x)
    row = ExactRow([x, above], [7.0, 7.0], scoring)

    assert row.compare(0, 1) == -1
    assert row.compare(1, 0) == 1


def test_huge_and_tiny_logits_end_with_a_sign_in_sums() -> None:
    """Sums whose scores differ by exp(-1e38) or by 1e-45 are ordered, not called ties."""
    huge = ExactRow([1e38, 2e38, 3e38, next_float32(3e38)], [0.0] * 4, "sigmoid")
    tiny = ExactRow([1e-45, 4e-45, 1e-44, next_float32(1e-44)], [35.0] * 4, "sigmoid")

    for row in (huge, tiny):
        assert row.compare_sums([0, 3], [0, 2]) == 1
        assert row.compare_sums([0, 1], [2, 3]) == -1
        assert row.compare_sums([1, 2], [2, 0]) == 1


@pytest.mark.parametrize("scoring", SCORINGS)
@given(data=st.data())
@settings(max_examples=120, deadline=None, derandomize=True)
def test_signs_are_those_of_the_definition_at_400_bits(scoring: str, data: st.DataObject) -> None:
    """Every comparison agrees with the definition in Arb, wherever 400 bits show a sign."""
    pool = st.sampled_from([0.0, 1.0, -1.0, 3.5, -3.5, 40.0, 50.0, -40.0, 1e-45, -math.inf])
    logits = data.draw(st.lists(st.one_of(moderate, pool), min_size=4, max_size=6))
    b = data.draw(st.lists(biases, min_size=len(logits), max_size=len(logits)))
    if scoring == "softmax":
        logits[0] = 0.0  # a row of -inf alone has no softmax
    row = ExactRow(logits, b, scoring)

    for left, right in [([0], [1]), ([2], [3]), ([0, 1], [2, 3]), ([0, 2], [1, 3])]:
        plain = plain_sign(logits, b, scoring, left, right)
        assert row.compare_sums(left, right) == plain or plain == 0
        if len(left) == 1:
            assert row.compare(left[0], right[0]) == row.compare_sums(left, right)


@pytest.mark.parametrize("scoring", SCORINGS)
def test_ranks_are_dense_and_ties_share_them(scoring: str) -> None:
    """Rank 0 is the largest score, equal scores share a rank, and no rank is left out."""
    row = ExactRow([1.0, 3.0, 1.0, -2.0, 3.0, 0.0], [0.0] * 6, scoring)

    assert row.ranks(range(6)) == [1, 0, 1, 3, 0, 2]
    assert row.ranks([3, 2, 0]) == [1, 0, 0]
    assert row.ranks([]) == []


def test_dense_ranks_follow_the_comparison_alone() -> None:
    """Ranks agree with sorting for any comparison, here that of integers with repeats."""
    rng = random.Random(3)  # noqa: S311  # test data, no secret
    values = [rng.randrange(6) for _ in range(40)]

    ranks = dense_ranks(values, lambda a, b: (a > b) - (a < b))

    order = sorted(set(values), reverse=True)
    assert ranks == [order.index(v) for v in values]


def test_comparison_is_an_order() -> None:
    """Comparisons of many near-equal experts are antisymmetric and transitive."""
    logits = [0.0, math.inf, -math.inf, 40.0, 50.0, 1e-45, 17.3, -17.3]
    b = [0.5, 0.0, 1.0, 0.0, 0.0, 0.5, 0.0, 1.0]
    row = ExactRow(logits, b, "sigmoid")

    ranks = row.ranks(range(8))

    for i, j in itertools.product(range(8), repeat=2):
        assert row.compare(i, j) == (ranks[j] > ranks[i]) - (ranks[j] < ranks[i])
    assert len(set(ranks[:3])) == 1  # 1/2 + 1/2, 1 + 0 and 0 + 1


def test_sqrtsoftplus_gaps_far_below_float64_are_decided() -> None:
    """sqrt(softplus(10000)) exceeds 100 by exp(-10000) / 200, which Arb still shows."""
    row = ExactRow([10000.0, -math.inf], [0.0, 100.0], "sqrtsoftplus")

    assert row.compare(0, 1) == 1


def test_sqrtsoftplus_raises_rather_than_assume_a_tie() -> None:
    """A gap of exp(-65536), beyond 2**16 bits, raises ArithmeticError: no order is made up."""
    row = ExactRow([65536.0, -math.inf], [0.0, 256.0], "sqrtsoftplus")

    with pytest.raises(ArithmeticError, match="65536 bits"):
        row.compare(0, 1)


@pytest.mark.parametrize(
    ("x", "b", "sign"), [(-math.inf, 0.0, 0), (-math.inf, 1.0, -1), (-1e38, 0.0, 1), (-9e4, 0.0, 1)]
)
def test_sqrtsoftplus_of_minus_infinity_is_zero(x: float, b: float, sign: int) -> None:
    """-inf scores 0 exactly, and every finite logit more."""
    row = ExactRow([x, -math.inf], [0.0, b], "sqrtsoftplus")

    assert row.compare(0, 1) == sign
