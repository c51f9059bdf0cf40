"""The ratio of two runs' throughput, and times that are counted once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from goldgate.evals.asking.journal_lines import Answer
from goldgate.evals.comparing.throughput import compare_throughput
from goldgate.evals.records.summary import speed


def answers(seed: int, faster: float, *, number: int = 1319, usage: bool = True) -> list[Answer]:
    """Answers of a server that takes 10 ms a token, `faster` times as fast, with noise."""
    random = np.random.default_rng(seed)
    tokens = random.integers(60, 250, number)
    latency = tokens * 0.01 / faster * random.lognormal(0, 0.05, number)
    return [
        Answer(
            repeat=0,
            doc_id=index,
            prompt_sha256="",
            text="",
            text_missing=False,
            finish_reason="stop",
            stop_reason=None,
            usage={"completion_tokens": int(tokens[index])} if usage else {},
            model="m",
            latency_s=float(latency[index]),
            ended=1000 + index * 0.05,
        )
        for index in range(number)
    ]


def wandering(seed: int, *, memory: float) -> list[Answer]:
    """Answers of a server whose speed is a first-order autoregression of 5 % in time."""
    steady = answers(seed, 1.0)
    left = memory ** (steady[1].ended - steady[0].ended)
    pushes = np.random.default_rng(10_000 + seed).normal(0, 0.05, len(steady))
    pushes[1:] *= np.sqrt(1 - left**2)
    drift = signal.lfilter([1], [1, -left], pushes)
    return [
        replace(answer, latency_s=answer.latency_s * float(np.exp(off)))
        for answer, off in zip(steady, drift, strict=True)
    ]


STEADY = answers(0, 1.0, number=200)


def test_gain_of_two_percent_is_measured() -> None:
    """2.2 % more tokens per second lie inside the interval, and none at all outside."""
    found = compare_throughput(answers(1, 1.0), answers(2, 1.022))

    assert found is not None
    assert found.low < 1.022 < found.high
    assert found.low > 1.0


def test_interval_covers_as_often_as_it_says() -> None:
    """Of 200 comparisons of equal servers about 95 % cover the ratio 1."""
    covered = 0
    for seed in range(200):
        found = compare_throughput(
            answers(2 * seed, 1.0, number=400), answers(2 * seed + 1, 1.0, number=400)
        )
        assert found is not None
        covered += found.low < 1 < found.high

    # Binomial with 200 trials at 95 %: 3 standard errors are 4.6 points.
    assert covered >= 180


def test_interval_covers_where_the_speed_drifts() -> None:
    """Equal servers whose speed wanders by 5 %: the interval is widened, and the drift is told.

    Of a deviation 0.9 is left after a second; the run takes 66 seconds.
    """
    covered = told = 0
    for seed in range(100):
        found = compare_throughput(
            wandering(2 * seed, memory=0.9), wandering(2 * seed + 1, memory=0.9)
        )
        assert found is not None
        covered += found.low < 1 < found.high
        told += found.drifts

    # 93 % in a simulation of 2000, 53 % without the widening; 3 standard errors are 7 points.
    assert covered >= 87
    assert told >= 90


def test_steady_speed_is_called_no_drift() -> None:
    """Two arms of independent answers are taken for drifting one time in ten at most."""
    told = 0
    for seed in range(100):
        found = compare_throughput(
            answers(2 * seed, 1.0, number=400), answers(2 * seed + 1, 1.0, number=400)
        )
        assert found is not None
        told += found.drifts

    # Binomial with 100 trials at 5 % an arm: 3 standard errors are 9 points.
    assert told <= 19


def test_answers_count_in_the_order_in_which_they_ended() -> None:
    """A journal's order, which a resumed run mixes, makes no difference."""
    ours, theirs = wandering(1, memory=0.9), wandering(2, memory=0.9)
    mixed = list(ours)
    np.random.default_rng(3).shuffle(mixed)

    assert compare_throughput(mixed, theirs) == compare_throughput(ours, theirs)


def test_servers_without_any_variation_have_a_ratio() -> None:
    """Equal batches bound nothing: the ratio stands alone."""
    steady = [replace(answer, latency_s=1.0, usage={"completion_tokens": 8}) for answer in STEADY]
    faster = [replace(answer, latency_s=0.5) for answer in steady]

    found = compare_throughput(steady, faster)

    assert found is not None
    assert (found.ratio, found.low, found.high) == pytest.approx((2, 2, 2))


@pytest.mark.parametrize(("number", "usage"), [(199, True), (1319, False)])
def test_too_little_is_no_ratio(number: int, *, usage: bool) -> None:
    """Few answers, or answers without usage, give none."""
    little = answers(1, 1.0, number=number, usage=usage)

    assert compare_throughput(little, answers(2, 1.0)) is None


def test_pause_of_a_killed_run_is_not_counted() -> None:
    """Overlapping requests count once and the gap before a resume not at all."""
    times = [(0.0, 2.0), (1.0, 3.0), (100.0, 101.0)]
    listed = [
        Answer(
            repeat=0,
            doc_id=index,
            prompt_sha256="",
            text="",
            text_missing=False,
            finish_reason="stop",
            stop_reason=None,
            usage={"completion_tokens": 8},
            model="m",
            latency_s=end - start,
            ended=end,
        )
        for index, (start, end) in enumerate(times)
    ]

    found = speed(listed)

    assert found["active_s"] == 4.0
    assert found["tokens_per_s"] == 6.0
    assert found["latency_p50_s"] == 2.0
