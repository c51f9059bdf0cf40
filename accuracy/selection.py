"""The verdict on each row: whether its ids are right.

`judge_rows` is the definition, on whole rows in float64, with exact arithmetic where a kernel and
the golden router differ. `goldgate.accuracy.blocks` calls it for the rows that screening leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.rows import Contract, Rows
from goldgate.fixtures.tensorfile import float32
from goldgate.reference import Routing, RoutingSpec, group_error, route, selection_error
from goldgate.reference.exact import ExactRow, dense_ranks
from goldgate.reference.router import compare_groups, group_scores


class Verdict(IntEnum):
    """What a row is; `WRONG` fails, an `UNDEFINED` row fails only by its reason."""

    EXACT = 0
    REORDERED = 1
    TIE = 2
    ADMISSIBLE = 3
    WRONG = 4
    UNDEFINED = 5
    PADDING = 6


class Reason(IntEnum):
    """Why a row fails."""

    NONE = 0
    ID_OUT_OF_RANGE = 1
    DUPLICATE_ID = 2
    OTHER_EXPERTS = 3
    ORDER = 4
    NONFINITE_WEIGHT = 5
    WEIGHT = 6
    WEIGHT_SUM = 7

    @property
    def text(self) -> str:
        """The reason in words, as reports and files of known failures write it."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class RowVerdicts:
    """Verdicts on n rows.

    Attributes:
        verdict: `Verdict` codes, int8 [n].
        reason: `Reason` codes, int8 [n].
        routing: the golden router's answer.
        errors: A, the bound on |c' - c|, float64 [n, E].

    """

    verdict: NDArray[np.int8]
    reason: NDArray[np.int8]
    routing: Routing
    errors: NDArray[np.float64]


def judge_rows(rows: Rows, contract: Contract) -> RowVerdicts:
    """Judge the ids of n rows, padding included."""
    logits, bias, ids = float32(rows.logits), rows.bias, rows.ids
    spec, profile = contract.spec, contract.profile
    golden = route(logits, bias, spec)
    x = logits.astype(np.float64)
    errors = selection_error(x, golden.scores, bias, spec, profile)
    reason = id_faults(ids, spec.num_experts)
    same_set = (np.sort(ids, axis=1) == np.sort(golden.ids, axis=1)).all(axis=1)
    verdict = np.where((ids == golden.ids).all(axis=1), Verdict.EXACT, Verdict.REORDERED)

    open_question = golden.defined & (reason == Reason.NONE) & ~same_set
    consistent = open_question.copy()
    if spec.num_expert_group == 1:  # cheap for many rows; an exact tie is always admissible too
        consistent &= _admissible(golden.biased, errors, ids)
    for t in np.flatnonzero(consistent):
        verdict[t] = _explain(x[t], bias, ids[t], golden.biased[t], errors[t], spec)
    verdict = np.where(open_question & ~consistent, Verdict.WRONG, verdict)
    verdict = np.where(reason != Reason.NONE, Verdict.WRONG, verdict)
    reason = np.where((verdict == Verdict.WRONG) & (reason == 0), Reason.OTHER_EXPERTS, reason)
    if contract.ordered:
        sound = golden.defined & (verdict < Verdict.WRONG)
        disordered = sound & ~_ordered(golden.biased, errors, ids)
        verdict = np.where(disordered, Verdict.WRONG, verdict)
        reason = np.where(disordered, Reason.ORDER, reason)
    verdict = np.where(golden.defined, verdict, Verdict.UNDEFINED)
    return RowVerdicts(verdict.astype(np.int8), reason.astype(np.int8), golden, errors)


def id_faults(ids: NDArray[np.int32], experts: int) -> NDArray[np.int8]:
    """Return `ID_OUT_OF_RANGE`, `DUPLICATE_ID` or `NONE` for each row, int8 [n]."""
    outside = ((ids < 0) | (ids >= experts)).any(axis=1)
    ascending = np.sort(ids, axis=1)
    twice = (ascending[:, 1:] == ascending[:, :-1]).any(axis=1)
    faults = np.where(twice, Reason.DUPLICATE_ID, Reason.NONE)
    return np.where(outside, Reason.ID_OUT_OF_RANGE, faults).astype(np.int8)


def _admissible(
    c: NDArray[np.float64], errors: NDArray[np.float64], ids: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Whether some scores within the errors make the ids the k best, one group, bool [n]."""
    clipped = np.clip(ids, 0, c.shape[1] - 1)
    highest = np.take_along_axis(c + errors, clipped, axis=1).min(axis=1)
    lowest = c - errors
    np.put_along_axis(lowest, clipped, -np.inf, axis=1)
    return np.asarray((highest >= lowest.max(axis=1)) & (highest > -np.inf))


def _ordered(
    c: NDArray[np.float64], errors: NDArray[np.float64], ids: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Whether some scores within the errors put the ids in descending order, bool [n]."""
    clipped = np.clip(ids, 0, c.shape[1] - 1)
    highest = np.minimum.accumulate(np.take_along_axis(c + errors, clipped, axis=1), axis=1)
    lowest = np.take_along_axis(c - errors, clipped, axis=1)
    return np.asarray((highest[:, :-1] >= lowest[:, 1:]).all(axis=1))


def _explain(
    x: NDArray[np.float64],
    bias: NDArray[np.float64],
    ids: NDArray[np.int32],
    c: NDArray[np.float64],
    errors: NDArray[np.float64],
    spec: RoutingSpec,
) -> Verdict:
    """Judge distinct ids that are not the golden set: `TIE`, `ADMISSIBLE` or `WRONG`.

    One question asked twice: do scores between a lower and an upper limit exist for which the ids
    are a right answer? With the exact ranks as both limits, any breaking of ties is allowed and
    nothing else; with c - A and c + A, whatever rounding can do.
    """
    chosen = frozenset(ids.tolist())
    if any(c[i] == -np.inf for i in chosen):
        return Verdict.WRONG
    g = group_scores(c[None], spec)[0]
    slack = group_error(c[None], errors[None], spec)[0]
    # An exact tie is always admissible too, and exact ranks are dear: hundreds of milliseconds a
    # row with groups.
    if not _consistent(chosen, c - errors, c + errors, g - slack, g + slack, spec):
        return Verdict.WRONG
    ranks, group_ranks = _exact_ranks(x, bias, c, spec)
    if _consistent(chosen, ranks, ranks, group_ranks, group_ranks, spec):
        return Verdict.TIE
    return Verdict.ADMISSIBLE


def _consistent(
    chosen: frozenset[int],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    group_low: NDArray[np.float64],
    group_high: NDArray[np.float64],
    spec: RoutingSpec,
) -> bool:
    size = spec.group_size
    needed = {i // size for i in chosen}
    least = min(high[i] for i in chosen)

    def harmless(g: int) -> bool:
        """Whether group g may stay: none of its experts beats a chosen one for certain."""
        return all(low[i] <= least for i in range(g * size, (g + 1) * size) if i not in chosen)

    if len(needed) > spec.topk_group or not all(harmless(g) for g in needed):
        return False
    groups = range(spec.num_expert_group)
    free = [g for g in groups if g not in needed and harmless(g)]
    # The groups that stay must be able to beat those that go. For each floor that the highest
    # scores of the staying ones may have, it is best to keep those with the largest lowest scores.
    for floor in sorted({group_high[g] for g in (*needed, *free)}):
        if any(group_high[g] < floor for g in needed):
            break
        able = sorted(
            (g for g in free if group_high[g] >= floor), key=lambda g: -float(group_low[g])
        )
        kept = needed.union(able[: spec.topk_group - len(needed)])
        gone = [group_low[g] for g in groups if g not in kept]
        if len(kept) == spec.topk_group and (not gone or max(gone) <= floor):
            return True
    return False


def _exact_ranks(
    x: NDArray[np.float64], bias: NDArray[np.float64], c: NDArray[np.float64], spec: RoutingSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ranks of the experts and of the groups, negated: larger is better, ties are equal."""
    row = ExactRow(x.tolist(), bias.tolist(), spec.scoring)
    selectable = [i for i in range(spec.num_experts) if c[i] > -np.inf]
    ranks = np.full(spec.num_experts, -np.inf)
    ranks[selectable] = [-rank for rank in row.ranks(selectable)]
    if spec.num_expert_group == 1:
        return ranks, np.zeros(1)

    best: list[list[int]] = []
    for g in range(spec.num_expert_group):
        members = [i for i in selectable if i // spec.group_size == g]
        best.append(sorted(members, key=lambda i: -ranks[i])[: spec.group_terms])
    whole = [g for g, heads in enumerate(best) if len(heads) == spec.group_terms]
    group_ranks = np.full(spec.num_expert_group, -np.inf)
    group_ranks[whole] = [
        -rank
        for rank in dense_ranks(
            whole, lambda g, h: compare_groups(row, best[g], best[h], spec.group_terms)
        )
    ]
    return ranks, group_ranks
