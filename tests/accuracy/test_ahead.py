"""Kernels that run ahead of the judge: same evidence, in order, and nothing runs on afterwards."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from goldgate.accuracy.ahead import AHEAD, Step, ahead
from goldgate.accuracy.evidence import Judged, result_json
from goldgate.accuracy.isolation import Limits, Runner
from goldgate.accuracy.live import live_tasks
from goldgate.accuracy.tasks import Criteria, Task, work
from goldgate.fixtures import write_recording
from goldgate.fixtures.hard_rows import normal

_KERNELS = """
import os
import time
from goldgate.kernels.torch_eager import route

DEVICE = "cpu"


def troubled(x, *more):
    if len(x) == 3:
        os.abort()
    if len(x) == 5:
        raise NotImplementedError("not five")
    if len(x) == 6:
        open('hangs', 'w').close()
        time.sleep(600)
    route(x, *more)
    if len(x) == 4:
        more[1].fill_(0.5)
"""


def _nothing() -> None:
    pass


def _steps(calls: Sequence[Callable[[], int]]) -> list[Step[int]]:
    return [Step(call, _nothing) for call in calls]


def test_results_come_in_order_and_what_a_step_raises_is_raised_for_it() -> None:
    """The caller gets each result or exception in the steps' order, as without a thread."""

    def fails() -> int:
        raise OSError(5, "gone", "a file")

    with ahead(_steps([lambda: 1, fails, lambda: 3])) as following:
        assert following() == 1
        with pytest.raises(OSError, match="gone"):
            following()
        assert following() == 3


def test_no_more_steps_begin_than_are_allowed() -> None:
    """While the first result is used, `AHEAD` more steps have begun, and no other."""
    begun: list[int] = []
    enough = threading.Event()

    def call(number: int) -> int:
        begun.append(number)
        if number == AHEAD:
            enough.set()
        return number

    calls = [partial(call, number) for number in range(AHEAD + 5)]
    with ahead(_steps(calls)) as following:
        assert following() == 0
        assert enough.wait(60)

    assert begun == list(range(AHEAD + 1))


def test_a_step_that_runs_is_cancelled_when_the_block_ends() -> None:
    """The end of the block ends the step that runs; those behind it never begin."""
    running, cancelled = threading.Event(), threading.Event()
    begun: list[str] = []

    def hangs() -> int:
        begun.append("hangs")
        running.set()
        assert cancelled.wait(60)
        raise RuntimeError("cancelled")

    def late() -> int:
        begun.append("late")
        return 3

    steps = [Step(lambda: 1, _nothing), Step(hangs, cancelled.set), Step(late, _nothing)]
    with ahead(steps) as following:
        following()
        assert running.wait(60)

    assert begun == ["hangs"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of recordings of 1 to 7 rows, beside a module of kernels."""
    (tmp_path / "ahead_kernels.py").write_text(_KERNELS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for rows in range(1, 8):
        held = normal(f"tokens_{rows}", rows=rows)
        write_recording(tmp_path / "recordings" / f"tokens_{rows}.safetensors", held)
    return tmp_path


def _tasks(folder: Path, runner: Runner) -> list[Task]:
    criteria = Criteria("conservative", ordered=False, known_failures=())
    tasks, _ = live_tasks(
        ["torch-eager", "ahead_kernels:troubled"],
        [folder / "recordings"],
        criteria,
        device=None,
        runner=runner,
        save=folder / "outputs",
    )
    return tasks


def _evidence(judged: list[Judged]) -> str:
    return json.dumps([(result_json(one), one.not_covered, one.offences) for one in judged])


def test_running_ahead_changes_no_byte_of_the_evidence(folder: Path) -> None:
    """Passes, failures, a crash, a hang and a refusal are those of task after task, in order."""
    with Runner(Limits(1.0, 1.0)) as runner:
        one_by_one = [task.do(lambda _: None) for task in _tasks(folder, runner)]
    files = {path: path.read_bytes() for path in (folder / "outputs").rglob("*.safetensors")}

    with Runner(Limits(1.0, 1.0)) as runner:
        judged = work(_tasks(folder, runner))

    assert _evidence(judged) == _evidence(one_by_one)
    assert [one.verdict for one in judged[7:]] == [
        *("PASS", "PASS", "FAIL", "FAIL", "NOT COVERED", "FAIL", "PASS")
    ]
    assert {p: p.read_bytes() for p in (folder / "outputs").rglob("*.safetensors")} == files


def test_an_interrupt_while_judging_ends_the_kernel_that_runs(folder: Path) -> None:
    """Control-C during a verdict, while the kernel hangs two recordings on, ends both at once."""
    with Runner() as runner:
        passes, *_ = tasks = _tasks(folder, runner)

        def interrupts(_: int) -> None:
            while not (folder / "hangs").exists():
                time.sleep(0.05)
            raise KeyboardInterrupt

        judged = work([passes, *tasks[11:]], interrupts)

        assert [one.recording for one in judged] == ["tokens_1", "tokens_5", "tokens_6", "tokens_7"]
        assert [one.refusal for one in judged] == ["interrupted before it was judged"] * 4
        assert runner._process is None
