"""The loop that commands run, called from Python."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from goldgate import accuracy
from goldgate.accuracy import tasks
from goldgate.accuracy.judged import Judged
from goldgate.accuracy.narrow import narrowed
from goldgate.cli import main
from goldgate.fixtures import (
    SHIPPED_OUTPUTS,
    SHIPPED_RECORDINGS,
    KernelInfo,
    Output,
    hashing,
    open_recording,
    write_output,
    write_recording,
)
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.tensorfile import sha256, tensor
from goldgate.reference import route


def test_the_loop_gives_the_verdicts_of_the_command(tmp_path: Path) -> None:
    """Judging shipped outputs from Python ends with the verdicts that `goldgate judge` writes."""
    outputs = SHIPPED_OUTPUTS / "aiter-2026-08-gfx942-emulated"
    evidence, rows = tmp_path / "e.json", list[int]()
    status = main(
        [
            *("judge", "--recordings", str(SHIPPED_RECORDINGS), "--outputs", str(outputs)),
            *("--json", str(evidence)),
        ]
    )
    criteria = accuracy.Criteria(profile=None, ordered=False, known_failures=())

    todo, _ = accuracy.judge_tasks(SHIPPED_RECORDINGS, outputs, criteria)
    done = {one.recording: one.verdict for one in accuracy.work(todo, rows.append)}

    written = json.loads(evidence.read_text("utf-8"))["results"]
    found = {one["recording"]: one["verdict"] for one in written}
    # `edge` passes for its known failures, which the call above was given none of.
    assert status == 0
    assert done == found | {"edge": "FAIL"}
    assert found["edge"] == "PASS"
    assert sum(rows) == sum(task.rows for task in todo)


def test_recordings_are_hashed_ahead_and_not_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a recording is judged, as many more as there are cores are being hashed."""
    monkeypatch.setattr(tasks, "cores", lambda: 3)
    hashed: set[int] = set()
    seen: list[int] = []

    def do(_: object) -> Judged:
        seen.append(len(hashed))
        return Judged("k", "r", refusal="a test")

    accuracy.work([tasks.Task("k", "r", 0, do, hash=partial(hashed.add, n)) for n in range(6)])

    assert seen == [4, 5, 6, 6, 6, 6]


def test_files_are_hashed_where_the_executor_is(tmp_path: Path) -> None:
    """Recordings and outputs are hashed by the executor that judges them, and named as before."""
    held = construct("tokens_64")
    recording = tmp_path / "r.safetensors"
    write_recording(recording, held)
    opened = open_recording(recording)
    golden = route(held.logits(), held.bias(), held.spec)
    info = KernelInfo("k", "1", "cpu", "hardware", "ieee")
    answers = Output(
        info, tensor(golden.weights.astype(np.float32)), tensor(golden.ids.astype(np.int32))
    )
    write_output(tmp_path / "k" / "r.safetensors", answers, opened)

    with ThreadPoolExecutor(1, "elsewhere") as pool, _names_of_threads() as hashing_threads:
        criteria = accuracy.Criteria(None, ordered=False, known_failures=(), executor=pool)
        todo, _ = accuracy.judge_tasks(recording, tmp_path / "k", criteria)
        (one,) = accuracy.work(todo)
        assert one.output is not None
        digests = (one.recording_sha256, one.output.sha256)

    assert one.verdict == "PASS"
    assert digests == (sha256(recording), sha256(tmp_path / "k" / "r.safetensors"))
    assert len(hashing_threads) == 2
    assert all(name.startswith("elsewhere") for name in hashing_threads)


@contextmanager
def _names_of_threads() -> Iterator[list[str]]:
    """Yield the names of the threads that hash a file, as they begin."""
    names: list[str] = []

    def named(path: Path) -> str:
        names.append(threading.current_thread().name)
        return sha256(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "sha256", named)
        yield names


@pytest.mark.parametrize(("options", "status"), [((), 2), (("--weights-dtype", "bfloat16"), 0)])
def test_narrow_weights_of_files_need_an_option(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    status: int,
) -> None:
    """Files of bfloat16 weights are refused; the line names what declares them, which passes."""
    held = construct("tokens_64")
    golden = route(held.logits(), held.bias(), held.spec)
    weights = tensor(narrowed(golden.weights.astype(np.float32), "bfloat16"), "BF16")
    info = KernelInfo("k", "1", "cpu", "hardware", "ieee")
    write_recording(tmp_path / "in" / "r.safetensors", held)
    opened = open_recording(tmp_path / "in" / "r.safetensors")
    output = Output(info, weights, tensor(golden.ids.astype(np.int32)))
    write_output(tmp_path / "out" / "r.safetensors", output, opened)
    folders = ("--recordings", str(tmp_path / "in"), "--outputs", str(tmp_path / "out"))

    assert main(["judge", *folders, *options]) == status

    named = 'WEIGHTS = "bfloat16" in its module, or is judged with --weights-dtype bfloat16'
    assert (named in capsys.readouterr().out) == bool(status)
