"""A part of the rows, judged wherever an executor runs it: another thread, process or machine.

What goes there is small: of a recording in a file its path and offset alone, of one in memory the
rows. What comes back is added up in the rows' order, so that every executor gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.blocks import Device, judge_block, rerouted
from goldgate.accuracy.selection import Reason, Verdict
from goldgate.accuracy.systematic_error import ResidualSums
from goldgate.fixtures import Output, Recording
from goldgate.fixtures.output import part as output_part
from goldgate.reference import FLOAT32, FORMATS, Profile

#: Logits a part has at the most: 16 MiB of float32, 16,384 rows at E = 256.
PART_LOGITS = 1 << 22

#: Rows of a tie and admissible rows that a result lists, each.
LISTED = 100


@dataclass(frozen=True)
class Part:
    """Rows start to start + n of a recording.

    Attributes:
        start: the first row's number in the whole recording.
        recording: the n rows.
        output: likewise.
        profile: the kernel's arithmetic.
        ordered: whether ids must be in descending order.
        device: what screens the rows first.

    """

    start: int
    recording: Recording
    output: Output
    profile: Profile
    ordered: bool
    device: Device | None = None


@dataclass(frozen=True)
class Found:
    """What was found in a part.

    Attributes:
        rows: how many it has.
        counts: rows of each `Verdict`, int64.
        failing: rows that fail, ascending; reasons: their `Reason` codes.
        listed: the first `LISTED` rows that tie, and that are admissible.
        weight_error_over_bound: the largest.
        judged: rows whose weights were judged.
        unbounded_weights: of these rows, the weights that nothing bounds alone.
        unbounded_rows: those that have no other.
        passing_worst: the largest of the rows that do not fail; failing_over: each failing row's.
        histogram: weight errors in ulps, by `goldgate.accuracy.weights.ULP_EDGES`.
        sums: for the systematic error.
        rerouted: rows that the checkpoint's bias routes to other experts.

    """

    rows: int
    counts: NDArray[np.int64]
    failing: NDArray[np.int64]
    reasons: NDArray[np.int8]
    listed: dict[Verdict, list[int]]
    weight_error_over_bound: float
    judged: int
    unbounded_weights: int
    unbounded_rows: int
    passing_worst: float
    failing_over: NDArray[np.float64]
    histogram: NDArray[np.int64]
    sums: ResidualSums
    rerouted: int


def parts(
    recording: Recording,
    output: Output,
    profile: Profile,
    *,
    ordered: bool,
    device: Device | None = None,
) -> Iterator[Part]:
    """Yield the parts of a recording in the order of their rows."""
    # A device needs more rows at a time to be busy.
    most = PART_LOGITS if device is None else 16 * PART_LOGITS
    size = max(1, most // recording.spec.num_experts)
    for start in range(0, recording.rows, size):
        stop = min(start + size, recording.rows)
        rows = recording.part(start, stop)
        yield Part(start, rows, output_part(output, start, stop), profile, ordered, device)


def judge_part(part: Part) -> Found:
    """Judge a part's rows.

    Raises:
        OSError: a file went away.

    """
    recording, spec = part.recording, part.recording.spec
    logits, padding = recording.stored_logits(0, recording.rows), recording.padding()
    bias, held = recording.bias().astype(np.float64), part.output.topk_weights
    found = judge_block(
        logits,
        bias,
        part.output.ids(),
        None if held is None else part.output.weights(),
        padding,
        spec,
        part.profile,
        ordered=part.ordered,
        weight_format=FLOAT32 if held is None else FORMATS[held.dtype],
        device=part.device,
    )
    moved = 0
    if recording.checkpoint_bias is not None:
        other = recording.checkpoint_bias.rows().astype(np.float64)
        if (other != bias).any():
            moved = int((rerouted(logits, bias, other, spec) & ~padding).sum())
    fails = found.reason != Reason.NONE
    failing = np.flatnonzero(fails)
    return Found(
        rows=recording.rows,
        counts=np.bincount(found.verdict, minlength=len(Verdict)),
        failing=failing + part.start,
        reasons=found.reason[failing],
        listed={
            verdict: (np.flatnonzero(found.verdict == verdict)[:LISTED] + part.start).tolist()
            for verdict in (Verdict.TIE, Verdict.ADMISSIBLE)
        },
        weight_error_over_bound=float(found.over_bound.max()),
        judged=int((found.unbounded >= 0).sum()),
        unbounded_weights=int(np.maximum(found.unbounded, 0).sum()),
        unbounded_rows=int((found.unbounded == spec.top_k).sum()),
        passing_worst=float(found.over_bound.max(where=~fails, initial=0)),
        failing_over=found.over_bound[fails],
        histogram=found.histogram,
        sums=found.sums,
        rerouted=moved,
    )
