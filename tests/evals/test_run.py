"""What a run comes to: scores, counts, and what is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web

from tests.evals.support import RIGHT, Server, facts_of, samples_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Ask = Callable[..., int]


def test_run_scores_as_recorded(server: Server, ask: Ask, tmp_path: Path) -> None:
    """Every question is asked once and the folder says what came out."""
    status = ask(server.url, tmp_path)

    facts = facts_of(tmp_path)
    assert status == 0
    assert facts["status"] == "complete"
    assert facts["totals"]["right"] == {"strict-match": [RIGHT], "flexible-extract": [RIGHT]}
    assert len(server.asked) == len(set(server.asked)) == 40
    assert facts["speed"]["completion_tokens"] > 0
    assert facts["environment"]["packages"]["lm_eval"]


def test_payload_is_the_tasks(server: Server, ask: Ask, tmp_path: Path) -> None:
    """Stops, temperature and few-shot examples are lm-eval's gsm8k; only the limit is ours."""
    ask(server.url, tmp_path, "--max-tokens", "77", "--limit", "3")

    payload = server.payloads[0]
    assert payload["stop"] == ["Question:", "</s>", "<|im_end|>"]
    assert (payload["temperature"], payload["max_tokens"], payload["seed"]) == (0.0, 77, 1234)
    assert payload["prompt"].count("Question:") == 6
    assert len(server.payloads) == 3


def test_junit_lists_the_checks(server: Server, ask: Ask, tmp_path: Path) -> None:
    """A CI can show what held and what did not."""
    ask(server.url, tmp_path)

    suite = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 - our own file
    assert suite.get("failures") == "0"
    assert [case.get("name") for case in suite] == [
        "every question is answered",
        "one model id throughout",
        "one system_fingerprint throughout",
        "one server build throughout",
        "the server stayed the same",
        "the task is the published one",
    ]


def test_address_may_end_in_v1(server: Server, ask: Ask, tmp_path: Path) -> None:
    """With and without /v1 are one server, so one journal."""
    ask(server.url + "/v1/", tmp_path)

    assert ask(server.url, tmp_path, "--resume") == 0
    assert len(server.asked) == 40


def test_chat_sends_the_examples_as_turns(server: Server, ask: Ask, tmp_path: Path) -> None:
    """The chat endpoint gets lm-eval's few-shot turns and scores the same."""
    status = ask(server.url, tmp_path, "--api", "chat")

    assert status == 0
    assert len(server.payloads[0]["messages"]) == 11
    assert facts_of(tmp_path)["totals"]["right"]["strict-match"] == [RIGHT]


def test_cot_task_is_asked_with_its_own_examples(server: Server, ask: Ask, tmp_path: Path) -> None:
    """gsm8k_cot has eight examples of its own and reads "The answer is"."""

    def say_it(_: int, body: dict[str, Any]) -> None:
        number = body["choices"][0]["text"].rpartition("#### ")[2]
        body["choices"][0]["text"] = f"So the answer: The answer is {number}."

    server.change = say_it

    status = ask(server.url, tmp_path, "--task", "gsm8k_cot")

    assert status == 0
    assert server.payloads[0]["prompt"].count("Q: ") == 9
    assert facts_of(tmp_path)["totals"]["right"]["strict-match"] == [RIGHT]


def test_repeated_runs_ask_every_question_again(server: Server, ask: Ask, tmp_path: Path) -> None:
    """--runs 2 asks twice with the same prompts and keeps the passes apart."""
    status = ask(server.url, tmp_path, "--runs", "2")

    samples = [json.loads(line) for line in samples_of(tmp_path).splitlines()]
    assert status == 0
    assert facts_of(tmp_path)["totals"]["right"]["strict-match"] == [RIGHT, RIGHT]
    assert [s["prompt_hash"] for s in samples[:40]] == [s["prompt_hash"] for s in samples[40:]]


@pytest.mark.parametrize(("field", "count"), [("null", "null"), ("missing", "missing")])
def test_null_answers_and_missing_fields_are_refused(
    server: Server, ask: Ask, tmp_path: Path, field: str, count: str
) -> None:
    """A null answer is not a wrong answer: the run is no evidence."""

    def empty(number: int, body: dict[str, Any]) -> None:
        if number < 3 and field == "null":
            body["choices"][0]["text"] = None
        elif number < 3:
            del body["choices"][0]["text"]

    server.change = empty

    status = ask(server.url, tmp_path)

    facts = facts_of(tmp_path)
    counted = facts["totals"][count]
    assert status == 2
    assert facts["status"] == "refused"
    assert (counted if count == "null" else counted["text"]) == 3
    assert "37 of 40 answered" in facts["reasons"][0]


def test_oddities_are_counted_by_name(server: Server, ask: Ask, tmp_path: Path) -> None:
    """Empty texts, absent fields, stops and truncations each have their count."""

    def odd(number: int, body: dict[str, Any]) -> None:
        choice = body["choices"][0]
        if number == 0:
            choice["text"] = ""
        elif number == 1:
            del choice["finish_reason"], body["usage"]
        elif number == 2:
            choice["finish_reason"] = "length"
        elif number == 3:
            choice["stop_reason"] = "Question:"
        elif number == 4:
            choice["text"] += "\n\nQuestion: and on"
        elif number == 5:
            del choice["finish_reason"]
            body["usage"]["completion_tokens"] = 256

    server.change = odd

    status = ask(server.url, tmp_path, "--concurrency", "1")

    totals = facts_of(tmp_path)["totals"]
    assert status == 0
    assert totals["empty"] == 1
    assert totals["missing"] == {"text": 0, "finish_reason": 2, "usage": 1, "model": 0}
    assert totals["truncated"] == 2
    assert totals["truncation_unknown"] == 1
    assert totals["cut_by_stop"] == {"Question:": 1}
    assert totals["stop_left_in_text"] == 1
    assert totals["not_extracted"]["strict-match"] == 1


def test_everything_truncated_is_said(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that the token limit cut everywhere does not look like a bad model."""
    ask(server.url, tmp_path, "--max-tokens", "2")

    said = capsys.readouterr()
    assert facts_of(tmp_path)["totals"]["truncated"] == 40
    assert "40 at 2 tokens (100.00 %)" in said.out
    assert "20 of 20 answers are cut off at the token limit" in said.err


def test_null_answer_that_was_cut_off_says_so(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that reasons up to the token limit has no text: a truncated answer, no failure."""

    def reasoning(number: int, body: dict[str, Any]) -> None:
        if number < 3:
            body["choices"][0] |= {"text": None, "finish_reason": "length"}

    server.change = reasoning

    status = ask(server.url, tmp_path)

    facts = facts_of(tmp_path)
    assert status == 0
    assert (facts["totals"]["null"], facts["totals"]["truncated"]) == (3, 3)
    assert "3 of these were cut off at the token limit" in facts["checks"][0]["detail"]
    assert "3 at 256 tokens (7.50 %)" in capsys.readouterr().out


def test_model_id_that_differs_throughout_is_named(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that answers under another id than it was asked for is counted and said."""
    status = ask(server.url, tmp_path, "--model", "alias")

    totals = facts_of(tmp_path)["totals"]
    assert status == 0
    assert totals["served_another_model"] == 40
    assert totals["served_models"] == {"m": 40}
    assert "asked for alias, answered by m" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("git", "named"), [("v1-2-gabc-dirty\n", "v1-2-gabc-dirty"), ("", "unknown")]
)
def test_evidence_names_the_code_that_asked(
    server: Server, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: str, named: str
) -> None:
    """run.json has what git calls this checkout, or says that it is not known."""
    monkeypatch.setattr(
        "goldgate.provenance.subprocess.run", lambda *_, **__: SimpleNamespace(stdout=git)
    )

    ask(server.url, tmp_path)

    assert facts_of(tmp_path)["environment"]["goldgate"] == named


def test_model_id_that_changes_ends_the_run(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers of two models are never one score, nor can the journal be continued."""

    def other(number: int, body: dict[str, Any]) -> None:
        if number >= 20:
            body["model"] = "m-fp8"

    server.change = other

    changed = ask(server.url, tmp_path, "--concurrency", "2")
    first = capsys.readouterr().err
    resumed = ask(server.url, tmp_path, "--concurrency", "2", "--resume")

    assert (changed, resumed) == (2, 2)
    assert "answered by model 'm-fp8'" in first
    assert "answers of several models" in capsys.readouterr().err
    assert len(server.asked) < 25


def test_server_that_changes_during_the_run_is_refused(
    server: Server, ask: Ask, tmp_path: Path
) -> None:
    """What the server says about itself at the end has to be what it said at the start."""

    async def reload(number: int, _: web.Request) -> None:
        if number == 20:
            server.models = ["m", "m-lora"]

    server.fault = reload

    status = ask(server.url, tmp_path, "--model", "m")

    facts = facts_of(tmp_path)
    assert status == 2
    assert facts["status"] == "refused"
    assert "the server stayed the same" in facts["reasons"][0]
