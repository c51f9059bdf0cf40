"""The verdicts on a block of rows: screened first, the rest judged by the definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.chosen import choose
from goldgate.accuracy.fast.thresholds import ERROR64
from goldgate.accuracy.fast.weigh import DESCENDING, UNSETTLED
from goldgate.accuracy.fastpath import Screened, applies, screen
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.selection import Reason, RowVerdicts, Verdict, judge_rows
from goldgate.accuracy.systematic_error import ResidualSums, residual_sums
from goldgate.accuracy.weights import (
    ULP_EDGES,
    held_scores,
    judge_weights,
    signed_errors,
    ulp_histogram,
)
from goldgate.fixtures.tensorfile import Stored, float32
from goldgate.reference import FLOAT32, RoutingSpec, route
from goldgate.reference.exact import ExactRow
from goldgate.reference.scoring import scores

Float64 = NDArray[np.float64]

#: Logits that the definition takes at a time: 512 rows at E = 256. It holds some 16 arrays of that
#: many float64, 16 MiB, in each thread.
_DEFINITION_LOGITS = 1 << 17


#: What a row is that is left, which what comes next overwrites, or settled.
_LEFT, _EXACT, _REORDERED = (
    np.int8(one) for one in (Verdict.PADDING, Verdict.EXACT, Verdict.REORDERED)
)

#: `goldgate.accuracy.fastpath.screen`, or what takes its place.
Screening = Callable[[Rows, Contract], Screened]


class Device(Protocol):
    """What screens rows elsewhere: `goldgate.accuracy.device`, which needs torch."""

    def applies(self, spec: RoutingSpec) -> bool:
        """Say whether rows of this router can be screened there."""

    def screen(self, rows: Rows, contract: Contract) -> Screened:
        """Do as `goldgate.accuracy.fastpath.screen`."""


@dataclass(frozen=True)
class Block:
    """What was found in a block of n rows.

    Attributes:
        verdict: `Verdict` codes, int8 [n].
        reason: `Reason` codes, int8 [n]; not NONE for the rows that fail.
        over_bound: the row's largest weight error over its bound, float64 [n]; 0 where no weight
            is judged, and where the row fails by the sum of its weights.
        histogram: of the errors in ulps, by `goldgate.accuracy.weights.ULP_EDGES`.
        sums: for the drift.
        unbounded: how many of the row's judged weights nothing bounds, int16 [n]; -1 where no
            weight is judged.
        narrow: rows whose logits a narrower type may hold, bool [n]; of others it is certain that
            not all of them are such.

    """

    verdict: NDArray[np.int8]
    reason: NDArray[np.int8]
    over_bound: Float64
    histogram: NDArray[np.int64]
    sums: ResidualSums
    unbounded: NDArray[np.int16]
    narrow: NDArray[np.bool_]


def judge_block(rows: Rows, contract: Contract, *, device: Device | None = None) -> Block:
    """Judge n rows; a device screens them first."""
    found, open_rows = _screen(rows, contract, device)
    verdict, reason, over, unbounded = (
        found.verdict,
        found.reason,
        found.over_bound,
        found.unbounded,
    )
    histogram, sums, narrow = found.histogram, found.sums, found.narrow
    verdict[_same_order(rows, verdict == _REORDERED)] = Verdict.EXACT
    left = np.flatnonzero(open_rows)
    size = _definition_rows(contract.spec)
    for start in range(0, len(left), size):
        part = left[start : start + size]
        found = _define(rows.take(part).widened(), contract)
        verdict[part], reason[part], over[part] = found.verdict, found.reason, found.over_bound
        unbounded[part] = found.unbounded
        histogram, sums = histogram + found.histogram, sums + found.sums
    return Block(verdict, reason, over, histogram, sums, unbounded, narrow)


def _screen(
    rows: Rows, contract: Contract, device: Device | None
) -> tuple[Block, NDArray[np.bool_]]:
    """Return what screening finds in n rows, and which of them it leaves, bool [n]."""
    n, open_rows = len(rows), ~rows.padding
    found = Block(
        np.full(n, Verdict.PADDING, np.int8),
        np.zeros(n, np.int8),
        np.zeros(n),
        np.zeros(len(ULP_EDGES), np.int64),
        ResidualSums(),
        np.full(n, -1, np.int16),
        np.ones(n, np.bool_),
    )
    for number, screening in enumerate(_screenings(contract, device)):
        if number == 0 and open_rows.all():
            screened = screening(rows, contract)
            found, open_rows = _of_all(screened, rows), screened.codes == UNSETTLED
        elif open_rows.any():
            some = np.flatnonzero(open_rows)
            screened = screening(rows.take(some), contract)
            more = _of_all(screened, rows)
            found.verdict[some], found.over_bound[some] = more.verdict, more.over_bound
            found.unbounded[some], found.narrow[some] = more.unbounded, more.narrow
            open_rows[some] = screened.codes == UNSETTLED
            histogram, sums = found.histogram + more.histogram, found.sums + more.sums
            found = replace(found, histogram=histogram, sums=sums)
    return found, open_rows


def _of_all(screened: Screened, rows: Rows) -> Block:
    """Return what screening finds in all rows that it was given, in its own arrays."""
    n, codes = len(screened.codes), screened.codes
    verdict = np.where(codes == DESCENDING, _EXACT, _REORDERED)
    reason, left = np.zeros(n, np.int8), codes == UNSETTLED
    verdict[left] = _LEFT
    narrow = screened.narrow | left
    if rows.weights is None:
        none, unjudged = np.zeros(len(ULP_EDGES), np.int64), np.full(n, -1, np.int16)
        return Block(verdict, reason, np.zeros(n), none, ResidualSums(), unjudged, narrow)
    unbounded = np.negative(left.view(np.int8), dtype=np.int16)
    return Block(
        verdict,
        reason,
        screened.over_bound,
        screened.histogram,
        screened.sums,
        unbounded,
        narrow,
    )


def _screenings(contract: Contract, device: Device | None) -> list[Screening]:
    """Return what looks at the rows before the definition does, in this order."""
    found: list[Screening] = []
    if contract.weight_format != FLOAT32:
        return found
    if device is not None and device.applies(contract.spec):
        found.append(device.screen)
    if applies(contract.spec):
        found.append(screen)
    return found


def _define(rows: Rows, contract: Contract) -> Block:
    """Judge rows by the definition; their logits are float32."""
    by_ids = judge_rows(rows, contract)
    if rows.weights is None:
        none = np.zeros(len(ULP_EDGES), dtype=np.int64)
        unjudged = np.full(len(rows), -1, np.int16)
        over = np.zeros(len(rows))
        narrow = np.ones(len(rows), np.bool_)
        return Block(by_ids.verdict, by_ids.reason, over, none, ResidualSums(), unjudged, narrow)
    return _define_weights(rows, rows.weights, by_ids, contract)


def _define_weights(
    rows: Rows, weights: NDArray[np.float32], by_ids: RowVerdicts, contract: Contract
) -> Block:
    """Judge the weights of rows whose ids are judged."""
    profile, weight_format = contract.profile, contract.weight_format
    verdict, reason = by_ids.verdict, by_ids.reason
    chosen = choose(rows, np.clip(rows.ids, 0, contract.spec.num_experts - 1), contract)
    judged = judge_weights(weights, chosen, contract)
    finite = np.isfinite(weights).all(axis=1)
    over = np.nan_to_num(judged.over_bound, nan=0.0).max(axis=1)
    why = np.where(judged.alone.all(axis=1), Reason.WEIGHT, Reason.WEIGHT_SUM)
    ids_usable = ~np.isin(reason, (Reason.ID_OUT_OF_RANGE, Reason.DUPLICATE_ID))
    defined = verdict != Verdict.UNDEFINED
    reason = np.where((reason == Reason.NONE) & ~finite, Reason.NONFINITE_WEIGHT, reason)
    reason = np.where((reason == Reason.NONE) & defined & (over > 1.0), why, reason)
    verdict = np.where(defined & (reason != Reason.NONE), Verdict.WRONG, verdict).astype(np.int8)
    counted = ids_usable & defined
    sound = counted & (verdict != Verdict.WRONG)
    r = np.where(
        sound[:, None], signed_errors(weights, judged.expected, judged.bound, profile), np.nan
    )
    sums = residual_sums(r, chosen.z, judged.expected, held_scores(chosen, profile))
    return Block(
        verdict,
        reason.astype(np.int8),
        np.where(counted & (reason != Reason.WEIGHT_SUM), over, 0.0),
        ulp_histogram(weights, judged, counted & finite, weight_format),
        # A narrower type's rounding is no error of the arithmetic that could lean.
        sums if weight_format == FLOAT32 else ResidualSums(),
        np.where(counted, judged.unbounded, -1).astype(np.int16),
        np.ones(len(rows), np.bool_),
    )


def rerouted(stored: Stored, bias: Float64, other: Float64, spec: RoutingSpec) -> NDArray[np.bool_]:
    """Return which of n rows route to another set of experts under another bias, bool [n]."""
    changed = np.zeros(len(stored), dtype=bool)
    size = _definition_rows(spec)
    for start in range(0, len(stored), size):
        part = slice(start, start + size)
        logits = float32(stored[part])
        one, two = route(logits, bias, spec), route(logits, other, spec)
        differs = (np.sort(one.ids, axis=1) != np.sort(two.ids, axis=1)).any(axis=1)
        changed[part] = differs & one.defined & two.defined
    return changed


def _definition_rows(spec: RoutingSpec) -> int:
    return max(1, _DEFINITION_LOGITS // spec.num_experts)


def _same_order(rows: Rows, settled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return which of the settled rows do have the golden order, though float64 cannot see it.

    Screening says "descending" only of gaps beyond float64's error; where one is within it, exact
    comparison decides, equal scores by the lower id.
    """
    part = np.flatnonzero(settled)
    if not len(part):
        return part
    at = rows.ids[part]
    x = float32(np.take_along_axis(rows.logits[part], at, axis=1)).astype(np.float64)
    bias = rows.bias[at]
    c = scores(x, "sigmoid") + bias
    slack = 2 * ERROR64 * (1.0 + np.abs(bias).max(axis=1, keepdims=True))
    possible = (c[:, 1:] - c[:, :-1] <= slack).all(axis=1)
    same = []
    for t in np.flatnonzero(possible):
        row = ExactRow(x[t].tolist(), bias[t].tolist(), "sigmoid")
        signs = [row.compare(j, j + 1) or (at[t, j + 1] > at[t, j]) for j in range(at.shape[1] - 1)]
        if all(sign > 0 for sign in signs):
            same.append(part[t])
    return np.array(same, dtype=np.int64)
