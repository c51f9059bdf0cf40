"""A part of the rows, judged wherever an executor runs it: another thread, process or machine.

What goes there is small: of a recording in a file its path and offset alone, of one in memory the
rows. What comes back is added up in the rows' order, so that every executor gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from goldgate.accuracy.blocks import Block, Device, judge_block, rerouted
from goldgate.accuracy.random_error import RandomSums, random_sums, sampled
from goldgate.accuracy.selection import Reason, Verdict
from goldgate.fixtures import Output, Recording
from goldgate.fixtures.output import part as output_part
from goldgate.fixtures.tensorfile import float32
from goldgate.reference import FLOAT32, FORMATS, Profile

#: Logits a part has at the most: 16 MiB of float32, 16,384 rows at E = 256.
PART_LOGITS = 1 << 22


@dataclass(frozen=True)
class Part:
    """Rows start to start + n of a recording.

    Attributes:
        start: the first row's number in the whole recording, of whose rows there are `whole`.
        recording: the n rows.
        output: likewise.
        profile: the kernel's arithmetic.
        ordered: whether ids must be in descending order.
        device: what screens the rows first.

    """

    start: int
    whole: int
    recording: Recording
    output: Output
    profile: Profile
    ordered: bool
    device: Device | None = None


@dataclass(frozen=True)
class Found:
    """What was found in a part.

    Attributes:
        block: the verdicts on its rows.
        inside: for the random error, of the sample's rows in it.
        rerouted: rows that the checkpoint's bias routes to other experts.

    """

    block: Block
    inside: RandomSums
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
        yield Part(
            start, recording.rows, rows, output_part(output, start, stop), profile, ordered, device
        )


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
    inside = RandomSums.none(spec)
    if held is not None and FORMATS[held.dtype] == FLOAT32:
        sound = (found.verdict < Verdict.WRONG) & (found.reason == Reason.NONE)
        chosen = np.flatnonzero(
            sound & sampled(part.start, part.start + recording.rows, part.whole)
        )
        inside = random_sums(
            float32(logits[chosen]),
            bias,
            part.output.ids()[chosen],
            part.output.weights()[chosen],
            chosen + part.start,
            part.whole,
            spec,
            part.profile,
        )
    return Found(found, inside, moved)
