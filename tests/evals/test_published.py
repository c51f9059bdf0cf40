"""A published score is compared only with a run that was asked as the score was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from goldgate.cli import main
from tests.evals.folders import write_facts
from tests.evals.support import QUESTIONS, Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Ask = Callable[..., int]


@pytest.mark.parametrize(
    ("stated", "differs"),
    [
        ((), "the protocol of the published score is not stated"),
        (("--published-protocol", "sglang"), "was measured with protocol sglang, the run with"),
        (("--published-protocol", "lm-eval"), f"over 1319 questions, the run over {QUESTIONS}"),
        (("--published-protocol", "lm-eval", "--published-questions", str(QUESTIONS)), ""),
    ],
)
def test_published_score_is_compared_under_its_own_protocol_and_number(
    server: Server,
    ask: Ask,
    tmp_path: Path,
    stated: tuple[str, ...],
    differs: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status 2 names what differs; with everything alike 30 of 40 are below 93.3 %."""
    ask(server.url, tmp_path)
    # Questions of our own stand for GSM8K's, which not every machine has.
    write_facts(tmp_path, {**facts_of(tmp_path), "data": "GSM8K"})
    capsys.readouterr()

    status = main(["band", str(tmp_path), "--published", "93.3", "93.4", *stated])

    printed = capsys.readouterr().out
    assert status == (2 if differs else 1)
    assert differs in printed
    assert ("NOT COMPARABLE" in printed) == bool(differs)
    assert ("BELOW the published score" in printed) == (not differs)
