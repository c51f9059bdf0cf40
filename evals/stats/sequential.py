"""Group-sequential bounds for the paired verdict: decide early, at a size that is enumerated.

Five looks at growing prefixes of one question order, with the bounds of P. O'Brien and T. Fleming
(Biometrics 35 (1979) 549-556): after n_k of n questions a score statistic decides where it exceeds
C * sqrt(n / n_k). PRESERVED takes Tango's statistic of a loss of the margin, DEGRADED that of no
change (McNemar's). Each C is the smallest multiple of 0.001 for which the probability to cross at
any look is at most alpha, whatever the discordance. The probability is that of the trinomial walk
of (losses, gains) from look to look, enumerated; no normal approximation enters.

Each direction is bounded as if the other did not stop: a plan whose other boundary is ignored
keeps its size. Before the last look DEGRADED also needs an observed loss of at least the margin, so
that a small loss that is significant early does not end a plan that would read PRESERVED; this only
makes DEGRADED rarer.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal, special, stats

from goldgate.evals.stats.tango import tango_score

LOOKS = 5
STEP = 0.001  # of the constants
_TAIL = 1e-13  # probability left out at each end of a count
# Discordances at which a size is enumerated: 0.1 points apart up to 14 %, the largest seen between
# two runs of one server, then wider; the size varies slowly there.
_FINE, _WIDE = np.arange(0.001, 0.1401, 0.001), np.array([0.16, 0.2, 0.3, 0.5, 0.75, 1.0])
_WORST = 12  # discordances that the search looks at before all are verified


@dataclass(frozen=True)
class Bounds:
    """The boundaries of a plan and what they are worth.

    `looks` are numbers of questions, growing. PRESERVED needs a score above
    preserved * sqrt(n / n_k), DEGRADED one above degraded * sqrt(n / n_k). The sizes are the
    largest probabilities of PRESERVED at a true loss of `margin` and of DEGRADED at no change.
    """

    looks: tuple[int, ...]
    margin: float
    alpha: float
    preserved: float
    degraded: float
    size_preserved: float
    size_degraded: float

    def scale(self, look: int) -> float:
        """What both constants are multiplied with at a look, counted from 0."""
        return math.sqrt(self.looks[-1] / self.looks[look])

    def preserves(self, look: int, losses: Any, gains: Any) -> Any:  # noqa: ANN401 - a number or an array
        """Whether counts read PRESERVED at a look, counted from 0."""
        score = score_preserved(losses, gains, self.looks[look], self.margin)
        return score > self.preserved * self.scale(look)

    def degrades(self, look: int, losses: Any, gains: Any) -> Any:  # noqa: ANN401 - a number or an array
        """Whether counts read DEGRADED at a look, counted from 0, unless they read PRESERVED."""
        significant = score_degraded(losses, gains) > self.degraded * self.scale(look)
        if look == len(self.looks) - 1:
            return significant
        return significant & (losses - gains >= self.margin * self.looks[look])


@dataclass(frozen=True)
class Course:
    """How a plan ends for a true loss and discordance: probabilities look by look.

    What neither boundary stops by the last look is INCONCLUSIVE.
    """

    looks: tuple[int, ...]
    preserved: tuple[float, ...]
    degraded: tuple[float, ...]

    @property
    def questions(self) -> float:
        """How many questions are asked on average."""
        stopped = [p + d for p, d in zip(self.preserved, self.degraded, strict=True)]
        going = 1.0 - np.cumsum([0.0, *stopped[:-1]])
        steps = np.diff([0, *self.looks])
        return float((going * steps).sum())


def looks_of(questions: int, number: int = LOOKS) -> tuple[int, ...]:
    """Prefixes of equal growth that end with all questions, at most one look a question.

    Raises ValueError without a question or a look.
    """
    if questions < 1 or number < 1:
        raise ValueError(f"{number} looks at {questions} questions; expected at least 1 of each")
    return tuple(sorted({math.ceil(questions * k / number) for k in range(1, number + 1)}))


def score_preserved(losses: Any, gains: Any, questions: int, margin: float) -> Any:  # noqa: ANN401 - a number or an array
    """Tango's statistic of a loss of the margin; large where that loss is ruled out."""
    return tango_score(losses, gains, questions, -margin)


def score_degraded(losses: Any, gains: Any) -> Any:  # noqa: ANN401 - a number or an array
    """McNemar's statistic of no change, which is Tango's at 0; 0 where nothing changed."""
    return (losses - gains) / np.sqrt(np.maximum(losses + gains, 1))


@functools.lru_cache(maxsize=16)
def bounds(looks: tuple[int, ...], margin: float, alpha: float) -> Bounds:
    """Compute the constants of a plan by enumeration; seconds for GSM8K's 1319 questions.

    Raises ValueError for looks that do not grow, a margin outside (0, 1) and an alpha outside
    (0, 0.5).
    """
    if not looks or looks[0] < 1 or list(looks) != sorted(set(looks)):
        raise ValueError(f"looks {looks}; expected growing numbers of questions")
    if not 0 < margin < 1 or not 0 < alpha < 0.5:
        raise ValueError(f"margin {margin} and alpha {alpha}; expected (0, 1) and (0, 0.5)")
    changed = [*_FINE, *_WIDE]
    kept = _constant(
        looks,
        lambda losses, gains, n: score_preserved(losses, gains, n, margin),
        [(margin, psi) for psi in [margin, *(p for p in changed if p > margin)]],
        alpha,
    )
    lost = _constant(
        looks,
        lambda losses, gains, _: score_degraded(losses, gains),
        [(0.0, psi) for psi in changed],
        alpha,
    )
    return Bounds(looks, margin, alpha, kept[0], lost[0], kept[1], lost[1])


def course(plan: Bounds, loss: float, discordance: float) -> Course:
    """Enumerate how a plan ends where the candidate truly loses `loss` of `discordance`.

    Raises ValueError where the loss exceeds the discordance, which no pair of servers can have.
    """
    preserved: list[float] = []
    degraded: list[float] = []

    def stop(look: int, losses: NDArray[Any], gains: NDArray[Any], chance: NDArray[Any]) -> Any:  # noqa: ANN401 - a mask
        kept = plan.preserves(look, losses, gains)
        lost = ~kept & plan.degrades(look, losses, gains)
        preserved.append(float(chance[kept].sum()))
        degraded.append(float(chance[lost].sum()))
        return kept | lost

    _walk(plan.looks, loss, discordance, stop)
    return Course(plan.looks, tuple(preserved), tuple(degraded))


def crossing(
    looks: tuple[int, ...],
    score: Callable[[Any, Any, int], Any],
    constant: float,
    loss: float,
    discordance: float,
) -> float:
    """Probability that a score crosses constant * sqrt(n / n_k) at any of the looks."""
    crossed = 0.0

    def stop(look: int, losses: NDArray[Any], gains: NDArray[Any], chance: NDArray[Any]) -> Any:  # noqa: ANN401 - a mask
        nonlocal crossed
        over = score(losses, gains, looks[look]) > constant * math.sqrt(looks[-1] / looks[look])
        crossed += float(chance[over].sum())
        return over

    _walk(looks, loss, discordance, stop)
    return crossed


def _constant(
    looks: tuple[int, ...],
    score: Callable[[Any, Any, int], Any],
    hypotheses: Sequence[tuple[float, float]],
    alpha: float,
) -> tuple[float, float]:
    """Return the smallest constant that holds alpha under every hypothesis, and its size."""

    def sizes(steps: int, among: Sequence[tuple[float, float]]) -> list[float]:
        return [crossing(looks, score, steps * STEP, *hypothesis) for hypothesis in among]

    # One look at the normal quantile is the least; Bonferroni over the looks the most, where the
    # statistic were normal. Counts are not: the search goes on above it where it has to.
    low = math.floor(stats.norm.isf(alpha) / STEP)
    high = math.ceil(stats.norm.isf(alpha / len(looks)) / STEP)
    first = sizes((low + high) // 2, hypotheses)
    order = np.argsort(first)[::-1][:_WORST]
    worst = [hypotheses[int(index)] for index in order]
    while low + 1 < high:
        middle = (low + high) // 2
        if max(sizes(middle, worst)) <= alpha:
            high = middle
        else:
            low = middle
    while (size := max(sizes(high, hypotheses))) > alpha:
        high += 1
    return round(high * STEP, 3), size


def _walk(
    looks: Sequence[int],
    loss: float,
    discordance: float,
    stop: Callable[[int, NDArray[Any], NDArray[Any], NDArray[Any]], Any],
) -> None:
    """Walk (losses, gains) from look to look; `stop` masks the states that do not go on.

    `stop` gets the look, the losses [L, 1], the gains [1, G] and the probabilities [L, G] of the
    states that were reached without a stop.
    """
    if not abs(loss) <= discordance <= 1:
        raise ValueError(f"a loss of {loss} needs a discordance from {abs(loss)} to 1")
    p_loss, p_gain = (discordance + loss) / 2, (discordance - loss) / 2
    chance = np.ones((1, 1))
    asked = 0
    for look, questions in enumerate(looks):
        step = _trinomial(questions - asked, p_loss, p_gain)
        # No count beyond its own tail at this look is worth its place in the table.
        shape = tuple(
            int(stats.binom.isf(_TAIL, questions, p)) + 1 if p > 0 else 1 for p in (p_loss, p_gain)
        )
        # A transform leaves rounding of either sign, some 1e-17, where nothing is.
        chance = np.maximum(signal.fftconvolve(chance, step)[: shape[0], : shape[1]], 0.0)
        losses, gains = (
            np.arange(chance.shape[0], dtype=float)[:, None],
            np.arange(chance.shape[1], dtype=float)[None, :],
        )
        stopped = np.broadcast_to(stop(look, losses, gains, chance), chance.shape)
        chance = np.where(stopped, 0.0, chance)
        asked = questions


def _trinomial(questions: int, p_loss: float, p_gain: float) -> NDArray[np.float64]:
    """Probabilities [losses, gains] of `questions` independent questions, up to the tails."""
    most = [int(stats.binom.isf(_TAIL, questions, p)) if p > 0 else 0 for p in (p_loss, p_gain)]
    losses = np.arange(most[0] + 1)[:, None]
    gains = np.arange(most[1] + 1)[None, :]
    same = questions - losses - gains
    possible = same >= 0
    rest = np.where(possible, same, 0)
    logarithm = (
        special.gammaln(questions + 1)
        - special.gammaln(losses + 1)
        - special.gammaln(gains + 1)
        - special.gammaln(rest + 1)
        + special.xlogy(losses, p_loss)
        + special.xlogy(gains, p_gain)
        + special.xlogy(rest, max(1 - p_loss - p_gain, 0.0))
    )
    return np.where(possible, np.exp(logarithm), 0.0)
