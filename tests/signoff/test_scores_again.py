"""GSM8K runs at hand are compared again, each as the run that it is."""

from __future__ import annotations

import json
from pathlib import Path

from goldgate.cli import main
from goldgate.signoff.gather import gather
from goldgate.signoff.runs_again import scores_again
from goldgate.signoff.walk import walk
from tests.evals.support import QUESTIONS, Server, problem


def test_runs_with_equal_answers_are_told_apart(tmp_path: Path) -> None:
    """Servers that answer alike to the letter leave three runs, and the same verdict as before."""
    data, evidence = tmp_path / "data", tmp_path / "evidence"
    data.mkdir()
    problems = {"test": range(QUESTIONS), "train": range(100, 120)}
    for name, numbers in problems.items():
        text = "".join(json.dumps(problem(number)) + "\n" for number in numbers)
        (data / f"{name}.jsonl").write_text(text, encoding="utf-8")
    answers = {row["question"]: row["answer"] for row in map(problem, problems["test"])}
    with Server(answers) as server:
        for name in ("baseline", "candidate", "control"):
            ask = ["gsm8k", "--base-url", server.url, "--out", str(evidence / name)]
            assert main([*ask, "--data", str(data), "--own-data"]) == 0
    runs = [str(evidence / name) for name in ("baseline", "candidate")]
    control = ["--control", str(evidence / "control")]
    assert main(["compare", *runs, *control, "--json", str(evidence / "verdict.json")]) == 3
    found, at_hand = gather(walk([evidence]))

    again = scores_again(at_hand, found.scored)

    assert len({(evidence / name / "samples.jsonl").read_bytes() for name in runs}) == 1
    assert again.refused == ()
    assert ["compared again" in note for note in again.notes] == [True]
