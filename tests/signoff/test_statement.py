"""The in-toto Statement, held against its published format, and its check against files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from goldgate.cli import main
from goldgate.signoff.checklist import Checklist, Refused
from goldgate.signoff.decide import decide
from goldgate.signoff.gathered import Gathered, Interval
from goldgate.signoff.statement import to_statement, verified
from tests.signoff.facts import FACTS, JUDGE, NAMED, NOW, POLICY, a_file, a_scored, with_files

SignOff = Callable[..., int]


def _statement(facts: Gathered = FACTS, **changes: Any) -> tuple[Checklist, dict[str, Any]]:  # noqa: ANN401 - a field's value
    policy = replace(POLICY, **changes)
    checklist, left = decide(policy, with_files(facts), NOW, judge=JUDGE, named=NAMED)
    held: dict[str, Any] = json.loads(to_statement(checklist, left))
    return checklist, held


def _proto() -> Any:  # noqa: ANN401 - generated code without types
    """Import the package's own reader of the predicate."""
    from in_toto_attestation.predicates.test_result.v0 import (  # noqa: PLC0415 - generated
        test_result_pb2,
    )

    return test_result_pb2.TestResult()


def test_statement_is_valid() -> None:
    """in-toto's own package takes the Statement and every field of its predicate."""
    from google.protobuf import json_format  # noqa: PLC0415 - with the following
    from in_toto_attestation.v1.statement import Statement  # noqa: PLC0415 - a test dependency

    checklist, held = _statement()

    message = json_format.ParseDict(held, Statement([], "", {}).pb)
    Statement.copy_from_pb(message).validate()
    predicate = json_format.ParseDict(held["predicate"], _proto())
    assert predicate.result == "PASSED"
    assert list(predicate.passed_tests) == [
        one.name for one in checklist.items if one.name != "emulated"
    ]
    assert list(predicate.warned_tests) == ["emulated"]


@pytest.mark.parametrize("verdict", ["INCONCLUSIVE", "DEGRADED"])
def test_inconclusive_is_failed(verdict: str) -> None:
    """INCONCLUSIVE is a failed test, as DEGRADED is, and the result is FAILED."""
    _, held = _statement(replace(FACTS, scored=(a_scored(verdict=verdict),)))

    assert held["predicate"]["result"] == "FAILED"
    assert held["predicate"]["failedTests"] == ["gsm8k"]


def test_broken_file_is_failed() -> None:
    """A broken file beside complete evidence is a failed test: nothing is signed off."""
    broken = Refused(a_file("e/x.json", "JSON"), "cut short", unusable=True)

    checklist, held = _statement(replace(FACTS, refused=(broken,)))

    assert (checklist.status, checklist.signed_off) == (2, False)
    assert held["predicate"]["result"] == "FAILED"
    assert held["predicate"]["failedTests"] == ["usable-evidence"]


def test_missing_is_failed() -> None:
    """What is MISSING is a failed test where it is required, a warned one where it is not."""
    _, held = _statement(Gathered())

    assert held["predicate"]["result"] == "FAILED"
    assert "latency" in held["predicate"]["failedTests"]
    assert held["predicate"]["warnedTests"] == ["emulated"]


def test_demonstration_is_never_passed() -> None:
    """A complete demonstration is WARNED and named one: no release is admitted by it."""
    names = replace(POLICY.model, names=("goldgate-standin", "org/Model"))

    checklist, held = _statement(model=names)

    assert checklist.signed_off
    assert held["predicate"]["result"] == "WARNED"
    [about] = held["predicate"]["configuration"]
    assert about["annotations"]["demonstration"] is True
    assert about["annotations"]["verdict"].startswith("DEMONSTRATION")


def test_subjects_are_the_evidence() -> None:
    """Its subjects name each once the policy, every file that counts, and the runs' samples."""
    checklist, held = _statement()

    names = [one["name"] for one in held["subject"]]
    assert len(names) == len(set(names))
    assert {one.path for one in checklist.read} <= set(names)
    assert "policy test" in names
    assert "samples of the candidate of e/gsm8k/verdict.json" in names


def test_same_facts_give_the_same_bytes() -> None:
    """The Statement is a function of the facts, the policy and the clock."""
    slow = replace(FACTS, timed=tuple(replace(t, us=Interval(1, 1, 1)) for t in FACTS.timed))

    assert _statement() == _statement()
    assert _statement(slow)[1] == _statement()[1]  # figures are in signoff.json


def test_verify_at_the_same_place_and_elsewhere(
    copied: Path,
    signoff: SignOff,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Files are found by their hash wherever they are; one that is absent is exit 2."""
    signoff(copied, "--out", str(copied / "out"))
    statement = str(copied / "out" / "signoff.intoto.json")
    (copied / "evidence" / "old-new.json").rename(copied / "elsewhere.json")
    monkeypatch.chdir(copied)
    capsys.readouterr()

    assert main(["signoff", "verify", statement]) == 0
    assert " 0 changed, 0 not at hand" in capsys.readouterr().out

    (copied / "elsewhere.json").unlink()
    assert main(["signoff", "verify", statement]) == 2
    assert "evidence/old-new.json: not at hand" in capsys.readouterr().out
    assert main(["signoff", "verify", statement, "--partial"]) == 0


def test_verify_without_recordings_and_samples_at_hand(
    copied: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was known by its hash alone is named, with how to supply it, and is no error."""
    evidence = copied / "evidence"
    kept = {name: copied / name for name in ("recordings", "outputs", "candidate")}
    for name, folder in (("recordings", "host-a"), ("outputs", "host-a"), ("candidate", "gsm8k")):
        (evidence / folder / name).rename(kept[name])
    signoff(copied, "--out", str(copied / "out"))
    statement = str(copied / "out" / "signoff.intoto.json")
    where = ("--evidence", str(evidence), "--evidence", str(copied / "policy.toml"))
    capsys.readouterr()

    assert main(["signoff", "verify", statement, *where]) == 0
    printed = capsys.readouterr().out
    assert "not checked: 3 recordings that the evidence names by hash (recording standin" in printed
    assert "not checked: 1 journals that the evidence names by hash (journal of the cand" in printed
    assert "give --evidence what `goldgate record --out` wrote" in printed

    more = [part for folder in kept.values() for part in ("--evidence", str(folder))]
    assert main(["signoff", "verify", statement, *where, *more]) == 0
    assert "not checked" not in capsys.readouterr().out


def test_verify_finds_what_changed_in_a_folder_that_was_renamed(
    copied: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of evidence under another name, deeper in: its files keep their places."""
    signoff(copied, "--out", str(copied / "out"))
    (copied / "archive").mkdir()
    (copied / "evidence").rename(copied / "archive" / "release-7")
    path = copied / "archive" / "release-7" / "old-new.json"
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    capsys.readouterr()

    status = main(
        [
            "signoff",
            "verify",
            str(copied / "out" / "signoff.intoto.json"),
            "--evidence",
            str(copied),
        ]
    )

    printed = capsys.readouterr().out
    assert status == 1
    assert "evidence/old-new.json (now " in printed
    assert "archive/release-7/old-new.json): CHANGED" in printed
    assert " 1 changed, 0 not at hand" in printed


def test_verify_takes_no_file_of_another_place_for_a_changed_one() -> None:
    """Where several files may be a subject's, or the one there is another's, it is absent."""
    about = {"old/a.json": "1" * 64, "old/b/a.json": "2" * 64}
    statement = {
        "subject": [{"name": name, "digest": {"sha256": one}} for name, one in about.items()]
    }

    several = verified(statement, [("x/a.json", "3" * 64), ("y/a.json", "4" * 64)])
    other = verified(statement, [("new/b/a.json", "2" * 64)])

    assert [one.found for one in several] == ["absent", "absent"]
    assert [one.found for one in other] == ["absent", "same"]


def test_verify_names_a_changed_file(
    copied: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that was changed since is named, and the exit status is 1."""
    signoff(copied, "--out", str(copied / "out"))
    path = copied / "evidence" / "gsm8k" / "candidate" / "run.json"
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    where = ("--evidence", str(copied / "evidence"), "--evidence", str(copied / "policy.toml"))

    status = main(["signoff", "verify", str(copied / "out" / "signoff.intoto.json"), *where])

    printed = capsys.readouterr().out
    assert status == 1
    assert "evidence/gsm8k/candidate/run.json: CHANGED" in printed
    assert " 1 changed, 0 not at hand" in printed
    assert "states WARNED: DEMONSTRATION" in printed


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"_type": "https://in-toto.io/Statement/v1"}'])
def test_verify_refuses_what_is_no_statement(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anything but a Statement of a sign-off is one line and exit 2."""
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")

    assert main(["signoff", "verify", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"goldgate signoff: {path}: expected")
