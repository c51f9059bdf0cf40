"""Which filters may decide, and what keeps a candidate from being PRESERVED whatever its counts.

A filter qualifies by the baseline alone: one that finds no number in more than MAX_UNREAD of its
answers reads the format of the answers, not their results. In the candidate an answer without a
number is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goldgate.evals.records.folder import Run
from goldgate.evals.records.truncation import Truncation
from goldgate.evals.stats.paired import INCONCLUSIVE, PRESERVED
from goldgate.junit import Check

if TYPE_CHECKING:
    from goldgate.evals.comparing.compatibility import Rules

MAX_UNREAD = 0.05
#: A candidate that is cut off, or unreadable, so much more often than the baseline is broken by
#: itself: it is judged, and never PRESERVED.
ONE_SIDED = 0.05


@dataclass(frozen=True)
class Reading:
    """Shares of answers in which a filter finds no number."""

    filter: str
    baseline: float
    candidate: float

    @property
    def qualifies(self) -> bool:
        """Whether the filter may decide."""
        return self.baseline <= MAX_UNREAD


def readings(base: Run, other: Run) -> list[Reading]:
    """Return a reading for each filter that both runs have, the task's own first."""
    return [
        Reading(name, _unread(base, name), _unread(other, name))
        for name in base.filters
        if name in other.filters
    ]


def deciding(found: Sequence[Reading], wanted: str | None) -> str | None:
    """Return the filter that decides: the wanted one if it qualifies, else the first that does."""
    able = [reading.filter for reading in found if reading.qualifies]
    if wanted in able:
        return wanted
    return able[0] if able else None


def checks(base: Run, found: Sequence[Reading], decides: str | None, floor: float) -> list[Check]:
    """Check that a filter qualifies, and that the baseline represents the model at all."""
    seen = ", ".join(f"{one.filter} no number in {100 * one.baseline:.2f} %" for one in found)
    most = f"at most {100 * MAX_UNREAD:g} % allowed"
    listed = [
        Check("the baseline's answers can be read", decides is not None, f"{seen}; {most}"),
    ]
    if decides is not None:
        marks = base.facts["totals"]["right"][decides]
        share = sum(marks) / max(base.facts["totals"]["answers"], 1)
        listed.append(
            Check(
                "the baseline represents the model",
                share >= floor,
                f"{100 * share:.2f} % right by {decides}, at least {100 * floor:g} % expected "
                "(--min-score"
                + (")" if share >= floor else "; is the model asked as it has to be asked?)"),
            )
        )
    return listed


def unreadable(base: Run, rules: Rules) -> list[str]:
    """Say why a baseline's answers cannot decide anything, whatever the candidate's are."""
    found = readings(base, base)
    decides = deciding(found, rules.main_filter)
    listed = checks(base, found, decides, rules.min_score)
    return [f"{check.name}: no, {check.detail}" for check in listed if not check.passed]


def withheld(
    base: Run, other: Run, found: Sequence[Reading], verdicts: Mapping[str, str], decides: str
) -> list[str]:
    """Say why the candidate cannot be PRESERVED although its counts read so; empty if it can."""
    why = [
        f"{one.filter} finds no number in {100 * one.candidate:.2f} % of the candidate's answers "
        f"and in {100 * one.baseline:.2f} % of the baseline's"
        for one in found
        if one.qualifies and one.candidate - one.baseline > ONE_SIDED
    ]
    ours, theirs = (Truncation.of(run.facts["totals"]) for run in (base, other))
    if theirs.rate - ours.rate > ONE_SIDED:
        why.append(
            f"{theirs.percent} of the candidate's answers are cut off at the token limit and "
            f"{ours.percent} of the baseline's"
        )
    against = [
        f"{one.filter} {verdicts[one.filter]}"
        for one in found
        if one.qualifies and one.filter != decides and verdicts[one.filter] != PRESERVED
    ]
    if against:
        why.append(f"the filters disagree: {decides} {PRESERVED}, {', '.join(against)}")
    return why


def combine(decided: str, reasons: Sequence[str]) -> str:
    """Turn PRESERVED into INCONCLUSIVE where something speaks against it; nothing else changes."""
    return INCONCLUSIVE if decided == PRESERVED and reasons else decided


def _unread(run: Run, name: str) -> float:
    totals = run.facts["totals"]
    return float(totals["not_extracted"][name] / max(totals["answers"], 1))
