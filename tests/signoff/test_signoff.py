"""`goldgate signoff` from files to the answer, as a release manager runs it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from goldgate.cli import main
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS
from goldgate.signoff.document import SCHEMA_FILE
from tests.signoff.conftest import policy

SignOff = Callable[..., int]


def _document(out: Path) -> dict[str, Any]:
    """Read signoff.json and hold it against its schema."""
    held: dict[str, Any] = json.loads((out / "signoff.json").read_text(encoding="utf-8"))
    jsonschema.validate(held, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    return held


def test_complete_evidence_of_a_demonstration(
    complete: Path, tmp_path: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evidence of the real commands signs a demonstration off, which every output names as one."""
    status = signoff(complete, "--out", str(tmp_path))

    printed = capsys.readouterr().out
    assert status == 0, printed
    yes = (
        "DEMONSTRATION, releases nothing: YES: every required item passes; "
        "advisory: emulated MISSING, throughput MISSING"
    )
    assert f"SIGN-OFF {yes}" in printed
    statement = tmp_path / "signoff.intoto.json"
    assert f"cosign sign-blob --bundle {statement}.sigstore.json {statement}" in printed
    assert f"gpg --armor --detach-sign {statement}" in printed
    assert _document(tmp_path)["verdict"] == yes
    for name in ("signoff.md", "signoff.html", "signoff.intoto.json", "signoff.xml"):
        assert "DEMONSTRATION" in (tmp_path / name).read_text(encoding="utf-8"), name


def test_same_evidence_gives_the_same_bytes(
    complete: Path, tmp_path: Path, signoff: SignOff
) -> None:
    """Two runs with one clock write the same bytes, page and statement included."""
    clock = ("--now", "2030-01-01T00:00:00+00:00")

    for name in ("a", "b"):
        signoff(complete, *clock, "--out", str(tmp_path / name))

    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_release_policy_on_the_same_evidence(
    complete: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evidence of the stand-in signs no release: NO, exit 1."""
    where = ("--evidence", str(complete / "evidence"), "--out", str(tmp_path))

    status = main(["signoff", "--policy", "nvidia-minimax-m2.5", *where])

    assert status == 1
    assert "SIGN-OFF NO: of 14 required items 0 fail, 13 are missing" in capsys.readouterr().out
    found = (tmp_path / "signoff.md").read_text(encoding="utf-8")
    assert "of the stand-in, not MiniMax" in found


def test_shipped_evidence_alone_is_no(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What ships is emulated, synthetic or the stand-in's: NO, with what it would have filled."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")

    status = main(["signoff"])

    printed = capsys.readouterr().out
    assert status == 1
    assert "SIGN-OFF NO: of 14 required items 0 fail, 13 are missing" in printed
    assert "not counted: emulated" in printed
    assert "layer 0, layer 1, layer 2; not counted: of the stand-in" in printed
    assert "goldgate record sglang --out recorded-gfx950" in printed


def test_with_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder is no error: everything is missing, with the commands; none is one."""
    empty = tmp_path / "evidence"
    empty.mkdir()

    assert main(["signoff", "--evidence", str(empty)]) == 1
    assert "0 files of evidence read" in capsys.readouterr().out
    assert main(["signoff", "--evidence", str(tmp_path / "none")]) == 2
    assert f"--evidence {tmp_path / 'none'}: no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "host-a/parity.json",
        "host-b/deep/coverage.json",
        "old-new.json",
        "latency.json",
        "kills.json",
        "gsm8k/verdict.json",
        "gsm8k/candidate/samples.jsonl",
        "host-a/outputs/torch-eager/standin-layer01-0000.safetensors",
        "host-a/recordings/standin-layer01-0000.safetensors",
    ],
)
def test_file_edited_by_a_byte(
    name: str, copied: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]
) -> None:
    """A byte that differs anywhere in the evidence makes it unusable, by name: exit 2."""
    path = copied / "evidence" / name
    raw = bytearray(path.read_bytes())
    at = _digit(raw) if path.suffix != ".safetensors" else len(raw) - 5
    raw[at] ^= 1
    path.write_bytes(raw)

    status = signoff(copied)

    printed = capsys.readouterr().out
    assert status == 2, printed
    assert "SIGN-OFF DEMONSTRATION, releases nothing: NO: unusable evidence" in printed
    stem = path.parent.name if path.name == "samples.jsonl" else path.stem
    assert any(stem in line and "(unusable): " in line for line in printed.splitlines())


def _digit(raw: bytearray) -> int:
    """Return where a digit stands that is part of a number, in the second half of a JSON text."""
    middle = len(raw) // 2
    return next(at for at in range(middle, len(raw)) if chr(raw[at]) in "2468")


def test_truncated_file(copied: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was cut short is unusable evidence."""
    path = copied / "evidence" / "old-new.json"
    path.write_bytes(path.read_bytes()[:-100])

    assert signoff(copied) == 2
    assert "evidence/old-new.json (unusable): expected whole JSON" in capsys.readouterr().out


def test_kernel_of_another_day(
    copied: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evidence of another version of the kernel fills nothing, and is told with both versions."""
    text = policy(
        ('versions = ["*"]\ncommand = "torch-eager"', 'versions = ["9.9"]\ncommand = "t"')
    )
    (copied / "policy.toml").write_text(text, encoding="utf-8")

    status = signoff(copied)

    printed = capsys.readouterr().out
    assert status == 1
    assert "layer 0, " in printed
    assert "not 9.9" in printed
    assert "SIGN-OFF DEMONSTRATION, releases nothing: NO: of 13" in printed


def test_evidence_of_another_day(complete: Path, tmp_path: Path, signoff: SignOff) -> None:
    """After the policy's days the same evidence is too old, file by file."""
    clock = ("--now", "2099-01-01T00:00:00+00:00")

    assert signoff(complete, *clock, "--out", str(tmp_path)) == 1

    refused = {one["file"]["path"]: one["why"] for one in _document(tmp_path)["refused"]}
    assert sorted(refused) == [
        "evidence/gsm8k/verdict.json",
        "evidence/host-a/parity.json",
        "evidence/host-b/deep/coverage.json",
        "evidence/latency.json",
        "evidence/old-new.json",
    ]
    assert all("days ago: the policy allows 30; make it again" in why for why in refused.values())


def test_hosts_merge_in_any_layout(
    copied: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evidence in several folders, moved and copied, gives the same answer."""
    evidence = copied / "evidence"
    other = copied / "another" / "place"
    other.mkdir(parents=True)
    (evidence / "old-new.json").rename(other / "renamed.json")
    (other / "again.json").write_bytes((other / "renamed.json").read_bytes())
    (other / "package.json").write_text('{"name": "no evidence"}')

    status = signoff(copied, "--evidence", str(other))

    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "place/renamed.json is place/again.json again, byte for byte: read once" in printed
    assert "files are no evidence and were left alone" in printed


def test_judged_again_without_parity_evidence(
    copied: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recordings with outputs at hand are judged here; with --again none they are not."""
    (copied / "evidence" / "host-a" / "parity.json").unlink()

    assert signoff(copied) == 0
    assert signoff(copied, "--again", "none") == 1
    assert "parity" in capsys.readouterr().out


def test_contradiction_names_both_files(
    copied: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two whole files that contradict each other fail the agreement, which names both."""
    from goldgate.sealed import sealed  # noqa: PLC0415 - of this test alone

    path = copied / "evidence" / "old-new.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    one = held["results"][0]
    one |= {"verdict": "UNEXPLAINED", "new_wrong": 1}
    largest = max(("same", "other_weights", "order", "tie"), key=lambda name: int(one[name]))
    one[largest] -= 1
    held["summary"] |= {"explained": held["summary"]["explained"] - 1, "unexplained": 1}
    (path.parent / "other.json").write_text(sealed(held), encoding="utf-8")

    assert signoff(copied) == 1

    printed = capsys.readouterr().out
    assert "evidence/old-new.json states EXPLAINED" in printed
    assert "evidence/other.json states UNEXPLAINED" in printed


def test_junit_of_the_items(complete: Path, tmp_path: Path, signoff: SignOff) -> None:
    """--junitxml writes a case an item, what is advisory and open as skipped."""
    path = tmp_path / "signoff.xml"

    signoff(complete, "--junitxml", str(path))

    text = path.read_text(encoding="utf-8")
    assert 'tests="15" failures="0" errors="0" skipped="2"' in text


def test_shipped_folders_are_there() -> None:
    """The default evidence is what the package ships."""
    assert SHIPPED_RECORDINGS.is_dir()
    assert SHIPPED_OUTPUTS.is_dir()


def test_strange_names(copied: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]) -> None:
    """Names that are no UTF-8, or that steer a terminal, are read and shown as question marks."""
    evidence = copied / "evidence"
    for name, strange in (("old-new.json", b"a\xff.json"), ("latency.json", b"b\x1b[2J.json")):
        (evidence / name).rename(evidence / os.fsdecode(strange))

    status = signoff(copied, "--out", str(copied / "out"))

    assert status == 0, capsys.readouterr().out
    assert "\x1b[2J" not in (copied / "out" / "signoff.md").read_text(encoding="utf-8")
    assert "\x1b[2J" not in (copied / "out" / "signoff.html").read_text(encoding="utf-8")
    assert _document(copied / "out")["signed_off"] is True
