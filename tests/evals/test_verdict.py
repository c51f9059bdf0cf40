"""The statistics of the verdict."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from goldgate.evals.stats import criteria, sample_size
from goldgate.evals.stats import paired as verdict
from goldgate.evals.stats.power import paired_power
from goldgate.evals.stats.tango import tango_bound, tango_score


def arms(
    questions: int, losses: int, gains: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Two arms with these counts."""
    baseline = np.ones(questions, dtype=int)
    candidate = baseline.copy()
    candidate[:losses] = 0
    baseline[losses : losses + gains] = 0
    return baseline, candidate


@pytest.mark.parametrize(
    ("losses", "gains", "questions", "difference"),
    [(12, 2, 50, -0.1), (2, 12, 50, 0.05), (25, 19, 1319, -0.015), (40, 30, 1319, 0.01)],
)
def test_tango_score_is_the_score_at_the_restricted_maximum(
    losses: int, gains: int, questions: int, difference: float
) -> None:
    """The closed form agrees with a numerical maximisation of the trinomial likelihood."""

    def minus_log_likelihood(lost: float) -> float:
        kept = 1 - 2 * lost - difference
        return float(
            -losses * np.log(lost)
            - gains * np.log(lost + difference)
            - (questions - losses - gains) * np.log(kept)
        )

    bounds = (max(0.0, -difference) + 1e-12, (1 - difference) / 2 - 1e-12)

    lost = optimize.minimize_scalar(
        minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-14}
    ).x
    variance = questions * (2 * lost + difference - difference**2)
    expected = (gains - losses - questions * difference) / np.sqrt(variance)

    assert tango_score(losses, gains, questions, difference) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("losses", "gains"), [(25, 19), (0, 7), (7, 0), (1319, 0), (0, 1319)])
def test_tango_bound_is_where_the_score_test_just_rejects(losses: int, gains: int) -> None:
    """At the bound the score statistic is the normal quantile."""
    bound = tango_bound(losses, gains, 1319, 0.05)

    at_bound = tango_score(losses, gains, 1319, bound)

    assert bound <= (gains - losses) / 1319
    assert bound == -1 or at_bound == pytest.approx(1.6448536, rel=1e-4)


def test_published_example_comes_out() -> None:
    """Response before and after therapy of 161 patients, 6 and 16 changed: interval and mid-p.

    Data: M. Cavo et al., Blood 120 (2012) 9-19; worked in M. Fagerland, S. Lydersen, P. Laake,
    Statistical Analysis of Contingency Tables (2017), chapter 8, whose R package
    contingencytables states Tango's 95 % interval and the two-sided mid-p.
    """
    lower = tango_bound(16, 6, 161, 0.025)
    upper = -tango_bound(6, 16, 161, 0.025)
    mid_p = verdict.mid_p(np.array([-1] * 16 + [1] * 6 + [0] * 139))

    assert (lower, upper) == pytest.approx((-0.1240, -0.0054), abs=5e-5)
    assert 2 * mid_p == pytest.approx(0.034690, abs=5e-7)


@pytest.mark.parametrize(
    ("losses", "gains", "questions"), [(25, 19, 1319), (97, 41, 1260), (3, 0, 40), (0, 3, 40)]
)
def test_tango_bound_is_that_of_a_numerical_likelihood(
    losses: int, gains: int, questions: int
) -> None:
    """The bound is where a score test whose likelihood is maximised numerically just rejects."""

    def score(difference: float) -> float:
        def slope(lost: float) -> float:
            # d/d(lost) of the log-likelihood, decreasing: its root is the restricted maximum.
            kept = (questions - losses - gains) / (1 - 2 * lost - difference)
            return losses / lost + gains / (lost + difference) - 2 * kept

        low, high = max(0.0, -difference) + 1e-15, (1 - difference) / 2 - 1e-15
        lost = optimize.brentq(slope, low, high, xtol=1e-16) if slope(low) > 0 else low
        variance = questions * (2 * lost + difference * (1 - difference))
        return float((gains - losses - questions * difference) / np.sqrt(variance))

    change = (gains - losses) / questions
    expected = optimize.brentq(
        lambda difference: score(difference) - stats.norm.isf(0.05), change - 0.2, change - 1e-9
    )

    assert tango_bound(losses, gains, questions, 0.05) == pytest.approx(expected, abs=1e-9)


def test_bound_of_averaged_repeats_is_the_clustered_one() -> None:
    """With many questions the bound is the mean less z standard errors over questions."""
    random = np.random.default_rng(3)
    right = random.choice([0.5, 0.97], size=20_000, p=[0.1, 0.9])[:, None]
    arms_ = [(random.random((20_000, 3)) < right).astype(int) for _ in range(2)]

    differences = arms_[1].mean(axis=1) - arms_[0].mean(axis=1)
    error = differences.std(ddof=1) / np.sqrt(20_000)

    found = verdict.judge(*arms_)
    assert found.difference - found.lower == pytest.approx(1.644854 * error, rel=0.01)


def test_bound_where_nothing_changed_has_its_closed_form() -> None:
    """With no changed answer the bound is -z^2 / (n + z^2), not 0 as Wald has it."""
    z2 = stats.norm.isf(0.05) ** 2

    assert tango_bound(0, 0, 1319, 0.05) == pytest.approx(-z2 / (1319 + z2))


@pytest.mark.parametrize(("losses", "gains"), [(25, 19), (3, 3), (12, 0), (0, 12), (0, 0)])
def test_mid_p_is_mcnemars(losses: int, gains: int) -> None:
    """With one repeat the p-value is the one-sided mid-p of a binomial."""
    units = np.array([-1] * losses + [1] * gains + [0] * 10)
    changed = stats.binom(losses + gains, 0.5)

    expected = changed.sf(losses) + changed.pmf(losses) / 2

    assert verdict.mid_p(units) == pytest.approx(expected)


def test_mid_p_of_averaged_repeats_is_the_exact_sign_flip_test() -> None:
    """Differences of several sizes: every assignment of signs is counted once."""
    units = np.array([-3, -3, -2, 1, 2, -1, 0, 3, -2])
    sums = [
        sum(s * abs(u) for s, u in zip(signs, units[units != 0], strict=True))
        for signs in itertools.product((-1, 1), repeat=8)
    ]

    lower = np.mean([s < units.sum() for s in sums])
    same = np.mean([s == units.sum() for s in sums])

    assert verdict.mid_p(units) == pytest.approx(lower + same / 2)


@pytest.mark.parametrize(
    ("losses", "gains", "expected"),
    [
        (0, 0, "PRESERVED"),
        (15, 15, "PRESERVED"),
        (60, 0, "DEGRADED"),
        (0, 60, "PRESERVED"),
        (90, 70, "INCONCLUSIVE"),
        (9, 1, "PRESERVED"),  # significant, but surely less than the margin
    ],
)
def test_verdict_is_three_way(losses: int, gains: int, expected: str) -> None:
    """The bound decides PRESERVED first, then mid-p decides DEGRADED, else neither."""
    found = verdict.judge(*arms(1319, losses, gains))

    assert found.verdict == expected
    assert (found.losses, found.gains) == (losses, gains)


def test_asking_again_with_the_same_answers_adds_no_information() -> None:
    """Three identical repeats give the bound and p-value of one: the question is the unit."""
    baseline, candidate = arms(1319, 40, 30)

    once = verdict.judge(baseline, candidate)
    thrice = verdict.judge(np.stack([baseline] * 3, axis=1), np.stack([candidate] * 3, axis=1))

    assert thrice.lower == pytest.approx(once.lower)
    assert thrice.p_value == pytest.approx(once.p_value)


def test_repeats_narrow_the_bound_where_changes_are_noise() -> None:
    """Independent repeats of the same server bring the bound towards the difference."""
    random = np.random.default_rng(20261123)
    chance = np.where(np.arange(1319) < 160, 0.5, 1.0)[:, None]
    baseline, candidate = (
        (random.random((1319, 4)) < chance).astype(int),
        (random.random((1319, 4)) < chance).astype(int),
    )

    once = verdict.judge(baseline[:, :1], candidate[:, :1])
    four = verdict.judge(baseline, candidate)

    assert four.difference - four.lower < 0.6 * (once.difference - once.lower)


def test_repeated_runs_keep_the_size() -> None:
    """A true loss of exactly the margin passes no more than alpha of the time, with 3 repeats."""
    random = np.random.default_rng(7)
    questions, repeats, trials = 300, 3, 600
    right = random.choice([0.5, 0.95], size=questions, p=[0.2, 0.8])
    loss = 0.03
    worse = right - loss

    passes = sum(
        verdict.judge(
            (random.random((questions, repeats)) < right[:, None]).astype(int),
            (random.random((questions, repeats)) < worse[:, None]).astype(int),
            margin=loss,
        ).verdict
        == "PRESERVED"
        for _ in range(trials)
    )

    # 600 trials at 5 % have a standard error of 0.9 points; a z-test's 3 of them are allowed.
    assert passes / trials < 0.05 + 3 * 0.009


def test_differences_of_one_sign_below_one_are_judged() -> None:
    """Averages that would need a negative count are bounded conservatively, not refused."""
    baseline = np.array([[1, 1], [1, 1], [1, 0], [1, 1]] * 50)
    candidate = np.array([[1, 0], [1, 0], [0, 0], [1, 0]] * 50)

    found = verdict.judge(baseline, candidate)

    assert found.verdict == "DEGRADED"
    assert -1 <= found.lower < found.difference == -0.5


@pytest.mark.parametrize("discordance", [0.02, 0.03, 0.05, 0.08, 0.14])
def test_proposed_repeats_decide_with_the_promised_power(discordance: float) -> None:
    """Enumerated power at the proposed number of repeats is 90 %, and less with one fewer."""
    needed = sample_size.repeats_needed(
        discordance, discordance, questions=1319, now=1, margin=0.015, alpha=0.05
    )

    assert needed is not None
    # Independent noise: R repeats of n questions are as good as n * R questions.
    powers = [
        paired_power(criteria.preserved, 0, discordance, 1319 * repeats)
        for repeats in (needed, needed - 1)
        if repeats
    ]
    assert powers[0] >= 0.89
    assert len(powers) == 1 or powers[1] < 0.91


def test_no_number_of_repeats_decides_a_change_that_is_not_noise() -> None:
    """Where the control says that the changes are real, asking again is not proposed."""
    found = verdict.judge(*arms(1319, 150, 150), noise=0.0)

    assert found.verdict == "INCONCLUSIVE"
    assert found.repeats_needed is None


def test_changes_that_every_repeat_shows_are_not_noise() -> None:
    """Three equal repeats of each arm vary by nothing, so no number of further ones decides."""
    baseline, candidate = (np.stack([arm] * 3, axis=1) for arm in arms(1319, 150, 150))

    found = verdict.judge(baseline, candidate)

    assert (found.verdict, found.repeats_needed) == ("INCONCLUSIVE", None)


def test_proposal_for_the_observed_change_reckons_with_it() -> None:
    """A loss of 0.4 points leaves less of the margin: half as many again repeats decide."""
    found = verdict.judge(*arms(1319, 93, 88))

    expected = sample_size.repeats_needed(
        181 / 1319, 181 / 1319, questions=1319, now=1, margin=0.015, alpha=0.05, change=-5 / 1319
    )
    assert found.verdict == "INCONCLUSIVE"
    assert found.repeats_needed_if_observed == expected
    assert found.repeats_needed is not None
    assert expected is not None
    assert expected > 1.5 * found.repeats_needed


def test_too_few_questions_cannot_be_mended_by_repeats() -> None:
    """Below the fewest questions not even an unchanged score is shown, however often asked."""
    fewest = sample_size.fewest_questions(0.015, 0.05)

    below = verdict.judge(*arms(fewest - 1, 0, 0))
    enough = verdict.judge(*arms(fewest, 0, 0))

    assert (below.verdict, below.repeats_needed) == ("INCONCLUSIVE", None)
    assert enough.verdict == "PRESERVED"


@pytest.mark.parametrize("discordance", [0.01, 0.02, 0.06, 0.14])
def test_proposed_questions_decide_with_the_promised_power(discordance: float) -> None:
    """Enumerated power with the proposed number of questions is 90 %, to two points."""
    needed = sample_size.questions_needed(discordance, margin=0.015, alpha=0.05)

    power = paired_power(criteria.preserved, 0, discordance, round(needed))

    assert power == pytest.approx(0.9, abs=0.02)


def test_nothing_is_proposed_for_a_change_beyond_the_margin() -> None:
    """A loss of the margin cannot be shown to be none, by no number of questions."""
    assert sample_size.questions_needed(0.05, margin=0.015, alpha=0.05, change=-0.015) == np.inf


def test_questions_needed_without_changes_are_the_fewest() -> None:
    """Where nothing changes the proposal is the closed form of Tango's bound at no change."""
    needed = sample_size.questions_needed(0, margin=0.015, alpha=0.05)

    assert math.floor(needed) + 1 == sample_size.fewest_questions(0.015, 0.05)


def test_noise_floor_separates_the_swap_from_the_baseline_itself() -> None:
    """The excess is the swap's discordance less that of the baseline against itself."""
    baseline = np.ones(1000, dtype=int)
    control, candidate = baseline.copy(), baseline.copy()
    control[:20] = 0
    candidate[10:60] = 0

    floor = verdict.noise_floor(baseline, control, candidate)

    assert floor.discordance == pytest.approx(0.02)
    assert floor.excess == pytest.approx(0.03)
    assert 0 < floor.excess_lower < 0.03 < floor.excess_upper


@pytest.mark.parametrize(("losses", "gains"), [(9, 2), (2, 9), (4, 4)])
def test_control_is_tested_in_both_directions(losses: int, gains: int) -> None:
    """The control's p-value is McNemar's two-sided mid-p: better is as strange as worse."""
    baseline, control = arms(1000, losses, gains)

    floor = verdict.noise_floor(baseline, control, baseline)

    fewer = stats.binom(losses + gains, 0.5)
    least = min(losses, gains)
    expected = 2 * (fewer.cdf(least) - fewer.pmf(least) / 2)
    assert floor.p_value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("baseline", "candidate", "margin", "alpha"),
    [([1], [1, 0], 0.015, 0.05), ([], [], 0.015, 0.05), ([1], [1], 0, 0.05), ([1], [1], 0.1, 0.5)],
)
def test_impossible_arms_and_rules_are_refused(
    baseline: list[int], candidate: list[int], margin: float, alpha: float
) -> None:
    """Arms of other questions and rules outside their range raise ValueError."""
    with pytest.raises(ValueError, match="expected"):
        verdict.judge(baseline, candidate, margin=margin, alpha=alpha)
