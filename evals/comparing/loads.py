"""A sweep over loads: whether the candidate collapses at some number of requests at a time.

A kernel for small batches, or one for large ones, can be wrong while every other load hides it. At
each load a slice of the questions is asked of both arms and compared with Tango's bound at a wide
margin, a collapse; alpha is split over the loads. A smaller difference is a caution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from goldgate.evals.comparing.compare import Comparison
from goldgate.evals.stats.paired import DEGRADED, INCONCLUSIVE, PRESERVED, REFUSED
from goldgate.evals.stats.sample_size import questions_needed

COLLAPSE = 0.2
#: The largest share of answers that was seen to change between two runs of one server.
DISCORDANCE = 0.14
#: The file in a swap's folder with what a sweep found.
LOADS = "loads.json"

#: The load of the full comparison, where a sweep has it.
USUAL = 32


@dataclass(frozen=True)
class Load:
    """The comparison at one load: `small` where answers were lost, but less than a collapse."""

    concurrency: int
    questions: int
    found: Comparison

    @property
    def verdict(self) -> str:
        """The verdict at this load."""
        return self.found.verdict

    @property
    def small(self) -> bool:
        """Whether answers were lost beyond chance although a collapse is ruled out."""
        paired = self.found.paired.get(self.found.decides or "")
        return paired is not None and self.verdict == PRESERVED and paired.p_value < paired.alpha


def slice_of(
    concurrency: int, population: int, loads: int, *, collapse: float, alpha: float
) -> int:
    """How many questions a load is asked: enough to rule a collapse out, and to reach the load.

    With 0.9 probability a candidate that lost nothing passes if DISCORDANCE of the answers change;
    twice the load keeps the server at it for a while.
    """
    needed = questions_needed(DISCORDANCE, margin=collapse, alpha=alpha / loads)
    return min(max(math.ceil(needed), 2 * concurrency), population)


def main_load(loads: Sequence[int]) -> int:
    """Return the load that the full comparison is asked at: the usual one, else the largest."""
    return USUAL if USUAL in loads else max(loads)


def worst(loads: Sequence[Load]) -> str:
    """Return the verdict over all loads: the worst of them, a refusal before all."""
    found = {load.verdict for load in loads}
    return next(one for one in (REFUSED, DEGRADED, INCONCLUSIVE, PRESERVED) if one in found)


def sweep_report(loads: Sequence[Load], collapse: float) -> str:
    """Describe a sweep, one line a load."""
    lines = [
        f"loads     a loss of {100 * collapse:g} points at each, alpha split over {len(loads)}"
    ]
    for load in loads:
        paired = load.found.paired.get(load.found.decides or "")
        if paired is None or load.found.refused:
            failed = next(check for check in load.found.checks if not check.passed)
            counts = f"{failed.name}: no, {failed.detail}"
        else:
            counts = (
                f"{paired.losses:g} turned wrong, {paired.gains:g} turned right of "
                f"{paired.questions}, lower bound {100 * paired.lower:+.2f}"
            )
        lines.append(f"  {load.concurrency:>4} at a time    {counts}; {load.verdict}")
        if load.small:
            lines.append(f"  caution           {small_loss(load.concurrency)}")
    return "\n".join(lines)


def small_loss(concurrency: int) -> str:
    """Say what a load shows at which answers are lost, if fewer than in a collapse."""
    return (
        f"at {concurrency} at a time answers are lost beyond chance, less than a collapse: ask the "
        "whole comparison at this load"
    )
