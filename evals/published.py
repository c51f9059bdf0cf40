"""The unpaired check against a published score: a sanity check, never the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from goldgate.evals.comparing.compatibility import reasons
from goldgate.evals.comparing.reading import MAX_UNREAD
from goldgate.evals.errors import EvalError
from goldgate.evals.protocols import PROTOCOLS
from goldgate.evals.records.folder import read_run
from goldgate.evals.records.truncation import MAX_TRUNCATED, Truncation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from goldgate.evals.records.folder import Run

ALPHA = 0.05
QUESTIONS = 1319  # of GSM8K's test set, which published scores are over unless they say otherwise
#: The task of each protocol, which --task can replace under lm-eval.
TASKS = {name: one.task for name, one in PROTOCOLS.items() if one.task is not None}


@dataclass(frozen=True)
class Band:
    """One run against a published band; scores are fractions.

    `differs` says in what the run and the published score were not measured alike: where it is not
    empty nothing follows from the numbers. `chance` is how often a server exactly as good as the
    middle of the band scores inside it, `p_below` how often one as good as its lower end scores
    this low or lower.
    """

    right: int
    questions: int
    low: float
    high: float
    interval: tuple[float, float]
    inside: bool
    chance: float
    p_below: float
    differs: tuple[str, ...]

    @property
    def consistent(self) -> bool:
        """Whether the score is not significantly below the band."""
        return self.comparable and self.p_below >= ALPHA

    @property
    def comparable(self) -> bool:
        """Whether the run was asked as the published score was measured."""
        return not self.differs


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
    filter_name: str | None = None,
    max_truncated: float = MAX_TRUNCATED,
    *,
    protocol: str | None = None,
    published_questions: int = QUESTIONS,
) -> Band:
    """Compare the first repeat of a run with a band published in percent.

    `protocol` is the one that the score was measured with, None where nobody states it, over
    `published_questions` questions.

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
    truncation = Truncation.of(totals)
    if truncation.unknown:
        raise EvalError(
            f"{path}: nobody can tell whether {truncation.unknown} answers were cut off, "
            "which a score hides; ask a server that sends finish_reason or usage"
        )
    if truncation.exceeds(max_truncated):
        raise EvalError(
            f"{path}: {truncation.percent} of the answers were cut off at the token limit "
            f"(allowed: {100 * max_truncated:g} %), which a score hides; "
            "ask again with more --max-tokens"
        )
    questions = run.settings["questions"]
    name = filter_name or run.filters[0]
    if name not in run.filters:
        raise EvalError(f"{path}: has no filter {name}; expected one of {', '.join(run.filters)}")
    right = totals["right"][name][0]
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
        differs=tuple(_differs(run, name, protocol, published_questions)),
    )


def _differs(run: Run, name: str, protocol: str | None, published_questions: int) -> Iterator[str]:
    totals = run.facts["totals"]
    unread = totals["not_extracted"][name] / totals["answers"]
    if unread > MAX_UNREAD:
        yield f"{name} finds no number in {100 * unread:.2f} % of the answers: no score"
    asked = run.settings["protocol"]
    if protocol is None:
        yield (
            f"the protocol of the published score is not stated (--published-protocol), the run's "
            f"is {asked}"
        )
    elif asked != protocol:
        yield f"the published score was measured with protocol {protocol}, the run with {asked}"
    elif run.settings["task"] != TASKS.get(protocol, run.settings["task"]):
        yield f"the run asked the task {run.settings['task']}, the protocol's is {TASKS[protocol]}"
    if run.settings["questions"] != published_questions:
        yield (
            f"the published score is over {published_questions} questions, the run over "
            f"{run.settings['questions']}"
        )


def band_report(band: Band) -> str:
    """Say where the score lies and how little that proves."""
    score, (low, high) = 100 * band.right / band.questions, band.interval
    inside = "inside" if band.inside else "outside"
    outcome = (
        "NOT COMPARABLE: " + "; ".join(band.differs)
        if band.differs
        else "NOT BELOW the published score as far as one run can tell"
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
