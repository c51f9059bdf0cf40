"""Row verdicts: what is right passes by its own name, any certified row with another id fails."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.selection import Reason, RowVerdicts, Verdict, _consistent, judge_rows
from goldgate.fixtures.constructed import construct
from goldgate.reference import (
    MINIMAX_M2_5,
    PROFILES,
    RoutingSpec,
    group_error,
    route,
    selection_error,
)
from goldgate.reference.spec import GROUP_SCORES

IEEE = PROFILES["ieee"]
SEEDS = st.integers(0, 2**32 - 1)


def _rows(
    seed: int, rows: int = 4, spec: RoutingSpec = MINIMAX_M2_5
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.int32]]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, spec.num_experts), dtype=np.float32)
    bias = rng.normal(0, 0.1, spec.num_experts).astype(np.float32).astype(np.float64)
    return x, bias, route(x, bias, spec).ids.astype(np.int32)


def _judged(
    x: NDArray[np.float32],
    bias: NDArray[np.float64],
    ids: NDArray[np.int32],
    contract: Contract,
) -> RowVerdicts:
    """Judge ids alone."""
    return judge_rows(Rows(x, bias, ids, None, np.zeros(len(x), bool)), contract)


def _certified(
    x: NDArray[np.float32], bias: NDArray[np.float64], spec: RoutingSpec
) -> NDArray[np.bool_]:
    golden = route(x, bias, spec)
    a = selection_error(x.astype(np.float64), golden.scores, bias, spec, IEEE)
    low = np.take_along_axis(golden.biased - a, golden.ids, 1).min(axis=1)
    high = golden.biased + a
    np.put_along_axis(high, golden.ids, -np.inf, 1)
    return np.asarray(low > high.max(axis=1))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(0, 7), st.integers(1, 255))
def test_a_changed_id_on_a_certified_row_is_caught(seed: int, slot: int, step: int) -> None:
    """Whatever single id is changed, to whatever expert, a certified row is wrong."""
    x, bias, ids = _rows(seed)
    certified = _certified(x, bias, MINIMAX_M2_5)
    ids[:, slot] = (ids[:, slot] + step) % 256

    found = _judged(x, bias, ids, Contract(MINIMAX_M2_5, IEEE))

    assert (found.verdict[certified] == Verdict.WRONG).all()


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_permuting_experts_permutes_ids(seed: int) -> None:
    """Renaming the experts renames the golden ids and changes no verdict."""
    x, bias, ids = _rows(seed)
    order = np.random.default_rng(seed).permutation(256)
    renamed = np.argsort(order).astype(np.int32)

    again = route(x[:, order], bias[order], MINIMAX_M2_5)
    found = _judged(x[:, order], bias[order], renamed[ids], Contract(MINIMAX_M2_5, IEEE))

    np.testing.assert_array_equal(again.ids, renamed[ids])
    assert (found.verdict == Verdict.EXACT).all()


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_another_order_is_reordered(seed: int) -> None:
    """The golden set in another order passes as reordered, and fails where order is asked for."""
    x, bias, ids = _rows(seed)
    shuffled = np.ascontiguousarray(ids[:, ::-1])

    free = _judged(x, bias, shuffled, Contract(MINIMAX_M2_5, IEEE))
    strict = _judged(x, bias, shuffled, Contract(MINIMAX_M2_5, IEEE, ordered=True))

    assert (free.verdict == Verdict.REORDERED).all()
    assert (strict.verdict == Verdict.WRONG).all()
    assert (strict.reason == Reason.ORDER).all()


@pytest.mark.parametrize(
    ("multiple", "expected"),
    [(0.5, Verdict.ADMISSIBLE), (2.0, Verdict.WRONG), (4.0, Verdict.WRONG)],
)
@pytest.mark.parametrize("centre", [0, 7, 35])
def test_near_ties_on_either_side_of_the_bound(
    multiple: float, expected: Verdict, centre: int
) -> None:
    """Taking the ninth expert for the eighth passes inside the bound and fails outside it."""
    held = construct(f"near_ties_{multiple:g}_bias_{centre}")
    bias = held.bias().astype(np.float64)
    nine = route(held.logits(), bias, RoutingSpec(256, 9)).ids.astype(np.int32)
    swapped = np.ascontiguousarray(nine[:, [0, 1, 2, 3, 4, 5, 6, 8]])

    found = _judged(held.logits(), bias, swapped, Contract(held.spec, IEEE))

    # A few rows cannot be placed: no float32 logit gives their gap, or it left (0, 1).
    assert (found.verdict == expected).mean() > 0.9


def test_the_bound_itself_divides_the_verdicts() -> None:
    """Of near-ties at 1 times the bound, just those whose gap exceeds it are wrong."""
    held = construct("near_ties_1_bias_0")
    x, bias = held.logits(), held.bias().astype(np.float64)
    nine = route(x, bias, RoutingSpec(256, 9)).ids
    swapped = np.ascontiguousarray(nine[:, [0, 1, 2, 3, 4, 5, 6, 8]]).astype(np.int32)

    found = _judged(x, bias, swapped, Contract(held.spec, IEEE))

    c, a = found.routing.biased, found.errors
    pair = np.take_along_axis(c, nine[:, 7:9], 1)
    bound = np.take_along_axis(a, nine[:, 7:9], 1).sum(axis=1)
    outside = pair[:, 0] - pair[:, 1] > bound
    assert outside.any()
    assert not outside.all()
    np.testing.assert_array_equal(found.verdict == Verdict.WRONG, outside)


def test_lane_order_ties_are_ties() -> None:
    """An all-equal row answered in aiter's lane order is a tie, not an error."""
    x, bias = np.zeros((1, 256), np.float32), np.zeros(256)
    ids = np.array([[252, 253, 254, 255, 248, 249, 250, 251]], np.int32)

    found = _judged(x, bias, ids, Contract(MINIMAX_M2_5, IEEE))

    assert found.verdict[0] == Verdict.TIE


def test_a_tie_does_not_excuse_a_better_expert() -> None:
    """Choosing among tied experts is free; leaving out one above the tie is wrong."""
    x, bias = np.zeros((1, 256), np.float32), np.zeros(256)
    x[0, 3] = 1.0
    ids = np.arange(8, 16, dtype=np.int32)[None]

    assert _judged(x, bias, ids, Contract(MINIMAX_M2_5, IEEE)).verdict[0] == Verdict.WRONG


def test_equal_logits_with_unequal_biases_do_not_tie() -> None:
    """A tie needs equal biases too: one ulp of bias orders the experts, and is admissible only."""
    x, bias = np.zeros((1, 16), np.float32), np.full(16, 0.5)
    bias[8:] = np.nextafter(np.float32(0.5), np.float32(0))
    ids = np.array([[15, 1]], np.int32)

    found = _judged(x, bias, ids, Contract(RoutingSpec(16, 2), IEEE))

    assert found.verdict[0] == Verdict.ADMISSIBLE


def test_group_ties_are_ties() -> None:
    """Keeping other groups of an exact tie of group scores, {x, -x} and {y, -y}, is a tie."""
    held = construct("tied_groups")
    x, bias = held.logits(), held.bias().astype(np.float64)
    flipped = np.ascontiguousarray(x.reshape(64, 8, 32)[:, ::-1].reshape(64, 256))
    ids = route(flipped, bias, held.spec).ids.astype(np.int32)
    ids = (7 - ids // 32) * 32 + ids % 32  # the last four groups, in the first rows' numbering

    found = _judged(x, bias, ids, Contract(held.spec, IEEE))

    assert (found.verdict == Verdict.TIE).all()


def test_the_rule_of_the_groups_decides_what_is_right() -> None:
    """Ids by the sum of two are wrong where the maximum ranks groups, and the other way round."""
    spec = RoutingSpec(160, 6, "softmax", num_expert_group=8, topk_group=3)
    rng = np.random.default_rng(6)
    x, bias = rng.standard_normal((64, 160), dtype=np.float32), np.zeros(160)
    rules = [dataclasses.replace(spec, group_score=rule) for rule in GROUP_SCORES]
    answers = [route(x, bias, rule).ids.astype(np.int32) for rule in rules]
    differs = (np.sort(answers[0], axis=1) != np.sort(answers[1], axis=1)).any(axis=1)

    own = [_judged(x, bias, answers[i], Contract(rules[i], IEEE)).verdict for i in (0, 1)]
    other = [_judged(x, bias, answers[1 - i], Contract(rules[i], IEEE)).verdict for i in (0, 1)]

    assert 10 < differs.sum() < 40
    for mine, others in zip(own, other, strict=True):
        assert (mine == Verdict.EXACT).all()
        assert (others[differs] == Verdict.WRONG).all()


@pytest.mark.parametrize(("multiple", "expected"), [(0.5, 3), (0.9, 3), (1.1, 4), (4, 4)])
def test_near_ties_of_group_maxima_on_either_side_of_the_bound(
    multiple: float, expected: int
) -> None:
    """Keeping the group whose maximum is second passes inside the bound of maxima only."""
    spec = RoutingSpec(8, 2, num_expert_group=2, topk_group=1, group_score="maximum")
    bias = np.array([7.0, 6.9, 6.8, 6.7] * 2).astype(np.float32).astype(np.float64)
    x = np.array([[1.0, 0.5, 0.3, 0.2] * 2], np.float32)
    golden = route(x, bias, spec)
    errors = selection_error(x.astype(np.float64), golden.scores, bias, spec, IEEE)
    gap = multiple * group_error(golden.biased, errors, spec).sum()
    s = 1 / (1 + np.exp(-1.0)) - gap
    x[0, 4] = np.log(s / (1 - s))

    found = _judged(x, bias, np.array([[4, 5]], np.int32), Contract(spec, IEEE))

    assert found.verdict[0] == (Verdict.ADMISSIBLE, Verdict.WRONG)[expected - 3]


def test_ties_of_group_maxima_are_ties() -> None:
    """Keeping the higher of two groups whose largest scores tie is a tie, not an error."""
    spec = RoutingSpec(8, 2, num_expert_group=2, topk_group=1, group_score="maximum")
    x = np.array([[1.0, 0.5, 0.3, 0.2, 1.0, 0.9, 0.3, 0.2]], np.float32)

    found = _judged(x, np.zeros(8), np.array([[4, 5]], np.int32), Contract(spec, IEEE))

    assert found.verdict[0] == Verdict.TIE


def test_excluded_groups_stay_excluded() -> None:
    """An expert of a group that does not stay is wrong even if its own score is the largest."""
    spec = RoutingSpec(8, 2, num_expert_group=4, topk_group=1)
    x = np.array([[3.0, -9, 2, 2, 0, 0, 0, 0]], np.float32)
    bias = np.zeros(8)

    right = _judged(x, bias, np.array([[2, 3]], np.int32), Contract(spec, IEEE))
    wrong = _judged(x, bias, np.array([[0, 2]], np.int32), Contract(spec, IEEE))

    assert right.verdict[0] == Verdict.EXACT
    assert wrong.verdict[0] == Verdict.WRONG


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 6], Reason.DUPLICATE_ID),
        ([0, 1, 2, 3, 4, 5, 6, 256], Reason.ID_OUT_OF_RANGE),
        ([-1, 1, 2, 3, 4, 5, 6, 7], Reason.ID_OUT_OF_RANGE),
    ],
)
@pytest.mark.parametrize("logit", [0.0, np.nan])
def test_ids_must_be_distinct_and_in_range(ids: list[int], reason: Reason, logit: float) -> None:
    """Duplicate and foreign ids fail on every row, defined or not."""
    x = np.full((1, 256), logit, np.float32)

    found = _judged(x, np.zeros(256), np.array([ids], np.int32), Contract(MINIMAX_M2_5, IEEE))

    assert found.reason[0] == reason
    assert found.verdict[0] == (Verdict.UNDEFINED if np.isnan(logit) else Verdict.WRONG)


def test_a_nan_expert_is_never_right() -> None:
    """Selecting an expert whose logit is NaN is wrong where enough others can be selected."""
    x, bias, ids = _rows(3, rows=1)
    x[0, 200] = np.nan
    ids[0, 0] = 200

    assert _judged(x, bias, ids, Contract(MINIMAX_M2_5, IEEE)).verdict[0] == Verdict.WRONG


def test_saturated_rows_are_admissible() -> None:
    """Where every float32 score is 1, any experts are admissible, and no more than that."""
    held = construct("saturated")
    ids = np.tile(np.arange(8, dtype=np.int32), (held.rows, 1))

    found = _judged(held.logits(), held.bias().astype(np.float64), ids, Contract(held.spec, IEEE))

    assert (found.verdict == Verdict.ADMISSIBLE).mean() > 0.5
    assert (found.verdict != Verdict.TIE).all()


@pytest.mark.parametrize(("multiple", "expected"), [(0.5, 3), (0.9, 3), (1.1, 4), (2, 4), (4, 4)])
def test_near_ties_of_groups_on_either_side_of_the_bound(multiple: float, expected: int) -> None:
    """Keeping the second-best group passes inside the bound of group scores, and fails outside."""
    spec = RoutingSpec(8, 2, num_expert_group=2, topk_group=1)
    bias = np.array([7.0, 6.9, 6.8, 6.7] * 2).astype(np.float32).astype(np.float64)
    x = np.array([[1.0, 0.5, 0.3, 0.2] * 2], np.float32)
    second = np.array([[4, 5]], np.int32)
    for _ in range(3):  # the bound moves a little with the gap that is set
        golden = route(x, bias, spec)
        errors = selection_error(x.astype(np.float64), golden.scores, bias, spec, IEEE)
        gap = multiple * group_error(golden.biased, errors, spec).sum()
        s = 1 / (1 + np.exp(-1.0)) - gap
        x[0, 4] = np.log(s / (1 - s))

    found = _judged(x, bias, second, Contract(spec, IEEE))

    assert found.verdict[0] == (Verdict.ADMISSIBLE, Verdict.WRONG)[expected - 3]


@settings(max_examples=300, deadline=None)
@given(SEEDS)
def test_the_groups_that_may_stay_are_those_of_an_exhaustive_search(seed: int) -> None:
    """The greedy choice of groups finds a consistent one exactly where trying all of them does."""
    rng = np.random.default_rng(seed)
    count, size = int(rng.integers(2, 6)), 3
    kept = int(rng.integers(1, count + 1))
    spec = RoutingSpec(count * size, 2, num_expert_group=count, topk_group=kept)
    chosen = frozenset(rng.choice(count * size, 2, replace=False).tolist())
    low = rng.integers(0, 6, count * size).astype(np.float64)
    high = low + rng.integers(0, 3, count * size)
    group_low = rng.integers(0, 6, count).astype(np.float64)
    group_high = group_low + rng.integers(0, 3, count)

    def right(groups: tuple[int, ...]) -> bool:
        rest = [i for g in groups for i in range(g * size, (g + 1) * size) if i not in chosen]
        gone = [group_low[g] for g in range(count) if g not in groups]
        return (
            {i // size for i in chosen} <= set(groups)
            and (not gone or min(group_high[g] for g in groups) >= max(gone))
            and (not rest or min(high[i] for i in chosen) >= max(low[i] for i in rest))
        )

    expected = any(right(groups) for groups in itertools.combinations(range(count), kept))

    assert _consistent(chosen, low, high, group_low, group_high, spec) == expected


def test_many_tied_groups_are_judged_at_once() -> None:
    """32 of 64 equal groups: a choice of them is found or refused without trying them all."""
    spec = RoutingSpec(256, 8, num_expert_group=64, topk_group=32)
    x = np.zeros((2, 256), np.float32)
    x[1, ::4] = x[1, 1::4] = 5.0
    ids = np.array([np.arange(255, 223, -4), [2, 3, 6, 7, 10, 11, 14, 15]], np.int32)

    found = _judged(x, np.zeros(256), ids, Contract(spec, IEEE))

    assert found.verdict.tolist() == [Verdict.TIE, Verdict.WRONG]


def test_order_is_not_asked_of_rows_that_the_contract_does_not_define() -> None:
    """With --ordered too, an undefined row needs distinct ids in range and nothing else."""
    x = np.full((1, 256), np.nan, np.float32)
    x[0, :3] = [1, 2, 3]
    ids = np.array([[100, 101, 102, 103, 104, 0, 1, 2]], np.int32)

    found = _judged(x, np.zeros(256), ids, Contract(MINIMAX_M2_5, IEEE, ordered=True))

    assert found.verdict[0] == Verdict.UNDEFINED
    assert found.reason[0] == Reason.NONE
