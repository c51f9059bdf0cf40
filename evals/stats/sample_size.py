"""How much more has to be asked where a verdict is INCONCLUSIVE."""

from __future__ import annotations

import math

from scipy import optimize, stats

from goldgate.evals.stats.tango import restricted_lost

TARGET_POWER = 0.9  # what "would decide" means when more questions or runs are proposed


def questions_needed(
    discordance: float, *, margin: float, alpha: float, change: float = 0.0
) -> float:
    """How many questions show PRESERVED with TARGET_POWER if the true change is `change`.

    `discordance` is the mean square of the per-question differences. Normal approximation of
    Tango's score test: its statistic's standard deviation is that of the true change, its
    denominator that of a loss of the margin, at the restricted maximum that the expected counts
    have (J. Nam, Biometrics 53 (1997) 1422-1430, for McNemar's design). Infinite where the
    change is no smaller than the margin.
    """
    if margin + change <= 0:
        return math.inf
    square = max(discordance, abs(change))  # no differences have a smaller one
    lost = restricted_lost((square - change) / 2, (square + change) / 2, 1, -margin)
    at_margin = math.sqrt(float(2 * lost - margin * (1 + margin)))
    at_change = math.sqrt(square - change**2)
    quantiles = stats.norm.isf(alpha) * at_margin + stats.norm.ppf(TARGET_POWER) * at_change
    return float(quantiles / (margin + change)) ** 2


def repeats_needed(
    total: float,
    within: float,
    *,
    questions: int,
    now: int,
    margin: float,
    alpha: float,
    change: float = 0.0,
) -> int | None:
    """How many repeats of each arm show PRESERVED with TARGET_POWER, None where none do.

    `total` is the mean square of the per-question differences with `now` repeats, `within` the
    part of it that is noise between repeats and shrinks with their number; the rest stays.
    """
    between = max(total - within, 0.0)

    def missing(square: float) -> float:
        return questions_needed(square, margin=margin, alpha=alpha, change=change) - questions

    if missing(between) >= 0:
        return None
    if missing(1.0) <= 0:
        return 1
    allowed = float(optimize.brentq(missing, between, 1.0))
    return max(math.ceil(within * now / (allowed - between)), 1)


def fewest_questions(margin: float, alpha: float) -> int:
    """How many questions can show PRESERVED at all: with fewer not even no change would.

    Where nothing changed Tango's bound is -z^2 / (n + z^2), whatever the number of repeats.
    """
    z2 = float(stats.norm.isf(alpha)) ** 2
    return math.floor(z2 * (1 - margin) / margin) + 1
