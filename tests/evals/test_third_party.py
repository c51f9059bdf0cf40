"""Other projects' servers: started, waited for and ended, and what is missing is named."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING

import pytest
import requests

from goldgate.cli import main
from goldgate.evals.errors import EvalError
from goldgate.evals.servers import llama_server, third_party, transformers_server
from goldgate.evals.servers.local_servers import STANDIN_DATA
from tests.evals.support import Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def files(port: int) -> list[str]:
    """Serve files: a server that answers /."""
    return [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]


def test_server_is_there_until_the_block_ends() -> None:
    """It answers inside the block, at an address that no longer answers behind it."""
    with third_party.serving("files", files, "/") as url:
        assert requests.get(url, timeout=5).ok

    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_server_that_ends_at_its_start_is_named() -> None:
    """The error has the server's name and status, and comes at once."""

    def ends(_port: int) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit(7)"]

    with (
        pytest.raises(EvalError, match=r"^ends ended with status 7 at its start$"),
        third_party.serving("ends", ends, "/"),
    ):
        pass


def test_server_that_never_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that stays an error is waited for no longer than stated."""
    monkeypatch.setattr(third_party, "START_S", 1.0)

    with (
        pytest.raises(EvalError, match=r"^files did not answer within 1 s$"),
        third_party.serving("files", files, "/not-there"),
    ):
        pass


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command names what is not installed and the environment that installs it."""
    monkeypatch.setattr(
        transformers_server, "find_spec", lambda name: None if name == "fastapi" else object()
    )
    monkeypatch.setattr(llama_server, "find_spec", lambda _name: None)

    with pytest.raises(EvalError, match=r"^fastapi: not installed; .*gsm8k-transformers"):
        transformers_server.standin()
    with pytest.raises(EvalError, match="tox -e gsm8k-llama"):
        llama_server.weights()


def test_command_asks_the_stand_ins_questions_by_the_folders_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`goldgate transformers` asks 20 of its own questions; the server takes the folder as id."""
    lines = (STANDIN_DATA / "test.jsonl").read_text(encoding="utf-8").splitlines()
    right = {row["question"]: row["answer"] for row in map(json.loads, lines)}
    folder = STANDIN_DATA / "model"

    @contextlib.contextmanager
    def serving(model: Path) -> Iterator[str]:
        with Server(right, model=f"{model.name}@main") as server:
            yield server.url

    monkeypatch.setattr(transformers_server, "serving", serving)
    monkeypatch.setattr(transformers_server, "standin", lambda: folder)

    status = main(["transformers", "--out", str(tmp_path / "run")])

    facts = facts_of(tmp_path / "run")
    assert status == 0
    assert facts["settings"]["model"] == "model"
    assert facts["settings"]["questions"] == 20
    assert facts["settings"]["num_fewshot"] == 0
    assert facts["totals"]["served_models"] == {"model@main": 20}
    assert facts["totals"]["right"]["strict-match"] == [20]
