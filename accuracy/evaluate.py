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
from goldgate.accuracy.systematic_error import SystematicError, systematic_error
from goldgate.accuracy.tally import Tally
from goldgate.fixtures import Output, Recording
from goldgate.reference import FLOAT32, FORMATS, Profile, WeightFormat

#: Logits a block has at the most: 16 MiB of float32, 16,384 rows at E = 256.
BLOCK_LOGITS = 1 << 22

#: More threads than this only fight for memory bandwidth.
MAX_THREADS = 8


@dataclass(frozen=True)
class Result:
    """The verdict on a kernel over a recording, with the evidence.

    Attributes:
        rows: all rows of the recording.
        counts: rows of each `Verdict`.
        failing: rows that fail and are no known failure, ascending.
        reasons: why, `Reason` codes, of the same length.
        ties: the first `goldgate.accuracy.tally.LISTED` rows of a tie, ascending.
        admissible: the first `LISTED` admissible rows, ascending.
        known: rows that fail and that a known failure lists with this reason.
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
        sums = RandomSums.none(recording.spec)
        if held is not None and FORMATS[held.dtype] == FLOAT32:
            sound = (found.verdict < Verdict.WRONG) & (found.reason == Reason.NONE)
            part = np.flatnonzero(sound & sampled(start, stop, recording.rows))
            sums = random_sums(
                logits[part],
                bias,
                output.ids(start, stop)[part],
                output.weights(start, stop)[part],
                part + start,
                recording.rows,
                recording.spec,
                profile,
            )
        advance(stop - start)
        return found, sums, moved

    spec = recording.spec
    tally = Tally(RandomSums.none(spec), spec.top_k)
    starts = range(0, recording.rows, size)
    threads = min(MAX_THREADS, len(starts), os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        for start, found in zip(starts, pool.map(block, starts), strict=True):
            tally.add(start, *found)

    met = tuple(d for d in known_failures if d.applies(output.kernel, recording.sha256))
    failing, reasons = np.concatenate(tally.failing), np.concatenate(tally.reasons)
    overs = np.concatenate(tally.overs)
    known = excuse(failing, reasons, overs, met, recording, output)
    unlisted = float(overs[~known.rows].max(initial=0.0))
    return Result(
        rows=recording.rows,
        counts={verdict: int(tally.counts[verdict]) for verdict in Verdict},
        failing=failing[~known.rows],
        reasons=reasons[~known.rows],
        ties=tuple(tally.listed[Verdict.TIE]),
        admissible=tuple(tally.listed[Verdict.ADMISSIBLE]),
        known=int(known.rows.sum()),
        known_failures=met,
        stale=known.stale,
        beyond=known.beyond,
        weight_format=None if held is None else FORMATS[held.dtype],
        weights=tally.judged_rows * spec.top_k,
        weights_unbounded=tally.unbounded_weights,
        rows_unbounded=tally.unbounded_rows,
        weight_error_over_bound=tally.worst,
        unlisted_weight_error_over_bound=max(tally.worst_passing, unlisted),
        histogram=tally.histogram,
        systematic_error=systematic_error(tally.sums, spec, profile),
        random_error=random_error(tally.inside, spec, profile),
        bias_changed=None if other is None else int((other != bias).sum()),
        rerouted=None if other is None else tally.rerouted,
    )


def _checkpoint_bias(recording: Recording) -> NDArray[np.float64] | None:
    held = recording.checkpoint_bias
    return None if held is None else held.rows().astype(np.float64)
