"""The judge: a recording, a kernel's outputs and an arithmetic profile in, a verdict out.

It never runs a kernel. Parts of the rows are judged in threads, which release the lock, or where an
executor runs them, and added up in their order: the same input gives the same verdict to the last
bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.blocks import Device
from goldgate.accuracy.known_failures import KnownFailure
from goldgate.accuracy.parts import LISTED, judge_part, parts
from goldgate.accuracy.selection import Reason, Verdict
from goldgate.accuracy.systematic_error import ResidualSums, SystematicError, systematic_error
from goldgate.accuracy.weights import ULP_EDGES
from goldgate.fixtures import Output, Recording
from goldgate.reference import FORMATS, Profile, WeightFormat

#: More threads than this only fight for memory bandwidth.
MAX_THREADS = 16


@dataclass(frozen=True)
class Result:
    """The verdict on a kernel over a recording, with the evidence.

    Attributes:
        rows: all rows of the recording.
        counts: rows of each `Verdict`.
        failing: rows that fail and are no known failure, ascending.
        reasons: why, `Reason` codes, of the same length.
        ties: the first `LISTED` rows of a tie, ascending.
        admissible: the first `LISTED` admissible rows, ascending.
        known: rows that fail as a known failure says.
        known_failures: the known failures that were met.
        stale: known failures with the rows that they list and that no longer fail.
        weight_format: the type in which the weights are returned; None if there are none, so that
            the ids alone were judged.
        weights: weights that were judged.
        weights_unbounded: those that nothing bounds alone: 0 would pass as well. In a renormalised
            row their sum is still judged.
        rows_unbounded: rows all of whose weights are such.
        weight_error_over_bound: the largest; 0 if no weight was judged.
        unlisted_weight_error_over_bound: likewise, without the rows that `known` counts.
        histogram: weight errors in ulps, by `goldgate.accuracy.weights.ULP_EDGES`.
        systematic_error: of the weights.
        bias_changed: values of the bias that the kernel consumed that differ from the checkpoint's;
            None if the recording does not hold the latter.
        rerouted: rows that the consumed bias routes to other experts than the checkpoint's does;
            None likewise.

    """

    rows: int
    counts: dict[Verdict, int]
    failing: NDArray[np.int64]
    reasons: NDArray[np.int8]
    ties: tuple[int, ...]
    admissible: tuple[int, ...]
    known: int
    known_failures: tuple[KnownFailure, ...]
    stale: tuple[tuple[KnownFailure, tuple[int, ...]], ...]
    weight_format: WeightFormat | None
    weights: int
    weights_unbounded: int
    rows_unbounded: int
    weight_error_over_bound: float
    unlisted_weight_error_over_bound: float
    histogram: NDArray[np.int64]
    systematic_error: SystematicError
    bias_changed: int | None
    rerouted: int | None

    @property
    def passed(self) -> bool:
        """No row fails, no known failure is stale and no systematic error is found."""
        return not (len(self.failing) or self.stale or self.systematic_error.found)


def judge(
    recording: Recording,
    output: Output,
    profile: Profile,
    *,
    ordered: bool = False,
    known_failures: Sequence[KnownFailure] = (),
    advance: Callable[[int], object] = lambda _: None,
    executor: Executor | None = None,
    device: Device | None = None,
) -> Result:
    """Judge a kernel's outputs for a recording.

    Args:
        recording: what was routed.
        output: ids and weights, [T, k].
        profile: the kernel's arithmetic.
        ordered: whether ids must be in descending order, up to ties and rounding.
        known_failures: known ones; those about this kernel and recording count.
        advance: called with a number of rows whenever so many more are judged.
        executor: what runs the parts: threads, processes or another machine's; None: threads of
            this process, up to `MAX_THREADS`. The result is the same, bit for bit.
        device: what screens the rows first, `goldgate.accuracy.device.Device`: the same verdict and
            counts, sums that differ by rounding.

    Raises:
        ValueError: the outputs' shape is not the recording's, or the weights' type is none of
            `FORMATS`.

    """
    shape = (recording.rows, recording.spec.top_k)
    held = output.topk_weights
    if output.topk_ids.shape != shape or (held is not None and held.shape != shape):
        raise ValueError(f"outputs are not [{shape[0]}, {shape[1]}], as {recording.name} asks")
    if held is not None and held.dtype not in FORMATS:
        raise ValueError(f"weights are {held.dtype}: expected {', '.join(FORMATS)}")
    bias, other = recording.bias().astype(np.float64), _checkpoint_bias(recording)
    counts = np.zeros(len(Verdict), dtype=np.int64)
    histogram = np.zeros(len(ULP_EDGES), dtype=np.int64)
    sums, worst, moved = ResidualSums(), 0.0, 0
    judged_rows = unbounded_weights = unbounded_rows = 0
    failing, reasons = [np.empty(0, np.int64)], [np.empty(0, np.int8)]
    passing_worst, failing_over = 0.0, [np.empty(0)]
    listed: dict[Verdict, list[int]] = {Verdict.TIE: [], Verdict.ADMISSIBLE: []}
    todo = list(parts(recording, output, profile, ordered=ordered, device=device))
    with _threads(len(todo)) if executor is None else nullcontext(executor) as pool:
        for found in pool.map(judge_part, todo):
            counts += found.counts
            histogram += found.histogram
            sums += found.sums
            worst = max(worst, found.weight_error_over_bound)
            judged_rows += found.judged
            unbounded_weights += found.unbounded_weights
            unbounded_rows += found.unbounded_rows
            passing_worst = max(passing_worst, found.passing_worst)
            failing_over.append(found.failing_over)
            moved += found.rerouted
            failing.append(found.failing)
            reasons.append(found.reasons)
            for verdict, some in listed.items():
                some.extend(found.listed[verdict][: LISTED - len(some)])
            advance(found.rows)

    met = tuple(d for d in known_failures if d.applies(output.kernel, recording.sha256))
    bad, why = np.concatenate(failing), np.concatenate(reasons)
    excused, stale = _excuse(bad, why, met)
    unlisted = np.concatenate(failing_over)[~excused]
    return Result(
        rows=recording.rows,
        counts={verdict: int(counts[verdict]) for verdict in Verdict},
        failing=bad[~excused],
        reasons=why[~excused],
        ties=tuple(listed[Verdict.TIE]),
        admissible=tuple(listed[Verdict.ADMISSIBLE]),
        known=int(excused.sum()),
        known_failures=met,
        stale=stale,
        weight_format=None if held is None else FORMATS[held.dtype],
        weights=judged_rows * recording.spec.top_k,
        weights_unbounded=unbounded_weights,
        rows_unbounded=unbounded_rows,
        weight_error_over_bound=worst,
        unlisted_weight_error_over_bound=max(passing_worst, float(unlisted.max(initial=0.0))),
        histogram=histogram,
        systematic_error=systematic_error(sums, recording.spec, profile),
        bias_changed=None if other is None else int((other != bias).sum()),
        rerouted=None if other is None else moved,
    )


def _threads(most: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, min(MAX_THREADS, most, os.cpu_count() or 1)))


def _checkpoint_bias(recording: Recording) -> NDArray[np.float64] | None:
    held = recording.checkpoint_bias
    return None if held is None else held.rows().astype(np.float64)


def _excuse(
    failing: NDArray[np.int64], reasons: NDArray[np.int8], met: Sequence[KnownFailure]
) -> tuple[NDArray[np.bool_], tuple[tuple[KnownFailure, tuple[int, ...]], ...]]:
    """Return which failing rows a known_failure lists, and the listed rows that do not fail so."""
    excused = np.zeros(len(failing), dtype=bool)
    stale = []
    names = np.array([reason.text for reason in Reason])
    for known_failure in met:
        so = names[reasons] == known_failure.reason
        excused |= so & np.isin(failing, known_failure.rows)
        gone = tuple(sorted(set(known_failure.rows) - set(failing[so].tolist())))
        if gone:
            stale.append((known_failure, gone))
    return excused, tuple(stale)
