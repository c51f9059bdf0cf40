"""A run that was killed, failed or refused, and is resumed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from goldgate.evals.asking.journal_lines import read_journal
from tests.evals.support import Server, cut_to, evidence_of, facts_of, samples_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., int]


def answered_in(journal: Path) -> int:
    """Count the whole lines of a journal that are answers."""
    lines = journal.read_bytes().splitlines(keepends=True) if journal.exists() else []
    return sum(b'"kind": "answer"' in line and line.endswith(b"\n") for line in lines)


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
        sys.executable, "-m", "goldgate", "gsm8k", "--base-url", server.url, "--out",
        str(journal.parent), "--data", str(data), "--own-data", "--concurrency", "2", "--resume",
    ]  # fmt: skip
    kept: list[int] = []
    for lines in (7, 19):
        client = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while answered_in(journal) < lines:
            assert time.monotonic() < deadline
            assert client.poll() is None
            time.sleep(0.01)
        os.kill(client.pid, signal.SIGKILL)
        assert client.wait() == -signal.SIGKILL
        kept.append(answered_in(journal))
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


def test_broken_off_answer_in_an_older_journal_is_refused(
    server: Server, ask: Ask, tmp_path: Path
) -> None:
    """Journals of schema 1 took an aborted request for an answer; it still is none."""
    assert ask(server.url, tmp_path) == 0
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(
        journal.read_bytes().replace(b'"finish_reason": "stop"', b'"finish_reason": "abort"', 2)
    )

    status = ask(server.url, tmp_path, "--resume")

    assert status == 2
    assert "2 broken off by the server" in facts_of(tmp_path)["reasons"][0]


def test_journaled_prompt_has_to_be_the_one_asked_now(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer to another prompt is named before anything is asked."""
    assert ask(server.url, tmp_path) == 0
    journal = tmp_path / "journal.jsonl"
    cut_to(journal, 25)
    known = next(iter(read_journal(journal).answers.values())).prompt_sha256
    journal.write_bytes(journal.read_bytes().replace(known.encode(), b"0" * 64))
    server.asked.clear()

    status = ask(server.url, tmp_path, "--resume")

    assert status == 2
    assert "had another prompt" in capsys.readouterr().err
    assert server.asked == []


def test_error_before_anything_is_asked_leaves_the_journal(
    server: Server, ask: Ask, tmp_path: Path
) -> None:
    """Looking at the server is journaled where it was asked, not where a resume is refused."""
    assert ask(server.url, tmp_path) == 0
    journal = tmp_path / "journal.jsonl"
    known = next(iter(read_journal(journal).answers.values())).prompt_sha256
    damaged = journal.read_bytes().replace(known.encode(), b"0" * 64)
    journal.write_bytes(damaged)

    status = ask(server.url, tmp_path, "--resume")

    assert status == 2
    assert journal.read_bytes() == damaged


def test_passes_can_be_added(server: Server, ask: Ask, tmp_path: Path) -> None:
    """A run of one pass resumed with --runs 2 is a run of two, byte for byte."""
    assert ask(server.url, tmp_path / "whole", "--runs", "2") == 0
    assert ask(server.url, tmp_path / "grown") == 0
    server.asked.clear()

    status = ask(server.url, tmp_path / "grown", "--resume", "--runs", "2")

    assert status == 0
    assert len(server.asked) == 40
    assert samples_of(tmp_path / "grown") == samples_of(tmp_path / "whole")
    assert facts_of(tmp_path / "grown")["settings"] == facts_of(tmp_path / "whole")["settings"]
    assert ask(server.url, tmp_path / "grown", "--resume", "--runs", "2") == 0
    assert len(server.asked) == 40


@pytest.mark.parametrize("grown", [True, False])
def test_passes_cannot_be_taken_away(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, grown: bool
) -> None:
    """Answers that were paid for are not left out, whether asked at once or added."""
    assert ask(server.url, tmp_path, "--runs", "1" if grown else "2") == 0
    assert not grown or ask(server.url, tmp_path, "--resume", "--runs", "2") == 0

    status = ask(server.url, tmp_path, "--resume", "--runs", "1")

    assert status == 2
    assert "runs: 2, not 1" in capsys.readouterr().err
    assert facts_of(tmp_path)["totals"]["answers"] == 80
