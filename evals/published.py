"""The unpaired check against a published score: a sanity check, never the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from goldgate.evals.comparing.compatibility import reasons
from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import read_run
from goldgate.evals.records.summary import MAX_TRUNCATED
from goldgate.evals.task import FILTERS

if TYPE_CHECKING:
    from pathlib import Path

ALPHA = 0.05


@dataclass(frozen=True)
class Band:
    """One run against a published band; scores are fractions.

    `chance` is how often a server exactly as good as the middle of the band scores inside it,
    `p_below` how often one as good as its lower end scores this low or lower.
    """

    right: int
    questions: int
    low: float
    high: float
    interval: tuple[float, float]
    inside: bool
    chance: float
    p_below: float

    @property
    def consistent(self) -> bool:
        """Whether the score is not significantly below the band."""
        return self.p_below >= ALPHA


def check_published(published: tuple[float, float]) -> None:
    """Raise EvalError for a band that is none, and for fractions where percent are meant."""
    low, high = published
    if not 0 < low <= high < 100:
        raise EvalError(f"--published {low} {high}: expected two scores in percent, lower first")
    if low < 1:
        raise EvalError(
            f"--published {low} {high}: expected percent, not fractions; is {100 * low:g} "
            f"{100 * high:g} meant?"
        )


def check_band(
    path: Path,
    published: tuple[float, float],
    filter_name: str = FILTERS[0],
    max_truncated: float = MAX_TRUNCATED,
) -> Band:
    """Compare the first pass of a run with a band published in percent.

    Raises EvalError for a band that is none, for a refused run, for own questions and where more
    than `max_truncated` of the answers were cut off or nobody can tell.
    """
    check_published(published)
    low, high = published
    run = read_run(path)
    why = reasons(run)
    if why:
        raise EvalError(f"{path}: the run was refused ({why[0]}); run it again")
    if run.facts["data"] != "GSM8K":
        raise EvalError(f"{path}: asked own questions; a published score is about GSM8K's")
    totals = run.facts["totals"]
    if totals["truncation_unknown"]:
        raise EvalError(
            f"{path}: nobody can tell whether {totals['truncation_unknown']} answers were cut off, "
            "which a score hides; ask a server that sends finish_reason or usage"
        )
    rate = totals["truncated"] / totals["answers"]
    if rate > max_truncated:
        raise EvalError(
            f"{path}: {100 * rate:.2f} % of the answers were cut off at the token limit "
            f"(allowed: {100 * max_truncated:g} %), which a score hides; "
            "ask again with more --max-tokens"
        )
    questions = run.settings["questions"]
    right = totals["right"][filter_name][0]
    counts = np.arange(questions + 1)
    # A published score is rounded to a tenth: 93.3 stands for everything that rounds to it.
    scores = 100 * counts / questions
    inside = (scores >= low - 0.05) & (scores < high + 0.05)
    middle = (low + high) / 200
    interval = stats.binomtest(right, questions).proportion_ci(method="exact")
    return Band(
        right=right,
        questions=questions,
        low=low / 100,
        high=high / 100,
        interval=(float(interval.low), float(interval.high)),
        inside=bool(inside[right]),
        chance=float(stats.binom.pmf(counts[inside], questions, middle).sum()),
        p_below=float(stats.binom.cdf(right, questions, low / 100)),
    )


def band_report(band: Band) -> str:
    """Say where the score lies and how little that proves."""
    score, (low, high) = 100 * band.right / band.questions, band.interval
    inside = "inside" if band.inside else "outside"
    outcome = (
        "NOT BELOW the published score as far as one run can tell"
        if band.consistent
        else "BELOW the published score"
    )
    return (
        f"{band.right} of {band.questions} right, {score:.2f} % "
        f"(95 % interval {100 * low:.2f} to {100 * high:.2f})\n"
        f"published {100 * band.low:g} to {100 * band.high:g} %: {inside}; "
        f"an equally good server lands inside {100 * band.chance:.0f} times in 100\n"
        f"p {_p(band.p_below)} that a server at {100 * band.low:g} % scores this low\n"
        f"{outcome}; UNPAIRED CHECK, no verdict: run a baseline and `goldgate compare`."
    )


def _p(value: float) -> str:
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"
