"""Servers that fail, stall or break off: asked again, named, never scored."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp import web

from goldgate.evals.asking.client import _broke
from goldgate.evals.asking.journal_lines import read_journal
from tests.evals.support import RIGHT, Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., int]


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


def test_address_without_completions_is_named(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where --model is given the list of models is not needed, and the first 404 says the URL."""
    status = ask(server.url + "/v2", tmp_path, "--model", "m", "--concurrency", "1")

    assert status == 2
    assert f"HTTP 404 at {server.url}/v2/v1/completions" in capsys.readouterr().err


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
    """An error page or object with status 200 fails at once and is never scored."""

    async def page(_: int, __: web.Request) -> web.Response:
        return web.Response(text=body)

    server.fault = page

    status = ask(server.url, tmp_path, "--attempts", "2", "--concurrency", "1")

    assert status == 2
    assert len(server.asked) == 1
    assert "after 1 attempt" in capsys.readouterr().err


@pytest.mark.parametrize("reason", ["abort", "error", "content_filter", "tool_calls"])
def test_answer_that_was_broken_off_is_no_answer(
    server: Server, ask: Ask, tmp_path: Path, reason: object
) -> None:
    """HTTP 200 with an end that is none is asked again, then fails the run, and never scores."""

    def break_off(number: int, body: dict[str, Any]) -> None:
        if number >= 3:
            body["choices"][0]["finish_reason"] = reason

    server.change = break_off

    status = ask(server.url, tmp_path, "--attempts", "2", "--concurrency", "1")

    facts = facts_of(tmp_path)
    assert status == 2
    assert len(server.asked) == 5
    assert facts["status"] == "incomplete"
    assert "question 3 stayed unanswered after 2 attempts" in facts["reasons"][0]
    assert "finish_reason" in facts["reasons"][0]
    assert not isinstance(reason, str) or reason in facts["reasons"][0]
    assert len(read_journal(tmp_path / "journal.jsonl").answers) == 3


def test_aborted_once_is_asked_again(server: Server, ask: Ask, tmp_path: Path) -> None:
    """A request that the server aborted under load is counted and asked again."""

    def abort(number: int, body: dict[str, Any]) -> None:
        if number == 5:
            body["choices"][0] |= {"text": "There", "finish_reason": "abort"}

    server.change = abort

    status = ask(server.url, tmp_path)

    totals = facts_of(tmp_path)["totals"]
    assert status == 0
    assert totals["errors"] == {"finish_reason abort": 1}
    assert totals["right"]["strict-match"] == [RIGHT]


def test_every_good_end_is_taken_and_counted(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What servers call the end of an answer, its limit, or leave unsaid is an answer."""
    reasons = ["length", "eos", "eos_token", "stop_sequence", "end_turn", None, ""]

    def say(number: int, body: dict[str, Any]) -> None:
        if number < len(reasons):
            body["choices"][0]["finish_reason"] = reasons[number]

    server.change = say

    status = ask(server.url, tmp_path)

    totals = facts_of(tmp_path)["totals"]
    assert status == 0
    assert totals["finish_reasons"] == {
        **dict.fromkeys(("eos", "eos_token", "stop_sequence", "end_turn", "length"), 1),
        "stop": 33,
    }
    assert totals["truncated"] == 1
    assert totals["missing"]["finish_reason"] == 2
    assert "1 x length, 33 x stop" in capsys.readouterr().out


@pytest.mark.parametrize("code", [408, 409, 425, 429])
def test_server_that_is_busy_is_asked_again(
    server: Server, ask: Ask, tmp_path: Path, code: int
) -> None:
    """The 4xx that mean "later" are retried; the others say that the request is wrong."""

    async def busy(number: int, _: web.Request) -> web.Response | None:
        return web.Response(status=code) if number == 5 else None

    server.fault = busy

    assert ask(server.url, tmp_path) == 0
    assert facts_of(tmp_path)["totals"]["errors"] == {f"HTTP {code}": 1}


def test_pauses_between_attempts_double(server: Server, ask: Ask, tmp_path: Path) -> None:
    """A server in trouble is given time: --backoff, then twice that, then four times."""
    came: list[float] = []

    async def never(_: int, __: web.Request) -> web.Response:
        came.append(time.monotonic())
        return web.Response(status=503)

    server.fault = never

    options = ("--attempts", "4", "--backoff", "0.05", "--concurrency", "1")
    ask(server.url, tmp_path, *options)

    pauses = [later - earlier for earlier, later in itertools.pairwise(came)]
    # A pause may be longer on a busy machine, never shorter.
    assert len(pauses) == 3
    assert all(pause >= least for pause, least in zip(pauses, (0.05, 0.1, 0.2), strict=True))


def test_latency_is_that_of_each_request(server: Server, ask: Ask, tmp_path: Path) -> None:
    """The one slow answer has a latency of its own, the rest have others."""

    async def slow(number: int, _: web.Request) -> None:
        if number == 7:
            await asyncio.sleep(0.4)

    server.fault = slow

    ask(server.url, tmp_path, "--concurrency", "1")

    latency = [a.latency_s for a in read_journal(tmp_path / "journal.jsonl").answers.values()]
    assert latency[7] >= 0.4
    assert min(latency) > 0
    assert len(set(latency)) > 1
    assert sorted(latency)[20] < latency[7]


def test_connection_that_breaks_is_said_in_plain_words(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What happened comes first, and nothing of sockets and TLS settings."""

    async def dead(_: int, request: web.Request) -> web.Response | None:
        assert request.transport is not None
        request.transport.abort()
        return None

    server.fault = dead

    ask(server.url, tmp_path, "--attempts", "1", "--concurrency", "1")

    said = capsys.readouterr().err
    assert "after 1 attempt: the connection broke (" in said
    assert "ssl:" not in said


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ClientOSError(None, "Can not write request body"), "the connection broke"),
        (aiohttp.ServerDisconnectedError(), "the connection broke"),
        (aiohttp.ClientPayloadError("half a body"), "the connection broke"),
        (
            aiohttp.ClientConnectorError(Mock(ssl=True), OSError(111, "refused")),
            "no connection could be made",
        ),
        (aiohttp.ClientResponseError(Mock(), ()), "what came back is no HTTP"),
    ],
)
def test_errors_of_the_connection_are_told_apart(error: Exception, words: str) -> None:
    """A server that is gone, one that hangs up and one that speaks no HTTP are three things."""
    assert _broke(error) == words
