"""GSM8K itself, with the recorded completions of two models; skipped where the files are not."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from goldgate.cli import main
from goldgate.evals.servers.replay_server import read_completions
from goldgate.evals.task import TASK_HASHES, load_task
from tests.evals.folders import write_facts, write_samples
from tests.evals.support import Server, facts_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def runs(gsm8k: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Hold a run over the recorded completions of each model, and the larger one's once more."""
    folders = {}
    for name in ("6b_verification", "175b_verification", "175b_verification again"):
        folders[name] = tmp_path_factory.mktemp(name.replace(" ", "-")) / "run"
        arm = name.partition(" ")[0]
        with Server(read_completions(gsm8k / "completions.jsonl", arm)) as server:
            status = main(
                [
                    "gsm8k",
                    "--base-url",
                    server.url,
                    "--data",
                    str(gsm8k),
                    "--out",
                    str(folders[name]),
                ]
            )
        assert status == 0
    return folders


@pytest.mark.parametrize("name", ["gsm8k", "gsm8k_cot"])
def test_task_is_the_published_one(gsm8k: Path, name: str) -> None:
    """The files give the task hash that lm-eval gives the hub's."""
    task = load_task(name, data=gsm8k, own_data=False, num_fewshot=None, limit=None)

    assert task.task_hash == task.prompts_hash == TASK_HASHES[name]
    assert task.questions == 1319


def test_other_examples_keep_the_task_and_change_the_prompts(gsm8k: Path) -> None:
    """With another number of examples the questions are still asserted to be GSM8K's."""
    task = load_task("gsm8k", data=gsm8k, own_data=False, num_fewshot=3, limit=10)

    assert task.task_hash == TASK_HASHES["gsm8k"]
    assert task.prompts_hash != TASK_HASHES["gsm8k"]
    assert task.questions == 10


@pytest.mark.parametrize(("arm", "right"), [("6b_verification", 515), ("175b_verification", 742)])
def test_recorded_counts_come_out(runs: dict[str, Path], gsm8k: Path, arm: str, right: int) -> None:
    """Both filters agree with the recorded mark of every single completion."""
    lines = (gsm8k / "completions.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    marks = {row["doc_id"]: row[arm]["is_correct"] for row in map(json.loads, lines)}

    written = (runs[arm] / "samples.jsonl").read_text(encoding="utf-8")
    samples = [json.loads(line) for line in written.splitlines()]

    assert facts_of(runs[arm])["totals"]["right"] == {
        "strict-match": [right],
        "flexible-extract": [right],
    }
    assert {sample["doc_id"]: sample["right"]["strict-match"] for sample in samples} == marks


def test_swap_is_found_degraded_and_the_same_arm_preserved(runs: dict[str, Path]) -> None:
    """The smaller model in place of the larger is seen; the larger twice is not."""
    large, small = str(runs["175b_verification"]), str(runs["6b_verification"])

    assert main(["compare", large, small]) == 1
    assert main(["compare", large, str(runs["175b_verification again"])]) == 0


def test_band_is_labelled_unpaired(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The band never says PRESERVED, and says how often it means nothing."""
    run = str(runs["175b_verification"])

    known = ("--published-protocol", "lm-eval")
    below = main(["band", run, "--published", "93.3", "93.4", *known])
    said = capsys.readouterr().out
    within = main(["band", run, "--published", "56.2", "56.3", *known])

    assert (below, within) == (1, 0)
    assert "UNPAIRED CHECK" in said
    assert "lands inside 13 times in 100" in said
    assert "PRESERVED" not in said


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), "the protocol of the published score is not stated"),
        (("--published-protocol", "sglang"), "measured with protocol sglang, the run with lm-eval"),
        (
            ("--published-protocol", "lm-eval", "--published-questions", "200"),
            "over 200 questions, the run over 1319",
        ),
    ],
)
def test_published_score_of_another_protocol_is_not_compared(
    runs: dict[str, Path],
    options: tuple[str, ...],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A score is compared under its own protocol and as many questions; else it says why."""
    run = str(runs["175b_verification"])

    status = main(["band", run, "--published", "56.2", "56.3", *options])

    said = capsys.readouterr().out
    assert status == 2
    assert "NOT COMPARABLE: " in said
    assert named in said
    assert "NOT BELOW" not in said


def test_band_of_a_truncated_run_is_refused(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the token limit cut the answers the score is no score."""
    run = shutil.copytree(runs["6b_verification"], tmp_path / "cut")
    facts = facts_of(run)
    facts["totals"]["truncated"] = 100
    write_facts(run, facts)
    lines = (run / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    samples = [json.loads(line) for line in lines]
    for sample in samples[:100]:
        sample["truncated"] = True
    write_samples(run, samples)

    status = main(["band", str(run), "--published", "93.3", "93.4"])

    assert status == 2
    assert "7.58 % of the answers were cut off at the token limit" in capsys.readouterr().err
