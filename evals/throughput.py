"""Did the candidate serve faster? The ratio of two runs' throughput with a confidence interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evals.journal import Answer

BATCHES = 20  # consecutive answers in one batch: long enough to take up how neighbours depend
MIN_ANSWERS = 10 * BATCHES
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """Candidate's tokens per second over the baseline's, `low` to `high` at 95 %."""

    ratio: float
    low: float
    high: float


def compare_throughput(baseline: Sequence[Answer], candidate: Sequence[Answer]) -> Ratio | None:
    """Return the ratio of tokens per request-second, or None where it cannot be told.

    By Little's law a server that is kept busy at a fixed concurrency C delivers C tokens a second
    for every token a request-second; C is the same in both arms and cancels. Batch means (A. Law,
    Simulation Modeling and Analysis, 9.5.3) on the logarithm, compared by Welch's t: covers the
    variation within these two runs, not between one start of a server and the next. None with
    fewer than MIN_ANSWERS answers in an arm or without usage.
    """
    arms = [_batch_rates(baseline), _batch_rates(candidate)]
    if arms[0] is None or arms[1] is None:
        return None
    welch = stats.ttest_ind(arms[1], arms[0], equal_var=False)
    interval = welch.confidence_interval(CONFIDENCE)
    middle = float(arms[1].mean() - arms[0].mean())
    if np.ptp(arms[0]) == 0 and np.ptp(arms[1]) == 0:  # no variation at all: nothing to bound
        return Ratio(float(np.exp(middle)), float(np.exp(middle)), float(np.exp(middle)))
    return Ratio(float(np.exp(middle)), float(np.exp(interval.low)), float(np.exp(interval.high)))


def _batch_rates(answers: Sequence[Answer]) -> NDArray[np.float64] | None:
    ordered = sorted(answers, key=lambda answer: answer.ended)
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
