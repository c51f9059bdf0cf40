"""A part of the rows, judged wherever an executor runs it: another thread, process or machine.

What goes there is small: of a recording in a file its path and offset alone, of one in memory the
rows. What comes back is added up in the rows' order, so that every executor gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from goldgate.accuracy.blocks import Block, Device, judge_block, rerouted
from goldgate.accuracy.call_sizes import Calls, Sample
from goldgate.accuracy.grid import OnGrid, on_grid
from goldgate.accuracy.random_sums import RandomSums, random_sums
from goldgate.accuracy.rows import Contract, Rows, rows_of, weight_format
from goldgate.accuracy.selection import Reason, Verdict
from goldgate.fixtures import Output, Recording
from goldgate.fixtures.output import part as output_part
from goldgate.fixtures.plan import Plan, plan_of
from goldgate.reference import Profile

#: Logits a part has at the most: 16 MiB of float32, 16,384 rows at E = 256.
PART_LOGITS = 1 << 22


@dataclass(frozen=True)
class Part:
    """Rows start to start + n of a recording.

    Attributes:
        start: the first row's number in the whole recording.
        recording: the n rows.
        output: likewise.
        contract: what the output is held against.
        calls: the calls that its rows are in.
        device: what screens the rows first.

    """

    start: int
    recording: Recording
    output: Output
    contract: Contract
    calls: Calls
    device: Device | None = None


@dataclass(frozen=True)
class Found:
    """What was found in a part.

    Attributes:
        block: the verdicts on its rows.
        inside: for the random error, of the sample's rows in it.
        rerouted: rows that the checkpoint's bias routes to other experts.
        grid: its rows of logits on a narrow type's grid.

    """

    block: Block
    inside: RandomSums
    rerouted: int
    grid: OnGrid


def parts(
    recording: Recording,
    output: Output,
    profile: Profile,
    *,
    ordered: bool,
    device: Device | None = None,
) -> Iterator[Part]:
    """Yield the parts of a recording in the order of their rows."""
    contract = Contract(recording.spec, profile, ordered, weight_format(output))
    # A device needs more rows at a time to be busy.
    most = PART_LOGITS if device is None else 16 * PART_LOGITS
    size = max(1, most // recording.spec.num_experts)
    calls = Calls.of(plan_of(recording.source) or Plan(), recording.rows)
    for start in range(0, recording.rows, size):
        stop = min(start + size, recording.rows)
        rows = recording.part(start, stop)
        answers, own = output_part(output, start, stop), calls.within(start, stop)
        yield Part(start, rows, answers, contract, own, device)


def judge_part(part: Part) -> Found:
    """Judge a part's rows.

    Raises:
        OSError: a file went away.

    """
    recording, contract = part.recording, part.contract
    rows = rows_of(recording, part.output, 0, recording.rows)
    found = judge_block(rows, contract, device=part.device)
    moved = 0
    if recording.checkpoint_bias is not None:
        other = recording.checkpoint_bias.rows().astype(np.float64)
        if (other != rows.bias).any():
            changed = rerouted(rows.logits, rows.bias, other, contract.spec)
            moved = int((changed & ~rows.padding).sum())
    sample = part.calls.sample(part.start, part.start + len(rows))
    inside = of_sound_rows(rows, found, contract, sample)
    return Found(found, inside, moved, on_grid(rows.logits, rows.padding))


def of_sound_rows(rows: Rows, found: Block, contract: Contract, sample: Sample) -> RandomSums:
    """Return the sums for the random error over those of a sample of n rows that pass."""
    sample = sample.where((found.verdict < Verdict.WRONG) & (found.reason == Reason.NONE))
    return random_sums(rows.take(sample.rows), sample, contract)
