"""The golden router does what the contract's section 1 says, and its ids are proven."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math

import flint
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from goldgate.reference import MINIMAX_M2_5, Routing, RoutingSpec, route
from goldgate.reference.router import _route_exactly, group_scores
from goldgate.reference.scoring import U64
from goldgate.reference.spec import GROUP_SCORES, SCORINGS

Float64 = NDArray[np.float64]

SMALL = (
    RoutingSpec(num_experts=1, top_k=1),
    RoutingSpec(num_experts=7, top_k=3),
    RoutingSpec(num_experts=12, top_k=12),
    RoutingSpec(num_experts=8, top_k=2, num_expert_group=2, topk_group=1),
    RoutingSpec(num_experts=12, top_k=4, num_expert_group=4, topk_group=2),
    RoutingSpec(num_experts=16, top_k=3, num_expert_group=8, topk_group=3),
    RoutingSpec(num_experts=12, top_k=5, num_expert_group=4, topk_group=4),
    RoutingSpec(num_experts=8, top_k=2, num_expert_group=2, topk_group=1, group_score="maximum"),
    RoutingSpec(num_experts=12, top_k=4, num_expert_group=4, topk_group=2, group_score="maximum"),
    RoutingSpec(num_experts=8, top_k=3, num_expert_group=8, topk_group=5, group_score="maximum"),
)
LARGE = (
    (100, 6, 1, 1),
    (128, 8, 1, 1),
    (256, 8, 8, 4),
    (384, 8, 1, 1),
    (384, 6, 4, 2),
    (896, 16, 1, 1),
    (896, 16, 2, 1),
    (160, 6, 8, 3),
)
LATTICE = [float(v) for v in np.arange(-8, 8.5, 0.5)]  # bfloat16 values that repeat
SATURATED = [16.0, 17.0, 36.5, 38.0, 40.0, 50.0, 800.0, 1e38]
DEEP = [-30.0, -40.0, -87.0, -89.0, -700.0, -745.5, -800.0, -1e38]
EDGES = [0.0, -0.0, 1e-45, -1e-45, 2**-126, math.inf, -math.inf, math.nan]
BIASES = [base + step * 2**-21 for base in (0.0, 7.0, 35.0, -1.5) for step in (0, 1, 2)]


def with_scoring(spec: RoutingSpec, scoring: str, *, renormalize: bool = True) -> RoutingSpec:
    """Return the spec with another scoring."""
    return RoutingSpec.from_dict({**spec.to_dict(), "scoring": scoring, "renormalize": renormalize})


def shaped(
    shape: tuple[int, int, int, int], group_score: str = "sum of two largest"
) -> RoutingSpec:
    """Return the sigmoid router of (E, k, groups, groups kept)."""
    experts, k, groups, kept = shape
    return RoutingSpec(
        experts, k, num_expert_group=groups, topk_group=kept, group_score=group_score
    )


def by_definition(x: list[float], b: list[float], spec: RoutingSpec) -> list[int]:
    """Return the ids by the contract's own words at 400 bits; scores that overlap there tie."""
    with flint.ctx.workprec(400):
        e = [flint.arb(0) if v == -math.inf else flint.arb(v).exp() for v in x]
        if spec.scoring == "softmax":
            s = [v / sum(e, flint.arb(0)) for v in e]
        elif spec.scoring == "sigmoid":
            s = [v / (1 + v) for v in e]
        else:
            s = [flint.arb(0) if v == 0 else v.log1p().sqrt() for v in e]
        c = [score + bias for score, bias in zip(s, b, strict=True)]

        def best(values: dict[int, flint.arb], count: int) -> list[int]:
            def before(i: int, j: int) -> int:
                gap = values[j] - values[i]
                return 1 if gap > 0 else -1 if gap < 0 else i - j

            return sorted(values, key=functools.cmp_to_key(before))[:count]

        size = spec.group_size
        kept = range(spec.num_expert_group)
        if spec.topk_group < spec.num_expert_group:
            members = {g: range(g * size, (g + 1) * size) for g in kept}
            terms = 1 if spec.group_score == "maximum" else 2
            top = {g: best({i: c[i] for i in members[g]}, terms) for g in kept}
            sums = {g: sum((c[i] for i in ids), flint.arb(0)) for g, ids in top.items()}
            kept = best(sums, spec.topk_group)  # type: ignore[assignment]  # both are iterables
        return best({i: c[i] for g in kept for i in range(g * size, (g + 1) * size)}, spec.top_k)


def assert_proven(x: Float64, b: Float64, spec: RoutingSpec, routing: Routing) -> None:
    """Every defined row has the ids and groups of exact comparison alone."""
    for t in np.flatnonzero(routing.defined):
        ids, groups = _route_exactly(x[t], b, spec.num_expert_group, spec)
        assert routing.ids[t].tolist() == ids.tolist(), (x[t].tolist(), b.tolist())
        assert routing.groups[t].tolist() == groups.tolist(), (x[t].tolist(), b.tolist())


def adversarial_rows(shape: tuple[int, int, int, int], seed: int) -> tuple[Float64, Float64]:
    """Return rows of ties, saturation, deep negatives, infinities and NaN, and a bias."""
    rng = np.random.default_rng(seed)
    experts = shape[0]
    rows = [
        rng.choice(LATTICE, experts),
        rng.choice(SATURATED, experts),
        rng.choice(DEEP, experts),
        rng.choice(LATTICE + SATURATED + DEEP + EDGES, experts),
        rng.normal(0, 2, experts).astype(np.float16).astype(np.float64),
        np.zeros(experts),
        np.tile([1.25, -1.25], experts // 2),
    ]
    bias = rng.choice(BIASES, experts).astype(np.float32) if seed % 2 else np.zeros(experts)
    return np.array(rows), bias.astype(np.float64)


@given(data=st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_rows_agree_with_exact_comparison(data: st.DataObject) -> None:
    """Float64 with its flags gives the ids and groups of exact comparison on adversarial rows."""
    spec = with_scoring(
        data.draw(st.sampled_from(SMALL)),
        data.draw(st.sampled_from(["sigmoid", "sigmoid", "softmax"])),
        renormalize=data.draw(st.booleans()),
    )
    pool = data.draw(
        st.sampled_from([LATTICE, SATURATED, DEEP, EDGES, LATTICE + SATURATED + DEEP + EDGES])
    )
    logit = st.one_of(st.sampled_from(pool), st.floats(-100, 100, width=16))
    row = st.lists(logit, min_size=spec.num_experts, max_size=spec.num_experts)
    x = np.array(data.draw(st.lists(row, min_size=1, max_size=3)))
    bias = st.one_of(st.sampled_from(BIASES), st.just(0.0), st.floats(-2, 2, width=32))
    b = np.array(data.draw(st.lists(bias, min_size=x.shape[1], max_size=x.shape[1])))

    routing = route(x, b, spec)

    assert_proven(x, b, spec, routing)


@given(data=st.data())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_rows_agree_with_the_definition_at_400_bits(data: st.DataObject) -> None:
    """Ids are those of the contract's five steps carried out at 400 bits."""
    spec = with_scoring(data.draw(st.sampled_from(SMALL)), data.draw(st.sampled_from(SCORINGS)))
    logit = st.one_of(
        st.sampled_from([*LATTICE, 16.0, 38.0, 40.0, 50.0, -40.0]), st.floats(-50, 50, width=16)
    )
    bias = st.one_of(st.sampled_from(BIASES), st.just(0.0), st.floats(-2, 2, width=32))
    size = spec.num_experts
    x = data.draw(st.lists(logit, min_size=size, max_size=size))
    b = data.draw(st.lists(bias, min_size=size, max_size=size))

    routing = route([x], b, spec)

    assert routing.defined.all()
    assert routing.ids[0].tolist() == by_definition(x, b, spec)


@pytest.mark.parametrize(
    ("shape", "group_score"),
    [
        *((shape, "sum of two largest") for shape in LARGE),
        *((shape, "maximum") for shape in LARGE if shape[2] > 1),
    ],
    ids=str,
)
def test_large_routers_agree_with_exact_comparison(
    shape: tuple[int, int, int, int], group_score: str
) -> None:
    """Expert counts that are no powers of two and 1, 2, 4 and 8 groups route as proven."""
    spec = shaped(shape, group_score)
    for seed in range(2):
        x, b = adversarial_rows(shape, seed)

        routing = route(x, b, spec)

        assert routing.defined.sum() >= 5
        assert_proven(x, b, spec, routing)


@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize(
    ("shape", "group_score"),
    [
        ((128, 8, 1, 1), "maximum"),
        ((256, 8, 8, 4), "sum of two largest"),
        ((160, 6, 8, 3), "maximum"),
    ],
    ids=str,
)
def test_random_rows_follow_the_definition(
    shape: tuple[int, int, int, int], group_score: str, scoring: str
) -> None:
    """Rows as models have them route by the five steps at 400 bits, without the exact path."""
    rng = np.random.default_rng(11)
    spec = with_scoring(shaped(shape, group_score), scoring)
    x = rng.normal(0, 2, (8, shape[0])).astype(np.float32)
    b = rng.normal(0, 0.5, shape[0]).astype(np.float32)

    routing = route(x, b, spec)

    assert not routing.proven.any()
    for row, ids in zip(x.astype(np.float64).tolist(), routing.ids.tolist(), strict=True):
        assert ids == by_definition(row, b.astype(np.float64).tolist(), spec)


@pytest.mark.parametrize("scoring", SCORINGS)
def test_ids_descend_and_are_the_largest(scoring: str) -> None:
    """Selected scores descend and no rejected biased score is above the last selected one."""
    rng = np.random.default_rng(12)
    x, b = rng.normal(0, 3, (200, 256)), rng.normal(7, 0.1, 256)

    routing = route(x, b, with_scoring(MINIMAX_M2_5, scoring))

    chosen = np.take_along_axis(routing.biased, routing.ids, axis=1)
    assert (np.diff(chosen, axis=1) <= 0).all()
    rest = routing.biased.copy()
    np.put_along_axis(rest, routing.ids, -np.inf, axis=1)
    assert (rest.max(axis=1) <= chosen[:, -1]).all()


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_permuting_experts_permutes_ids(groups: int, seed: int) -> None:
    """Without ties, moving experts within and among groups moves the ids with them."""
    rng = np.random.default_rng(seed)
    spec = RoutingSpec(48, 5, num_expert_group=groups, topk_group=max(1, groups // 2))
    x, b = rng.normal(0, 2, (6, 48)), rng.normal(0, 1, 48)
    within = [rng.permutation(48 // groups) + g * (48 // groups) for g in rng.permutation(groups)]
    moved = np.concatenate(within)

    before, after = route(x, b, spec), route(x[:, moved], b[moved], spec)

    assert moved[after.ids].tolist() == before.ids.tolist()
    np.testing.assert_allclose(after.weights, before.weights, rtol=1e-15)


@pytest.mark.parametrize("spec", [*SMALL, MINIMAX_M2_5], ids=str)
def test_ties_go_to_the_lowest_ids(spec: RoutingSpec) -> None:
    """An all-equal row gives the first experts, of the first groups."""
    x = np.full((1, spec.num_experts), 0.75)

    routing = route(x, np.full(spec.num_experts, 35.0), spec)

    assert routing.ids.tolist() == [list(range(spec.top_k))]
    assert routing.groups[0].tolist() == [g < spec.topk_group for g in range(spec.num_expert_group)]


def test_a_tie_at_the_boundary_keeps_the_lower_id() -> None:
    """Of two equal experts competing for the last place the lower id is taken."""
    x = np.array([[0.0, 2.0, 3.0, 2.0, 2.0]])

    routing = route(x, np.zeros(5), RoutingSpec(5, 2))

    assert routing.ids.tolist() == [[2, 1]]


@pytest.mark.parametrize("base", [0.0, 7.0, 35.0, -1.5])
@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_near_ties_below_float64_resolution_are_flagged_and_right(base: float, steps: int) -> None:
    """A bias within a float64 step of cancelling the scores' gap is decided exactly."""
    rng = np.random.default_rng(13)
    for x, y in rng.normal(0, 2, (40, 2)).tolist():
        with flint.ctx.workprec(400):
            gap = 1 / (1 + flint.arb(-x).exp()) - 1 / (1 + flint.arb(-y).exp())
            d = float(gap + base)
            d = math.nextafter(d, math.inf * steps) if steps else d
            first = int(gap + base - d < 0)

        routing = route([[x, y, -90.0]], [base, d, -90.0], RoutingSpec(3, 1))

        assert routing.proven.all()
        assert routing.ids.tolist() == [[first]]


@pytest.mark.parametrize("values", [SATURATED[4:], DEEP[4:]], ids=["saturated", "deep"])
def test_scores_that_float64_rounds_together_keep_the_logits_order(values: list[float]) -> None:
    """Logits whose float64 scores are all 1, or all 0, are ordered by the logits."""
    order = sorted(range(len(values)), key=lambda i: -values[i])
    spec = RoutingSpec(len(values), len(values) - 1, renormalize=False)

    routing = route([values], np.zeros(len(values)), spec)

    assert routing.ids.tolist() == [order[:-1]]
    assert routing.proven.all()


def test_excluded_groups_are_masked_with_minus_infinity_not_zero() -> None:
    """With negative biased scores everywhere, experts of excluded groups are still not chosen."""
    spec = RoutingSpec(8, 3, num_expert_group=2, topk_group=1)
    x, b = np.array([[1.0, 2.0, 3.0, -5.0, 0.0, 0.5, 0.2, 0.1]]), np.full(8, -1.5)

    routing = route(x, b, spec)

    assert (routing.biased < 0).all()
    assert routing.groups.tolist() == [[True, False]]
    assert routing.ids.tolist() == [[2, 1, 0]]
    ids = route(x, b, RoutingSpec(8, 4, num_expert_group=2, topk_group=1)).ids
    assert ids.tolist() == [[2, 1, 0, 3]]


def test_a_group_scores_the_sum_of_its_two_largest_biased_scores() -> None:
    """Two good experts make a better group than one excellent one."""
    spec = RoutingSpec(6, 2, num_expert_group=2, topk_group=1)
    x = np.array([[9.0, -9.0, -9.0, 1.0, 1.5, -9.0]])

    routing = route(x, np.zeros(6), spec)

    g = group_scores(routing.biased, spec)
    expected = [np.sort(routing.biased[0, part])[-2:].sum() for part in (slice(3), slice(3, 6))]
    assert g.tolist() == [expected]
    assert routing.ids.tolist() == [[4, 3]]


def test_a_group_scores_its_largest_biased_score_where_the_rule_is_the_maximum() -> None:
    """One excellent expert makes a better group than two good ones: the other rule's opposite."""
    spec = RoutingSpec(6, 2, num_expert_group=2, topk_group=1, group_score="maximum")
    x = [[5.0, -9.0, -9.0, 1.0, 1.0, -9.0]]

    largest = route(x, np.zeros(6), spec)
    summed = route(x, np.zeros(6), dataclasses.replace(spec, group_score="sum of two largest"))

    assert largest.groups.tolist() == [[True, False]]
    assert summed.groups.tolist() == [[False, True]]
    assert group_scores(largest.biased, spec)[0, 0] == largest.biased[0, 0]


def test_a_third_of_random_rows_routes_otherwise_by_the_other_group_rule() -> None:
    """Of DeepSeek-V2's rows with N(0, 1) logits a quarter to a half differ between the rules."""
    rng = np.random.default_rng(4)
    x, b = rng.normal(0, 1, (2000, 160)), np.zeros(160)
    spec = RoutingSpec(160, 6, "softmax", num_expert_group=8, topk_group=3, renormalize=False)

    one, two = (
        np.sort(route(x, b, dataclasses.replace(spec, group_score=rule)).ids, axis=1)
        for rule in GROUP_SCORES
    )

    assert 0.25 < (one != two).any(axis=1).mean() < 0.5


def test_one_selectable_expert_is_a_group_by_the_maximum() -> None:
    """A group with one expert that is not NaN competes with its score; one with none is last."""
    spec = RoutingSpec(6, 1, num_expert_group=3, topk_group=2, group_score="maximum")

    routing = route([[np.nan, 4.0, 1.0, 1.0, np.nan, np.nan]], np.zeros(6), spec)

    assert routing.groups.tolist() == [[True, True, False]]
    assert routing.ids.tolist() == [[1]]


def test_groups_whose_largest_tie_keep_the_lower_group() -> None:
    """Equal logits and biases in every group tie their maxima whatever the others are."""
    rng = np.random.default_rng(5)
    x = rng.uniform(-9, -3, (100, 32))
    x[:, ::4] = rng.normal(0, 1, (100, 1))
    spec = RoutingSpec(32, 2, num_expert_group=8, topk_group=3, group_score="maximum")

    routing = route(x, np.full(32, 7.0), spec)

    assert routing.groups.tolist() == [[True] * 3 + [False] * 5] * 100


def test_groups_that_tie_exactly_keep_the_lower_group() -> None:
    """{x, -x} and {y, -y} tie as groups although float64 sums may differ: the lower one stays."""
    spec = RoutingSpec(4, 2, num_expert_group=2, topk_group=1)
    rng = np.random.default_rng(14)
    x, y = rng.normal(0, 3, (2, 200))
    rows = np.stack([x, -x, -y, y], axis=1)

    routing = route(rows, np.zeros(4), spec)

    assert routing.proven.all()
    assert routing.groups.tolist() == [[True, False]] * 200
    sums = group_scores(routing.biased, spec)
    assert (sums[:, 0] < sums[:, 1]).any()  # the float64 order would have been wrong


def test_group_sums_that_cancel_are_compared_exactly() -> None:
    """Sums near 0 carry the errors of their terms, far above their own rounding."""
    spec = RoutingSpec(4, 2, num_expert_group=2, topk_group=1)
    x, y = np.random.default_rng(19).normal(0, 3, (2, 200))

    routing = route(np.stack([x, -x, -y, y], axis=1), np.full(4, -0.5), spec)

    assert routing.groups.tolist() == [[True, False]] * 200


def test_a_run_of_equal_experts_does_not_hide_a_larger_one() -> None:
    """Equal bits fill the places around the k-th while a larger score, rounded equal, follows."""
    x = np.array([[40.0, 40.0, 40.0, 50.0]])

    routing = route(x, np.zeros(4), RoutingSpec(4, 1))

    assert routing.ids.tolist() == [[3]]


@pytest.mark.parametrize("scoring", SCORINGS)
def test_nan_is_never_selected(scoring: str) -> None:
    """A row with exactly k experts that are not NaN selects those."""
    x = np.full((1, 10), np.nan)
    x[0, [2, 5, 9]] = [-50.0, 0.0, -20.0]

    routing = route(x, np.zeros(10), with_scoring(RoutingSpec(10, 3), scoring))

    assert routing.defined.all()
    assert routing.ids.tolist() == [[5, 9, 2]]


@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("renormalize", [True, False])
def test_fewer_than_k_selectable_experts_leave_a_row_undefined(
    scoring: str, *, renormalize: bool
) -> None:
    """NaN in all but k - 1 experts makes a row undefined, and leaves its neighbours alone."""
    x = np.zeros((3, 6))
    x[1, :4] = np.nan
    spec = with_scoring(RoutingSpec(6, 3), scoring, renormalize=renormalize)

    routing = route(x, np.zeros(6), spec)

    assert routing.defined.tolist() == [True, False, True]
    assert ((routing.ids >= 0) & (routing.ids < 6)).all()


def test_selectable_experts_are_counted_in_the_groups_that_stay() -> None:
    """Experts of excluded groups do not make up for NaN in those that stay."""
    x = np.array([[1.0, 1.0, 1.0, 1.0, 3.0, 3.0, np.nan, np.nan]])
    spec = RoutingSpec(8, 3, num_expert_group=2, topk_group=1)

    routing = route(x, np.zeros(8), spec)

    assert routing.groups.tolist() == [[False, True]]
    assert routing.defined.tolist() == [False]


def test_a_group_with_one_selectable_expert_loses_to_any_with_two() -> None:
    """A group score needs two experts: one, however good, counts as -inf."""
    x = np.array([[50.0, np.nan, np.nan, -20.0, -30.0, np.nan]])
    spec = RoutingSpec(6, 1, num_expert_group=2, topk_group=1)

    routing = route(x, np.zeros(6), spec)

    assert routing.groups.tolist() == [[False, True]]
    assert routing.ids.tolist() == [[3]]


@pytest.mark.parametrize("scoring", ["sigmoid", "sqrtsoftplus"])
def test_scores_that_sum_to_zero_are_undefined_under_renormalisation_alone(scoring: str) -> None:
    """-inf everywhere scores 0: no weights under renormalisation, weights 0 without."""
    x, b = np.full((1, 6), -np.inf), np.arange(6.0)
    spec = with_scoring(RoutingSpec(6, 2), scoring)

    renormalised = route(x, b, spec)
    plain = route(x, b, with_scoring(spec, scoring, renormalize=False))

    assert renormalised.defined.tolist() == [False]
    assert plain.defined.tolist() == [True]
    assert plain.ids.tolist() == [[5, 4]]
    assert plain.weights.tolist() == [[0.0, 0.0]]


def test_infinite_sigmoid_logits_are_limits() -> None:
    """+inf scores 1 and -inf scores 0, both selectable."""
    x = np.array([[np.inf, -np.inf, 0.0, np.inf]])

    routing = route(x, np.array([0.0, 3.0, 0.0, 0.0]), RoutingSpec(4, 4, renormalize=False))

    assert routing.ids.tolist() == [[1, 0, 3, 2]]
    assert routing.weights.tolist() == [[0.0, 1.0, 1.0, 0.5]]


@pytest.mark.parametrize("scoring", ["softmax", "sqrtsoftplus"])
def test_rows_without_finite_weights_are_undefined(scoring: str) -> None:
    """+inf has no softmax, and no finite weight under sqrtsoftplus."""
    x = np.array([[np.inf, 1.0, 2.0], [0.0, 1.0, 2.0]])

    routing = route(x, np.zeros(3), with_scoring(RoutingSpec(3, 2), scoring))

    assert routing.defined.tolist() == [False, True]


@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("scale", [1.0, 2.5, 0.1])
@pytest.mark.parametrize("renormalize", [True, False])
def test_weights_are_within_64_u64_of_the_real_value(
    scoring: str, scale: float, *, renormalize: bool
) -> None:
    """Weights are s / sum(s) or s, times the scale, without the bias, proven by Arb."""
    rng = np.random.default_rng(15)
    x, b = rng.uniform(-30, 30, (30, 48)), rng.normal(7, 1, 48)
    spec = RoutingSpec(48, 8, scoring, renormalize=renormalize, routed_scaling_factor=scale)

    routing = route(x, b, spec)

    with flint.ctx.workprec(200):
        for row, ids, weights in zip(
            x, routing.ids.tolist(), routing.weights.tolist(), strict=True
        ):
            e = [flint.arb(v).exp() for v in row.tolist()]
            s = [v / (1 + v) for v in e]
            if scoring == "softmax":
                s = [v / sum(e, flint.arb(0)) for v in e]
            elif scoring == "sqrtsoftplus":
                s = [v.log1p().sqrt() for v in e]
            total = sum((s[i] for i in ids), flint.arb(0)) if renormalize else flint.arb(1)
            for i, w in zip(ids, weights, strict=True):
                real = s[i] / total * scale
                assert abs(real - w) <= 64 * U64 * real


@pytest.mark.parametrize("scale", [1.0, 2.5, 2.827])
def test_renormalised_weights_sum_to_the_scale(scale: float) -> None:
    """No epsilon is in the denominator: even weights of scores near 1e-30 sum to the scale."""
    x = np.random.default_rng(16).normal(0, 3, (100, 64))
    x[50:] -= 70.0

    routing = route(x, np.zeros(64), RoutingSpec(64, 8, routed_scaling_factor=scale))

    np.testing.assert_allclose(routing.weights.sum(axis=1), scale, rtol=16 * U64)
    assert (routing.weights > 0).all()


def test_rows_are_routed_independently() -> None:
    """A row's routing is the same alone and among others, NaN and near-ties included."""
    x, b = adversarial_rows((48, 4, 4, 2), seed=3)
    spec = shaped((48, 4, 4, 2))

    together = route(x, b, spec)

    for t in range(len(x)):
        alone = route(x[t : t + 1], b, spec)
        assert alone.ids[0].tolist() == together.ids[t].tolist()
        assert alone.groups[0].tolist() == together.groups[t].tolist()
        assert alone.proven[0] == together.proven[t]


def test_no_tokens_give_empty_results() -> None:
    """Zero rows are routed to zero rows of the right widths."""
    routing = route(np.zeros((0, 256), np.float32), np.zeros(256), MINIMAX_M2_5)

    assert routing.ids.shape == routing.weights.shape == (0, 8)
    assert routing.defined.shape == (0,)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_inputs_are_taken_as_exact_and_left_alone(dtype: type[np.floating]) -> None:
    """A logit of a narrow type routes as its float64 value does, and inputs stay unchanged."""
    x = np.random.default_rng(17).normal(0, 2, (20, 32)).astype(dtype)
    b = np.random.default_rng(18).normal(0, 1, 32).astype(np.float32)
    copies = x.copy(), b.copy()

    narrow, wide = (route(value, b, RoutingSpec(32, 4)) for value in (x, x.astype(np.float64)))

    assert narrow.ids.tolist() == wide.ids.tolist()
    assert narrow.weights.tolist() == wide.weights.tolist()
    assert (x == copies[0]).all()
    assert (b == copies[1]).all()


@pytest.mark.parametrize(
    ("logits", "bias"), [((4, 7), (8,)), ((4, 8), (7,)), ((8,), (8,)), ((4, 8), (1, 8))]
)
def test_shapes_that_are_not_the_specs_are_refused(
    logits: tuple[int, ...], bias: tuple[int, ...]
) -> None:
    """The message gives both shapes and what was expected."""
    with pytest.raises(ValueError, match=r"expected \[T, 8\] and \[8\]"):
        route(np.zeros(logits), np.zeros(bias), RoutingSpec(8, 2))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bias_that_is_not_finite_is_refused(value: float) -> None:
    """A bias is a parameter of the model: NaN and infinity are errors, not rows to route."""
    with pytest.raises(ValueError, match="correction_bias holds NaN or infinity"):
        route(np.zeros((1, 2)), [0.0, value], RoutingSpec(2, 1))


def test_undefined_rows_do_not_stop_defined_ones() -> None:
    """All kinds of undefined rows in one batch leave ids in range and raise no warning."""
    kinds = [np.nan, np.inf, -np.inf]
    x = np.array([*itertools.product(kinds, repeat=4)])

    for scoring in SCORINGS:
        routing = route(x, np.zeros(4), with_scoring(RoutingSpec(4, 2), scoring))

        assert ((routing.ids >= 0) & (routing.ids < 4)).all()
        assert np.isfinite(routing.weights[routing.defined]).all()


def test_a_lone_infinite_expert_of_a_group_raises_no_warning() -> None:
    """A sqrtsoftplus group of +inf and NaN scores -inf, as any with one selectable expert."""
    spec = with_scoring(RoutingSpec(4, 1, num_expert_group=2, topk_group=1), "sqrtsoftplus")

    routing = route([[np.inf, np.nan, 1.0, 2.0]], np.zeros(4), spec)

    assert routing.groups.tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("scoring", "logit"),
    [
        pytest.param("sigmoid", -720.0, id="sigmoid subnormal"),
        pytest.param("sigmoid", -800.0, id="sigmoid zero"),
        pytest.param("sqrtsoftplus", -720.0, id="sqrtsoftplus subnormal"),
        pytest.param("sqrtsoftplus", -800.0, id="sqrtsoftplus zero"),
    ],
)
def test_weights_of_scores_below_float64_are_right(scoring: str, logit: float) -> None:
    """Scores too small for float64 still have a defined, finite ratio, since their sum is not 0."""
    spec = with_scoring(RoutingSpec(3, 2), scoring)
    root = 2.0 if scoring == "sqrtsoftplus" else 1.0

    routing = route([[logit, logit - 1, -math.inf]], np.zeros(3), spec)

    assert routing.defined.all()
    share = 1 / (1 + math.exp(-1 / root))
    np.testing.assert_allclose(routing.weights, [[share, 1 - share]], rtol=64 * U64)
