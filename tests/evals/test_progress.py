"""What is said while a run goes on: how far, how fast, how long, how good."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING

from rich.console import Console

from goldgate.evals.asking import progress

if TYPE_CHECKING:
    import pytest


def test_rate_time_left_and_score_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rate and time left are those of this session, the score is that of all answers so far."""
    now = iter(range(0, 100, 2))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: float(next(now))))
    file = io.StringIO()

    # 20 of 60 were answered before, 5 of them right; every second answer is right from now on.
    with progress.RunProgress(Console(file=file), total=60, done=20, right=5, truncated=0) as shown:
        for number in range(40):
            shown.answered(right=number % 2 == 0, truncated=False)

    said = file.getvalue().splitlines()
    assert said[0] == "24/60 answered, 0.5/s, 72 s left, 29.17 % right so far"
    assert said[-1] == "60/60 answered, 0.5/s, 0 s left, 41.67 % right so far"
