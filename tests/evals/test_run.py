"""A run against servers that answer, misbehave, die or stall, and a client that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web

from tests.evals.support import Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., int]

RIGHT = 30  # of 40: every fourth completion is wrong


def samples_of(out: Path) -> bytes:
    """Read what the verdict is drawn from."""
    return (out / "samples.jsonl").read_bytes()


def evidence_of(out: Path) -> tuple[bytes, dict[str, Any], bytes]:
    """Read a run folder without what is measured in time: stamps, speed, the journal's hash."""
    facts = facts_of(out)
    for name in ("started", "finished", "speed"):
        del facts[name]
    del facts["hashes"]["journal"]
    return samples_of(out), facts, (out / "junit.xml").read_bytes()


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


def test_every_fiftieth_request_fails_and_is_asked_again(
    server: Server, ask: Ask, tmp_path: Path
) -> None:
    """Errors are retried, counted and never scored."""

    async def fail(number: int, _: web.Request) -> web.Response | None:
        return web.Response(status=500, text="out of luck") if number % 50 == 9 else None

    server.fault = fail

    status = ask(server.url, tmp_path)

    facts = facts_of(tmp_path)
    assert status == 0
    assert facts["totals"]["right"]["strict-match"] == [RIGHT]
    assert facts["totals"]["errors"] == {"HTTP 500": 1}
    assert facts["totals"]["asked_again"] == 1


def test_server_that_dies_ends_the_run_and_resuming_asks_the_rest(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was answered is kept, and the resumed run's result is the uninterrupted run's."""
    assert ask(server.url, tmp_path / "whole") == 0
    server.asked.clear()

    async def dead(number: int, request: web.Request) -> web.Response | None:
        if number >= 25:
            assert request.transport is not None
            request.transport.abort()
        return None

    server.fault = dead
    died = ask(server.url, tmp_path / "cut", "--attempts", "2", "--concurrency", "4")
    said = capsys.readouterr().err
    server.fault = None
    before = set(server.asked[:25])
    server.asked.clear()

    status = ask(server.url, tmp_path / "cut", "--resume", "--concurrency", "4")

    assert died == 2
    assert "stayed unanswered after" in said
    assert "25 answers are kept" in said
    assert facts_of(tmp_path / "cut")["status"] == "complete"
    # Four were under way when the server died: each was asked again by the resumed run.
    assert facts_of(tmp_path / "cut")["totals"]["asked_again"] == 4
    assert status == 0
    assert len(server.asked) == 15
    assert not before & set(server.asked)
    assert samples_of(tmp_path / "cut") == samples_of(tmp_path / "whole")


def test_failed_attempts_are_said_as_they_happen(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kind of failure is named when it is first seen, not after an hour of retries."""

    async def fail(number: int, _: web.Request) -> web.Response | None:
        return web.Response(status=500, text="out of\x1b[2J luck") if number in (3, 9) else None

    server.fault = fail

    ask(server.url, tmp_path, "--concurrency", "1")

    said = capsys.readouterr().err
    assert said.count("an attempt failed: HTTP 500 out of?[2J luck") == 1
    assert said.index("an attempt failed") < said.index("8/40 answered")


def test_incomplete_run_is_marked(server: Server, ask: Ask, tmp_path: Path) -> None:
    """run.json of a run that could not finish says so, and compare refuses it."""

    async def never(_: int, __: web.Request) -> web.Response:
        return web.Response(status=503)

    server.fault = never

    status = ask(server.url, tmp_path, "--attempts", "2")

    facts = facts_of(tmp_path)
    assert status == 2
    assert facts["status"] == "incomplete"
    assert "HTTP 503" in facts["reasons"][0]


def test_request_that_is_wrong_is_not_asked_again(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """HTTP 400 fails at once and the server's words are passed on."""

    async def refuse(_: int, __: web.Request) -> web.Response:
        return web.Response(status=400, text="prompt is too long")

    server.fault = refuse

    status = ask(server.url, tmp_path, "--concurrency", "1")

    assert status == 2
    assert len(server.asked) == 1
    assert "HTTP 400 prompt is too long" in capsys.readouterr().err


def test_stalled_server_is_a_timeout(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that stops answering ends the run with the time it was given."""

    async def stall(number: int, _: web.Request) -> web.Response | None:
        if number >= 10:
            await asyncio.sleep(2)
        return None

    server.fault = stall

    status = ask(server.url, tmp_path, "--timeout", "1", "--attempts", "1", "--concurrency", "2")

    assert status == 2
    assert "no answer within 1 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    "body",
    [
        "<html>bad gateway</html>",
        '{"error": "x"}',
        '{"choices": []}',
        '{"choices": [{"index": 0, "text": 7}]}',
    ],
)
def test_body_that_is_no_completion_is_an_error(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str
) -> None:
    """An error page or object with status 200 is retried and never scored."""

    async def page(_: int, __: web.Request) -> web.Response:
        return web.Response(text=body)

    server.fault = page

    status = ask(server.url, tmp_path, "--attempts", "2")

    assert status == 2
    assert "after 2 attempts" in capsys.readouterr().err


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
    assert "37 of 40 with a text" in facts["reasons"][0]


def test_oddities_are_counted_by_name(server: Server, ask: Ask, tmp_path: Path) -> None:
    """Empty texts, absent fields, stops and truncations each have their count."""

    def odd(number: int, body: dict[str, Any]) -> None:
        choice = body["choices"][0]
        if number == 0:
            choice["text"] = ""
        elif number == 1:
            del choice["finish_reason"], body["usage"], body["model"]
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
    assert totals["missing"] == {"text": 0, "finish_reason": 2, "usage": 1, "model": 1}
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
    """A model that reasons up to the token limit has no text: more tokens would mend it."""

    def reasoning(number: int, body: dict[str, Any]) -> None:
        if number < 3:
            body["choices"][0] |= {"text": None, "finish_reason": "length"}

    server.change = reasoning

    status = ask(server.url, tmp_path)

    assert status == 2
    assert "3 null" in facts_of(tmp_path)["reasons"][0]
    assert "3 of these were cut off at the token limit" in capsys.readouterr().out


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


def test_journal_of_another_server_is_refused(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Resuming against another address or model names both, and asks nothing."""
    ask(server.url, tmp_path)

    with Server({}, model="n") as second:
        status = ask(second.url, tmp_path, "--resume")

    said = capsys.readouterr().err
    assert status == 2
    assert "base_url" in said
    assert 'model: "m", not "n"' in said
    assert second.asked == []


@pytest.mark.parametrize(
    "changed",
    [["--task", "gsm8k_cot"], ["--max-tokens", "99"], ["--num-fewshot", "2"], ["--api", "chat"]],
)
def test_journal_of_other_settings_is_refused(
    server: Server,
    ask: Ask,
    tmp_path: Path,
    changed: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Resuming with another task or setting names it, and asks nothing."""
    ask(server.url, tmp_path)

    status = ask(server.url, tmp_path, "--resume", *changed)

    assert status == 2
    assert "written for another run" in capsys.readouterr().err
    assert len(server.asked) == 40


def test_finished_run_resumed_asks_nothing_and_says_the_same(
    server: Server, ask: Ask, tmp_path: Path
) -> None:
    """Resuming a finished run repeats its result from the journal."""
    ask(server.url, tmp_path)
    before = samples_of(tmp_path), facts_of(tmp_path)["hashes"]

    status = ask(server.url, tmp_path, "--resume")

    assert status == 0
    assert (samples_of(tmp_path), facts_of(tmp_path)["hashes"]) == before
    assert len(server.asked) == 40


def test_killed_client_resumes_with_the_same_result(
    server: Server, ask: Ask, tmp_path: Path, data: Path
) -> None:
    """After SIGKILL in mid-run, twice, only unanswered questions are asked."""
    assert ask(server.url, tmp_path / "whole", "--concurrency", "2") == 0
    server.asked.clear()

    async def slow(_: int, __: web.Request) -> None:
        await asyncio.sleep(0.05)

    server.fault = slow
    journal = tmp_path / "killed" / "journal.jsonl"
    command = [
        sys.executable, "-m", "evals", "gsm8k", "--base-url", server.url, "--out",
        str(journal.parent), "--data", str(data), "--own-data", "--concurrency", "2", "--resume",
    ]  # fmt: skip
    kept: list[int] = []
    for lines in (8, 20):
        client = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not journal.exists() or journal.read_bytes().count(b"\n") < lines:
            assert time.monotonic() < deadline
            assert client.poll() is None
            time.sleep(0.01)
        os.kill(client.pid, signal.SIGKILL)
        assert client.wait() == -signal.SIGKILL
        kept.append(journal.read_bytes().count(b"\n") - 1)
    # As if the kill had come in the middle of a line.
    journal.write_bytes(journal.read_bytes() + b'{"kind": "answer", "repe')
    server.asked.clear()

    status = ask(server.url, journal.parent, "--concurrency", "2", "--resume")

    assert status == 0
    assert 7 <= kept[0] < kept[1] < 40
    assert len(server.asked) == 40 - kept[1]
    resumed, whole = evidence_of(journal.parent), evidence_of(tmp_path / "whole")
    resumed[1]["client"] = whole[1]["client"]  # the killed client had another --backoff
    assert resumed == whole


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
