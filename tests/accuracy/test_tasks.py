"""The loop that commands run, called from Python."""

from __future__ import annotations

import json
from pathlib import Path

from goldgate import accuracy
from goldgate.cli import main
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS


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
