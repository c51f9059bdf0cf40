"""A Chromium that lays pages out: its size, theme and medium set by DevTools, its console read."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "chrome-headless-shell")
_LISTENING = re.compile(r"DevTools listening on (ws://\S+)")


@dataclass(frozen=True)
class View:
    """How a page is looked at.

    Attributes:
        width: of the window, CSS pixels.
        dark: whether the reader prefers dark pages.
        paper: whether the page is laid out for print.

    """

    width: int
    dark: bool = False
    paper: bool = False


@dataclass(frozen=True)
class Seen:
    """What the browser found.

    Attributes:
        complaints: console messages, script errors and requests that failed or left the file.
        value: what the expression returned.
        picture: a PNG of the whole page.

    """

    complaints: tuple[str, ...]
    value: Any
    picture: bytes


def find_browser() -> str | None:
    """Name a Chromium, None where there is none."""
    named = [os.environ.get("GOLDGATE_CHROMIUM"), *map(shutil.which, NAMES)]
    return next((one for one in named if one), None)


@contextlib.contextmanager
def running(program: str, folder: Path) -> Iterator[str]:
    """Start a browser with an empty profile in a folder; yield the address of its DevTools."""
    process = subprocess.Popen(
        [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}", "--remote-debugging-port=0", "about:blank",
        ],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        lines = iter(process.stderr)
        yield next(found[1] for line in lines if (found := _LISTENING.search(line)))
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def look(devtools: str, page: Path, view: View, expression: str) -> Seen:
    """Open a page in a view, evaluate an expression in it and take its picture."""
    return asyncio.run(asyncio.wait_for(_look(devtools, page.as_uri(), view, expression), 120))


async def _look(devtools: str, address: str, view: View, expression: str) -> Seen:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(devtools, max_msg_size=0) as socket,
    ):
        tab = _Tab(socket)
        target = await tab.call("Target.createTarget", url="about:blank")
        attached = await tab.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        tab.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await tab.call(f"{domain}.enable")
        await tab.call(
            "Emulation.setDeviceMetricsOverride",
            width=view.width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        await tab.call(
            "Emulation.setEmulatedMedia",
            media="print" if view.paper else "screen",
            features=[{"name": "prefers-color-scheme", "value": "dark" if view.dark else "light"}],
        )
        await tab.call("Page.navigate", url=address)
        await tab.until("Page.loadEventFired")
        found = await tab.call(
            "Runtime.evaluate", expression=f"({expression})()", returnByValue=True
        )
        picture = await tab.call("Page.captureScreenshot", captureBeyondViewport=True)
        complaints = tuple(filter(None, (_complaint(one, address) for one in tab.events)))
        await tab.call("Page.close")
    value = found["result"].get("value")
    return Seen(complaints, value, base64.b64decode(picture["data"]))


class _Tab:
    """A tab's end of the DevTools protocol; events that pass by are kept."""

    def __init__(self, socket: Any) -> None:  # noqa: ANN401 - differs between aiohttp's releases
        self.session: str | None = None
        self.events: list[dict[str, Any]] = []
        self._socket = socket
        self._number = 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        self._number += 1
        session = {"sessionId": self.session} if self.session else {}
        message = {"id": self._number, "method": method, "params": parameters, **session}
        await self._socket.send_json(message)
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    async def until(self, event: str) -> None:
        while not any(one.get("method") == event for one in self.events):
            self.events.append(await self._socket.receive_json())


def _complaint(event: dict[str, Any], page: str) -> str | None:
    """Return what is wrong in an event, None where nothing is."""
    method, about = event.get("method"), event.get("params", {})
    if method == "Runtime.consoleAPICalled":
        return f"console: {about['args']}"
    if method == "Runtime.exceptionThrown":
        return f"exception: {about['exceptionDetails']}"
    if method == "Log.entryAdded":
        return f"log: {about['entry']['text']}"
    if method == "Network.requestWillBeSent" and about["request"]["url"] != page:
        return f"request: {about['request']['url']}"
    return None
