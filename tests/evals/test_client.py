"""Servers that fail, stall or break off: asked again, named, never scored."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

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
