"""An OpenAI-compatible server that answers with recorded completions.

It is no model: it stands in for one where the path from question to verdict is shown or timed.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from goldgate.evals.errors import EvalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What stands before the question in the prompts of gsm8k and gsm8k_cot, and after it.
_BEFORE = ("Question: ", "Q: ")
_AFTER = ("\nAnswer:", "\nA:", "\nA: Let's think step by step.")


def read_completions(path: Path, arm: str) -> dict[str, str]:
    """Read `{"question": ..., ARM: {"text": ...}}`, one a line, as question to completion.

    Raises EvalError for an unreadable file and for an arm that it does not hold.
    """
    try:
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
        rows = [json.loads(line) for line in lines]
        questions = [row["question"] for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvalError(
            f"{path}: not readable as recorded completions ({error}); expected one JSON object a "
            'line with "question" and an arm with "text"'
        ) from error
    try:
        return {question: row[arm]["text"] for question, row in zip(questions, rows, strict=True)}
    except (KeyError, TypeError) as error:
        arms = sorted(key for key, value in rows[0].items() if isinstance(value, dict))
        raise EvalError(f"{path}: no arm {arm!r}; it holds {', '.join(arms) or 'none'}") from error


def question_of(prompt: str) -> str:
    """Return the question that a prompt ends with, without its few-shot examples."""
    text = prompt
    for before in _BEFORE:
        text = text.rpartition(before)[2]
    for after in _AFTER:
        text = text.removesuffix(after)
    return text


def replay_app(
    completions: Mapping[str, str], *, model: str = "replay", delay_s: float = 0.0
) -> web.Application:
    """Build the server: every completion comes `delay_s` seconds after its request.

    Stop strings and max_tokens are honoured; tokens are counted as words between spaces, since
    there is no tokenizer.
    """

    async def complete(request: web.Request) -> web.Response:
        asked = await request.json()
        chat = "messages" in asked
        prompt = asked["messages"][-1]["content"] if chat else asked["prompt"]
        text = completions.get(question_of(prompt))
        if text is None:
            return web.json_response({"error": "no completion is recorded for it"}, status=404)
        if delay_s:
            await asyncio.sleep(delay_s)
        text, finish_reason = _cut(text, asked.get("stop") or [], asked["max_tokens"])
        said: dict[str, Any] = (
            {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        )
        return web.json_response(
            {
                "object": "chat.completion" if chat else "text_completion",
                "created": int(time.time()),
                "model": model,
                "choices": [{"index": 0, **said, "finish_reason": finish_reason}],
                "usage": {
                    "prompt_tokens": len(prompt.split(" ")),
                    "completion_tokens": len(text.split(" ")),
                },
            }
        )

    async def models(_: web.Request) -> web.Response:
        return web.json_response(
            {"object": "list", "data": [{"id": model, "object": "model", "created": time.time()}]}
        )

    app = web.Application()
    app.router.add_post("/v1/completions", complete)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", models)
    return app


def serve(app: web.Application, port: int) -> None:
    """Serve on loopback until interrupted; says `listening on URL` once it does.

    Raises EvalError for a port that is taken.
    """
    try:
        asyncio.run(_serve(app, port))
    except OSError as error:
        raise EvalError(
            f"port {port} cannot be had ({error.strerror}); choose another, or 0 for a free one"
        ) from error
    except KeyboardInterrupt:
        return


async def _serve(app: web.Application, port: int) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _cut(text: str, stops: list[str], max_tokens: int) -> tuple[str, str]:
    for stop in stops:
        text = text.partition(stop)[0]
    words = text.split(" ")
    return (text, "stop") if len(words) <= max_tokens else (" ".join(words[:max_tokens]), "length")
