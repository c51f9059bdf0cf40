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

from goldgate.accuracy.blocks import Block, judge_block, rerouted
from goldgate.accuracy.ceilings import Rows, excuse
from goldgate.accuracy.known_failures import KnownFailure
from goldgate.accuracy.random_error import (
    RandomError,
    RandomSums,
    random_error,
    random_sums,
    sampled,
)
from goldgate.accuracy.selection import Reason, Verdict
from goldgate.accuracy.systematic_error import ResidualSums, SystematicError, systematic_error
from goldgate.accuracy.weights import ULP_EDGES
from goldgate.fixtures import Output, Recording
from goldgate.reference import FLOAT32, FORMATS, Profile, WeightFormat

#: Logits a block has at the most: 16 MiB of float32, 16,384 rows at E = 256.
BLOCK_LOGITS = 1 << 22

#: More threads than this only fight for memory bandwidth.
MAX_THREADS = 8

#: Rows of a tie and admissible rows that a result lists, each.
LISTED = 100


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
        beyond: known failures with the rows that they list and that fail by more than their
            ceiling; these rows are among the failing.
        weight_format: the type in which the weights are returned; None if there are none, so that
            the ids alone were judged.
        weights: weights that were judged.
        weights_unbounded: those that nothing bounds alone: 0 would pass as well. In a renormalised
            row their sum is still judged.
        rows_unbounded: rows all of whose weights are such.
        weight_error_over_bound: the largest; 0 if no weight was judged.
        unlisted_weight_error_over_bound: likewise, without the rows that `known` counts.
        histogram: weight errors in ulps, by `goldgate.accuracy.weights.ULP_EDGES`.
        systematic_error: the systematic error of the weights.
        random_error: their random error, over a sample of the rows.
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
    stale: Rows
    beyond: Rows
    weight_format: WeightFormat | None
    weights: int
    weights_unbounded: int
    rows_unbounded: int
    weight_error_over_bound: float
    unlisted_weight_error_over_bound: float
    histogram: NDArray[np.int64]
    systematic_error: SystematicError
    random_error: RandomError
    bias_changed: int | None
    rerouted: int | None

    @property
    def nothing(self) -> str:
        """Why the verdict would be on nothing, "" where there is something."""
        counts = self.counts
        if counts[Verdict.PADDING] == self.rows:
            return "every row is padding"
        if counts[Verdict.PADDING] + counts[Verdict.UNDEFINED] == self.rows:
            return "the contract defines no row of it that is not padding"
        if self.weight_format is not None and 0 < self.weights == self.weights_unbounded:
            return "no weight of it has a bound"
        return ""

    @property
    def passed(self) -> bool:
        """No row fails, no known failure is stale and the weights err by rounding alone."""
        inside = self.systematic_error.found or self.random_error.found
        return not (len(self.failing) or self.stale or inside)


def judge(
    recording: Recording,
    output: Output,
    profile: Profile,
    *,
    ordered: bool = False,
    known_failures: Sequence[KnownFailure] = (),
    advance: Callable[[int], object] = lambda _: None,
) -> Result:
    """Judge a kernel's outputs for a recording.

    Args:
        recording: what was routed.
        output: ids and weights, [T, k].
        profile: the kernel's arithmetic.
        ordered: whether ids must be in descending order, up to ties and rounding.
        known_failures: known ones; those about this kernel and recording count.
        advance: called with a number of rows whenever so many more are judged.

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
    bias = recording.bias().astype(np.float64)
    other = _checkpoint_bias(recording)
    size = max(1, BLOCK_LOGITS // recording.spec.num_experts)

    def block(start: int) -> tuple[Block, RandomSums, int]:
        stop = min(start + size, recording.rows)
        logits, padding = recording.logits(start, stop), recording.padding(start, stop)
        found = judge_block(
            logits,
            bias,
            output.ids(start, stop),
            None if held is None else output.weights(start, stop),
            padding,
            recording.spec,
            profile,
            ordered=ordered,
            weight_format=FLOAT32 if held is None else FORMATS[held.dtype],
        )
        moved = 0
        if other is not None and (other != bias).any():
            moved = int((rerouted(logits, bias, other, recording.spec) & ~padding).sum())
        advance(stop - start)
        return found, _random_sums(recording, output, found, start, profile), moved

    counts = np.zeros(len(Verdict), dtype=np.int64)
    histogram = np.zeros(len(ULP_EDGES), dtype=np.int64)
    sums, moved = ResidualSums(), 0
    inside = RandomSums.none(recording.spec)
    judged_rows = unbounded_weights = unbounded_rows = 0
    failing, reasons = [np.empty(0, np.int64)], [np.empty(0, np.int8)]
    passing_worst, overs = 0.0, [np.empty(0)]
    listed: dict[Verdict, list[int]] = {Verdict.TIE: [], Verdict.ADMISSIBLE: []}
    starts = range(0, recording.rows, size)
    threads = min(MAX_THREADS, len(starts), os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        for start, (found, residuals, changed) in zip(starts, pool.map(block, starts), strict=True):
            counts += np.bincount(found.verdict, minlength=len(Verdict))
            histogram += found.histogram
            sums += found.sums
            inside += residuals
            moved += changed
            judged_rows += int((found.unbounded >= 0).sum())
            unbounded_weights += int(np.maximum(found.unbounded, 0).sum())
            unbounded_rows += int((found.unbounded == recording.spec.top_k).sum())
            fails = found.reason != Reason.NONE
            passing_worst = max(passing_worst, float(found.over_bound.max(where=~fails, initial=0)))
            rows = np.flatnonzero(fails)
            failing.append(rows + start)
            reasons.append(found.reason[rows])
            overs.append(found.over_bound[rows])
            _list(found.verdict, start, listed)

    met = tuple(d for d in known_failures if d.applies(output.kernel, recording.sha256))
    bad, why, over = np.concatenate(failing), np.concatenate(reasons), np.concatenate(overs)
    known = excuse(bad, why, over, met, recording, output)
    worst, unlisted = (float(part.max(initial=passing_worst)) for part in (over, over[~known.rows]))
    return Result(
        rows=recording.rows,
        counts={verdict: int(counts[verdict]) for verdict in Verdict},
        failing=bad[~known.rows],
        reasons=why[~known.rows],
        ties=tuple(listed[Verdict.TIE]),
        admissible=tuple(listed[Verdict.ADMISSIBLE]),
        known=int(known.rows.sum()),
        known_failures=met,
        stale=known.stale,
        beyond=known.beyond,
        weight_format=None if held is None else FORMATS[held.dtype],
        weights=judged_rows * recording.spec.top_k,
        weights_unbounded=unbounded_weights,
        rows_unbounded=unbounded_rows,
        weight_error_over_bound=worst,
        unlisted_weight_error_over_bound=unlisted,
        histogram=histogram,
        systematic_error=systematic_error(sums, recording.spec, profile),
        random_error=random_error(inside, recording.spec, profile),
        bias_changed=None if other is None else int((other != bias).sum()),
        rerouted=None if other is None else moved,
    )


def _list(verdicts: NDArray[np.int8], start: int, listed: dict[Verdict, list[int]]) -> None:
    """Add the block's rows of each listed verdict, up to `LISTED`."""
    for verdict, some in listed.items():
        more = np.flatnonzero(verdicts == verdict)[: LISTED - len(some)]
        some.extend((more + start).tolist())


def _random_sums(
    recording: Recording, output: Output, found: Block, start: int, profile: Profile
) -> RandomSums:
    """Return the sums of random errors over the sampled sound rows of a block from `start` on."""
    held, stop = output.topk_weights, start + len(found.verdict)
    if held is None or FORMATS[held.dtype] != FLOAT32:
        return RandomSums.none(recording.spec)
    sound = (found.verdict < Verdict.WRONG) & (found.reason == Reason.NONE)
    part = np.flatnonzero(sound & sampled(start, stop, recording.rows))
    return random_sums(
        recording.logits(start, stop)[part],
        recording.bias().astype(np.float64),
        output.ids(start, stop)[part],
        output.weights(start, stop)[part],
        part + start,
        recording.rows,
        recording.spec,
        profile,
    )


def _checkpoint_bias(recording: Recording) -> NDArray[np.float64] | None:
    held = recording.checkpoint_bias
    return None if held is None else held.rows().astype(np.float64)
