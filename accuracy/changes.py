"""Two kernels over one recording: which rows changed, and whether rounding explains it.

Each kernel is judged by itself, by its own arithmetic. A row that both may answer as they do is
explained, however they differ; where one of them is wrong, that one is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.blocks import Block, judge_block
from goldgate.accuracy.call_sizes import Calls
from goldgate.accuracy.ceilings import excuse
from goldgate.accuracy.known_failures import KnownFailure
from goldgate.accuracy.moves import Moves, moves
from goldgate.accuracy.parts import of_sound_rows, part_rows
from goldgate.accuracy.random_error import random_error
from goldgate.accuracy.random_findings import RandomError
from goldgate.accuracy.random_sums import RandomSums
from goldgate.accuracy.rows import Contract, rows_of, weight_format
from goldgate.accuracy.sampled import SampledWeights
from goldgate.accuracy.selection import Reason, Verdict
from goldgate.accuracy.systematic_error import ResidualSums, SystematicError, systematic_error
from goldgate.accuracy.turns import in_turns
from goldgate.fixtures import Output, Recording
from goldgate.fixtures.plan import Plan, plan_of
from goldgate.reference import Profile, RoutingSpec


class Change(IntEnum):
    """What became of a row from the old kernel to the new one.

    `SAME`: ids in the same order and equal weights. `WEIGHTS`: the same experts in the same order,
    other weights. `ORDER`: the same experts in another order. The others have other experts, or a
    weight that its bound does not allow: explained by a `TIE`, by `ROUNDING` within both bounds,
    because the contract leaves the row `UNDEFINED`, by failures that are `KNOWN`; or not, because
    the `OLD_WRONG`, the `NEW_WRONG` or `BOTH_WRONG`.
    """

    SAME = 0
    WEIGHTS = 1
    ORDER = 2
    TIE = 3
    ROUNDING = 4
    UNDEFINED = 5
    KNOWN = 6
    OLD_WRONG = 7
    NEW_WRONG = 8
    BOTH_WRONG = 9
    PADDING = 10

    @property
    def text(self) -> str:
        """The change in words."""
        return self.name.lower().replace("_", " ")


#: What no bound explains.
UNEXPLAINED = (Change.OLD_WRONG, Change.NEW_WRONG, Change.BOTH_WRONG)


@dataclass(frozen=True)
class Side:
    """One of the two kernels on a recording.

    Attributes:
        output: what it returned.
        profile: its arithmetic.
        reasons: why each row fails, `Reason` codes, int8 [T]; NONE also where it is known to.
        known: rows that fail as a known failure says, bool [T].
        systematic_error: whether its weights lean.
        random_error: whether they scatter, or lean by group or in calls of some sizes.

    """

    output: Output
    profile: Profile
    reasons: NDArray[np.int8]
    known: NDArray[np.bool_]
    systematic_error: SystematicError
    random_error: RandomError

    @property
    def leans(self) -> bool:
        """Whether its weights err by more than rounding, inside their bounds."""
        return self.systematic_error.found or self.random_error.found


@dataclass(frozen=True)
class Changes:
    """What changed over a recording.

    Attributes:
        spec: the router.
        rows: all rows.
        counts: rows of each `Change`.
        rerouted: rows that go to other experts, whatever the cause.
        unexplained: rows that are not explained, ascending.
        moves: how far the weights moved, over rows that go to the same experts in both.
        old: the old kernel.
        new: the new one.

    """

    spec: RoutingSpec
    rows: int
    counts: dict[Change, int]
    rerouted: int
    unexplained: NDArray[np.int64]
    moves: Moves
    old: Side
    new: Side

    @property
    def explained(self) -> bool:
        """Every difference is within what both may do, and neither leans."""
        return not (len(self.unexplained) or self.old.leans or self.new.leans)


@dataclass
class _Found:
    """What the blocks of one kernel add up to."""

    verdicts: list[NDArray[np.int8]] = field(default_factory=list)
    reasons: list[NDArray[np.int8]] = field(default_factory=list)
    overs: list[NDArray[np.float64]] = field(default_factory=list)
    sums: ResidualSums = field(default_factory=ResidualSums)
    inside: RandomSums = field(default_factory=RandomSums)

    def add(self, block: Block, inside: SampledWeights | None, spec: RoutingSpec) -> None:
        self.verdicts.append(block.verdict)
        self.reasons.append(block.reason)
        self.overs.append(block.over_bound)
        self.sums += block.sums
        self.inside = self.inside.collect(inside, spec)


def compare(
    recording: Recording,
    old: Output,
    new: Output,
    profiles: tuple[Profile, Profile],
    *,
    known_failures: Sequence[KnownFailure] = (),
    advance: Callable[[int], object] = lambda _: None,
) -> Changes:
    """Compare what two kernels returned for a recording.

    Args:
        recording: what was routed.
        old: ids and weights, [T, k], of the kernel that is replaced.
        new: of the kernel that replaces it.
        profiles: the arithmetic of the old and of the new one.
        known_failures: those about either kernel and the recording count.
        advance: called with a number of rows whenever so many more are compared.

    """
    contracts = (
        Contract(recording.spec, profiles[0], weight_format=weight_format(old)),
        Contract(recording.spec, profiles[1], weight_format=weight_format(new)),
    )
    size = part_rows(recording.rows, recording.spec.num_experts)
    calls = Calls.of(plan_of(recording.source) or Plan(), recording.rows)

    def block(start: int) -> tuple[list[Block], list[SampledWeights | None], Moves]:
        stop = min(start + size, recording.rows)
        rows = (rows_of(recording, old, start, stop), rows_of(recording, new, start, stop))
        found = [judge_block(*one) for one in zip(rows, contracts, strict=True)]
        sound = ~rows[0].padding & np.logical_and.reduce(
            [(one.reason == Reason.NONE) & (one.verdict != Verdict.UNDEFINED) for one in found]
        )
        moved = moves(rows, contracts, sound)
        sample = calls.sample(start, stop)
        inside = [of_sound_rows(*one, sample) for one in zip(rows, found, contracts, strict=True)]
        advance(stop - start)
        return found, inside, moved

    sides, moved = (_Found(), _Found()), Moves()
    starts = range(0, recording.rows, size)
    with closing(in_turns(block, starts)) as results:
        for blocks, inside, more in results:
            for side, one, within in zip(sides, blocks, inside, strict=True):
                side.add(one, within, recording.spec)
            moved += more
    done = [
        _side(recording, output, profile, found, known_failures)
        for output, profile, found in zip((old, new), profiles, sides, strict=True)
    ]
    verdicts = [np.concatenate(found.verdicts) for found in sides]
    same_set = (np.sort(old.ids(), axis=1) == np.sort(new.ids(), axis=1)).all(axis=1)
    change = _classify(done[0], done[1], verdicts[0], verdicts[1], same_set)
    numbers = np.bincount(change, minlength=len(Change))
    live = verdicts[0] != Verdict.PADDING
    return Changes(
        recording.spec,
        recording.rows,
        {kind: int(numbers[kind]) for kind in Change},
        int((live & ~same_set).sum()),
        np.flatnonzero(np.isin(change, UNEXPLAINED)),
        moved,
        *done,
    )


def _side(
    recording: Recording,
    output: Output,
    profile: Profile,
    found: _Found,
    known_failures: Sequence[KnownFailure],
) -> Side:
    reasons = np.concatenate(found.reasons)
    failing = np.flatnonzero(reasons != Reason.NONE)
    met = [known for known in known_failures if known.applies(output.kernel, recording.sha256)]
    over = np.concatenate(found.overs)[failing]
    excused = excuse(failing, reasons[failing], over, met, recording, output)
    known = np.zeros(recording.rows, dtype=bool)
    known[failing[excused.rows]] = True
    return Side(
        output,
        profile,
        np.where(known, Reason.NONE, reasons).astype(np.int8),
        known,
        systematic_error(found.sums, recording.spec, profile),
        random_error(found.inside, recording.spec, profile),
    )


def _classify(
    old: Side,
    new: Side,
    old_verdict: NDArray[np.int8],
    new_verdict: NDArray[np.int8],
    same_set: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Return each row's `Change`."""
    ids = [side.output.ids() for side in (old, new)]
    same_order = (ids[0] == ids[1]).all(axis=1)
    same_weights = np.ones(len(same_set), dtype=bool)
    if old.output.topk_weights is not None and new.output.topk_weights is not None:
        w = [side.output.weights() for side in (old, new)]
        same_weights = ((w[0] == w[1]) | (np.isnan(w[0]) & np.isnan(w[1]))).all(axis=1)
    same = same_order & same_weights
    wrong = [side.reasons != Reason.NONE for side in (old, new)]
    change = np.select(
        [
            old_verdict == Verdict.PADDING,
            same,  # also where both are wrong alike: nothing changed
            wrong[0] & wrong[1],
            wrong[0],
            wrong[1],
            old.known | new.known,
            same_order,
            same_set & (old_verdict != Verdict.UNDEFINED),
            old_verdict == Verdict.UNDEFINED,
            np.isin(old_verdict, _TIED) & np.isin(new_verdict, _TIED),
        ],
        [
            Change.PADDING,
            Change.SAME,
            Change.BOTH_WRONG,
            Change.OLD_WRONG,
            Change.NEW_WRONG,
            Change.KNOWN,
            Change.WEIGHTS,
            Change.ORDER,
            Change.UNDEFINED,
            Change.TIE,
        ],
        Change.ROUNDING,
    )
    return np.asarray(change, np.int64)


#: Rows whose experts differ from the golden ones by a tie alone, or not at all.
_TIED = (Verdict.EXACT, Verdict.REORDERED, Verdict.TIE)
