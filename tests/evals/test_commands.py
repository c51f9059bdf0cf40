"""The commands as a new user types them: every mistake is one line and exit status 2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from goldgate.cli import main
from tests.evals.folders import write_facts
from tests.evals.support import Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Ask = Callable[..., int]


def one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Run a command that must be refused and return its line."""
    capsys.readouterr()
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = int(str(stop.code))
    said = capsys.readouterr().err
    assert status == 2
    assert said.count("\n") == 1, said
    return said


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "COMMAND"),
        (["gsm8k"], "--base-url"),
        (["parity", "--repeats", "x"], "'x': expected a whole number from 0 on"),
        (["parity", "--timeout", "0"], "'0': expected a number of seconds above 0"),
        (
            ["gsm8k", "--base-url", "x", "--out", "r", "--concurrency", "0"],
            "'0': expected a whole",
        ),
        (
            ["gsm8k", "--base-url", "x", "--out", "r", "--limit", "-3"],
            "'-3': expected a whole",
        ),
        (
            ["gsm8k", "--base-url", "x", "--out", "r", "--runs", "1.5"],
            "'1.5': expected a whole",
        ),
        (["gsm8k", "--base-url", "x", "--out", "r", "--api", "rest"], "'rest'"),
        (["compare", "a", "b", "--margin", "0"], "'0': expected a number of points"),
        (["compare", "a", "b", "--margin", "nan"], "'nan': expected a number of points"),
        (["compare", "a", "b", "--alpha", "0.5"], "'0.5': expected a probability"),
        (["compare", "no-such-run", "b"], "no-such-run: holds no run.json"),
        (["band", "no-such-run", "--published", "93.3", "93.4"], "no-such-run"),
        (["band", "r", "--published", "93.4", "93.3"], "lower first"),
        (["band", "r", "--published", "93.3"], "--published"),
        (["band", "r", "--published", "0.933", "0.934"], "is 93.3 93.4 meant?"),
        (["replay", "no-such-file", "--arm", "x"], "no-such-file"),
        (["replay", "f", "--arm", "x", "--port", "99999"], "'99999': expected a whole"),
        (["power", "--plot", "no-such-folder/x.png"], "no-such-folder/x.png: no such folder"),
    ],
)
def test_mistake_is_named_in_one_line(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the thing that was wrong."""
    assert named in one_line(capsys, arguments)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://x", "http://", "http://x:99999", "http://x?y=1", "http://[x"]
)
def test_address_that_is_none_is_refused(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address without scheme, host or port range says what was expected."""
    said = one_line(capsys, ["gsm8k", "--base-url", url, "--out", str(tmp_path)])

    assert "expected http://HOST:PORT" in said


def test_nobody_at_the_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that is not there is named before anything is written."""
    with Server({}) as gone:
        url = gone.url

    said = one_line(capsys, ["gsm8k", "--base-url", url, "--out", str(tmp_path / "r")])

    assert "no server answers" in said
    assert not (tmp_path / "r").exists()


def test_named_model_needs_a_server_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --model the address is looked at before the questions are, and nothing is written."""
    with Server({}) as gone:
        url = gone.url
    command = ["gsm8k", "--base-url", url, "--model", "m", "--out", str(tmp_path / "r")]

    said = one_line(capsys, command)

    assert "no server answers" in said
    assert not (tmp_path / "r").exists()


def test_server_on_this_machine_needs_no_proxy(
    server: Server, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that is set for the hub is not asked for a server on loopback."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nobody answers
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    assert ask(server.url, tmp_path, "--limit", "2") == 0


def test_several_models_need_a_choice(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which of several models is meant is not guessed."""
    server.models = ["a", "b"]

    said = one_line(capsys, ["gsm8k", "--base-url", server.url, "--out", str(tmp_path)])

    assert "lists a, b as its models; name one with --model" in said


def test_questions_that_are_not_gsm8k_are_refused(
    server: Server, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The task hash is asserted: other questions need --own-data."""
    common = ["gsm8k", "--base-url", server.url, "--out", str(tmp_path), "--data", str(data)]

    said = one_line(capsys, common)

    assert "2330f4ebfcccaf66a892922df2819cdb1f118e448d076d3f42bdde4177678ac7" in said
    assert "--own-data" in said
    assert server.asked == []


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "test.jsonl: cannot be read"),
        ("", "holds no question"),
        ("{\n", "line 1 is not a GSM8K question"),
        ('{"question": "x"}\n', "line 1 is not a GSM8K question"),
    ],
)
def test_data_that_cannot_be_read_is_named(
    server: Server,
    data: Path,
    tmp_path: Path,
    content: str | None,
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A missing, empty or broken file is named with its line."""
    (tmp_path / "train.jsonl").write_bytes((data / "train.jsonl").read_bytes())
    if content is not None:
        (tmp_path / "test.jsonl").write_text(content)

    said = one_line(
        capsys,
        ["gsm8k", "--base-url", server.url, "--out", str(tmp_path / "r"), "--data", str(tmp_path)],
    )

    assert named in said


def test_more_examples_than_there_are_is_named(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Examples are drawn from train.jsonl, which holds 20."""
    status = ask(server.url, tmp_path / "r", "--num-fewshot", "21")

    said = capsys.readouterr().err
    assert status == 2
    assert "--num-fewshot 21" in said
    assert said.count("\n") == 1


def test_folder_that_cannot_be_made_is_named(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the run folder should be is one line."""
    (tmp_path / "file").write_text("")

    status = ask(server.url, tmp_path / "file" / "r")

    said = capsys.readouterr().err
    assert status == 2
    assert str(tmp_path / "file") in said
    assert said.count("\n") == 1


def test_existing_run_is_not_overwritten(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run into the same folder has to say --resume."""
    ask(server.url, tmp_path)
    capsys.readouterr()

    status = ask(server.url, tmp_path)

    assert status == 2
    assert "--resume" in capsys.readouterr().err


def test_secrets_of_the_server_are_not_recorded(
    server: Server, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the key that is sent nor one that server info shows is written anywhere."""
    monkeypatch.setenv("OPENAI_API_KEY", "sesame-street")

    ask(server.url, tmp_path)

    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"sesame-street" not in written
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "complete"


def test_help_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command explains itself."""
    for command in ("gsm8k", "compare", "band", "power", "replay", "harness-bench", "swap"):
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])

        assert "usage: goldgate " + command in capsys.readouterr().out


def test_help_of_swap_explains_the_variables_that_it_reads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The help names every variable that chooses the servers, not the first sentence alone."""
    with pytest.raises(SystemExit, match="0"):
        main(["swap", "--help"])

    text = capsys.readouterr().out
    assert [v for v in ("BASE_URL", "BASELINE_URL", "BASELINE_RUN") if f" {v}" not in text] == []


def test_own_questions_have_no_published_score(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The band is refused for a run that did not ask GSM8K."""
    ask(server.url, tmp_path)

    said = one_line(capsys, ["band", str(tmp_path), "--published", "93.3", "93.4"])

    assert facts_of(tmp_path)["data"] == "own"
    assert "own questions" in said


def test_band_needs_to_know_what_was_cut(
    server: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without finish_reason and usage a score may hide any number of answers that were cut off."""

    def bare(_: int, body: dict[str, Any]) -> None:
        del body["choices"][0]["finish_reason"], body["usage"]

    server.change = bare
    ask(server.url, tmp_path)
    facts = facts_of(tmp_path)
    facts["data"] = "GSM8K"
    write_facts(tmp_path, facts)

    said = one_line(capsys, ["band", str(tmp_path), "--published", "93.3", "93.4"])

    assert "nobody can tell whether 40 answers were cut off" in said
