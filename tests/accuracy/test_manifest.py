"""The manifest of outputs: what was asked and is missing is never taken for a pass."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from goldgate.accuracy.manifest import Entry, read_manifest, write_manifest
from goldgate.accuracy.recorded import judge_tasks
from goldgate.accuracy.tasks import Criteria, work
from goldgate.cli import main
from goldgate.fixtures import (
    SHIPPED_OUTPUTS,
    SHIPPED_RECORDINGS,
    FixtureError,
    KernelInfo,
    Output,
    open_recording,
    write_output,
    write_recording,
)
from goldgate.fixtures.recording import Recording, recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import MINIMAX_M2_5

KERNEL = "torch-2.11-eager-h100"
HOW = Criteria(None, ordered=False, known_failures=())


def _folder(path: Path, *answered: str) -> Path:
    """Copy three recordings and a kernel's outputs for some of them; return the outputs."""
    for name in ("edge", "normal", "offset"):
        (path / "r").mkdir(exist_ok=True)
        shutil.copy(SHIPPED_RECORDINGS / f"{name}.safetensors", path / "r")
    (path / "o" / KERNEL).mkdir(parents=True)
    for name in answered:
        shutil.copy(SHIPPED_OUTPUTS / KERNEL / f"{name}.safetensors", path / "o" / KERNEL)
    return path / "o" / KERNEL


def _judge(path: Path, *more: str) -> int:
    return main(["judge", "--recordings", str(path / "r"), "--outputs", str(path / "o"), *more])


def test_without_a_manifest_every_recording_needs_an_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outputs for one of three recordings are exit 2, and the two others are named."""
    _folder(tmp_path, "normal")

    assert _judge(tmp_path) == 2

    said = capsys.readouterr().out
    assert "edge.safetensors: no output" in said
    assert "offset.safetensors: no output" in said
    assert "1 passed, 0 failed, 2 refused" in said


def test_partial_leaves_out_what_has_no_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--partial passes what is there and says what it left out."""
    _folder(tmp_path, "normal")

    assert _judge(tmp_path, "--partial") == 0

    assert "2 not run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        ("written", 2, "was written, and there is no output"),
        ("asked", 2, "was asked, and there is no output"),
        ("not covered", 0, "not run on edge: no such shape"),
        ("crashed", 1, "it crashed when it was run: no such shape"),
    ],
)
def test_the_manifest_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], state: str, status: int, said: str
) -> None:
    """Missing is what was asked and not written; not covered is no failure; a crash is one."""
    folder = _folder(tmp_path, "normal")
    entries = {"normal": Entry("written"), "edge": Entry(state, "no such shape")}
    write_manifest(folder, KERNEL, entries)

    assert _judge(tmp_path) == status

    assert said in capsys.readouterr().out


def test_partial_does_not_excuse_what_a_manifest_asked(tmp_path: Path) -> None:
    """--partial is for folders without a manifest alone."""
    folder = _folder(tmp_path, "normal")
    write_manifest(folder, KERNEL, {"edge": Entry("written"), "normal": Entry("written")})

    assert _judge(tmp_path, "--partial") == 2


def test_every_shipped_folder_has_a_manifest_of_what_is_in_it() -> None:
    """The shipped manifests name exactly the shipped outputs."""
    for folder in SHIPPED_OUTPUTS.iterdir():
        names = {path.stem for path in folder.glob("*.safetensors")}

        assert read_manifest(folder) == dict.fromkeys(names, Entry("written"))


def test_saved_outputs_carry_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parity writes what it asked and what became of it; a crash is in it, and judge fails it."""
    (tmp_path / "halves.py").write_text(
        "from goldgate.kernels.torch_eager import route as there\n"
        "def route(x, *a):\n"
        "    assert len(x) < 2000, 'too many rows'\n"
        "    there(x, *a)\n",
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    _folder(tmp_path)
    (tmp_path / "r" / "offset.safetensors").unlink()
    shutil.rmtree(tmp_path / "o")

    run = ["parity", "--kernel", "halves:route", "--recordings", "r", "--save-outputs", "o"]
    status = main([*run, "--arithmetic", "ieee"])

    found = read_manifest(tmp_path / "o" / "halves.route")
    assert status == 1
    assert found is not None
    assert found["edge"] == Entry("written")
    assert found["normal"].state == "crashed"
    assert "too many rows" in found["normal"].why
    assert _judge(tmp_path) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is no JSON"), ("{}", "schema 1"), ('{"schema":1,"recordings":{"a":{}}}', "a is None")],
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A damaged manifest is refused by name and never read as an empty one."""
    (tmp_path / "manifest.json").write_text(text, "utf-8")

    with pytest.raises(FixtureError, match=message):
        read_manifest(tmp_path)


def test_entries_of_an_earlier_run_stay(tmp_path: Path) -> None:
    """A run over other recordings adds to a folder's manifest."""
    write_manifest(tmp_path, "k", {"a": Entry("written"), "b": Entry("asked")})
    write_manifest(tmp_path, "k", {"b": Entry("crashed", "why")})

    assert read_manifest(tmp_path) == {"a": Entry("written"), "b": Entry("crashed", "why")}
    assert json.loads((tmp_path / "manifest.json").read_text())["kernel"] == "k"


def _one(path: Path, held: Recording, weight: float) -> None:
    write_recording(path / "r" / "a.safetensors", held)
    opened = open_recording(path / "r" / "a.safetensors")
    info = KernelInfo("k", "1", "cpu", "hardware", "conservative")
    ids = np.argsort(-held.logits(), axis=1, kind="stable")[:, :8].astype(np.int32)
    weights = np.full(ids.shape, weight, np.float32)
    write_output(
        path / "o" / "k" / "a.safetensors", Output(info, tensor(weights), tensor(ids)), opened
    )


@pytest.mark.parametrize(
    ("logits", "padding", "why"),
    [
        (0.0, -1, "every row is padding"),
        (float("nan"), 0, "the contract defines no row"),
        (-100.0, 0, "no weight of it has a bound"),
    ],
)
def test_a_pass_of_nothing_is_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], logits: float, padding: int, why: str
) -> None:
    """All padding, all undefined or no bounded weight at all is refused, not passed."""
    x = np.full((64, 256), logits, np.float32) - np.arange(256, dtype=np.float32) / 1000
    index = np.full(64, padding, np.int64)
    held = recording("a", x, np.zeros(256, np.float32), MINIMAX_M2_5, token_index=index)
    _one(tmp_path, held, 0.125)

    assert _judge(tmp_path) == 2

    assert f"nothing was judged: {why}" in capsys.readouterr().out


def test_a_file_of_an_earlier_run_does_not_hide_a_crash(tmp_path: Path) -> None:
    """Where the manifest states a crash, an output that an older run left is not judged."""
    held = tmp_path / "recordings" / "normal.safetensors"
    held.parent.mkdir()
    shutil.copy(SHIPPED_RECORDINGS / "normal.safetensors", held)
    folder = tmp_path / "outputs" / "mine"
    folder.mkdir(parents=True)
    shutil.copy(SHIPPED_OUTPUTS / "torch-2.11-eager-h100" / "normal.safetensors", folder)
    entry = {"state": "crashed", "why": "it raised"}
    manifest = {"schema": 1, "kernel": "mine", "recordings": {"normal": entry}}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")

    tasks, _ = judge_tasks(
        held.parent, folder.parent, Criteria(None, ordered=False, known_failures=())
    )

    assert [one.verdict for one in work(tasks)] == ["FAIL"]


def test_an_empty_folder_of_a_kernel_is_named(tmp_path: Path) -> None:
    """A kernel whose folder holds nothing is refused by name, unless parts are asked for."""
    shutil.copytree(SHIPPED_OUTPUTS / "torch-2.11-eager-h100", tmp_path / "old")
    (tmp_path / "new").mkdir()

    tasks, _ = judge_tasks(
        SHIPPED_RECORDINGS, tmp_path, Criteria(None, ordered=False, known_failures=())
    )
    some, _ = judge_tasks(SHIPPED_RECORDINGS, tmp_path, HOW, partial=True)

    assert [task.kernel for task in tasks if task.kernel == "new"] == ["new"]
    assert [task.kernel for task in some if task.kernel == "new"] == []


def test_an_empty_manifest_judges_nothing_of_its_kernel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder whose manifest names no recording is exit 2, though another kernel passes."""
    _folder(tmp_path, "normal")
    manifest = {"normal": Entry("written")}
    write_manifest(tmp_path / "o" / KERNEL, KERNEL, manifest)
    (tmp_path / "o" / "other").mkdir()
    write_manifest(tmp_path / "o" / "other", "other", {})

    assert _judge(tmp_path) == 2

    printed = capsys.readouterr()
    assert "--outputs other: nothing was judged" in printed.err
    assert "names no recording" in printed.err
    assert f"{KERNEL}: judged by the arithmetic 'ieee'" in printed.out
