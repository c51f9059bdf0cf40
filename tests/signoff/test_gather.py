"""Reading evidence: what is known, what is refused, what is left alone, and how much of it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from goldgate.evals.records.verdict import write_verdict
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS
from goldgate.places import CHECKOUT
from goldgate.sealed import digest, sealed
from goldgate.signoff.gather import gather
from goldgate.signoff.gathered import LATENCY, SCORES, Gathered
from goldgate.signoff.other_facts import latency_facts, score_facts
from goldgate.signoff.walk import walk
from tests.signoff.facts import a_file, a_verdict


def _gathered(folder: Path) -> Gathered:
    return gather(walk([folder]))[0]


def _parity(number: int = 0, **more: object) -> dict[str, Any]:
    """Return parity evidence as `goldgate judge` writes it, of one result."""
    kernel = {
        "kernel": "new", "name": "new.kernel", "version": "2.1", "device": "AMD Instinct MI300X",
        "execution": "hardware", "arithmetic": "rcp_exp2", "note": None, "package": None,
        "source_sha256": None, "architecture": None,
    }  # fmt: skip
    result = {
        "kernel": "new", "recording": f"layer{number}", "verdict": "PASS", "tier": None,
        "recorded": None, "sha256": {"recording": f"{number:064x}", "output": None},
        "ran": {"name": "new.kernel", "version": "2.1", "device": "AMD Instinct MI300X"},
        "rows": 7, "profile": "rcp_exp2",
    }  # fmt: skip
    held: dict[str, Any] = {
        "schema": 2, "goldgate": {"version": "0", "commit": None, "sha256": "0" * 64, "judge": "j"},
        "environment": {}, "options": {}, "kernels": [kernel], "not_run": [], "required": [],
        "coverage": None, "read": [], "results": [result], "summary": {"exit_status": 0},
        "time": {"started": "", "finished": "2026-11-20T12:00:00+00:00"},
    }  # fmt: skip
    return held | more


_PACKED = gzip.compress(sealed(_parity()).encode(), mtime=0)


def test_kernel_is_described_by_its_device(tmp_path: Path) -> None:
    """A kernel whose evidence names the device alone has the device's architecture."""
    (tmp_path / "a.json").write_text(sealed(_parity()), encoding="utf-8")

    [one] = _gathered(tmp_path).parity

    assert (one.kernel.name, one.kernel.architecture, one.rows) == ("new.kernel", "gfx942", 7)
    assert (one.judge_sha256, one.file.path) == ("j", f"{tmp_path.name}/a.json")


def test_compressed_evidence_is_read(tmp_path: Path) -> None:
    """A document that gzip packed is evidence with the hash of the packed file."""
    (tmp_path / "a.json.gz").write_bytes(_PACKED)

    found = _gathered(tmp_path)

    assert [one.recording for one in found.parity] == ["layer0"]
    assert [one.sha256 for one in found.files] == [hashlib.sha256(_PACKED).hexdigest()]


@pytest.mark.parametrize(
    "packed",
    [
        b"{}",
        b"",
        gzip.compress(sealed(_parity()).encode())[:-9],
        gzip.compress(bytes(300 * 2**20), 1),
    ],
    ids=["not packed", "empty", "cut short", "too large"],
)
def test_broken_compressed_evidence_is_refused(packed: bytes, tmp_path: Path) -> None:
    """What gzip did not pack, or not whole, or what unpacks without measure is unusable."""
    (tmp_path / "a.json.gz").write_bytes(packed)

    [one] = _gathered(tmp_path).refused

    assert one.unusable
    assert "expected whole JSON" in one.why


@pytest.mark.parametrize(
    ("document", "unusable", "words"),
    [
        (
            {**_parity(), "schema": 1, "digest": "0" * 64},
            False,
            "schema 1: expected 2; judge again",
        ),
        (
            {**_parity(), "digest": "0" * 64},
            True,
            "its content is not what its digest was taken of",
        ),
        ({"schema": 2, "results": [], "not_run": []}, True, "no 'goldgate'"),
        (
            {"latencies": [], "floor_us": {}, "baseline": "x"},
            False,
            "schema 1, which has no digest",
        ),
        ({"kind": "kernel latency", "schema": 9}, True, "schema 9: expected 2"),
        ({"kind": "kill matrix", "schema": 1}, True, "no 'goldgate'"),
        ({"kind": "comparison of kernels", "schema": 1}, True, "no 'goldgate'"),
        ({"verdict": 1, "rules": 1, "paired": 1, "runs": 1, "schema": 2}, False, "has no digest"),
    ],
)
def test_broken_evidence_is_refused_by_name(
    document: dict[str, Any], unusable: bool, words: str, tmp_path: Path
) -> None:
    """What is meant to be evidence and is not whole is refused; an earlier layout is not broken."""
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")

    [one] = _gathered(tmp_path).refused

    assert (one.file.path, one.unusable) == (f"{tmp_path.name}/a.json", unusable)
    assert words in one.why
    assert str(tmp_path) not in one.why


@pytest.mark.parametrize("field", ["results", "kernels", "goldgate", "time"])
def test_evidence_with_a_digest_and_nonsense_is_refused(field: str, tmp_path: Path) -> None:
    """A digest that fits does not make nonsense evidence, nor a bug of ours."""
    held = _parity()
    held[field] = {"results": [{"kernel": "a", "recording": "b", "verdict": "PASS", "sha256": {}}],
                   "kernels": [3], "goldgate": {}, "time": {}}[field]  # fmt: skip
    text = json.dumps({**held, "digest": digest(held)})
    (tmp_path / "a.json").write_text(text, encoding="utf-8")

    found = _gathered(tmp_path)

    assert [one.unusable for one in found.refused] == ([True] if not found.parity else [])
    assert found.parity == () or field in ("goldgate", "time")


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """Another tool's files are counted, not refused, and hidden ones are not looked at."""
    (tmp_path / "package.json").write_text('{"name": "x"}', encoding="utf-8")
    (tmp_path / "list.json").write_text("[1, 2]", encoding="utf-8")
    (tmp_path / ".half.json").write_text("{", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("{", encoding="utf-8")
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")

    found = _gathered(tmp_path)

    assert found.refused == ()
    assert found.notes == ("2 files are no evidence and were left alone",)


def test_shipped_files_are_recordings_and_outputs() -> None:
    """The recordings and outputs that ship are read, with their hashes, and nothing is refused."""
    found, at_hand = gather(walk([SHIPPED_RECORDINGS, SHIPPED_OUTPUTS]))

    assert found.refused == ()
    assert len(found.recordings) == len(at_hand.recordings) == 6
    assert len(at_hand.outputs) == 18
    assert {one.model for one in found.recordings} == {"", "goldgate-standin"}


@pytest.mark.skipif(CHECKOUT is None, reason="an installed copy has no documents")
def test_measurements_in_the_documents_are_no_evidence() -> None:
    """Figures that the documents keep were written without a digest: refused, not unusable."""
    assert CHECKOUT is not None

    found = _gathered(CHECKOUT / "docs" / "measurements")

    assert not any(one.unusable for one in found.refused)


def test_thousands_of_files(tmp_path: Path) -> None:
    """2,000 documents of as many folders are read, each once, in the order of their names."""
    for number in range(2000):
        folder = tmp_path / f"host{number % 50:02}" / f"day{number // 50:02}"
        folder.mkdir(parents=True)
        (folder / "parity.json").write_text(sealed(_parity(number)), encoding="utf-8")

    found = _gathered(tmp_path)

    paths = [one.path for one in found.files]
    assert len(found.parity) == len(set(paths)) == 2000
    assert paths == sorted(paths)


def test_verdict_is_as_old_as_its_first_run(tmp_path: Path) -> None:
    """A paired verdict carries the time of the oldest of its runs; none where one has none."""
    held = a_verdict(look=None)
    runs = held["runs"]
    old = {**runs["baseline"], "finished": "2026-01-01T00:00:00+00:00"}
    write_verdict(tmp_path / "verdict.json", {**held, "runs": {**runs, "baseline": old}})

    [one] = _gathered(tmp_path).scored

    assert one.file.made == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "more",
    [{"paired": {}}, {"noise_floor": {"discordance": "?"}}, {"throughput": {"ratio": "fast"}}],
)
def test_paired_verdict_without_its_numbers_is_unusable(more: dict[str, Any]) -> None:
    """Counts that are missing or no numbers are an error of the file, not of the checklist."""
    with pytest.raises((KeyError, TypeError)):
        score_facts(a_verdict(**more), a_file("verdict.json", SCORES))


@pytest.mark.parametrize("name", ["us", "ratio"])
def test_latency_of_text_is_unusable(name: str) -> None:
    """A median or ratio that is text is an error of the file."""
    interval = {"median": 1.0, "low": 0.9, "high": 1.1}
    one = {"kernel": "k", "tokens": 1, "rotated": True, "us": interval, "ratio": interval}
    document = {
        "device": "", "kernels": {"k": {}}, "baseline": "k", "floor_us": {}, "spec": {},
        "latencies": [{**one, name: {**interval, "high": "1.1"}}],
    }  # fmt: skip

    with pytest.raises(TypeError, match="expected a number"):
        latency_facts(document, a_file("latency.json", LATENCY))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_pipe_is_left_alone(tmp_path: Path) -> None:
    """What is no regular file is not read: a pipe would wait for ever."""
    os.mkfifo(tmp_path / "x.json")

    assert list(walk([tmp_path])) == []
