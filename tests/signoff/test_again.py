"""What is at hand is judged again: forged verdicts, exchanged recordings, known failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from goldgate.accuracy.tasks import Criteria
from goldgate.fixtures import open_recording, write_recording
from goldgate.sealed import sealed
from goldgate.signoff.again import margins_of, parity_again
from goldgate.signoff.gather import gather
from goldgate.signoff.gathered import Gathered
from goldgate.signoff.walk import walk

SignOff = Callable[..., int]
OUTPUTS = Path("evidence", "host-a", "outputs", "torch-eager")
RECORDINGS = Path("evidence", "host-a", "recordings")


def _again(folder: Path, most: int | None = None) -> Gathered:
    found, at_hand = gather(walk([folder]))
    return parity_again(at_hand, found.parity, Criteria(None, False, ()), most)


def test_forged_verdict_is_unusable(
    copied: Path, signoff: SignOff, capsys: pytest.CaptureFixture[str]
) -> None:
    """A verdict that was edited and sealed again is not what judging again finds."""
    path = copied / "evidence" / "host-a" / "parity.json"
    held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    one = held["results"][1]
    one |= {"exact": one["exact"] - 3, "admissible": one["admissible"] + 3}
    path.write_text(sealed(held), encoding="utf-8")

    assert signoff(copied) == 2

    printed = capsys.readouterr().out
    assert "evidence/host-a/parity.json states (row verdicts {'exact': " in printed
    assert signoff(copied, "--again", "none") == 0


def test_exchanged_recording_is_unusable(copied: Path) -> None:
    """Outputs whose recording is at hand with other bytes name both hashes."""
    path = copied / RECORDINGS / "standin-layer01-0000.safetensors"
    held = open_recording(path)
    write_recording(
        path.with_name("new.safetensors"), replace(held, source={**held.source, "a": 1})
    )
    path.with_name("new.safetensors").replace(path)

    found = _again(copied / "evidence")

    assert [(one.file.path, one.unusable) for one in found.refused] == [
        ("evidence/host-a/outputs/torch-eager/standin-layer01-0000.safetensors", True)
    ]
    assert "one of the two was edited or is another day's" in found.refused[0].why
    assert len(found.parity) == 2


def test_outputs_without_a_recording_are_told(copied: Path) -> None:
    """Outputs whose recording stayed on its host are not judged again, which is no fault."""
    for path in (copied / RECORDINGS).iterdir():
        path.unlink()

    found = _again(copied / "evidence")

    assert (found.parity, found.refused) == ((), ())
    assert found.notes == ("3 outputs have no recording at hand: not judged again",)


def test_few_rows_are_judged_unless_all_are_asked_for(copied: Path) -> None:
    """After so many rows no further output is judged; what is left is told with the option."""
    folder = copied / "evidence"

    assert len(_again(folder, 201).parity) == 2
    assert _again(folder, 201).notes == (
        "1 outputs were not judged again: --again all judges every one",
    )
    assert len(_again(folder).parity) == 3


def test_margins_are_of_every_row(complete: Path) -> None:
    """The gaps of a recording's rows are counted once each, by decades."""
    _, at_hand = gather(walk([complete / "evidence"]))

    found = list(margins_of(at_hand.recordings, None))

    assert [one.rows for one in found] == [200, 200, 200]
    assert all(sum(one.counts) == one.rows for one in found)
    assert all(len(one.counts) == len(one.edges) + 1 for one in found)
    assert len(list(margins_of(at_hand.recordings, 1))) == 1
