"""What of aiter's kernel is executed and judged, and what the verdicts together say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from goldgate.accuracy.account import NotRun
from goldgate.accuracy.certified import uncertified
from goldgate.accuracy.emulated_cases import constructed
from goldgate.accuracy.emulation import Emulated, Launch, Map, emulate
from goldgate.accuracy.evidence import Judged
from goldgate.accuracy.tasks import Criteria, Task, judged_output
from goldgate.fixtures import Output, Recording, open_output, open_recording, write_output
from goldgate.fixtures import write_recording as write
from goldgate.fixtures.recording import recording as in_memory
from goldgate.fixtures.tensorfile import Tensor
from goldgate.kernels import KernelError
from goldgate.kernels.aiter import supports
from goldgate.kernels.aiter_emulated.build import SourceError
from goldgate.kernels.aiter_emulated.variants import Variant
from goldgate.reference import PROFILES

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


@dataclass(frozen=True)
class Uncertified:
    """Rows that are not certified, by recording: counted once for all variants.

    Attributes:
        counts: a recording's title to the rows that are not certified and all its rows.

    """

    counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def of(self, plan: Plan, arithmetic: str) -> int:
        """Return the rows of a plan's recording that are not certified."""
        if plan.title not in self.counts:
            loose = uncertified(plan.judged, PROFILES[arithmetic])
            self.counts[plan.title] = (loose, plan.judged.rows)
        return self.counts[plan.title][0]


def emulated_tasks(
    plan: Sequence[Plan],
    how: Criteria,
    run: Map,
    save: Path | None,
    loose: Uncertified,
    executed: Callable[[int], object],
) -> list[Task]:
    """Return a task for each plan: execute, keep the outputs, judge.

    Args:
        plan: what to execute.
        how: the criteria.
        run: maps over processes (`goldgate.accuracy.emulation.workers`).
        save: write outputs to VARIANT/TITLE.safetensors in this folder.
        loose: counts the rows that are not certified.
        executed: called with a number of rows whenever so many more are executed.

    """

    def task(one: Plan) -> Task:
        def do(advance: Callable[[int], object]) -> Judged:
            try:
                done = emulate(
                    one.variant, one.recording, run, launches=one.launches, advance=executed
                )
            except SourceError:  # nothing was executed: an error of the input, not a verdict
                raise
            except KernelError as error:
                sha256 = one.judged.sha256
                name = one.variant.name
                return Judged(name, one.title, faults=(str(error),), recording_sha256=sha256)
            output = _kept(done, one, save, loose)
            judged = judged_output(
                one.variant.name, one.title, one.judged, output, how, (), advance
            )
            return replace(judged, notes=done.findings)

        return Task(one.variant.name, one.title, len(one.rows), do)

    return [task(one) for one in plan]


def _kept(done: Emulated, plan: Plan, save: Path | None, loose: Uncertified) -> Output:
    """Return outputs that state how many rows are not certified, from their file if saved."""
    info = done.output.kernel
    count = loose.of(plan, info.arithmetic)
    note = f"{info.note}; {count} of {plan.judged.rows} rows are not certified"
    output = replace(done.output, kernel=replace(info, note=note))
    if save is None or plan.judged is not plan.recording:  # a sample has no recording to refer to
        return output
    path = save / plan.variant.name / f"{plan.title}.safetensors"
    write_output(path, output, plan.judged)
    return open_output(path, plan.judged)


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


def statements(judged: Sequence[Judged], loose: Uncertified) -> Iterator[str]:
    """Say what the verdicts show together: rounding models, certification, architectures."""
    by_recording: dict[str, list[Judged]] = {}
    for one in judged:
        if one.output is not None:
            by_recording.setdefault(one.recording, []).append(one)
    first = next((one.output.kernel for one in judged if one.output), None)
    if first is not None:
        yield f"emulated, not run on AMD hardware: {first.version}; {first.note.split(';')[0]}"
    several = {title: ones for title, ones in by_recording.items() if len(ones) > 1}
    if several:
        yield from _models(several)
        counts = [loose.counts[title] for title in several]
        free, rows = (sum(column) for column in zip(*counts, strict=True))
        yield (
            f"rounding: in {rows - free} of {rows} rows the arithmetic's error bound certifies "
            f"the experts whatever the last bits are; the other {free} rest on the models alone"
        )
        yield from _architectures(several)


def _models(several: Mapping[str, Sequence[Judged]]) -> Iterator[str]:
    differ = [title for title, ones in several.items() if len({o.verdict for o in ones}) > 1]
    names = dict.fromkeys(_model_in_full(one) for ones in several.values() for one in ones)
    text = f"rounding: models executed: {', '.join(names)}"
    if differ:
        yield f"{text}; the verdict depends on the model on {', '.join(differ)}"
    else:
        yield f"{text}; the verdict is the same under each on {len(several)} recordings"


def _model(one: Judged) -> str:
    return one.kernel.rpartition("-")[2]


def _model_in_full(one: Judged) -> str:
    """Return the model as the output's note states it, its seed included."""
    note = one.output.kernel.note if one.output else ""
    return note.partition("exp and rcp: ")[2].partition(";")[0] or _model(one)


def _architectures(several: Mapping[str, Sequence[Judged]]) -> Iterator[str]:
    same = other = 0
    for ones in several.values():
        held: dict[str, list[Output]] = {}
        for one in ones:
            if one.output is not None:
                held.setdefault(_model(one), []).append(one.output)
        for outputs in held.values():
            first = outputs[0]
            for one_more in outputs[1:]:
                equal = _equal(first, one_more)
                same, other = same + equal, other + (not equal)
    if same + other:
        yield f"gfx942 and gfx950 return the same bits in {same} of {same + other} outputs"


def _equal(one: Output, other: Output) -> bool:
    """Say whether two outputs hold the same bits."""
    weights = (one.weights().view(np.uint32), other.weights().view(np.uint32))
    return bool((one.ids() == other.ids()).all() and (weights[0] == weights[1]).all())
