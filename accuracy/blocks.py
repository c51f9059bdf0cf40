"""The verdicts on a block of rows: screened first, then judged row by row where that says nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accuracy.drift import DriftSums, drift_sums
from accuracy.rows import Reason, RowVerdicts, Verdict, judge_rows
from accuracy.screen import DESCENDING, UNORDERED, screen
from accuracy.weights import judge_weights, signed_errors, ulp_histogram
from reference import (
    Profile,
    RoutingSpec,
    route,
    score_error,
    selection_error_ceiling,
)
from reference.scoring import scores, sensitivity

Float64 = NDArray[np.float64]

#: Rows that the definition takes at a time: its float64 [n, E] arrays stay near 100 MB at E = 256.
_DEFINITION_ROWS = 2048

#: Float64 error of a biased score relative to 1 + |b|, as in `accuracy.screen`.
_ERROR64 = 1e-14


@dataclass(frozen=True)
class Block:
    """What was found in a block of n rows.

    Attributes:
        verdict: `Verdict` codes, int8 [n].
        reason: `Reason` codes, int8 [n]; not NONE for the rows that fail.
        over_bound: the row's largest weight error over its bound, float64 [n]; 0 where no weight
            is judged.
        histogram: of the errors in ulps, by `accuracy.weights.ULP_EDGES`.
        sums: for the drift.

    """

    verdict: NDArray[np.int8]
    reason: NDArray[np.int8]
    over_bound: Float64
    histogram: NDArray[np.int64]
    sums: DriftSums


@dataclass(frozen=True)
class _Chosen:
    """Exact scores, their error bounds and sensitivities at the kernel's ids, [n, k]."""

    s: Float64
    error: Float64
    z: Float64


def judge_block(
    logits: NDArray[np.float32],
    bias: Float64,
    ids: NDArray[np.int32],
    weights: NDArray[np.float32],
    padding: NDArray[np.bool_],
    spec: RoutingSpec,
    profile: Profile,
    *,
    ordered: bool,
) -> Block:
    """Judge n rows: logits [n, E], bias [E], ids and weights [n, k], padding [n]."""
    verdict, reason = _settle(logits, bias, ids, spec, profile, ordered=ordered)
    doubtful = np.flatnonzero(verdict < 0)
    at = np.clip(ids, 0, spec.num_experts - 1)
    chosen = _elementwise(np.take_along_axis(logits, at, axis=1), spec, profile)
    for start in range(0, len(doubtful), _DEFINITION_ROWS):
        part = doubtful[start : start + _DEFINITION_ROWS]
        rows = judge_rows(logits[part], bias, ids[part], spec, profile, ordered=ordered)
        verdict[part], reason[part] = rows.verdict, rows.reason
        if spec.scoring != "sigmoid":
            _gather(chosen, part, rows, logits[part], at[part], spec, profile)

    judged = judge_weights(weights, chosen.s, chosen.error, bias[at], spec, profile)
    finite = np.isfinite(weights).all(axis=1)
    over = np.nan_to_num(judged.over_bound, nan=0.0).max(axis=1)
    ids_usable = ~np.isin(reason, (Reason.ID_OUT_OF_RANGE, Reason.DUPLICATE_ID))
    defined = verdict != Verdict.UNDEFINED
    reason = np.where((reason == Reason.NONE) & ~finite, Reason.NONFINITE_WEIGHT, reason)
    reason = np.where((reason == Reason.NONE) & defined & (over > 1.0), Reason.WEIGHT, reason)
    verdict = np.where(defined & (reason != Reason.NONE), Verdict.WRONG, verdict)
    verdict = np.where(padding, Verdict.PADDING, verdict).astype(np.int8)
    reason = np.where(padding, Reason.NONE, reason).astype(np.int8)

    counted = ids_usable & defined & ~padding
    sound = counted & (verdict != Verdict.WRONG)
    r = np.where(sound[:, None], signed_errors(weights, judged), np.nan)
    return Block(
        verdict,
        reason,
        np.where(counted, over, 0.0),
        ulp_histogram(weights, judged, counted & finite),
        drift_sums(r, chosen.z),
    )


def rerouted(
    logits: NDArray[np.float32], bias: Float64, other: Float64, spec: RoutingSpec
) -> NDArray[np.bool_]:
    """Return which of n rows route to another set of experts under another bias, bool [n]."""
    changed = np.zeros(len(logits), dtype=bool)
    for start in range(0, len(logits), _DEFINITION_ROWS):
        part = slice(start, start + _DEFINITION_ROWS)
        one, two = route(logits[part], bias, spec), route(logits[part], other, spec)
        differs = (np.sort(one.ids, axis=1) != np.sort(two.ids, axis=1)).any(axis=1)
        changed[part] = differs & one.defined & two.defined
    return changed


def _settle(
    logits: NDArray[np.float32],
    bias: Float64,
    ids: NDArray[np.int32],
    spec: RoutingSpec,
    profile: Profile,
    *,
    ordered: bool,
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return verdicts of the rows that screening settles, -1 for the others, and no reasons."""
    verdict = np.full(len(logits), -1, dtype=np.int8)
    reason = np.zeros(len(logits), dtype=np.int8)
    if spec.scoring != "sigmoid" or spec.num_expert_group > 1:
        return verdict, reason
    codes = screen(logits, bias, selection_error_ceiling(bias, profile), ids)
    verdict[codes == DESCENDING] = Verdict.EXACT
    unordered = np.flatnonzero(codes == UNORDERED)
    if len(unordered) and not ordered:
        at = ids[unordered]
        x = np.take_along_axis(logits[unordered], at, axis=1).astype(np.float64)
        c = scores(x, "sigmoid") + bias[at]
        slack = 2 * _ERROR64 * (1.0 + np.abs(bias[at]).max(axis=1, keepdims=True))
        rises = (c[:, 1:] - c[:, :-1] > slack).any(axis=1)
        verdict[unordered[rises]] = Verdict.REORDERED
    return verdict, reason


def _elementwise(x32: NDArray[np.float32], spec: RoutingSpec, profile: Profile) -> _Chosen:
    """Sigmoid scores need only the chosen logits; other scorings are filled in from whole rows."""
    x = x32.astype(np.float64)
    if spec.scoring != "sigmoid":
        return _Chosen(np.zeros_like(x), np.zeros_like(x), np.zeros_like(x))
    s = scores(x, spec.scoring)
    return _Chosen(s, score_error(x, s, spec, profile), sensitivity(x, s, spec.scoring))


def _gather(
    chosen: _Chosen,
    part: NDArray[np.int64],
    rows: RowVerdicts,
    logits: NDArray[np.float32],
    at: NDArray[np.int32],
    spec: RoutingSpec,
    profile: Profile,
) -> None:
    x, s = logits.astype(np.float64), rows.routing.scores
    whole = (s, score_error(x, s, spec, profile), sensitivity(x, s, spec.scoring))
    for target, values in zip((chosen.s, chosen.error, chosen.z), whole, strict=True):
        target[part] = np.take_along_axis(values, at, axis=1)
