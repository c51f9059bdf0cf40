"""How fast the harness itself is: a command, since a timed test would fail on a busy day."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import RUN
from goldgate.evals.servers.local_servers import replay_command, serving
from goldgate.program import command as goldgate
from goldgate.program import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

DELAY_S, CONCURRENCY = 0.5, 64  # the slow server of the specification


def bench(data: Path, more: Sequence[str]) -> str:
    """Time a full run against an instant server and against one that takes half a second.

    The server answers every question with the data set's own answer. `more` are options for
    `goldgate gsm8k`. Raises EvalError where a run fails.
    """
    try:
        lines = (data / "test.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
        rows = [json.loads(line) for line in lines]
        answers = [{"question": r["question"], "own": {"text": r["answer"]}} for r in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvalError(
            f"{data / 'test.jsonl'}: not readable as questions ({error}); expected GSM8K's file"
        ) from error
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        completions = folder / "completions.jsonl"
        completions.write_text(
            "".join(json.dumps(answer) + "\n" for answer in answers), encoding="utf-8"
        )
        options = ["--data", str(data), *more]
        with serving(replay_command(completions, "own")) as url:
            instant_s, memory_mb, _ = _timed(url, folder / "instant", options)
        with serving(replay_command(completions, "own", delay_s=DELAY_S)) as url:
            slow_s, _, asking_s = _timed(
                url, folder / "slow", [*options, "--concurrency", str(CONCURRENCY)]
            )
    number = len(answers)
    ideal_s = number * DELAY_S / CONCURRENCY
    return (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {number} questions\n"
        f"instant server: {instant_s:.2f} s from start to exit, {memory_mb:.0f} MB at most\n"
        f"server that takes {DELAY_S} s, {CONCURRENCY} at a time: asking took {asking_s:.2f} s, "
        f"{asking_s / ideal_s:.3f} of the ideal {ideal_s:.2f} s; {slow_s:.2f} s from start to exit"
    )


def _timed(url: str, out: Path, options: Sequence[str]) -> tuple[float, float, float]:
    """Return seconds of the whole process, its peak memory in MB, and seconds of asking."""
    command = goldgate("gsm8k", "--base-url", url, "--out", str(out))
    start = time.perf_counter()
    client = subprocess.Popen(  # noqa: S603 - our own command
        [*command, *options], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    stderr = client.stderr.read() if client.stderr is not None else b""
    # wait4 rather than Popen.wait: the peak memory of this one process, not of the server too.
    _, status, usage = os.wait4(client.pid, 0)
    seconds = time.perf_counter() - start
    client.returncode = os.waitstatus_to_exitcode(status)
    if client.stderr is not None:
        client.stderr.close()
    if client.returncode != 0:
        last = stderr.decode("utf-8", "replace").rstrip().rpartition("\n")[2]
        raise EvalError(f"the timed run failed: {last}")
    facts = json.loads((out / RUN).read_text(encoding="utf-8"))
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB here
    return seconds, usage.ru_maxrss * unit / 1e6, facts["speed"]["active_s"]
