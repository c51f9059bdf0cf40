"""Totals of known answers."""

from __future__ import annotations

from goldgate.evals.asking.journal_lines import Answer
from goldgate.evals.records.summary import speed


def test_latency_percentiles_are_percentiles() -> None:
    """Of latencies of 1 to 101 seconds the 50th, 90th and 99th percentile are 51, 91 and 100."""
    answers = [
        Answer(
            repeat=0,
            doc_id=number,
            prompt_sha256="",
            text="",
            text_missing=False,
            finish_reason="stop",
            stop_reason=None,
            usage={},
            model=None,
            latency_s=float(1 + number),
            ended=1000.0,
        )
        for number in range(101)
    ]

    found = speed(answers)

    names = ("latency_p50_s", "latency_p90_s", "latency_p99_s")
    assert [found[name] for name in names] == [51, 91, 100]
