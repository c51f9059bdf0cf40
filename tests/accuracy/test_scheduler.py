"""Judging on a Dask cluster: the same evidence, also where a worker is lost on the way."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from goldgate.accuracy import parts, scheduler
from goldgate.accuracy.commands import judging
from goldgate.cli import main
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS
from goldgate.fixtures.recording import open_recording
from goldgate.program import environment
from goldgate.progress import AddTask

if TYPE_CHECKING:
    from distributed import Client as Connected

_distributed = pytest.importorskip("distributed", reason="goldgate[distributed] is not installed")
Client = _distributed.Client

_JUDGE = ("judge", "--recordings", str(SHIPPED_RECORDINGS), "--outputs", str(SHIPPED_OUTPUTS))

# Each is loaded by workers, more than once.
_ONE_DIES = """
import os, signal
from goldgate.accuracy import parts
if parts.judge_block.__name__ != "once":
    calls = []
    def once(*arguments, _judge=parts.judge_block, **options):
        calls.append(None)
        if len(calls) == 5:
            try:
                os.close(os.open("died", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass  # the other worker did
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return _judge(*arguments, **options)
    parts.judge_block = once
"""
_ENDS = """
import os, signal
from goldgate.accuracy import parts
def end(*_, **__):
    os.kill({}, signal.SIGKILL)
parts.judge_block = end
"""
_WITHOUT_GOLDGATE = """
import sys
sys.modules["goldgate"] = None
"""
_ANOTHER_JUDGE = """
from goldgate import provenance
provenance.judge_sha256 = lambda: "0123456789abcdef"
"""
_WITHOUT_FILES = """
from goldgate.fixtures import tensorfile
def absent(path, *_):
    raise FileNotFoundError(2, "No such file or directory", str(path))
tensorfile._mapped = absent
"""


@contextmanager
def _started(log: Path, program: str, *arguments: str) -> Iterator[int]:
    """Run a Dask program that writes a log, in the log's folder; yield its process id."""
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


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a scheduler and yield its address."""
    with _scheduler(tmp_path_factory.mktemp("scheduler")) as (found, _):
        yield found


@contextmanager
def _scheduler(folder: Path) -> Iterator[tuple[str, int]]:
    """Start a scheduler; yield its address and its process id."""
    log, local = folder / "scheduler.log", ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    with _started(log, "dask_scheduler", *local) as number:
        while not (found := re.search(r"Scheduler at: *(tcp://\S+)", log.read_text())):
            time.sleep(0.05)
        yield found.group(1), number


@contextmanager
def _workers(address: str, folder: Path, preload: str, count: int) -> Iterator[None]:
    """Start workers in a folder that load a script; the scheduler has no others."""
    script = folder / "preload.py"
    script.write_text(preload)
    # Plain workers, without the nanny that would start a lost one again.
    plain = ["--no-nanny", "--no-dashboard", "--nthreads", "1", "--preload", str(script)]
    with Client(address, set_as_default=False) as client:
        _wait(client, 0)
        with ExitStack() as started:
            for n in range(count):
                log = folder / f"{n}.log"
                started.enter_context(_started(log, "dask_worker", address, *plain))
            _wait(client, count)
            yield


def _wait(client: Connected, count: int) -> None:
    """Wait until a scheduler has so many workers."""
    while len(client.scheduler_info(n_workers=-1)["workers"]) != count:
        time.sleep(0.05)


def _evidence(arguments: list[str], out: Path) -> object:
    status = main([*_JUDGE, "--json", str(out), *arguments])
    assert status == 0
    return json.loads(out.read_text())["results"]  # not when and how it was asked


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int]]]:
    """Return what progress shows of each task: its rows, and the steps by which they are done."""
    tasks: list[tuple[int, list[int]]] = []

    @contextmanager
    def progress(_: object) -> Iterator[AddTask]:
        def add(_: str, total: int) -> Callable[..., None]:
            tasks.append((total, []))
            return tasks[-1][1].append

        yield add

    monkeypatch.setattr(judging, "progress", progress)
    return tasks


def test_a_lost_worker_loses_nothing(
    address: str,
    shown: list[tuple[int, list[int]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one of two workers killed while it judges, evidence and progress are one process's.

    Progress advances by every row of every recording and kernel once, though parts run twice.
    """
    monkeypatch.setattr(parts, "PART_LOGITS", 256 * 500)
    expected = _evidence([], tmp_path / "expected.json")

    with _workers(address, tmp_path, _ONE_DIES, 2):
        found = _evidence(["--scheduler", address], tmp_path / "found.json")

    assert (tmp_path / "died").exists()
    assert found == expected
    here, there = shown
    assert there == here
    rows = {
        str(path.relative_to(SHIPPED_RECORDINGS).with_suffix("")): open_recording(path).rows
        for path in SHIPPED_RECORDINGS.rglob("*.safetensors")
    }
    assert isinstance(found, list)
    assert sum(there[1]) == there[0] == sum(rows[one["recording"]] for one in found)
    assert len(there[1]) > 2 * len(found)


def test_no_scheduler_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that is none, and one where nothing answers, are a line that names it."""
    monkeypatch.setattr(scheduler, "_WAIT_S", 1)

    assert main([*_JUDGE, "--scheduler", "nowhere"]) == 2
    assert capsys.readouterr().err == (
        "goldgate judge: --scheduler nowhere: expected an address such as tcp://HOST:8786\n"
    )
    assert main([*_JUDGE, "--scheduler", "tcp://127.0.0.1:9"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "goldgate judge: --scheduler tcp://127.0.0.1:9: no Dask scheduler answers"
    )
    assert line.endswith("start one with `dask scheduler`")


def test_a_scheduler_without_workers_is_one_line(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler that no worker has joined is named, with the command that starts one."""
    monkeypatch.setattr(scheduler, "_WAIT_S", 1)
    with Client(address, set_as_default=False) as client:
        _wait(client, 0)

    assert main([*_JUDGE, "--scheduler", address]) == 2
    assert capsys.readouterr().err == (
        f"goldgate judge: --scheduler {address}: no worker has joined it in 1 s; start some with "
        f"`dask worker {address}`\n"
    )


def test_a_scheduler_that_is_lost_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler that ends while its workers judge is named in one line; there is no verdict."""
    monkeypatch.setattr(scheduler, "_WAIT_S", 5)
    with (
        _scheduler(tmp_path) as (own, number),
        _workers(own, tmp_path, _ENDS.format(number), 1),
    ):
        status = main([*_JUDGE, "--scheduler", own])

    err = capsys.readouterr().err
    assert status == 2
    assert f"goldgate judge: --scheduler {own}: the scheduler was lost" in err, err


@pytest.mark.parametrize(
    ("preload", "words"),
    [
        (_WITHOUT_GOLDGATE, "cannot judge ("),
        (_ANOTHER_JUDGE, "with another judge (judge 0123456789ab): expected"),
    ],
    ids=["no goldgate", "another judge"],
)
def test_a_worker_that_does_not_judge_as_here_is_one_line(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], preload: str, words: str
) -> None:
    """A worker without goldgate, or with one that judges otherwise, is named; nothing is judged."""
    with _workers(address, tmp_path, preload, 1):
        status = main([*_JUDGE, "--scheduler", address])

    (line,) = capsys.readouterr().err.splitlines()
    assert status == 2
    assert line.startswith(f"goldgate judge: --scheduler {address}: worker tcp://")
    assert words in line


def test_a_file_that_a_worker_lacks_is_a_refusal(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recordings that a worker cannot read are refused with the file and the worker."""
    with _workers(address, tmp_path, _WITHOUT_FILES, 1):
        out = tmp_path / "found.json"
        status = main([*_JUDGE, "--scheduler", address, "--json", str(out)])

    held = json.loads(out.read_text())["results"]
    assert status == 2
    assert {one["verdict"] for one in held} == {"REFUSED"}
    for one in held:
        assert re.fullmatch(
            r"/\S+\.safetensors: cannot be read \(No such file or directory, on worker tcp://\S+; "
            r"all machines must have the file at the same path\)",
            one["refusal"],
        )
    assert "bug" not in capsys.readouterr().err
