"""The verdicts on constructed recordings: hundreds of them, so a line a tier and what was covered.

What fails is shown as any other recording, up to a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldgate.accuracy.coverage import Coverage, coverage
from goldgate.accuracy.evidence import Judged
from goldgate.fixtures.constructed import TIERS

#: Failing recordings of a kernel and tier that are shown in full.
_SHOWN = 10


def detailed(judged: Sequence[Judged]) -> list[Judged]:
    """Return what is to be shown one by one: recorded, and the first failing or refused of a tier.

    A tier's recordings whose weights are not covered have a line together in `show_tiers`.
    """
    chosen = []
    seen: dict[tuple[str, str], int] = {}
    for one in judged:
        tier = tier_of(one)
        if tier and one.verdict in ("PASS", "NOT COVERED"):
            continue
        if tier:
            seen[one.kernel, tier] = seen.get((one.kernel, tier), 0) + 1
        if not tier or seen[one.kernel, tier] <= _SHOWN:
            chosen.append(one)
    return chosen


def tier_of(one: Judged) -> str:
    """Return the tier of a verdict's recording, "" for a recorded one."""
    tier = one.recording.partition("/")[0]
    return tier if tier in TIERS else ""


def coverages(judged: Sequence[Judged]) -> list[Coverage]:
    """Return what was looked at of each kernel that was run."""
    names = dict.fromkeys(one.kernel for one in judged if one.looked or one.not_covered)
    return [
        coverage(
            name,
            (
                (o.recording, o.looked)
                for o in judged
                if o.kernel == name and o.looked and not o.not_covered
            ),
            ((o.recording, o.not_covered) for o in judged if o.kernel == name and o.not_covered),
            (o.looked for o in judged if o.kernel == name and o.looked and o.not_covered),
        )
        for name in names
    ]


@dataclass(frozen=True)
class Coverages:
    """What was looked at of every kernel, as evidence has it."""

    kernels: Sequence[Coverage]

    def as_json(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {"kernels": [kernel.as_json() for kernel in self.kernels]}


def show_tiers(to: Console, judged: Sequence[Judged], covered: Sequence[Coverage]) -> None:
    """Print a line a kernel and tier, the failing recordings' names, and what was covered."""
    groups: dict[tuple[str, str], list[Judged]] = {}
    for one in judged:
        if tier := tier_of(one):
            groups.setdefault((one.kernel, tier), []).append(one)
    if groups:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("kernel", "tier"):
            table.add_column(heading, overflow="fold")
        for heading in ("passed", "failed", "refused", "not covered", "rows", "weight/bound"):
            table.add_column(heading, justify="right")
        for (kernel, tier), some in groups.items():
            table.add_row(Text(kernel), tier, *_cells(some))
        to.print()
        to.print(table)
    shown = {(one.kernel, one.recording) for one in detailed(judged)}
    for (kernel, tier), some in groups.items():
        failed = [one.recording for one in some if one.verdict == "FAIL"]
        if more := [name for name in failed if (kernel, name) not in shown]:
            text = f"{kernel}: {tier}: these fail too (see --json): {', '.join(more)}"
            to.print(f"\n{text}", markup=False)
        whys: dict[str, list[str]] = {}
        for one in some:
            if one.verdict == "NOT COVERED":
                whys.setdefault(one.unweighed, []).append(one.recording)
        for why, names in whys.items():
            to.print(f"\nNOT COVERED {kernel} on {', '.join(names)}: {why}", markup=False)
    for found in covered:
        to.print()
        for line in found.lines():
            to.print(line, markup=False)


def _cells(some: Sequence[Judged]) -> list[str]:
    verdicts = [one.verdict for one in some]
    results = [one.result for one in some if one.result]
    worst = max((result.weight_error_over_bound for result in results), default=0.0)
    return [
        *(str(verdicts.count(name)) for name in ("PASS", "FAIL", "REFUSED", "NOT COVERED")),
        str(sum(result.rows for result in results)),
        f"{worst:.3g}",
    ]
