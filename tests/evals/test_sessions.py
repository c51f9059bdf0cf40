"""Who answered in each session of a run: remembered, told apart, and refused for good."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from goldgate.cli import main
from goldgate.evals.asking.journal_lines import read_journal
from tests.evals.support import Server, cut_to, facts_of, samples_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., int]


def test_run_refused_for_its_server_stays_refused(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Resuming cannot make evidence of answers that two servers gave: nothing asks them anew."""
    server.info = {"version": "1"}

    async def replace(number: int, _: web.Request) -> None:
        if number == 20:
            server.info = {"version": "2"}

    server.fault = replace
    refused = ask(server.url, tmp_path)
    # Back to the first server, for the length of the second session.
    server.info = {"version": "1"}
    capsys.readouterr()

    status = ask(server.url, tmp_path, "--resume")

    facts = facts_of(tmp_path)
    assert (refused, status) == (2, 2)
    assert len(server.asked) == 40
    assert facts["status"] == "refused"
    assert "/server_info.version was 1, is 2" in facts["reasons"][0]
    assert "REFUSED: the server stayed the same" in capsys.readouterr().out


def test_server_that_changed_before_a_failure_is_remembered(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another server in mid-run that then fails, back to the first: no question more is asked."""
    server.info = {"version": "1"}

    async def replace(number: int, _: web.Request) -> web.Response | None:
        if number >= 20:
            server.info = {"version": "2"}
        return web.Response(status=400) if number >= 30 else None

    server.fault = replace
    failed = ask(server.url, tmp_path, "--concurrency", "1")
    asked = len(server.asked)
    server.info, server.fault = {"version": "1"}, None

    status = ask(server.url, tmp_path, "--resume", "--concurrency", "1")

    assert (failed, status) == (2, 2)
    assert len(server.asked) == asked
    assert "/server_info.version was 1, is 2" in capsys.readouterr().err
    assert facts_of(tmp_path)["status"] == "incomplete"


def test_other_server_found_after_a_kill_is_remembered(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody can tell which of two servers answered a session that nobody saw the end of."""
    server.info = {"version": "1"}
    assert ask(server.url, tmp_path) == 0
    cut_to(tmp_path / "journal.jsonl", 25)
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"kind": "answer", "repe')
    server.asked.clear()

    server.info = {"version": "2"}
    other = ask(server.url, tmp_path, "--resume")
    said = capsys.readouterr().err
    server.info = {"version": "1"}
    back = ask(server.url, tmp_path, "--resume")

    assert (other, back) == (2, 2)
    assert server.asked == []
    assert "its 25 answers may be of either" in said
    assert "/server_info.version was 1, is 2" in capsys.readouterr().err


def test_other_server_after_a_finished_session_does_no_harm(
    server: Server, ask: Ask, tmp_path: Path
) -> None:
    """A resume at the wrong server is refused by name, and the run can go on at the right one."""
    server.info = {"version": "1"}

    async def fail(number: int, _: web.Request) -> web.Response | None:
        return web.Response(status=400) if number >= 20 else None

    server.fault = fail
    assert ask(server.url, tmp_path, "--concurrency", "1") == 2
    server.fault = None

    server.info = {"version": "2"}
    assert ask(server.url, tmp_path, "--resume", "--concurrency", "1") == 2
    assert len(server.asked) == 21
    server.info = {"version": "1"}
    assert ask(server.url, tmp_path, "--resume", "--concurrency", "1") == 0


def test_server_started_anew_between_sessions_is_named(
    server: Server, ask: Ask, tmp_path: Path
) -> None:
    """After a kill the same server may have been started again: its new seed is no change."""
    run = tmp_path / "run"
    server.info = {"version": "1", "random_seed": 7}
    assert ask(server.url, run) == 0
    cut_to(run / "journal.jsonl", 25)
    server.asked.clear()
    server.info = {"version": "1", "random_seed": 8}

    status = ask(server.url, run, "--resume")

    facts = facts_of(run)
    named = next(c["detail"] for c in facts["checks"] if c["name"] == "the server stayed the same")
    assert status == 0
    assert len(server.asked) == 15
    assert "started anew between sessions (/server_info.random_seed was 7, is 8)" in named
    assert facts["server"]["at_start"]["/server_info.random_seed"] == "7"
    assert facts["server"]["at_end"]["/server_info.random_seed"] == "8"
    # Nor is it one to a comparison, which sees the first look and the last.
    assert ask(server.url, tmp_path / "other") == 0
    assert main(["compare", str(tmp_path / "other"), str(run), "--margin", "10"]) == 0


def test_server_started_anew_within_a_session_is_refused(
    server: Server, ask: Ask, tmp_path: Path
) -> None:
    """A start in the middle of a session was not seen by whoever asked: the run says so."""
    server.info = {"random_seed": 7}

    async def restart(number: int, _: web.Request) -> None:
        if number == 20:
            server.info = {"random_seed": 8}

    server.fault = restart

    assert ask(server.url, tmp_path) == 2
    assert "random_seed was 7, is 8" in facts_of(tmp_path)["reasons"][0]


def test_server_that_is_gone_at_the_end_is_waited_for(
    server: Server, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a look at the end the run is incomplete, and resuming it needs only that look."""
    server.info = {"version": "1"}
    with monkeypatch.context() as patch:
        patch.setattr("goldgate.evals.asking.identity.look_again", lambda *_, **__: None)
        gone = ask(server.url, tmp_path)
    reason = facts_of(tmp_path)["reasons"][0]

    status = ask(server.url, tmp_path, "--resume")

    assert (gone, status) == (2, 0)
    assert "no longer says who it is" in reason
    assert len(server.asked) == 40
    journal = read_journal(tmp_path / "journal.jsonl")
    assert [sighting.at for sighting in journal.sightings] == ["start", "start", "end"]
    assert journal.unseen == 0


def test_journal_without_sightings_is_still_resumed(
    server: Server, ask: Ask, tmp_path: Path
) -> None:
    """A journal of schema 1 lacks what the server said; its settings say who was asked."""
    assert ask(server.url, tmp_path) == 0
    journal = tmp_path / "journal.jsonl"
    first, *rest = journal.read_bytes().splitlines(keepends=True)
    answers = [line for line in rest if b'"kind": "server"' not in line]
    old = [first.replace(b'"schema": 2', b'"schema": 1'), *answers]
    before = samples_of(tmp_path)

    for kept in (41, 21):
        journal.write_bytes(b"".join(old[:kept]))
        server.asked.clear()

        assert ask(server.url, tmp_path, "--resume") == 0
        assert len(server.asked) == 41 - kept
        assert samples_of(tmp_path) == before


def test_journal_of_another_server_at_the_same_address_is_refused(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Address and model can stay while the server does not: what it says about itself tells."""
    server.info = {"version": "1"}
    assert ask(server.url, tmp_path) == 0
    server.info = {"version": "2"}

    status = ask(server.url, tmp_path, "--resume")

    assert status == 2
    assert 'server./server_info.version: "1", not "2"' in capsys.readouterr().err
