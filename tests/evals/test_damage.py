"""Run folders that were damaged: each is refused in one line, and none becomes a verdict."""

from __future__ import annotations

import copy
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from goldgate.cli import main
from goldgate.evals.task import FILTERS
from tests.evals.folders import write_facts, write_samples
from tests.evals.support import Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Ask = Callable[..., int]
    Samples = list[dict[str, Any]]

REPLACED: tuple[object, ...] = (None, [], "x", -1, 7)
UNREAD = ("environment", "client", "checks")  # evidence for people: no verdict rests on it


@pytest.fixture(scope="module")
def arms(
    problems: list[dict[str, str]], ask: Ask, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Hold two finished runs of one server that answers all of 40 questions rightly."""
    folder = tmp_path_factory.mktemp("arms")
    with Server({row["question"]: row["answer"] for row in problems}) as server:
        for name in ("one", "other"):
            assert ask(server.url, folder / name) == 0
    return folder


@pytest.fixture
def run(arms: Path, tmp_path: Path) -> Path:
    """Hold a copy of the second run that a test may damage."""
    return shutil.copytree(arms / "other", tmp_path / "other")


def dotted(value: object, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Name every field of nested JSON objects."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield (*prefix, name)
            yield from dotted(item, (*prefix, name))


def changed(record: dict[str, Any], name: tuple[str, ...], *value: object) -> dict[str, Any]:
    """Return a copy in which a field has this value, or is absent where there is none."""
    record = copy.deepcopy(record)
    inner = record
    for part in name[:-1]:
        inner = inner[part]
    if value:
        inner[name[-1]] = value[0]
    else:
        del inner[name[-1]]
    return record


def verdict(one: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> int:
    """Compare with a margin that 40 equal answers hold; a defect of ours is none of the ends."""
    capsys.readouterr()
    status = main(["compare", str(one), str(other), "--margin", "10"])
    said = capsys.readouterr()
    assert "defect" not in said.err, said.err
    assert said.err.count("\n") == (0 if said.out else 1)
    return status


def read_samples(run: Path) -> Samples:
    """Read samples.jsonl."""
    return [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]


def test_damaged_run_json_is_refused_or_makes_no_difference(
    arms: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each field absent or replaced: status 2 or the verdict that it was, never DEGRADED's 1."""
    whole = facts_of(run)
    assert verdict(arms / "one", run, capsys) == 0

    for name in dotted(whole):
        if name[0] in UNREAD and len(name) > 1:
            continue
        for value in ((), *((other,) for other in REPLACED)):
            write_facts(run, changed(whole, name, *value))

            assert verdict(arms / "one", run, capsys) in (0, 2), (name, value)
            if not value:
                assert verdict(run, arms / "one", capsys) in (0, 2), name


def test_damaged_sample_is_refused_or_makes_no_difference(
    arms: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each field of a sample absent or replaced, under a hash that fits: never a verdict of 1."""
    samples = read_samples(run)

    for name in dotted(samples[3]):
        for value in ((), *((other,) for other in REPLACED)):
            damaged = changed(samples[3], name, *value)
            write_samples(run, [*samples[:3], damaged, *samples[4:]])
            shutil.rmtree(run / "looks", ignore_errors=True)  # else alpha is soon spent

            assert verdict(arms / "one", run, capsys) in (0, 2), (name, value)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda rows: rows[:-1], "holds 39 answers, expected 1 x 40"),
        (lambda rows: [*rows, rows[0]], "holds 41 answers, expected 1 x 40"),
        (lambda rows: [rows[1], rows[0], *rows[2:]], "in order"),
        (lambda rows: [rows[0], rows[0], *rows[2:]], "once each"),
        (lambda rows: [*rows[:-1], 7], "repeat is missing in line 40"),
        (lambda _: [], "holds 0 answers"),
    ],
)
def test_samples_that_lack_or_repeat_a_question_are_refused(
    arms: Path,
    run: Path,
    damage: Callable[[Samples], list[Any]],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One answer a question and pass, in order, whatever the hash says."""
    write_samples(run, damage(read_samples(run)))

    assert main(["compare", str(arms / "one"), str(run)]) == 2
    assert named in capsys.readouterr().err


def test_marks_that_run_json_does_not_count_are_refused(
    arms: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Totals are unhashed: they are counted again, and both numbers are named."""
    samples = read_samples(run)
    samples[0]["right"] = dict.fromkeys(FILTERS, False)
    write_samples(run, samples)

    assert main(["compare", str(arms / "one"), str(run)]) == 2
    assert "right.strict-match is [39], run.json says [40]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        (("totals", "served_models"), {"m": 20, "n": 20}, "answered by m, n"),
        (("totals", "nameless"), {"served_models": 7}, "7 of 40 answers name no model id"),
        (("server", "at_end"), {}, "is gone"),
    ],
)
def test_run_that_claims_to_be_whole_is_looked_at(
    arms: Path,
    run: Path,
    name: tuple[str, ...],
    value: object,
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status "complete" is no proof where the run's own fields say otherwise."""
    write_facts(run, changed(facts_of(run), name, value))

    assert main(["compare", str(arms / "one"), str(run), "--models-differ"]) == 2
    assert named in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (("hashes", "journal"), "0" * 64),  # a copy that is to pass for a second run
        (("settings", "generation", "temperature"), 0.7),
        (("speed", "tokens_per_s"), float("nan")),
        (("digest",), None),
    ],
)
def test_run_json_that_was_edited_is_refused(
    arms: Path, run: Path, name: tuple[str, ...], value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """run.json is sealed: an edit by hand is named, whatever field it is of."""
    (run / "run.json").write_text(json.dumps(changed(facts_of(run), name, value)))

    assert verdict(arms / "one", run, capsys) == 2
    assert main(["compare", str(arms / "one"), str(run)]) == 2
    assert "it was changed after the run" in capsys.readouterr().err


def test_run_of_schema_2_is_read(arms: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run folder of before run.json was sealed gives the verdict that it gave."""
    facts = {**facts_of(run), "schema": 2}
    del facts["digest"], facts["totals"]["nameless"]
    (run / "run.json").write_text(json.dumps(facts))

    assert verdict(arms / "one", run, capsys) == 0


@pytest.mark.parametrize("command", ["compare", "band"])
def test_answer_that_was_broken_off_is_none_in_an_older_run_either(
    arms: Path, run: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run of before such answers failed says "complete"; its samples say "abort"."""
    samples = read_samples(run)
    samples[3]["finish_reason"] = "abort"
    write_samples(run, samples)
    write_facts(run, {**facts_of(run), "data": "GSM8K"})
    rest = ["--published", "93.3", "93.4"] if command == "band" else [str(arms / "one")]

    assert main([command, str(run), *rest]) == 2
    said = capsys.readouterr()
    assert "1 answers broken off by the server" in said.out + said.err


@pytest.mark.parametrize("wanted", [False, True])
def test_defect_of_ours_is_no_verdict(
    arms: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    wanted: bool,
) -> None:
    """An exception that nobody foresaw is one line and status 2; a traceback is had on request."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("goldgate.evals.comparing.compare.compare", broken)
    monkeypatch.setenv("GOLDGATE_TRACEBACK", "1" if wanted else "")

    assert main(["compare", str(arms / "one"), str(arms / "other")]) == 2
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith(
        "goldgate compare: RuntimeError: two lines; no verdict: this is a bug in goldgate"
    )
    assert (said.count("\n") > 1) == ("Traceback" in said) == wanted
