"""aiter's kernel executed as planned, and each output judged: a task for each plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from goldgate.accuracy.certified import uncertified
from goldgate.accuracy.emulated_plan import Plan
from goldgate.accuracy.emulation import Emulated, Map, emulate
from goldgate.accuracy.evidence import Judged
from goldgate.accuracy.tasks import Criteria, Task, judged_output
from goldgate.fixtures import Output, open_output, write_output
from goldgate.kernels import KernelError
from goldgate.kernels.aiter_emulated.build import SourceError
from goldgate.reference import PROFILES


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
