"""What of aiter's kernel is executed: which variants, on which rows of which recordings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goldgate.accuracy.account import NotRun
from goldgate.accuracy.emulated_cases import constructed
from goldgate.accuracy.emulation import Launch
from goldgate.fixtures import Recording, open_recording
from goldgate.fixtures import write_recording as write
from goldgate.fixtures.recording import recording as in_memory
from goldgate.fixtures.tensorfile import Tensor
from goldgate.kernels.aiter import supports
from goldgate.kernels.aiter_emulated.variants import Variant

#: Rows up to which a recording is executed whole, and tokens up to which a call of a larger one is.
#: Of a larger call, so many workgroups (a sixth of them where the recording has several calls).
WHOLE_ROWS = 2048
WHOLE = 257
SAMPLED = 192


@dataclass(frozen=True)
class Plan:
    """One variant on one recording.

    Attributes:
        variant: architecture and rounding model.
        title: what reports and files call the recording.
        recording: opened from a file.
        launches: the calls that are made, and which of their rows are executed.
        judged: a recording of those rows alone; the same one where they are all.

    """

    variant: Variant
    title: str
    recording: Recording
    launches: tuple[Launch, ...]
    judged: Recording

    @property
    def rows(self) -> tuple[int, ...]:
        """The rows of the recording that are executed, in order."""
        return tuple(one.start + row for one in self.launches for row in one.rows)


def plan_recordings(found: Mapping[str, Recording], variants: Sequence[Variant]) -> list[Plan]:
    """Plan every row of recordings with every variant."""
    return [
        Plan(variant, title, one, (Launch(0, one.rows, tuple(range(one.rows))),), one)
        for variant in variants
        for title, one in found.items()
        if supports(one.spec) is None
    ]


def beyond(found: Mapping[str, Recording]) -> Iterator[NotRun]:
    """Yield which recordings aiter's host function launches nothing for."""
    for title, one in found.items():
        if why := supports(one.spec):
            yield _not_run(title, why)


def _not_run(title: str, why: str) -> NotRun:
    return NotRun("aiter-emulated", title, f"it {why}")


def plan_constructed(
    folder: Path, variants: Sequence[Variant], *, whole: bool
) -> tuple[list[Plan], list[NotRun]]:
    """Write the constructed recordings to a folder and plan those that aiter launches.

    Args:
        folder: an empty one.
        variants: which to execute.
        whole: execute every row; else large calls are sampled, as `WHOLE_ROWS` has it.

    Returns:
        the plans, and the recordings that aiter launches nothing for.

    """
    plans, left_out = [], []
    for entry in constructed():
        held = entry.recording()
        if why := supports(held.spec):
            left_out.append(_not_run(entry.name, why))
            continue
        opened = _written(folder / f"{entry.name}.safetensors", held)
        all_of_it = whole or held.rows <= WHOLE_ROWS
        launches = tuple(_launches(entry.tokens or (held.rows,), whole=all_of_it))
        executed = tuple(one.start + row for one in launches for row in one.rows)
        judged = opened
        if len(executed) < held.rows:
            path = folder / "sampled" / f"{entry.name}.safetensors"
            judged = _written(path, _part(held, executed))
        plans += [Plan(variant, entry.name, opened, launches, judged) for variant in variants]
    return plans, left_out


def _launches(calls: Sequence[int], *, whole: bool) -> Iterator[Launch]:
    """Yield a launch for each call of a number of tokens, large ones sampled."""
    each = SAMPLED if len(calls) == 1 else SAMPLED // 6
    start = 0
    for tokens in calls:
        rows = tuple(range(tokens)) if whole or tokens <= WHOLE else _sample(tokens, each)
        if tokens:  # nothing is launched for no tokens
            yield Launch(start, tokens, rows)
        start += tokens


def _written(path: Path, held: Recording) -> Recording:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, held)
    return open_recording(path)


def _sample(rows: int, count: int) -> tuple[int, ...]:
    """Return the first and last workgroups of a grid and some between, ascending."""
    edge = count // 4
    inner = np.random.default_rng(rows).choice(
        np.arange(edge, rows - edge), count - 2 * edge, replace=False
    )
    return (*range(edge), *np.sort(inner).tolist(), *range(rows - edge, rows))


def _part(held: Recording, rows: tuple[int, ...]) -> Recording:
    """Return a recording of some rows."""
    gate = held.gating_output
    bits = gate.stored(0, held.rows)[list(rows)]
    index = None
    if held.token_index is not None:
        index = held.token_index.rows()[list(rows)]
    return in_memory(
        held.name,
        Tensor(gate.dtype, bits.shape, bits),
        held.correction_bias,
        held.spec,
        {key: value for key, value in held.source.items() if key != "calls"},
        token_index=index,
    )


def coverage(plan: Sequence[Plan]) -> Iterator[str]:
    """Say what was executed in part, and what was not."""
    counts = {launch.tokens for one in plan for launch in one.launches}
    sampled = {
        launch.tokens for one in plan for launch in one.launches if len(launch.rows) < launch.tokens
    }
    yield f"coverage: calls of {len(counts)} token counts, {min(counts)} to {max(counts)}"
    if sampled:
        yield (
            f"coverage: calls of {min(sampled)} tokens and more by {SAMPLED // 6} to {SAMPLED} of "
            "their workgroups, the first, the last and some between; --all executes every one"
        )
    once = {one.title for one in plan} - {
        one.title for one in plan if one.variant.name != plan[0].variant.name
    }
    if once:
        yield f"coverage: {len(once)} constructed recordings with {plan[0].variant.name} alone"
