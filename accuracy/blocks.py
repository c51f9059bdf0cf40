"""The verdicts on a block of rows: screened first, the rest judged by the definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.thresholds import ERROR64
from goldgate.accuracy.fast.weigh import DESCENDING, UNORDERED, UNSETTLED
from goldgate.accuracy.fastpath import Screened, applies, screen
from goldgate.accuracy.selection import Reason, RowVerdicts, Verdict, judge_rows
from goldgate.accuracy.systematic_error import ResidualSums, residual_sums
from goldgate.accuracy.weights import (
    ULP_EDGES,
    expected_weights,
    held_scores,
    judge_weights,
    signed_errors,
    ulp_histogram,
)
from goldgate.fixtures.tensorfile import Stored, float32
from goldgate.reference import FLOAT32, Profile, RoutingSpec, WeightFormat, route, score_error
from goldgate.reference.exact import ExactRow
from goldgate.reference.scoring import scores, sensitivity

Float64 = NDArray[np.float64]

#: Logits that the definition takes at a time: 512 rows at E = 256. It holds some 16 arrays of that
#: many float64, 16 MiB, in each thread.
_DEFINITION_LOGITS = 1 << 17


#: What a row is that is settled so; one that is not is overwritten by what comes next.
_SETTLED = np.zeros(3, np.int8)
_SETTLED[[UNSETTLED, DESCENDING, UNORDERED]] = Verdict.PADDING, Verdict.EXACT, Verdict.REORDERED
_REORDERED = int(Verdict.REORDERED)

#: `goldgate.accuracy.fastpath.screen`, or what takes its place.
Screening = Callable[..., Screened]


class Device(Protocol):
    """What screens rows elsewhere: `goldgate.accuracy.device`, which needs torch."""

    def applies(self, spec: RoutingSpec) -> bool:
        """Say whether rows of this router can be screened there."""

    def screen(  # noqa: D102 - as `fastpath.screen`
        self,
        logits: Stored,
        bias: NDArray[np.float64],
        ids: NDArray[np.int32],
        weights: NDArray[np.float32],
        skip: NDArray[np.bool_],
        spec: RoutingSpec,
        profile: Profile,
        *,
        ordered: bool = False,
    ) -> Screened: ...


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
        unbounded: how many of the row's judged weights nothing bounds, int64 [n]; -1 where no
            weight is judged.

    """

    verdict: NDArray[np.int8]
    reason: NDArray[np.int8]
    over_bound: Float64
    histogram: NDArray[np.int64]
    sums: ResidualSums
    unbounded: NDArray[np.int64]


@dataclass(frozen=True)
class _Chosen:
    """Exact scores, their error bounds and sensitivities at the kernel's ids, [n, k]."""

    s: Float64
    error: Float64
    z: Float64


def judge_block(
    logits: Stored,
    bias: Float64,
    ids: NDArray[np.int32],
    weights: NDArray[np.float32] | None,
    padding: NDArray[np.bool_],
    spec: RoutingSpec,
    profile: Profile,
    *,
    ordered: bool,
    weight_format: WeightFormat = FLOAT32,
    device: Device | None = None,
) -> Block:
    """Judge n rows: logits [n, E], bias [E], ids and weights [n, k], padding [n].

    Logits are float32, float16 or, as uint16, the bits of bfloat16. A device screens them first.
    Without weights the ids alone are judged.
    """
    rows = len(logits)
    verdict = np.full(rows, Verdict.PADDING, dtype=np.int8)
    reason, over = np.zeros(rows, dtype=np.int8), np.zeros(rows)
    histogram, sums = np.zeros(len(ULP_EDGES), dtype=np.int64), ResidualSums()
    unbounded = np.full(rows, -1)
    open_rows = ~padding
    held = _exact_weights(logits, ids, spec) if weights is None else weights
    for screening in _screenings(spec, weight_format, device):
        some = slice(None) if open_rows.all() else np.flatnonzero(open_rows)
        screened = screening(
            logits[some], bias, ids[some], held[some], padding[some], spec, profile, ordered=ordered
        )
        verdict[some] = _SETTLED[screened.codes]
        if weights is not None:
            histogram, sums = histogram + screened.histogram, sums + screened.sums
            over[some] = screened.over_bound
            unbounded[some] = np.where(screened.codes == UNSETTLED, -1, 0)
        open_rows[some] = screened.codes == UNSETTLED
        if not open_rows.any():
            break
    verdict[_same_order(logits, bias, ids, verdict == _REORDERED)] = Verdict.EXACT
    left = np.flatnonzero(open_rows)
    size = _definition_rows(spec)
    for start in range(0, len(left), size):
        part = left[start : start + size]
        found = _define(
            float32(logits[part]),
            bias,
            ids[part],
            None if weights is None else weights[part],
            spec,
            profile,
            ordered=ordered,
            weight_format=weight_format,
        )
        verdict[part], reason[part], over[part] = found.verdict, found.reason, found.over_bound
        unbounded[part] = found.unbounded
        histogram, sums = histogram + found.histogram, sums + found.sums
    return Block(verdict, reason, over, histogram, sums, unbounded)


def _exact_weights(
    logits: Stored, ids: NDArray[np.int32], spec: RoutingSpec
) -> NDArray[np.float32]:
    """Return right weights for whatever ids, so that the fast path is left with the ids alone."""
    at = np.clip(ids, 0, spec.num_experts - 1)
    # Softmax scores of the chosen alone: in proportion to each other as in the whole row.
    x = float32(np.take_along_axis(logits, at, axis=1)).astype(np.float64)
    s = scores(x, spec.scoring)
    return expected_weights(s, spec).astype(np.float32)


def _screenings(
    spec: RoutingSpec, weight_format: WeightFormat, device: Device | None
) -> list[Screening]:
    """Return what looks at the rows before the definition does, in this order."""
    found: list[Screening] = []
    if weight_format != FLOAT32:
        return found
    if device is not None and device.applies(spec):
        found.append(device.screen)
    if applies(spec):
        found.append(screen)
    return found


def _define(
    logits: NDArray[np.float32],
    bias: Float64,
    ids: NDArray[np.int32],
    weights: NDArray[np.float32] | None,
    spec: RoutingSpec,
    profile: Profile,
    *,
    ordered: bool,
    weight_format: WeightFormat,
) -> Block:
    """Judge rows by the definition."""
    rows = judge_rows(logits, bias, ids, spec, profile, ordered=ordered)
    if weights is None:
        none = np.zeros(len(ULP_EDGES), dtype=np.int64)
        unjudged = np.full(len(ids), -1)
        over = np.zeros(len(ids))
        return Block(rows.verdict, rows.reason, over, none, ResidualSums(), unjudged)
    return _define_weights(rows, logits, bias, ids, weights, spec, profile, weight_format)


def _define_weights(
    rows: RowVerdicts,
    logits: NDArray[np.float32],
    bias: Float64,
    ids: NDArray[np.int32],
    weights: NDArray[np.float32],
    spec: RoutingSpec,
    profile: Profile,
    weight_format: WeightFormat,
) -> Block:
    """Judge the weights of rows whose ids are judged."""
    verdict, reason = rows.verdict, rows.reason
    at = np.clip(ids, 0, spec.num_experts - 1)
    chosen = _gather(rows, logits, at, spec, profile)
    judged = judge_weights(weights, chosen.s, chosen.error, bias[at], spec, profile, weight_format)
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
    r = np.where(sound[:, None], signed_errors(weights, judged, profile), np.nan)
    sums = residual_sums(r, chosen.z, judged.expected, held_scores(chosen.s, bias[at], profile))
    return Block(
        verdict,
        reason.astype(np.int8),
        np.where(counted & (reason != Reason.WEIGHT_SUM), over, 0.0),
        ulp_histogram(weights, judged, counted & finite, weight_format),
        # A narrower type's rounding is no error of the arithmetic that could lean.
        sums if weight_format == FLOAT32 else ResidualSums(),
        np.where(counted, judged.unbounded, -1),
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


def _same_order(
    logits: Stored, bias: Float64, ids: NDArray[np.int32], rows: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return which of the settled rows do have the golden order, though float64 cannot see it.

    Screening says "descending" only of gaps beyond float64's error; where one is within it, exact
    comparison decides, equal scores by the lower id.
    """
    part = np.flatnonzero(rows)
    if not len(part):
        return part
    at = ids[part]
    x = float32(np.take_along_axis(logits[part], at, axis=1)).astype(np.float64)
    c = scores(x, "sigmoid") + bias[at]
    slack = 2 * ERROR64 * (1.0 + np.abs(bias[at]).max(axis=1, keepdims=True))
    possible = (c[:, 1:] - c[:, :-1] <= slack).all(axis=1)
    same = []
    for t in np.flatnonzero(possible):
        row = ExactRow(x[t].tolist(), bias[at[t]].tolist(), "sigmoid")
        signs = [row.compare(j, j + 1) or (at[t, j + 1] > at[t, j]) for j in range(at.shape[1] - 1)]
        if all(sign > 0 for sign in signs):
            same.append(part[t])
    return np.array(same, dtype=np.int64)


def _gather(
    rows: RowVerdicts,
    logits: NDArray[np.float32],
    at: NDArray[np.int32],
    spec: RoutingSpec,
    profile: Profile,
) -> _Chosen:
    x, s = logits.astype(np.float64), rows.routing.scores
    whole = (s, score_error(x, s, spec, profile), sensitivity(x, s, spec.scoring))
    return _Chosen(*(np.take_along_axis(values, at, axis=1) for values in whole))
