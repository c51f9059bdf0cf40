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
from goldgate.accuracy.rows import Contract, Rows, rows_of, weight_format
from goldgate.accuracy.sampled import SampledWeights, sampled_weights
from goldgate.accuracy.selection import Reason, Verdict
from goldgate.accuracy.summary import Summary, summarise
from goldgate.fixtures import Output, Recording
from goldgate.fixtures.output import part as output_part
from goldgate.fixtures.plan import Plan, plan_of
from goldgate.reference import Profile

#: Logits a part has at the most: 32 MiB of float32, 32,768 rows at E = 256.
PART_LOGITS = 1 << 23

#: Parts that there are at the least, so that threads end at about one time, unless they had fewer
#: logits than this: a part costs as much as some hundred rows.
_LEAST_PARTS, _LEAST_LOGITS = 32, 1 << 22


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
        summary: what its rows come to.
        inside: for the random error, of the sample's rows in it; None: nothing.
        rerouted: rows that the checkpoint's bias routes to other experts.
        grid: its rows of logits on a narrow type's grid.

    """

    summary: Summary
    inside: SampledWeights | None
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
    size = part_rows(recording.rows, recording.spec.num_experts)
    calls = Calls.of(plan_of(recording.source) or Plan(), recording.rows)
    for start in range(0, recording.rows, size):
        stop = min(start + size, recording.rows)
        rows = recording.part(start, stop)
        answers, own = output_part(output, start, stop), calls.within(start, stop)
        yield Part(start, rows, answers, contract, own, device)


def part_rows(rows: int, experts: int) -> int:
    """Return the rows of a part, the last of which may have fewer."""
    even = -(-rows // _LEAST_PARTS) * experts
    return max(1, min(PART_LOGITS, max(_LEAST_LOGITS, even)) // experts)


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
    grid = on_grid(rows.logits, ~rows.padding & found.narrow)
    return Found(summarise(found, contract.spec.top_k), inside, moved, grid)


def of_sound_rows(
    rows: Rows, found: Block, contract: Contract, sample: Sample
) -> SampledWeights | None:
    """Return what is known of the weights of a sample of the rows, of those in it that pass."""
    verdict, reason = found.verdict[sample.rows], found.reason[sample.rows]
    sample = sample.where((verdict < Verdict.WRONG) & (reason == Reason.NONE))
    return sampled_weights(rows, sample, contract)
