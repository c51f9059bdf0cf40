"""The statistics of the paired verdict; nothing here reads a file or asks a server.

Arms are arrays of 0 and 1, [questions] or [questions, repeats]; the question is the unit. Repeats
are averaged for each question first, so asking again narrows the noise and never counts as new
questions. Differences are candidate minus baseline, as fractions of the questions.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from goldgate.evals.stats.sample_size import repeats_needed
from goldgate.evals.stats.tango import tango_bound

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

PRESERVED, DEGRADED, INCONCLUSIVE, REFUSED = "PRESERVED", "DEGRADED", "INCONCLUSIVE", "REFUSED"

DEFAULT_MARGIN = 0.015  # fixed before any run: 1.5 points
DEFAULT_ALPHA = 0.05  # one-sided


@dataclass(frozen=True)
class Paired:
    """Two arms, question by question.

    `losses` (right to wrong) and `gains` (wrong to right) are whole where each arm has one
    repeat, else averages. `lower` and `upper` bound the difference one-sided at `alpha` each.
    `p_value` is the one-sided mid-p that the candidate is worse. `repeats_needed` and
    `repeats_needed_if_observed` are the repeats of each arm that decide with TARGET_POWER: with
    no true change, and with the change observed; None where no number of repeats does.
    """

    verdict: str
    questions: int
    difference: float
    losses: float
    gains: float
    lower: float
    upper: float
    p_value: float
    margin: float
    alpha: float
    repeats_needed: int | None
    repeats_needed_if_observed: int | None

    @property
    def discordance(self) -> float:
        """The share of questions whose answer changed from right to wrong or back."""
        return (self.losses + self.gains) / self.questions


@dataclass(frozen=True)
class NoiseFloor:
    """The baseline against itself, and how far the swap goes beyond that.

    `excess` is the swap's discordance less the control's, between `excess_lower` and
    `excess_upper` (each one-sided at the verdict's alpha). `p_value` is the two-sided mid-p that
    the control scores otherwise than the baseline, which one server asked twice does not.
    """

    discordance: float
    difference: float
    p_value: float
    excess: float
    excess_lower: float
    excess_upper: float


def judge(
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    margin: float = DEFAULT_MARGIN,
    alpha: float = DEFAULT_ALPHA,
    noise: float | None = None,
    next_alpha: float | None = None,
) -> Paired:
    """Decide PRESERVED, DEGRADED or INCONCLUSIVE.

    `noise` is the discordance of a control run where there is one: the part of the differences
    that repeats average out. `next_alpha` is what a further look may spend, for which the repeats
    that would decide are counted; `alpha` where it is None. Raises ValueError for arms of
    different questions, for a margin outside (0, 1) and an alpha outside (0, 0.5).
    """
    base, cand = _arm(baseline), _arm(candidate)
    if len(base) != len(cand) or not len(base):
        raise ValueError(f"arms of {len(base)} and {len(cand)} questions; expected the same, not 0")
    if not 0 < margin < 1 or not 0 < alpha < 0.5:
        raise ValueError(f"margin {margin} and alpha {alpha}; expected (0, 1) and (0, 0.5)")
    units, scale = _units(base, cand)
    questions = len(units)
    losses, gains = quasi_counts(units / scale)
    lower = tango_bound(losses, gains, questions, alpha)
    p_value = mid_p(units)
    if lower > -margin:
        verdict = PRESERVED
    elif p_value < alpha:
        verdict = DEGRADED
    else:
        verdict = INCONCLUSIVE
    change = float(units.mean() / scale)
    within = _within(base, cand, noise)
    total = (losses + gains) / questions
    needed = functools.partial(
        repeats_needed,
        total,
        within,
        questions=questions,
        now=min(base.shape[1], cand.shape[1]),
        margin=margin,
        alpha=next_alpha or alpha,
    )
    return Paired(
        verdict=verdict,
        questions=questions,
        difference=change,
        losses=float(np.maximum(-units, 0).sum() / scale),
        gains=float(np.maximum(units, 0).sum() / scale),
        lower=lower,
        upper=-tango_bound(gains, losses, questions, alpha),
        p_value=p_value,
        margin=margin,
        alpha=alpha,
        repeats_needed=needed(),
        repeats_needed_if_observed=needed(change=min(change, 0.0)),
    )


def quasi_counts(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Losses and gains that have the first two moments of per-question differences.

    With one repeat they are the counts themselves. With averaged repeats the sum of squares takes
    the place of the number of changed questions, so that Tango's score is that of the question
    as the unit. All differences of one sign and below 1 would need a negative count; 0 is taken,
    which overstates the variance.
    """
    total = float(differences.sum())
    squares = max(float((differences**2).sum()), abs(total))
    return (squares - total) / 2, (squares + total) / 2


def mid_p(units: NDArray[np.int64]) -> float:
    """One-sided mid-p that the candidate is worse: McNemar's, and its exact sign-flip form.

    `units` are whole per-question differences. Under no change each is as likely to have the
    other sign; the sum's distribution is enumerated. For differences of one size this is the
    mid-p McNemar test (M. Fagerland et al., BMC Medical Research Methodology 13 (2013) 91). It is
    exact where both arms have as many repeats, else as good as its first two moments.
    """
    sizes, counts = np.unique(np.abs(units[units != 0]), return_counts=True)
    # The distribution of the sum of |losses|, in steps of one unit.
    lost = np.ones(1)
    for size, number in zip(sizes, counts, strict=True):
        steps = np.zeros(int(size * number) + 1)
        steps[:: int(size)] = stats.binom.pmf(np.arange(number + 1), number, 0.5)
        lost = np.convolve(lost, steps)
    seen = int(np.maximum(-units, 0).sum())
    return float(min(lost[seen + 1 :].sum() + lost[seen] / 2, 1.0))


def noise_floor(
    baseline: ArrayLike, control: ArrayLike, candidate: ArrayLike, *, alpha: float = DEFAULT_ALPHA
) -> NoiseFloor:
    """Compare how often the swap changes an answer with how often the baseline itself does."""
    base, again, cand = _arm(baseline), _arm(control), _arm(candidate)
    swapped, repeated = _changed(base, cand), _changed(base, again)
    extra = swapped - repeated
    less, more = quasi_counts(extra)
    worse = mid_p(_units(base, again)[0])
    return NoiseFloor(
        discordance=float(repeated.mean()),
        difference=float(again.mean() - base.mean()),
        p_value=2 * min(worse, 1 - worse),
        excess=float(extra.mean()),
        excess_lower=tango_bound(less, more, len(extra), alpha),
        excess_upper=-tango_bound(more, less, len(extra), alpha),
    )


def _within(base: NDArray[np.int64], cand: NDArray[np.int64], noise: float | None) -> float:
    differences = cand.mean(axis=1) - base.mean(axis=1)
    total = float((differences**2).mean())
    if base.shape[1] > 1 and cand.shape[1] > 1:
        spread = base.var(axis=1, ddof=1) / base.shape[1] + cand.var(axis=1, ddof=1) / cand.shape[1]
        return min(float(spread.mean()), total)
    # One repeat cannot tell noise from change: all of it is taken for noise unless a control says.
    return total if noise is None else min(noise, total)


def _changed(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float64]:
    """Chance, question by question, that a repeat of one arm and one of the other differ."""
    p, q = one.mean(axis=1), other.mean(axis=1)
    return np.asarray(p * (1 - q) + q * (1 - p))


def _arm(values: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(values, dtype=np.int64)
    return array[:, None] if array.ndim == 1 else array


def _units(base: NDArray[np.int64], cand: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Per-question differences as whole numbers of 1/scale."""
    scale = math.lcm(base.shape[1], cand.shape[1])
    units = cand.sum(axis=1) * (scale // cand.shape[1]) - base.sum(axis=1) * (
        scale // base.shape[1]
    )
    return units, scale
