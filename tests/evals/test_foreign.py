"""Results of other programs: paired where they can be, and what they cannot show is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from goldgate.cli import main
from goldgate.evals.hashes import text_sha256
from goldgate.evals.records.foreign import read_foreign
from tests.evals.folders import write_facts
from tests.evals.support import Server, facts_of, problem

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., int]

QUESTIONS = 300
FILTERS = ("strict-match", "flexible-extract")


def wrong(arm: str, number: int) -> bool:
    """Return whether an arm is wrong: the worse one in every tenth question more."""
    return number % 20 == 0 or (arm == "worse" and number % 10 == 1)


def lm_eval(arm: str) -> list[dict[str, Any]]:
    """Write what lm-eval logs, a line a question and filter."""
    return [
        {
            "doc_id": number,
            "doc": problem(number),
            "target": problem(number)["answer"],
            "arguments": {"gen_args_0": {"arg_0": f"prompt {number}", "arg_1": {"until": []}}},
            "resps": [[f"{arm} #### 1"]],
            "filtered_resps": ["1"],
            "filter": name,
            "metrics": ["exact_match"],
            "doc_hash": "d",
            "prompt_hash": text_sha256(f"prompt {number}"),
            "target_hash": text_sha256(problem(number)["answer"]),
            "exact_match": 0.0 if wrong(arm, number) else 1.0,
        }
        for name in FILTERS
        for number in range(QUESTIONS)
    ]


def sglang(arm: str) -> list[dict[str, Any]]:
    """Write what sglang's script dumps."""
    return [
        {
            "prompt_id": number,
            "prompt": f"Question: {problem(number)['question']}\nAnswer:",
            "output": f" {arm} 1",
            "correct": not wrong(arm, number),
        }
        for number in range(QUESTIONS)
    ]


def evalscope(arm: str) -> list[dict[str, Any]]:
    """Write evalscope's reviews."""
    return [
        {
            "index": number,
            "input": [{"role": "user", "content": problem(number)["question"]}],
            "target": "1",
            "sample_score": {
                "score": {
                    "value": {"acc": float(not wrong(arm, number))},
                    "extracted_prediction": "1",
                    "prediction": arm,
                    "main_score_name": "acc",
                },
                "sample_id": number,
            },
        }
        for number in range(QUESTIONS)
    ]


KINDS = [lm_eval, sglang, evalscope]


def write(path: Path, records: list[dict[str, Any]]) -> str:
    """Write one JSON object a line; sglang ends its file without a line break."""
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("records", KINDS)
def test_files_of_other_programs_are_compared(
    records: Callable[[str], list[dict[str, Any]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Equal arms are PRESERVED, a worse one DEGRADED; each report says what it cannot show."""
    arms = {arm: write(tmp_path / f"{arm}.jsonl", records(arm)) for arm in ("one", "two", "worse")}

    same = main(["compare", arms["one"], arms["two"], "--show", "1"])
    printed = capsys.readouterr().out
    lost = main(["compare", arms["one"], arms["worse"], "--show", "1"])

    assert (same, lost) == (0, 1)
    assert f"285 of {QUESTIONS} right" in printed
    assert "baseline: " in printed
    assert "cannot show which" in printed
    assert "could not be recorded" in printed
    assert "right to wrong 30, wrong to right 0" in capsys.readouterr().out


def test_samples_of_lm_eval_pair_with_a_run_of_ours(
    problems: list[dict[str, str]], ask: Ask, tmp_path: Path
) -> None:
    """A run folder's questions are lm-eval's: prompts and targets pair by their hashes."""
    with Server({row["question"]: row["answer"] for row in problems}) as server:
        ask(server.url, tmp_path / "run")
    file = write(tmp_path / "samples_gsm8k.jsonl", logged_as(tmp_path / "run"))

    assert main(["compare", file, str(tmp_path / "run"), "--margin", "14"]) == 0


@pytest.mark.parametrize("part", ["baseline", "candidate"])
@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"model": "n"}, "answered by m, n"),
        ({"system_fingerprint": "b"}, "answers name no system_fingerprint, the others b"),
    ],
)
def test_run_of_ours_beside_a_file_is_evidence_by_itself(
    problems: list[dict[str, str]],
    ask: Ask,
    tmp_path: Path,
    part: str,
    body: dict[str, str],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A run that its own fields refuse is refused beside a file of another program too."""
    with Server({row["question"]: row["answer"] for row in problems}) as server:
        ask(server.url, tmp_path / "run")
        file = write(tmp_path / "samples_gsm8k.jsonl", logged_as(tmp_path / "run"))
    facts = facts_of(tmp_path / "run")
    if "model" in body:
        facts["totals"]["served_models"] = {"m": 20, "n": 20}
    else:
        facts["totals"] |= {"fingerprints": {"b": 20}, "nameless": {"fingerprints": 20}}
    write_facts(tmp_path / "run", facts)
    arms = [str(tmp_path / "run"), file]

    status = main(["compare", *(arms if part == "baseline" else arms[::-1]), "--margin", "14"])

    assert status == 2
    assert f"{part} is a whole run: no" in (printed := capsys.readouterr().out)
    assert named in printed


def test_baseline_of_ours_beside_a_file_keeps_its_limits(
    problems: list[dict[str, str]], ask: Ask, tmp_path: Path
) -> None:
    """A baseline whose answers the token limit cut is no measure of a file's answers either."""
    with Server({row["question"]: row["answer"] for row in problems}) as server:
        server.change = lambda number, body: (
            body["choices"][0].update(finish_reason="length") if number < 4 else None
        )
        ask(server.url, tmp_path / "run")
    file = write(tmp_path / "samples_gsm8k.jsonl", logged_as(tmp_path / "run"))

    assert main(["compare", str(tmp_path / "run"), file, "--margin", "14"]) == 2


def logged_as(run: Path) -> list[dict[str, Any]]:
    """Write a run folder's answers as lm-eval would have logged them."""
    lines = (run / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {
            "doc_id": sample["doc_id"],
            "doc": {"question": sample["question"]},
            "target": sample["target"],
            "resps": [["other words"]],
            "filtered_resps": [sample["extracted"][name]],
            "filter": name,
            "prompt_hash": sample["prompt_hash"],
            "target_hash": sample["target_hash"],
            "exact_match": float(sample["right"][name]),
        }
        for name in FILTERS
        for sample in map(json.loads, lines)
    ]


def test_other_questions_are_not_paired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another prompt for one question is refused by its number, and so is another kind of file."""
    one = write(tmp_path / "one.jsonl", lm_eval("one"))
    changed = lm_eval("two")
    for line in (7, QUESTIONS + 7):  # a line a filter
        changed[line]["prompt_hash"] = "0" * 64
    two = write(tmp_path / "two.jsonl", changed)
    other = write(tmp_path / "other.jsonl", sglang("two"))

    assert main(["compare", one, two]) == 2
    assert "1 questions differ, the first: 7" in capsys.readouterr().out
    assert main(["compare", one, other]) == 2


def test_files_of_lm_eval_that_were_asked_otherwise_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The generation settings that lm-eval logs with each question are part of what is asked."""
    one = write(tmp_path / "one.jsonl", lm_eval("one"))
    changed = lm_eval("two")
    for record in changed:
        record["arguments"]["gen_args_0"]["arg_1"]["temperature"] = 1.0
    two = write(tmp_path / "two.jsonl", changed)

    assert main(["compare", one, two]) == 2
    assert '300 questions differ, the first: {"temperature": 1.0' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda records: records[0].update(exact_match=0.5), "has a mark 0.5"),
        (lambda records: records.pop(3), "not every question has a mark"),
        (lambda records: records.append(records[0]), "question 0 is there twice"),
        (lambda records: records[0].update(doc_id="a"), "has no whole number"),
        (lambda records: records[0].pop("target_hash"), "a line has no 'target_hash'"),
        (lambda records: records[-1].update(prompt_hash="0"), "is there with two prompts"),
        (lambda records: records[-1].update(target_hash="0"), "is there with two prompts"),
        (lambda records: records[-1].update(resps=[["other"]]), "is there with two prompts"),
        (lambda records: records[5].pop("exact_match"), "expected exact_match or acc"),
        (lambda records: records[0].clear(), "expected a run folder, or"),
        (lambda records: records.clear(), "holds no results"),
    ],
)
def test_file_that_cannot_be_paired_is_named(
    spoil: Callable[[list[dict[str, Any]]], object],
    named: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is missing, there twice or no mark is refused in one line."""
    one = write(tmp_path / "one.jsonl", lm_eval("one"))
    records = lm_eval("two")
    spoil(records)
    two = write(tmp_path / "two.jsonl", records)

    assert main(["compare", one, two]) == 2
    assert named in capsys.readouterr().err


def test_questions_that_are_missing_in_all_filters_are_named(tmp_path: Path) -> None:
    """A gap in the numbers is an answer that was lost."""
    records = sglang("one")
    del records[4]
    path = tmp_path / "one.jsonl"
    write(path, records)

    with pytest.raises(Exception, match="questions are missing or there twice"):
        read_foreign(path)
