"""The judge: a recording, a kernel's outputs and an arithmetic profile in, a verdict out.

It never runs a kernel. Blocks of rows are judged in threads (the heavy parts release the lock) and
added up in their order, so that the same input gives the same verdict to the last bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accuracy.blocks import Block, judge_block, rerouted
from accuracy.deviations import Deviation
from accuracy.drift import Drift, DriftSums, drift
from accuracy.rows import Reason, Verdict
from accuracy.weights import ULP_EDGES
from fixtures import Output, Recording
from reference import Profile

#: Rows a block has: at E = 256 its logits are 16 MiB.
BLOCK_ROWS = 16384

#: More threads than this only fight for memory bandwidth.
MAX_THREADS = 8


@dataclass(frozen=True)
class Result:
    """The verdict on a kernel over a recording, with the evidence.

    Attributes:
        rows: all rows of the recording.
        counts: rows of each `Verdict`.
        failing: rows that fail and are no known deviation, ascending.
        reasons: why, `Reason` codes, of the same length.
        known: rows that fail as a known deviation says.
        deviations: the known deviations that were met.
        stale: known deviations with the rows that they list and that no longer fail.
        weight_error_over_bound: the largest; 0 if no weight was judged.
        histogram: weight errors in ulps, by `accuracy.weights.ULP_EDGES`.
        drift: the systematic error of the weights.
        experts: of the recording's router.
        bias_changed: experts whose consumed bias is not the checkpoint's; None if the recording
            does not hold the latter.
        rerouted: rows that the consumed bias routes to other experts than the checkpoint's does;
            None likewise.

    """

    rows: int
    counts: dict[Verdict, int]
    failing: NDArray[np.int64]
    reasons: NDArray[np.int8]
    known: int
    deviations: tuple[Deviation, ...]
    stale: tuple[tuple[Deviation, tuple[int, ...]], ...]
    weight_error_over_bound: float
    histogram: NDArray[np.int64]
    drift: Drift
    experts: int
    bias_changed: int | None
    rerouted: int | None

    @property
    def passed(self) -> bool:
        """No row fails, no known deviation is stale and the weights do not drift."""
        return not (len(self.failing) or self.stale or self.drift.found)


def judge(
    recording: Recording,
    output: Output,
    profile: Profile,
    *,
    ordered: bool = False,
    deviations: Sequence[Deviation] = (),
    advance: Callable[[int], object] = lambda _: None,
) -> Result:
    """Judge a kernel's outputs for a recording.

    Args:
        recording: what was routed.
        output: ids and weights, [T, k].
        profile: the kernel's arithmetic.
        ordered: whether ids must be in descending order, up to ties and rounding.
        deviations: known ones; those about this kernel and recording count.
        advance: called with a number of rows whenever so many more are judged.

    Raises:
        ValueError: the outputs' shape is not the recording's.

    """
    shape = (recording.rows, recording.spec.top_k)
    if output.topk_ids.shape != shape or output.topk_weights.shape != shape:
        raise ValueError(f"outputs are not [{shape[0]}, {shape[1]}], as {recording.name} asks")
    bias = recording.bias().astype(np.float64)
    other = _checkpoint_bias(recording)
    bias_changed = None if other is None else int((other != bias).sum())

    def block(start: int) -> tuple[Block, int]:
        stop = min(start + BLOCK_ROWS, recording.rows)
        logits, padding = recording.logits(start, stop), recording.padding(start, stop)
        found = judge_block(
            logits,
            bias,
            output.ids(start, stop),
            output.weights(start, stop),
            padding,
            recording.spec,
            profile,
            ordered=ordered,
        )
        moved = 0
        if other is not None and bias_changed:
            moved = int((rerouted(logits, bias, other, recording.spec) & ~padding).sum())
        advance(stop - start)
        return found, moved

    counts = np.zeros(len(Verdict), dtype=np.int64)
    histogram = np.zeros(len(ULP_EDGES), dtype=np.int64)
    sums, worst, moved = DriftSums(), 0.0, 0
    failing, reasons = [np.empty(0, np.int64)], [np.empty(0, np.int8)]
    starts = range(0, recording.rows, BLOCK_ROWS)
    threads = min(MAX_THREADS, len(starts), os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        for start, (found, changed) in zip(starts, pool.map(block, starts), strict=True):
            counts += np.bincount(found.verdict, minlength=len(Verdict))
            histogram += found.histogram
            sums += found.sums
            worst = max(worst, float(found.over_bound.max()))
            moved += changed
            rows = np.flatnonzero(found.reason != Reason.NONE)
            failing.append(rows + start)
            reasons.append(found.reason[rows])

    met = tuple(d for d in deviations if d.applies(output.kernel, recording.sha256))
    bad, why = np.concatenate(failing), np.concatenate(reasons)
    excused, stale = _excuse(bad, why, met)
    return Result(
        rows=recording.rows,
        counts={verdict: int(counts[verdict]) for verdict in Verdict},
        failing=bad[~excused],
        reasons=why[~excused],
        known=int(excused.sum()),
        deviations=met,
        stale=stale,
        weight_error_over_bound=worst,
        histogram=histogram,
        drift=drift(sums),
        experts=recording.spec.num_experts,
        bias_changed=bias_changed,
        rerouted=None if other is None else moved,
    )


def _checkpoint_bias(recording: Recording) -> NDArray[np.float64] | None:
    held = recording.checkpoint_bias
    return None if held is None else held.rows().astype(np.float64)


def _excuse(
    failing: NDArray[np.int64], reasons: NDArray[np.int8], met: Sequence[Deviation]
) -> tuple[NDArray[np.bool_], tuple[tuple[Deviation, tuple[int, ...]], ...]]:
    """Return which failing rows a deviation lists, and the listed rows that do not fail so."""
    excused = np.zeros(len(failing), dtype=bool)
    stale = []
    names = np.array([reason.text for reason in Reason])
    for deviation in met:
        so = names[reasons] == deviation.reason
        excused |= so & np.isin(failing, deviation.rows)
        gone = tuple(sorted(set(deviation.rows) - set(failing[so].tolist())))
        if gone:
            stale.append((deviation, gone))
    return excused, tuple(stale)
