"""Own questions and their server, the command in this process, and GSM8K where it is at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from goldgate.cli import main
from tests.evals.support import QUESTIONS, Server, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@pytest.fixture(scope="session")
def problems() -> list[dict[str, str]]:
    """Hold the questions that the servers of these tests are asked."""
    return [problem(number) for number in range(QUESTIONS)]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, problems: list[dict[str, str]]) -> Path:
    """Hold a folder with train.jsonl and test.jsonl."""
    folder = tmp_path_factory.mktemp("data")
    splits = {"test": problems, "train": [problem(number) for number in range(100, 120)]}
    for name, rows in splits.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def gsm8k() -> Path:
    """Hold the folder of GSM8K's files and recorded completions; skips where there is none."""
    named = os.environ.get("GOLDGATE_GSM8K_DIR")
    if not named or not (Path(named) / "test.jsonl").exists():
        pytest.skip("set GOLDGATE_GSM8K_DIR to a folder with test.jsonl and completions.jsonl")
    return Path(named)


@pytest.fixture(scope="session")
def answers(problems: list[dict[str, str]]) -> dict[str, str]:
    """Hold completions of which every fourth is wrong: 30 of 40 right."""
    return {
        row["question"]: row["answer"] if number % 4 else row["answer"] + "9"
        for number, row in enumerate(problems)
    }


@pytest.fixture
def server(answers: dict[str, str]) -> Iterator[Server]:
    """Serve `answers`."""
    with Server(answers) as running:
        yield running


@pytest.fixture(scope="session")
def ask(data: Path) -> Callable[..., int]:
    """Return a function that runs `goldgate gsm8k` in this process on our questions."""

    def run(url: str, out: Path, *more: str) -> int:
        common: Sequence[str] = (
            "--data",
            str(data),
            "--own-data",
            "--backoff",
            "0.01",
            "--retry-for",
            "5",
        )
        return main(["gsm8k", "--base-url", url, "--out", str(out), *common, *more])

    return run
