"""The judge's speed, as ratios measured in one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from goldgate.accuracy.calls import device_name
from goldgate.accuracy.evaluate import judge
from goldgate.fixtures import (
    KernelInfo,
    Output,
    open_output,
    open_recording,
    write_output,
    write_recording,
)
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels.torch_eager import route
from goldgate.program import environment
from goldgate.reference import MINIMAX_M2_5, PROFILES

_SEED = 20260423
_TURNS = 5


def bench(rows: int) -> None:
    """Print rows a second of the judge and of torch's float64 eager router, and their ratio.

    The two take turns in one process over the same float32 [rows, 256] recording; medians of five.
    Then the fraction of memory-read bandwidth, and from files, their hashes checked: the rate, and
    the peak memory of a process that does nothing else.
    """
    rng = np.random.default_rng(_SEED)
    logits = rng.standard_normal((rows, 256), dtype=np.float32)
    bias = rng.normal(0.0, 0.1, 256).astype(np.float32)
    held = recording("bench", logits, bias, MINIMAX_M2_5)
    weights, ids = np.empty((rows, 8), np.float32), np.empty((rows, 8), np.int32)
    for start in range(0, rows, 65536):
        part = slice(start, start + 65536)
        outputs = torch.from_numpy(weights[part]), torch.from_numpy(ids[part])
        route(
            torch.from_numpy(logits[part]), torch.from_numpy(bias), *outputs, 1, 1, need_renorm=True
        )
    info = KernelInfo("torch eager", str(torch.__version__), "cpu", "hardware", "ieee")
    output = Output(info, tensor(weights), tensor(ids))

    def judge_all() -> None:
        if not judge(held, output, PROFILES["ieee"]).passed:
            raise RuntimeError("the bench's own kernel does not pass")

    judge_all()  # compiles
    turns = [(_seconds(judge_all), _seconds(lambda: _torch64(logits, bias))) for _ in range(_TURNS)]
    mine, theirs = (statistics.median(side) for side in zip(*turns, strict=True))
    ratios = sorted(t / m for m, t in turns)
    read = statistics.median(_seconds(lambda: _read(logits.reshape(-1))) for _ in range(_TURNS))
    print(f"{device_name('cpu')}, {torch.get_num_threads()} threads, float32 [{rows}, 256]")
    print(f"judge                      {rows / mine / 1e6:8.2f} million rows/s")
    print(f"torch float64 eager router {rows / theirs / 1e6:8.2f} million rows/s")
    print(f"judge / torch              {statistics.median(ratios):8.1f} times", end="")
    print(f" (turns {ratios[0]:.1f} to {ratios[-1]:.1f})")
    print(f"memory read                {logits.nbytes / read / 1e9:8.2f} GB/s (sum of the logits)")
    print(f"judge reads                {logits.nbytes / mine / 1e9:8.2f} GB/s,", end="")
    print(f" {100 * read / mine:.0f} % of that")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        write_recording(path / "bench.safetensors", held)
        opened = open_recording(path / "bench.safetensors")
        write_output(path / "out" / "k" / "bench.safetensors", output, opened)

        def from_files() -> None:
            again = open_recording(path / "bench.safetensors")
            judge(
                again,
                open_output(path / "out" / "k" / "bench.safetensors", again),
                PROFILES["ieee"],
            )

        files = statistics.median(_seconds(from_files) for _ in range(_TURNS))
        print(f"from files, hashes checked {rows / files / 1e6:8.2f} million rows/s")
        size = (path / "bench.safetensors").stat().st_size / 2**20
        peak = peak_memory_mib(
            ["judge", "--recordings", str(path / "bench.safetensors"), "--outputs", f"{path}/out"]
        )
        print(f"peak memory, from files    {peak:8.0f} MiB, the recording {size:.0f} MiB")


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


def _seconds(do: Callable[[], object]) -> float:
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
def _read(values: NDArray[np.float32]) -> float:
    total = np.float32(0)
    for i in numba.prange(values.size):
        total += values[i]
    return float(total)
