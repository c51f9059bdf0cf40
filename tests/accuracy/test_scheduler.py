"""Judging on a Dask cluster: the same evidence, also where a worker is lost on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from goldgate.accuracy import parts
from goldgate.cli import main
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS
from goldgate.program import environment

_distributed = pytest.importorskip("distributed", reason="goldgate[distributed] is not installed")
Client = _distributed.Client

_JUDGE = ("judge", "--recordings", str(SHIPPED_RECORDINGS), "--outputs", str(SHIPPED_OUTPUTS))

# Loaded by the workers, more than once.
_SLOW = """
import time
from goldgate.accuracy import parts
if parts.judge_block.__name__ != "slowly":
    def slowly(*arguments, _judge=parts.judge_block, **options):
        time.sleep(0.2)
        return _judge(*arguments, **options)
    parts.judge_block = slowly
"""


@contextmanager
def _started(log: Path, program: str, *arguments: str) -> Iterator[int]:
    """Start a Dask program that writes a log; yield its process id."""
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{program}", *arguments],
            stderr=out,
            stdout=out,
            cwd=log.parent,
            env=environment() | {"PYTHONWARNINGS": "ignore"},
        )
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def _cluster(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Start a scheduler and two workers that take their time; yield its address and their ids."""
    slow = folder / "slow.py"
    slow.write_text(_SLOW)
    log = folder / "scheduler.log"
    local = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    # Plain workers, without the nanny that would start a lost one again.
    plain = ["--no-nanny", "--no-dashboard", "--nthreads", "1", "--preload", str(slow)]
    with _started(log, "dask_scheduler", *local):
        while not (found := re.search(r"Scheduler at: *(tcp://\S+)", log.read_text())):
            time.sleep(0.05)
        address = found.group(1)
        with (
            _started(folder / "one.log", "dask_worker", address, *plain) as one,
            _started(folder / "two.log", "dask_worker", address, *plain) as two,
            Client(address, set_as_default=False) as client,
        ):
            client.wait_for_workers(2, timeout=60)
            yield address, [one, two]


def _evidence(arguments: list[str], out: Path) -> object:
    status = main([*_JUDGE, "--json", str(out), *arguments])
    assert status == 0
    return json.loads(out.read_text())


def test_a_lost_worker_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one of two workers killed while it judges, the evidence is that of one process."""
    monkeypatch.setattr(parts, "PART_LOGITS", 256 * 500)
    expected = _evidence([], tmp_path / "expected.json")

    with _cluster(tmp_path) as (address, workers):
        killer = threading.Timer(1.5, os.kill, (workers[0], signal.SIGKILL))
        killer.start()
        found = _evidence(["--scheduler", address], tmp_path / "found.json")
        assert not killer.is_alive()  # it struck while they judged

    assert found == expected


def test_no_scheduler_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An address that is none is refused in a line that names it and what was expected."""
    status = main([*_JUDGE, "--scheduler", "nowhere"])

    assert status == 2
    assert capsys.readouterr().err == (
        "goldgate judge: --scheduler nowhere: expected an address such as tcp://HOST:8786\n"
    )
