"""The ratio of two runs' throughput, and times that are counted once."""

from __future__ import annotations

import numpy as np
import pytest

from evals.journal import Answer
from evals.throughput import compare_throughput
from evals.totals import speed


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
