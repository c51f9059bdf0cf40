"""Did the candidate serve faster? The ratio of two runs' throughput with a confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goldgate.evals.asking.journal_lines import Answer

BATCHES = 20  # consecutive answers in one batch: long enough to take up how neighbours depend
MIN_ANSWERS = 10 * BATCHES
CONFIDENCE = 0.95


# Neighbouring batches of independent answers correlate by more than this one time in 20.
CORRELATED = float(stats.norm.isf(0.05)) / math.sqrt(BATCHES)


@dataclass(frozen=True)
class Ratio:
    """One run's tokens per second over the baseline's, `low` to `high` at 95 %.

    `correlation` is that of neighbouring batches, the larger of the two runs'.
    """

    ratio: float
    low: float
    high: float
    correlation: float

    @property
    def drifts(self) -> bool:
        """Whether the speed changed slowly within a run, which an interval covers only in part."""
        return self.correlation > CORRELATED


def compare_throughput(baseline: Sequence[Answer], candidate: Sequence[Answer]) -> Ratio | None:
    """Return the ratio of tokens per request-second, or None where it cannot be told.

    By Little's law a server that is kept busy at a fixed concurrency C delivers C tokens a second
    for every token a request-second; C is the same in both arms and cancels. Batch means (A. Law,
    Simulation Modeling and Analysis, 9.5.3) on the logarithm, compared by Welch's t; where
    neighbouring batches correlate, each arm counts as the fewer independent batches that have the
    same variance of the mean. Covers the variation within these two runs, not between one start
    of a server and the next. None with fewer than MIN_ANSWERS answers in an arm or without usage.
    """
    ours, theirs = _batch_rates(baseline), _batch_rates(candidate)
    if ours is None or theirs is None:
        return None
    arms = [ours, theirs]
    middle = float(arms[1].mean() - arms[0].mean())
    correlations = [_correlation(arm) for arm in arms]
    variances, freedoms = np.empty(2), np.empty(2)
    for index, (arm, correlation) in enumerate(zip(arms, correlations, strict=True)):
        # Of a first-order autoregression; never fewer than two, which have a variance.
        worth = max(BATCHES * (1 - correlation) / (1 + correlation), 2.0)
        freedoms[index] = worth - 1
        variances[index] = arm.var() / (worth - 1)
    total = variances.sum()
    reach = 0.0  # no variation at all: nothing to bound
    if total > 0:
        freedom = total**2 / (variances**2 / freedoms).sum()
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(total))
    low, mid, high = np.exp([middle - reach, middle, middle + reach])
    return Ratio(float(mid), float(low), float(high), max(correlations))


def _correlation(batches: NDArray[np.float64]) -> float:
    """Lag-1 correlation, at least 0: batches that alternate are not worth more than they are."""
    apart = batches - batches.mean()
    square = float((apart**2).sum())
    return max(float((apart[1:] * apart[:-1]).sum()) / square, 0.0) if square > 0 else 0.0


def _batch_rates(answers: Sequence[Answer]) -> NDArray[np.float64] | None:
    ordered = sorted(answers, key=lambda answer: (answer.session, answer.ended))
    if len(ordered) < MIN_ANSWERS or any("completion_tokens" not in a.usage for a in ordered):
        return None
    tokens = np.array([a.usage["completion_tokens"] for a in ordered], dtype=float)
    seconds = np.array([a.latency_s for a in ordered])
    rates = [
        t.sum() / s.sum()
        for t, s in zip(
            np.array_split(tokens, BATCHES), np.array_split(seconds, BATCHES), strict=True
        )
    ]
    return np.log(np.array(rates)) if min(rates) > 0 else None
