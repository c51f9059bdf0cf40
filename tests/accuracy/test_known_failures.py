"""Known failures are strict: neither more nor less than the file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldgate.accuracy.evaluate import Result, judge
from goldgate.accuracy.known_failures import (
    SHIPPED,
    KnownFailure,
    KnownFailureError,
    read_known_failures,
)
from goldgate.accuracy.selection import Verdict
from goldgate.fixtures import open_output, open_recording
from goldgate.reference import PROFILES

FIXTURES = Path(__file__).parents[2] / "fixtures"
AITER = "aiter-2026-08-gfx942-emulated"
_HEAD = '[[known_failure]]\nkernel="k"\nversion="*"\nrecording="r"\nrecording_sha256="0"\n'


def _edge(known_failures: tuple[KnownFailure, ...]) -> Result:
    recording = open_recording(FIXTURES / "recordings" / "edge.safetensors")
    output = open_output(FIXTURES / "outputs" / AITER / "edge.safetensors", recording)
    return judge(recording, output, PROFILES["rcp_exp2"], known_failures=known_failures)


def test_shipped_deviations_cover_what_fails_and_still_show_it() -> None:
    """Aiter's NaN weights and duplicate ids pass as known, and are counted as wrong."""
    result = _edge(read_known_failures(SHIPPED))

    assert result.passed
    assert result.known == 20
    assert result.counts[Verdict.WRONG] == 17


def test_without_them_the_rows_fail() -> None:
    """The same outputs fail when no known_failure is known."""
    result = _edge(())

    assert not result.passed
    assert len(result.failing) == 20


def test_a_deviation_that_stops_happening_fails() -> None:
    """A listed row that is right is reported as stale and fails the verdict."""
    changed = [
        KnownFailure(**{**vars(d), "rows": (*d.rows, 50)}) if d.reason == "duplicate id" else d
        for d in read_known_failures(SHIPPED)
    ]

    result = _edge(tuple(changed))

    assert not result.passed
    assert not len(result.failing)
    assert [rows for _, rows in result.stale] == [(50,)]


def test_another_reason_is_not_excused() -> None:
    """A row that fails for another reason than the listed one fails."""
    changed = [
        KnownFailure(**{**vars(d), "reason": "weight"}) for d in read_known_failures(SHIPPED)
    ]

    result = _edge(tuple(changed))

    assert len(result.failing) == 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[known_failure", "no TOML"),
        ("known_failure = 3", "expected tables"),
        ('[[known_failure]]\nkernel = "k"', "has no 'version'"),
        (
            f'{_HEAD}reason="bad mood"\nwhy="w"\nrows=[1]',
            "reason: expected one of",
        ),
        (
            f'{_HEAD}reason="weight"\nwhy="w"\nrows=[]',
            "has no 'rows'",
        ),
        (
            f'{_HEAD}reason="weight"\nwhy="w"\nrows=[1]\nmood="bad"',
            "unknown mood",
        ),
    ],
)
def test_refuses_incomplete_files(tmp_path: Path, text: str, message: str) -> None:
    """A file of known failures that cannot be trusted is refused by name."""
    path = tmp_path / "known_failures.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(KnownFailureError, match=message):
        read_known_failures(path)


def test_every_shipped_deviation_has_a_reason() -> None:
    """Each shipped known_failure names rows and says why."""
    for known_failure in read_known_failures(SHIPPED):
        assert known_failure.rows
        assert len(known_failure.why) > 20
