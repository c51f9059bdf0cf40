"""The judge: a recording, a kernel's outputs and an arithmetic profile in, a verdict out.

It never runs a kernel. Parts of the rows are judged in threads, which release the lock, or where an
executor runs them, and added up in their order: the same input gives the same verdict to the last
bit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.blocks import Device
from goldgate.accuracy.ceilings import Rows, excuse
from goldgate.accuracy.grid import OnGrid
from goldgate.accuracy.known_failures import KnownFailure
from goldgate.accuracy.parts import Found, Part, judge_part, parts
from goldgate.accuracy.random_error import random_error
from goldgate.accuracy.random_findings import RandomError
from goldgate.accuracy.selection import Verdict
from goldgate.accuracy.systematic_error import SystematicError, systematic_error
from goldgate.accuracy.tally import Tally
from goldgate.accuracy.turns import in_turns
from goldgate.fixtures import Output, Recording
from goldgate.reference import FLOAT32, FORMATS, Profile, WeightFormat


@dataclass(frozen=True)
class Result:
    """The verdict on a kernel over a recording, with the evidence.

    Attributes:
        rows: all rows of the recording.
        counts: rows of each `Verdict`.
        failing: rows that fail and are no known failure, ascending.
        reasons: why, `Reason` codes, of the same length.
        ties: the first `goldgate.accuracy.summary.LISTED` rows of a tie, ascending.
        admissible: the first `LISTED` admissible rows, ascending.
        known: rows that fail and that a known failure lists with this reason.
        known_failures: the known failures that were met.
        stale: known failures with the rows that they list and that no longer fail.
        beyond: known failures with the rows that they list and that fail by more than their
            ceiling; these rows are among the failing.
        weight_format: the type in which the weights are returned; None if there are none, so that
            the ids alone were judged.
        declared_weights: the type that the kernel is stated to return them in.
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
        grid: rows of float32 logits on a narrow type's grid.

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
    declared_weights: str
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
    grid: OnGrid

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
    def undeclared(self) -> str:
        """The type of weights narrower than float32 that nothing states; "" where there is none.

        Rounding to such a type is part of a kernel's contract only where the kernel states so.
        """
        held = self.weight_format
        narrow = held is not None and held != FLOAT32 and held.name != self.declared_weights
        return held.name if held is not None and narrow else ""

    @property
    def wrong(self) -> bool:
        """Whether a row fails, a known failure is stale, or the weights err by more than rounding.

        Weights are held against the type that they have, declared or not.
        """
        inside = self.systematic_error.found or self.random_error.found
        return bool(len(self.failing) or self.stale or inside)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong, and weights narrower than float32 are declared."""
        return not (self.wrong or self.undeclared)


def judge(
    recording: Recording,
    output: Output,
    profile: Profile,
    *,
    ordered: bool = False,
    weights_dtype: str = FLOAT32.name,
    known_failures: Sequence[KnownFailure] = (),
    advance: Callable[[int], object] = lambda _: None,
    executor: Executor | None = None,
    cores: int | None = None,
    device: Device | None = None,
) -> Result:
    """Judge a kernel's outputs for a recording.

    Args:
        recording: what was routed.
        output: ids and weights, [T, k].
        profile: the kernel's arithmetic.
        ordered: whether ids must be in descending order, up to ties and rounding.
        weights_dtype: the type that the kernel is stated to return weights in, "float32",
            "bfloat16" or "float16"; narrower ones than float32 that are not of it do not pass.
        known_failures: known ones; those about this kernel and recording count.
        advance: called with a number of rows whenever so many more are judged.
        executor: what runs the parts: threads, processes or another machine's; None: threads of
            this process, up to 16, which leave a core to each file that is being hashed. The result
            is the same, bit for bit.
        cores: for those threads and the hashes together; None: all that the process may use.
        device: what screens the rows first, `goldgate.accuracy.device.Device`: the same verdict and
            counts, sums that differ by rounding.

    Raises:
        ValueError: the outputs' shape is not the recording's, or the weights' type is not in
            `FORMATS`.

    """
    shape = (recording.rows, recording.spec.top_k)
    held = output.topk_weights
    if output.topk_ids.shape != shape or (held is not None and held.shape != shape):
        raise ValueError(f"outputs are not [{shape[0]}, {shape[1]}], as {recording.name} asks")
    if held is not None and held.dtype not in FORMATS:
        raise ValueError(f"weights are {held.dtype}: expected {', '.join(FORMATS)}")
    spec = recording.spec
    bias, other = recording.bias().astype(np.float64), _checkpoint_bias(recording)
    tally, grid = Tally(spec), OnGrid()
    todo = list(parts(recording, output, profile, ordered=ordered, device=device))
    with closing(_judged(todo, executor, cores)) as results:
        for part, found in zip(todo, results, strict=True):
            tally.add(part.start, found.summary, found.inside, found.rerouted)
            grid += found.grid
            advance(part.recording.rows)
    tally.add_waiting()

    drift = systematic_error(tally.sums, spec, profile)
    inside = random_error(tally.inside, spec, profile)
    # Last, since the recording's hash is waited for.
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
        declared_weights=weights_dtype,
        weights=tally.judged_rows * spec.top_k,
        weights_unbounded=tally.unbounded_weights,
        rows_unbounded=tally.unbounded_rows,
        weight_error_over_bound=tally.worst,
        unlisted_weight_error_over_bound=max(tally.worst_passing, unlisted),
        histogram=tally.histogram,
        systematic_error=drift,
        random_error=inside,
        bias_changed=None if other is None else int((other != bias).sum()),
        rerouted=None if other is None else tally.rerouted,
        grid=grid,
    )


def _judged(todo: Sequence[Part], executor: Executor | None, cores: int | None) -> Generator[Found]:
    if executor is None:
        yield from in_turns(judge_part, todo, cores)
    else:
        yield from executor.map(judge_part, todo)


def _checkpoint_bias(recording: Recording) -> NDArray[np.float64] | None:
    held = recording.checkpoint_bias
    return None if held is None else held.rows().astype(np.float64)
