"""Questions of our own, and a server that can be told how to misbehave."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

from aiohttp import web

from goldgate.evals.servers.replay_server import question_of, replay_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from typing_extensions import Self

QUESTIONS = 40
RIGHT = 30  # every fourth completion of the fixture `answers` is wrong


def problem(number: int) -> dict[str, str]:
    """Return one question in GSM8K's format."""
    boxes, marbles = 3 + number, 2 + number % 7
    total = boxes * marbles
    return {
        "question": f"A shelf holds {boxes} boxes with {marbles} marbles each. How many marbles?",
        "answer": f"There are {boxes} * {marbles} = {total} marbles.\n#### {total}",
    }


class Server:
    """A replay server in a thread; `fault` may answer in its place, `asked` is what it was asked.

    `fault` gets the number of the request (from 0) and the request, and returns a response or
    None to let the recorded completion through. `change` may alter a body that goes out.
    """

    def __init__(
        self, completions: dict[str, str], *, model: str = "m", delay_s: float = 0
    ) -> None:
        """Prepare the server; entering it starts it."""
        self.asked: list[str] = []
        self.payloads: list[dict[str, Any]] = []
        self.models: list[str] = []  # what /v1/models lists, if not the model
        self.info: dict[str, object] = {}  # what /server_info says; without it there is none
        self.fault: Callable[[int, web.Request], Awaitable[web.Response | None]] | None = None
        self.change: Callable[[int, dict[str, Any]], None] | None = None
        self._app = replay_app(completions, model=model, delay_s=delay_s)
        self._app.middlewares.append(self._misbehave)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    @web.middleware
    async def _misbehave(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path == "/v1/models" and self.models:
            return web.json_response({"data": [{"id": name} for name in self.models]})
        if request.path == "/server_info" and self.info:
            return web.json_response(self.info)
        if request.method != "POST":
            return await handler(request)
        number = len(self.asked)
        payload = await request.json()
        prompt = payload.get("prompt") or payload["messages"][-1]["content"]
        self.asked.append(question_of(prompt))
        self.payloads.append(payload)
        if self.fault is not None:
            answer = await self.fault(number, request)
            if answer is not None:
                return answer
        response = await handler(request)
        if self.change is None or response.status != 200:
            return response
        assert isinstance(response, web.Response)
        assert isinstance(response.body, bytes)
        body = json.loads(response.body)
        self.change(number, body)
        return web.json_response(body)

    def __enter__(self) -> Self:
        """Start on a free port of loopback."""
        self._thread.start()
        self._runner = web.AppRunner(self._app)
        self._run(self._runner.setup())
        self._run(web.TCPSite(self._runner, "127.0.0.1", 0).start())
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and wait until it has."""
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Any) -> None:  # noqa: ANN401 - a coroutine of any result
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)


def facts_of(out: Path) -> dict[str, Any]:
    """Read a run folder's run.json."""
    facts: dict[str, Any] = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return facts


def samples_of(out: Path) -> bytes:
    """Read what the verdict is drawn from."""
    return (out / "samples.jsonl").read_bytes()


def evidence_of(out: Path) -> tuple[bytes, dict[str, Any], bytes]:
    """Read a run folder without what is measured in time: stamps, speed, the journal's hash."""
    facts = facts_of(out)
    for name in ("started", "finished", "speed", "digest"):
        del facts[name]
    del facts["hashes"]["journal"]
    return samples_of(out), facts, (out / "junit.xml").read_bytes()


def cut_to(journal: Path, answers: int) -> None:
    """Leave a journal as SIGKILL would: the settings, the start and the first answers."""
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: 2 + answers]))
    (journal.parent / "run.json").unlink(missing_ok=True)
