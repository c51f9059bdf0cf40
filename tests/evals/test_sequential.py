"""The group-sequential plan: its constants, its sizes, its power, against independent counts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from goldgate.evals.stats import sequential
from goldgate.evals.stats.sequential import bounds, course, crossing, looks_of

MARGIN, ALPHA = 0.015, 0.05


@pytest.fixture(scope="module")
def plan() -> sequential.Bounds:
    """Hold the default plan on GSM8K's questions."""
    return bounds(looks_of(1319), MARGIN, ALPHA)


def test_the_looks_are_five_equal_steps() -> None:
    """Five looks grow by a fifth each and end with all questions; few questions have fewer."""
    assert looks_of(1319) == (264, 528, 792, 1056, 1319)
    assert looks_of(3) == (1, 2, 3)
    with pytest.raises(ValueError, match="expected at least 1"):
        looks_of(0)


def test_sizes_of_the_default_plan_are_at_most_alpha(plan: sequential.Bounds) -> None:
    """Neither direction errs more often than alpha at any discordance on a grid of its own."""
    scores = {
        MARGIN: lambda losses, gains, n: sequential.score_preserved(losses, gains, n, MARGIN),
        0.0: lambda losses, gains, _: sequential.score_degraded(losses, gains),
    }
    constants = {MARGIN: plan.preserved, 0.0: plan.degraded}
    grid = [0.0155, 0.0185, 0.0235, 0.0335, 0.0455, 0.0705, 0.1105, 0.25]

    found = {
        loss: [crossing(plan.looks, score, constants[loss], loss, psi) for psi in grid]
        for loss, score in scores.items()
    }

    assert max(plan.size_preserved, plan.size_degraded) <= ALPHA
    assert max(found[MARGIN]) <= ALPHA
    assert max(found[0.0]) <= ALPHA


def test_a_smaller_constant_exceeds_alpha(plan: sequential.Bounds) -> None:
    """The constant is the smallest: one step below it the size is above alpha somewhere."""
    step = sequential.STEP
    grid = [MARGIN, *np.arange(0.016, 0.1401, 0.004), 0.5, 1.0]

    sizes = [
        crossing(
            plan.looks,
            lambda losses, gains, n: sequential.score_preserved(losses, gains, n, MARGIN),
            plan.preserved - step,
            MARGIN,
            float(psi),
        )
        for psi in grid
    ]

    assert max(sizes) > ALPHA
    assert 1.75 < plan.preserved < 1.77  # O'Brien-Fleming's for five looks is 1.751, where normal
    assert 1.75 < plan.degraded < 1.77


def test_the_walk_counts_every_course_of_a_small_plan() -> None:
    """The enumerated end of a plan is that of all its sequences, one by one."""
    small = sequential.Bounds((3, 6), 0.3, 0.1, 1.0, 1.0, 0.0, 0.0)
    loss, psi = 0.1, 0.5
    chances = {1: (psi + loss) / 2, -1: (psi - loss) / 2, 0: 1 - psi}
    ends = {"preserved": [0.0, 0.0], "degraded": [0.0, 0.0]}
    for outcome in itertools.product(chances, repeat=6):
        chance = math.prod(chances[one] for one in outcome)
        for look, questions in enumerate(small.looks):
            losses, gains = (float(outcome[:questions].count(sign)) for sign in (1, -1))
            if small.preserves(look, losses, gains):
                ends["preserved"][look] += chance
                break
            if small.degrades(look, losses, gains):
                ends["degraded"][look] += chance
                break

    found = course(small, loss, psi)

    assert found.preserved == pytest.approx(ends["preserved"], abs=1e-12)
    assert found.degraded == pytest.approx(ends["degraded"], abs=1e-12)
    stopped = ends["preserved"][0] + ends["degraded"][0]
    assert found.questions == pytest.approx(6 - 3 * stopped)


@pytest.mark.parametrize(
    ("discordance", "power", "questions"),
    [(0.02, 0.970, 864), (0.03, 0.906, 945), (0.04, 0.827, 1006)],
)
def test_power_and_questions_of_the_default_plan(
    plan: sequential.Bounds, discordance: float, power: float, questions: int
) -> None:
    """Without a true change the plan keeps nearly the power of all questions with two thirds."""
    found = course(plan, 0.0, discordance)

    assert sum(found.preserved) == pytest.approx(power, abs=5e-4)
    assert found.questions == pytest.approx(questions, abs=1)


def test_a_broken_kernel_is_seen_at_the_first_look(plan: sequential.Bounds) -> None:
    """A loss of 13 points reads DEGRADED, nearly always after the first look."""
    found = course(plan, 0.13, 0.15)

    assert found.degraded[0] > 0.97
    assert sum(found.degraded) > 1 - 1e-9


def test_a_small_significant_loss_does_not_end_a_plan_early(plan: sequential.Bounds) -> None:
    """Before the last look DEGRADED needs a loss of the margin, at the last none."""
    losses, gains = 11.0, 0.0  # of 792 questions: 1.39 points, p = 0.0005

    assert not plan.degrades(2, losses, gains)
    assert plan.degrades(2, losses + 1, gains)
    assert plan.degrades(4, losses, gains)


@pytest.mark.parametrize(
    ("looks", "margin", "alpha"),
    [((), 0.015, 0.05), ((5, 5), 0.015, 0.05), ((5,), 0.0, 0.05), ((5,), 0.015, 0.5)],
)
def test_a_plan_that_is_none_is_refused(
    looks: tuple[int, ...], margin: float, alpha: float
) -> None:
    """Looks that do not grow, a margin and an alpha out of range raise ValueError."""
    with pytest.raises(ValueError, match="expected"):
        bounds(looks, margin, alpha)
