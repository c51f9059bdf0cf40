"""The golden router: the routing contract in float64, its ids proven.

1. s = score(logits); c = s + bias. Selection uses c, weights use s.
2. With more than one group: a group's score is the sum of its two largest c, or its largest c
   (`RoutingSpec.group_score`); the topk_group best groups stay (equal: the lower group first) and
   the others' experts are excluded.
3. ids: the k largest c of what stays, descending; equal c: the lower expert id first.
4. weights: s at the ids; renormalised: divided by their sum, no epsilon; times the scale.

NaN logits are never selectable; +inf and -inf are the limits. A row is undefined if fewer than k
experts can be selected, or if its weights have no finite value (scores that sum to 0 under
renormalisation).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goldgate.reference.exact import ExactRow
from goldgate.reference.scoring import TINY64, U64, float64_error, scores, weights
from goldgate.reference.spec import RoutingSpec


@dataclass(frozen=True)
class Routing:
    """The golden routing of T rows.

    Attributes:
        ids: int64 [T, k]; in an undefined row they mean nothing.
        weights: float64 [T, k], within 64 u64 relative of the real value (u64 = 2**-53).
        scores: float64 [T, E]; NaN where the logit is.
        biased: float64 [T, E], c; -inf where the logit is NaN. Groups do not mask it.
        groups: bool [T, G], the groups that stay.
        defined: bool [T], False where the contract does not define the row.
        proven: bool [T], True where float64 could not tell and exact arithmetic decided.

    """

    ids: NDArray[np.int64]
    weights: NDArray[np.float64]
    scores: NDArray[np.float64]
    biased: NDArray[np.float64]
    groups: NDArray[np.bool_]
    defined: NDArray[np.bool_]
    proven: NDArray[np.bool_]


def route(gating_output: ArrayLike, correction_bias: ArrayLike, spec: RoutingSpec) -> Routing:
    """Route T tokens.

    Args:
        gating_output: logits [T, E], float16, float32 or float64, taken as exact.
        correction_bias: [E], finite, the bits that the kernel consumed.
        spec: the router.

    Raises:
        ValueError: a shape is not the spec's, or the bias is not finite.
        ArithmeticError: sqrtsoftplus scores that 2**16 bits do not tell apart.

    """
    x = np.asarray(gating_output, dtype=np.float64)
    b = np.asarray(correction_bias, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != spec.num_experts or b.shape != (spec.num_experts,):
        raise ValueError(
            f"logits {list(x.shape)} and bias {list(b.shape)}: "
            f"expected [T, {spec.num_experts}] and [{spec.num_experts}]"
        )
    if not np.isfinite(b).all():
        raise ValueError("correction_bias holds NaN or infinity: expected finite values")

    s = scores(x, spec.scoring)
    c = np.where(np.isnan(s), -np.inf, s + b)
    # One error for the whole row makes adjacent gaps enough to settle the order of all.
    error = np.nan_to_num(float64_error(x, s, spec.scoring) + U64 * np.abs(c), nan=0, posinf=0)
    e = error.max(axis=1) + TINY64

    g, stays, doubtful = _keep_groups(c, e, spec)
    order, close = _order(np.where(_spread(stays, spec), c, -np.inf), x, b, e, spec.top_k)
    doubtful |= close
    ids = order[:, : spec.top_k]
    for t in np.flatnonzero(doubtful):
        ids[t], stays[t] = _route_exactly(x[t], b, g.shape[1], spec)

    w = weights(np.take_along_axis(x, ids, 1), np.take_along_axis(s, ids, 1), spec)
    selectable = (~np.isnan(s) & _spread(stays, spec)).sum(axis=1) >= spec.top_k
    defined = selectable & np.isfinite(w).all(axis=1)
    return Routing(ids, w, s, c, stays, defined, doubtful)


def group_scores(biased: NDArray[np.float64], spec: RoutingSpec) -> NDArray[np.float64]:
    """Return g [T, G]: the sum of each group's two largest c, or its largest, by the router's rule.

    -inf where fewer of the group's experts can be selected.
    """
    grouped = biased.reshape(len(biased), spec.num_expert_group, spec.group_size)
    if spec.num_expert_group == 1:
        return np.zeros((len(biased), 1))
    if spec.group_terms == 1:
        return np.asarray(grouped.max(axis=2))
    with np.errstate(invalid="ignore"):
        g = np.partition(grouped, -2, axis=2)[:, :, -2:].sum(axis=2)
    return np.asarray(np.where(np.isnan(g), -np.inf, g))  # +inf beside nothing selectable


def _keep_groups(
    c: NDArray[np.float64], e: NDArray[np.float64], spec: RoutingSpec
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return group scores, the groups that stay, and the rows where float64 cannot tell."""
    g = group_scores(c, spec)
    if spec.topk_group == spec.num_expert_group:
        return g, np.ones(g.shape, dtype=bool), np.zeros(len(g), dtype=bool)
    order = np.argsort(-g, axis=1, kind="stable")
    stays = np.zeros(g.shape, dtype=bool)
    np.put_along_axis(stays, order[:, : spec.topk_group], values=True, axis=1)
    ranked = np.take_along_axis(g, order, axis=1)
    last, first_out = ranked[:, spec.topk_group - 1], ranked[:, spec.topk_group]
    slack = 2 * spec.group_terms * e + 2 * U64 * np.abs(np.nan_to_num(last, neginf=0.0))
    with np.errstate(invalid="ignore"):
        doubtful = ~(last - first_out > slack) & (last > -np.inf)
    return g, stays, doubtful


def _order(
    c: NDArray[np.float64],
    x: NDArray[np.float64],
    b: NDArray[np.float64],
    e: NDArray[np.float64],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the experts by descending c, and the rows whose first k float64 cannot settle."""
    order = np.argsort(-c, axis=1, kind="stable")
    head = order[:, : k + 1]
    ranked, logits, bias = np.take_along_axis(c, head, 1), np.take_along_axis(x, head, 1), b[head]
    with np.errstate(invalid="ignore"):
        near = ranked[:, :-1] - ranked[:, 1:] <= 2 * e[:, None]
    same_bits = (logits[:, :-1] == logits[:, 1:]) & (bias[:, :-1] == bias[:, 1:])
    # A run of equal bits at the boundary may hide an unequal neighbour further on: look at all
    # whose c is as near to the k-th as rounding reaches.
    kth = ranked[:, k - 1 : k]
    reach = (c >= kth - 2 * e[:, None]) & np.isfinite(c)
    kth_x, kth_b = logits[:, k - 1 : k], bias[:, k - 1 : k]
    hidden = reach & (c <= kth + 2 * e[:, None]) & ~((x == kth_x) & (b == kth_b))
    return order, (near & ~same_bits).any(axis=1) | hidden.any(axis=1)


def _spread(groups: NDArray[np.bool_], spec: RoutingSpec) -> NDArray[np.bool_]:
    return np.repeat(groups, spec.group_size, axis=1)


def _route_exactly(
    x: NDArray[np.float64], b: NDArray[np.float64], groups: int, spec: RoutingSpec
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Route one row by exact comparison alone: slow, and right where float64 cannot tell."""
    row = ExactRow(x.tolist(), b.tolist(), spec.scoring)

    def descending(i: int, j: int) -> int:
        return row.compare(j, i) or i - j

    def groups_descending(g: int, h: int) -> int:
        return compare_groups(row, heads[h], heads[g], spec.group_terms) or g - h

    best_first = functools.cmp_to_key(descending)
    members = [
        sorted((i for i in range(*_bounds(g, spec)) if not np.isnan(x[i])), key=best_first)
        for g in range(groups)
    ]
    heads = [best[: spec.group_terms] for best in members]
    kept = list(range(groups))
    if spec.topk_group < groups:
        kept = sorted(kept, key=functools.cmp_to_key(groups_descending))[: spec.topk_group]
    stays = np.isin(np.arange(groups), kept)
    best = sorted((i for g in kept for i in members[g]), key=best_first)[: spec.top_k]
    best += [0] * (spec.top_k - len(best))  # an undefined row: its ids mean nothing
    return np.array(best, dtype=np.int64), stays


def compare_groups(row: ExactRow, first: list[int], second: list[int], terms: int) -> int:
    """Compare two groups' scores, each given by its best experts, exactly: -1, 0 or 1.

    A group with fewer selectable experts than its score has terms has score -inf.
    """
    if len(first) < terms or len(second) < terms:
        return (len(first) >= terms) - (len(second) >= terms)
    return row.compare(*first, *second) if terms == 1 else row.compare_sums(first, second)


def _bounds(group: int, spec: RoutingSpec) -> tuple[int, int]:
    return group * spec.group_size, (group + 1) * spec.group_size
