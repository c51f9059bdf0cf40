"""Outputs that `goldgate emulate` saved are judged alike by `judge` and `signoff`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from goldgate import cli
from goldgate.accuracy import emulated_tasks
from goldgate.accuracy.account import Account, to_json
from goldgate.accuracy.emulated_plan import plan_recordings
from goldgate.accuracy.emulated_tasks import Uncertified
from goldgate.accuracy.saving import saved, to_save
from goldgate.accuracy.tasks import Criteria, work
from goldgate.fixtures import FixtureError, open_output, open_recording, write_output
from goldgate.fixtures import write_recording as write
from goldgate.fixtures.constructed import construct
from goldgate.kernels.aiter_emulated.variants import variants
from goldgate.signoff.again import parity_again
from goldgate.signoff.gather import gather
from goldgate.signoff.gathered import Gathered
from goldgate.signoff.walk import walk
from tests.accuracy.stand_in_kernel import golden_kernel

_CRITERIA = Criteria(None, ordered=False, known_failures=())
_NAME = "tokens_257"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return evidence of a kernel whose weights are moved as a one-sided model moves them.

    `recordings/` and `outputs/` beside `evidence.json`, as the command writes them.
    """
    kernel = golden_kernel(arithmetic="conservative", means={"below": -1.6, "above": 1.6})
    monkeypatch.setattr(emulated_tasks, "emulate", kernel)
    recording = tmp_path / "recordings" / f"{_NAME}.safetensors"
    recording.parent.mkdir()
    write(recording, construct(_NAME))
    plan = plan_recordings({_NAME: open_recording(recording)}, variants(7))
    outputs = tmp_path / "outputs"
    tasks = emulated_tasks.emulated_tasks(
        *(plan, _CRITERIA, map, outputs, Uncertified(), lambda _: None)
    )
    to_save(outputs, tasks, ())
    judged = work(tasks)
    assert saved(outputs, judged) == []
    (tmp_path / "evidence.json").write_text(to_json(judged, Account({})), encoding="utf-8")
    return tmp_path


def _judge(folder: Path) -> int:
    return cli.main(
        [
            *("judge", "--recordings", str(folder / "recordings")),
            *("--outputs", str(folder / "outputs"), "--json", str(folder / "judged.json")),
        ]
    )


def _again(folder: Path) -> Gathered:
    found, at_hand = gather(walk([folder]))
    return parity_again(at_hand, found.parity, _CRITERIA, None)


def _restated(folder: Path, **stated: str) -> Path:
    """State something else in every output; return one of them."""
    recording = open_recording(folder / "recordings" / f"{_NAME}.safetensors")
    paths = sorted((folder / "outputs").rglob("*.safetensors"))
    for path in paths:
        held = open_output(path, recording)
        other = replace(held, kernel=replace(held.kernel, **stated))
        write_output(path.with_suffix(".new"), other, recording)
        path.with_suffix(".new").replace(path)
    return paths[0]


def test_each_model_passes_in_judge_as_it_did_when_it_was_executed(folder: Path) -> None:
    """The evidence of both states the model, the mean that it moves and the same verdict."""
    assert _judge(folder) == 0

    documents: list[dict[str, Any]] = [
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("evidence.json", "judged.json")
    ]
    expected = {
        "nearest": [0.0, 0.0],
        "below": [-2.0, -1.0],
        "above": [1.0, 2.0],
        "random (seed 7)": [0.0, 0.0],
    }
    for held in documents:
        assert len(held["results"]) == 8
        for one in held["results"]:
            assert one["verdict"] == "PASS"
            assert one["drift"]["expected_mean_u"] == expected[one["rounding"]]
            assert one["drift"]["mean_limit_u"] == 1.25
        assert {one["rounding"] for one in held["kernels"]} == set(expected)
        assert {one["architecture"] for one in held["kernels"]} == {"gfx942", "gfx950"}


def test_signoff_finds_the_same_verdicts(folder: Path) -> None:
    """Judged again, no output contradicts the evidence, whatever its model."""
    found = _again(folder)

    assert found.refused == ()
    assert [one.verdict for one in found.parity] == ["PASS"] * 8
    assert {one.kernel.execution for one in found.parity} == {"emulated"}


def test_moved_outputs_that_state_no_model_fail(folder: Path) -> None:
    """Without the model in the metadata the move is drift, in `judge` and in `signoff`."""
    _restated(folder, rounding="")
    (folder / "evidence.json").unlink()

    assert _judge(folder) == 1

    verdicts = [one.verdict for one in _again(folder).parity]
    assert sorted(verdicts) == ["FAIL"] * 4 + ["PASS"] * 4


def test_outputs_of_hardware_cannot_state_a_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are refused by name, by the reader, `judge` and `signoff`."""
    path = _restated(folder, execution="hardware")
    (folder / "evidence.json").unlink()
    capsys.readouterr()

    assert _judge(folder) == 2

    text = " ".join(capsys.readouterr().out.split())
    assert "a rounding model is an emulator's; what ran on hardware states none" in text
    found = _again(folder)
    assert found.parity == ()
    assert len(found.refused) == 8
    assert all(one.unusable for one in found.refused)
    with pytest.raises(FixtureError, match=r"kernel\.rounding is 'above' and execution 'hardware'"):
        open_output(path, open_recording(folder / "recordings" / f"{_NAME}.safetensors"))


def test_unknown_models_are_refused(folder: Path) -> None:
    """A model that the emulator does not have is named with those that it has."""
    path = _restated(folder, rounding="upward")

    with pytest.raises(FixtureError, match="expected nearest, below, above or random"):
        open_output(path, open_recording(folder / "recordings" / f"{_NAME}.safetensors"))
