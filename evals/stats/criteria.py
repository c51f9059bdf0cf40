"""Gates in use elsewhere, each as the decision that it takes from a run's counts.

A gate that knows only the candidate's score sees its number of right answers; a paired gate sees
losses (right to wrong) and gains (wrong to right). All return True where the release would pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from goldgate.evals.stats.paired import DEFAULT_ALPHA, DEFAULT_MARGIN
from goldgate.evals.stats.tango import tango_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

Counts = Any  # a number or an array of counts; the gates broadcast

PUBLISHED = 0.9335  # the middle of 93.3 and 93.4 %, the score that MiniMax-M2.5's kernels report


def preserved(
    losses: Counts,
    gains: Counts,
    questions: int,
    margin: float = DEFAULT_MARGIN,
    alpha: float = DEFAULT_ALPHA,
) -> NDArray[np.bool_]:
    """The verdict PRESERVED: Tango's score test rejects a loss of the margin."""
    z = stats.norm.isf(alpha)
    return np.asarray(tango_score(losses, gains, questions, -margin) > z)


def wald(
    losses: Counts,
    gains: Counts,
    questions: int,
    margin: float = DEFAULT_MARGIN,
    alpha: float = DEFAULT_ALPHA,
) -> NDArray[np.bool_]:
    """The textbook alternative to Tango: a Wald bound, kept to show why it is not used."""
    change = (gains - losses) / questions
    variance = ((losses + gains) / questions - change**2) / questions
    return np.asarray(change - stats.norm.isf(alpha) * np.sqrt(variance) > -margin)


def fixed_threshold(right: Counts, questions: int) -> NDArray[np.bool_]:
    """A threshold at the published score less 0.4 points, as serving projects' CIs set."""
    return np.asarray(right >= (PUBLISHED - 0.004) * questions)


def relative_tolerance(right: Counts, questions: int) -> NDArray[np.bool_]:
    """Within 8 % of the published score (vLLM's lm-eval correctness test, its RTOL)."""
    return np.asarray(np.abs(right / questions - PUBLISHED) <= 0.08 * PUBLISHED)


def unpaired_z(right: Counts, questions: int) -> NDArray[np.bool_]:
    """An unpaired z-test at an assumed standard deviation of 50 points a question, alpha 5 %.

    TensorRT-LLM's accuracy tests: threshold = reference + z(alpha) * sqrt(2 * 50**2 / n).
    """
    slack = stats.norm.isf(0.05) * np.sqrt(2 * 50.0**2 / questions) / 100
    return np.asarray(right / questions >= PUBLISHED - slack)


def not_significant(losses: Counts, gains: Counts) -> NDArray[np.bool_]:
    """McNemar "not significant": passes unless the exact two-sided test has p < 5 %."""
    fewer, total = np.minimum(losses, gains), losses + gains
    return np.asarray(np.minimum(2 * stats.binom.cdf(fewer, total, 0.5), 1) >= 0.05)
