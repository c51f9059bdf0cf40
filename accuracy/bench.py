"""The judge's speed, as ratios of one run: absolute rates depend on what else a machine does."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from goldgate.accuracy.bench_files import Files
from goldgate.accuracy.bench_inputs import DEEPSEEK_V3_SHAPE, SOFTMAX_SHAPE, inputs
from goldgate.accuracy.calls import device_name
from goldgate.accuracy.evaluate import judge
from goldgate.fixtures import Output, Recording
from goldgate.fixtures.output import part
from goldgate.program import environment
from goldgate.provenance import goldgate_itself
from goldgate.reference import MINIMAX_M2_5, PROFILES, RoutingSpec

#: Times that everything is measured, in turns, so that all of it meets the same other work.
_TURNS = 7

_config: Any = numba.config
_MOST = _config.NUMBA_NUM_THREADS


@dataclass(frozen=True)
class Speed:
    """What one run measured; ratios are medians over turns of the ratio within a turn.

    Attributes:
        machine: the processor, the threads and the versions of what computes.
        rows: rows of the recording; experts: its columns.
        judge_fraction_of_memory_read: the rate at which the judge reads logits over the rate at
            which the same number of threads sums them.
        judge_over_torch_float64: the judge's rate over that of torch's float64 eager router.
        files_over_slower_of_judge_and_hash: the time that `goldgate judge` takes from opening the
            files, page cache warm, to the verdict with checked hashes, over the longer of the same
            without hashes and of hashing them.
        groups_over_one_group: the time of DeepSeek-V3's router, 8 groups of which 4 stay, over
            that of one group.
        softmax_over_sigmoid: the time of softmax scores over that of sigmoid scores.
        peak_mib: the peak memory of a process that judges from files and does nothing else.
        judge_rows_per_s, torch_rows_per_s, files_rows_per_s: medians.
        memory_read_bytes_per_s, hash_bytes_per_s: medians.
        spread: the smallest and largest of each ratio over the turns.

    """

    machine: dict[str, object]
    rows: int
    experts: int
    judge_fraction_of_memory_read: float
    judge_over_torch_float64: float
    files_over_slower_of_judge_and_hash: float
    groups_over_one_group: float
    softmax_over_sigmoid: float
    peak_mib: float
    judge_rows_per_s: float
    torch_rows_per_s: float
    files_rows_per_s: float
    memory_read_bytes_per_s: float
    hash_bytes_per_s: float
    spread: dict[str, tuple[float, float]]


def bench(rows: int, threads: int, tell: Callable[[str], object] = lambda _: None) -> Speed:
    """Measure float32 [rows, 256] with k = 8.

    Args:
        rows: of the recording, at least 4; the other shapes have a quarter of them.
        threads: of the judge, of memory's reading and of torch. From files, of judging and hashing
            together, a file in a thread at most.
        tell: called with what is done next, between the measurements, which a bar that is redrawn
            would disturb.

    """
    tell("making inputs")
    numba.set_num_threads(min(threads, _MOST))
    torch.set_num_threads(threads)
    held, output = inputs(MINIMAX_M2_5, rows)
    grouped, soft = (inputs(spec, rows // 4) for spec in (DEEPSEEK_V3_SHAPE, SOFTMAX_SHAPE))
    quarter = held.part(0, rows // 4), part(output, 0, rows // 4)
    logits, bias = held.logits(), held.bias()
    with ThreadPoolExecutor(threads) as pool, tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder), held, output, threads)
        measured: dict[str, Callable[[], object]] = {
            "judge": lambda: _judge(held, output, pool),
            "torch": lambda: _torch64(logits, bias),
            "read": lambda: read(logits.reshape(-1)),
            "judge files": files.judge,
            "hash": files.hash,
            "files": files.judge_and_hash,
            "quarter": lambda: _judge(*quarter, pool),
            "groups": lambda: _judge(*grouped, pool),
            "softmax": lambda: _judge(*soft, pool),
        }
        turns = in_turns(measured, _TURNS, tell)
        peak = peak_memory_mib(
            ["judge", "--recordings", str(files.recording), "--outputs", str(files.outputs)]
        )
        size = files.size
    ratios = {
        "judge_fraction_of_memory_read": [t["read"] / t["judge"] for t in turns],
        "judge_over_torch_float64": [t["torch"] / t["judge"] for t in turns],
        "files_over_slower_of_judge_and_hash": [
            t["files"] / max(t["judge files"], t["hash"]) for t in turns
        ],
        "groups_over_one_group": [t["groups"] / t["quarter"] for t in turns],
        "softmax_over_sigmoid": [t["softmax"] / t["quarter"] for t in turns],
    }
    median = {name: statistics.median(t[name] for t in turns) for name in measured}
    return Speed(
        machine=machine(threads),
        rows=rows,
        experts=held.spec.num_experts,
        **{name: statistics.median(values) for name, values in ratios.items()},
        peak_mib=peak,
        judge_rows_per_s=rows / median["judge"],
        torch_rows_per_s=rows / median["torch"],
        files_rows_per_s=rows / median["files"],
        memory_read_bytes_per_s=logits.nbytes / median["read"],
        hash_bytes_per_s=size / median["hash"],
        spread={name: (min(values), max(values)) for name, values in ratios.items()},
    )


def machine(threads: int) -> dict[str, object]:
    """Describe what measures: rates of two machines, or of two versions, are not one series."""
    return {
        "processor": device_name("cpu"),
        "threads": threads,
        "cores": os.cpu_count(),
        "goldgate": goldgate_itself(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "numba": numba.__version__,
        "numpy": np.__version__,
        "torch": str(torch.__version__),
    }


def text(speed: Speed) -> str:
    """Return what was measured, a line each."""

    def spread(name: str) -> str:
        low, high = speed.spread[name]
        return f"{getattr(speed, name):8.2f} ({low:.2f} to {high:.2f})"

    about = speed.machine
    return "\n".join(
        (
            f"{about['processor']}, {about['threads']} threads, float32 "
            + str([speed.rows, speed.experts]),
            f"judge_fraction_of_memory_read       {spread('judge_fraction_of_memory_read')}",
            f"judge_over_torch_float64            {spread('judge_over_torch_float64')}",
            f"files_over_slower_of_judge_and_hash {spread('files_over_slower_of_judge_and_hash')}",
            f"groups_over_one_group               {spread('groups_over_one_group')}",
            f"softmax_over_sigmoid                {spread('softmax_over_sigmoid')}",
            f"peak_mib                            {speed.peak_mib:8.0f}",
            f"judge                      {speed.judge_rows_per_s / 1e6:8.2f} million rows/s",
            f"from files, hashes checked {speed.files_rows_per_s / 1e6:8.2f} million rows/s",
            f"torch float64 eager router {speed.torch_rows_per_s / 1e6:8.2f} million rows/s",
            f"memory read                {speed.memory_read_bytes_per_s / 1e9:8.2f} GB/s",
            f"SHA-256                    {speed.hash_bytes_per_s / 1e9:8.2f} GB/s",
        )
    )


def _judge(held: Recording, output: Output, pool: ThreadPoolExecutor) -> None:
    if not judge(held, output, PROFILES["ieee"], executor=pool).passed:
        raise RuntimeError("the bench's own kernel does not pass")


def rates(spec: RoutingSpec, rows: int, threads: Sequence[int]) -> list[tuple[float, float]]:
    """Return rows/s of the judge, and of reading the logits, for each number of threads."""
    held, output = inputs(spec, rows)
    logits = held.logits().reshape(-1)
    found = []
    for count in threads:
        numba.set_num_threads(min(count, _MOST))
        with ThreadPoolExecutor(count) as pool:
            _judge(held, output, pool)
            turns = [
                (seconds(lambda: _judge(held, output, pool)), seconds(lambda: read(logits)))
                for _ in range(_TURNS)
            ]
        mine, memory = (statistics.median(side) for side in zip(*turns, strict=True))
        found.append((rows / mine, rows / memory))
    return found


def peak_memory_mib(arguments: Sequence[str]) -> float:
    """Return the peak resident memory of `goldgate ARGUMENTS`, MiB (Linux alone).

    Raises:
        RuntimeError: the command did not end with status 0.

    """
    # VmHWM, not getrusage: that of a child still counts what its parent had before the exec.
    program = (
        "import pathlib, sys; from goldgate.cli import main;"
        "code = main(sys.argv[1:]);"
        "print(pathlib.Path('/proc/self/status').read_text()); sys.exit(code)"
    )
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    if done.returncode:
        raise RuntimeError(f"status {done.returncode}: {done.stdout}{done.stderr}")
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def in_turns(
    measured: Mapping[str, Callable[[], object]], count: int, tell: Callable[[str], object]
) -> list[dict[str, float]]:
    """Return how long each takes, seconds by name, so many times; once more before, not counted."""
    tell("warming up")
    for do in measured.values():  # compiles, and fills the page cache
        do()
    turns = []
    for turn in range(count):
        tell(f"turn {turn + 1} of {count}")
        turns.append({name: seconds(do) for name, do in measured.items()})
    return turns


def seconds(do: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def _torch64(logits: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
    """Route with torch in float64: what one would otherwise compare a kernel with."""
    wide_bias = torch.from_numpy(bias).double()
    for start in range(0, len(logits), 16384):
        scores = torch.sigmoid(torch.from_numpy(logits[start : start + 16384]).double())
        ids = torch.topk(scores + wide_bias, 8, dim=1).indices
        weights = scores.gather(1, ids)
        weights /= weights.sum(dim=1, keepdim=True)


@numba.njit(parallel=True, fastmath=True)
def read(values: NDArray[np.float32]) -> float:
    """Sum an array in all threads: memory's speed of reading."""
    total = np.float32(0)
    for i in numba.prange(values.size):
        total += values[i]
    return float(total)
