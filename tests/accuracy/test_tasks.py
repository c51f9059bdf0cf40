"""The loop that commands run, called from Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from goldgate import accuracy
from goldgate.accuracy.narrow import narrowed
from goldgate.cli import main
from goldgate.fixtures import (
    SHIPPED_OUTPUTS,
    SHIPPED_RECORDINGS,
    KernelInfo,
    Output,
    open_recording,
    write_output,
    write_recording,
)
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.tensorfile import tensor
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

    tasks, _ = accuracy.judge_tasks(SHIPPED_RECORDINGS, outputs, criteria)
    done = {one.recording: one.verdict for one in accuracy.work(tasks, rows.append)}

    written = json.loads(evidence.read_text("utf-8"))["results"]
    found = {one["recording"]: one["verdict"] for one in written}
    # `edge` passes for its known failures, which the call above was given none of.
    assert status == 0
    assert done == found | {"edge": "FAIL"}
    assert found["edge"] == "PASS"
    assert sum(rows) == sum(task.rows for task in tasks)


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
