"""Tango's score test and bound for the difference of two paired proportions.

T. Tango, Statistics in Medicine 17 (1998) 891-908. `losses` (right to wrong) and `gains` (wrong to
right) are counts among `questions`, whole or not; differences are candidate minus baseline.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import optimize, stats


def tango_score(losses: Any, gains: Any, questions: int, difference: float) -> Any:  # noqa: ANN401 - a number or an array, as given
    """Tango's score statistic of the hypothesis that candidate - baseline is `difference`.

    Standard normal under the hypothesis. `losses` and `gains` may be arrays (they broadcast);
    `difference` lies in (-1, 1) and is not 0 where nothing changed.
    """
    lost = restricted_lost(losses, gains, questions, difference)
    variance = questions * (2 * lost + difference * (1 - difference))
    return (gains - losses - questions * difference) / np.sqrt(np.maximum(variance, 1e-300))


def restricted_lost(losses: Any, gains: Any, questions: int, difference: float) -> Any:  # noqa: ANN401 - as in tango_score
    """Most likely probability of a loss where that of a gain is larger by `difference`."""
    root_a = 2 * questions
    root_b = -gains - losses + (2 * questions - gains + losses) * difference
    root_c = -losses * difference * (1 - difference)
    return (np.sqrt(np.maximum(root_b**2 - 4 * root_a * root_c, 0)) - root_b) / (2 * root_a)


def tango_bound(losses: float, gains: float, questions: int, alpha: float) -> float:
    """One-sided lower bound of candidate - baseline: what the score test just keeps."""
    z = stats.norm.isf(alpha)
    change = (gains - losses) / questions
    if change <= -1:
        return -1.0

    def excess(difference: float) -> float:
        return float(tango_score(losses, gains, questions, difference) - z)

    # Just below the estimate the statistic is 0 (or, where nothing changed, still below z);
    # towards -1 it grows without bound.
    return float(optimize.brentq(excess, -1 + 1e-12, change - 1e-12, xtol=1e-12))
