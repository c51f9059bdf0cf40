"""The speed of screening on a device of torch's, beside the copies that bound it."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import triton

from goldgate.accuracy.bench import in_turns, machine
from goldgate.accuracy.bench_inputs import inputs
from goldgate.accuracy.device import open_device, own_stream, settle_resident, to_device
from goldgate.accuracy.evaluate import Result, judge
from goldgate.accuracy.parts import part_rows
from goldgate.accuracy.rows import Contract
from goldgate.accuracy.turns import MAX_THREADS
from goldgate.fixtures.output import part
from goldgate.reference import MINIMAX_M2_5, PROFILES

_TURNS = 9

#: Times that a resident recording is screened and copied in a turn: a device begins the next while
#: it ends the last, and what starting it costs the host is not seen.
_RUNS = 8


def bench_device(
    name: str, rows: int, tell: Callable[[str], object] = lambda _: None
) -> dict[str, Any]:
    """Measure float32 [rows, 256] with k = 8, from the host's memory and resident on the device.

    Args:
        name: of the device.
        rows: of the recording; the resident one has up to 2**20 of them.
        tell: called with what is done next.

    Returns:
        machine: the processor, the threads, the device and the versions of what computes.
        judge_fraction_of_host_copy: the rate at which the judge takes logits from memory over that
        of copying them to the device alone, in as many threads. resident_fraction_of_device_copy:
        the rate of screening what the device holds, over that of copying it there.
        judge_over_processor: the judge's rate over that without the device. Medians over turns of
        the ratio within a turn, with the smallest and largest (spread), and the rates.

    Raises:
        DeviceError: `goldgate.accuracy.device.open_device`.
        RuntimeError: device and processor disagree on a verdict.

    """
    device = open_device(name)
    held, output = inputs(MINIMAX_M2_5, rows)
    kept = min(rows, 1 << 20)
    contract = Contract(MINIMAX_M2_5, PROFILES["ieee"])
    resident, settle = settle_resident(name, held.part(0, kept), part(output, 0, kept), contract)

    def wait(do: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            do()
            if torch.device(name).type == "cuda":
                torch.cuda.synchronize()

        return run

    def copy(start: int) -> None:
        with own_stream(name):
            to_device(held.stored_logits(start, min(start + size, rows)), name)

    def copy_all() -> None:
        list(pool.map(copy, range(0, rows, size)))

    size = part_rows(rows, MINIMAX_M2_5.num_experts)
    threads = min(MAX_THREADS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads)
    verdicts: list[Result] = []
    ieee = PROFILES["ieee"]

    def several(do: Callable[[], object]) -> Callable[[], None]:
        def repeat() -> None:
            for _ in range(_RUNS):
                do()

        return wait(repeat)

    measured = {
        "judge": wait(lambda: verdicts.append(judge(held, output, ieee, device=device))),
        "processor": wait(lambda: verdicts.append(judge(held, output, ieee))),
        "host copy": wait(copy_all),
        "resident": several(settle),
        "device copy": several(resident.clone),
    }
    turns = in_turns(measured, _TURNS, tell)
    if apart := disagreement(verdicts):
        raise RuntimeError(f"{name} and the processor disagree: {apart}")
    median = {key: statistics.median(turn[key] for turn in turns) for key in measured}
    ratios = {
        "judge_fraction_of_host_copy": [t["host copy"] / t["judge"] for t in turns],
        "resident_fraction_of_device_copy": [t["device copy"] / t["resident"] for t in turns],
        "judge_over_processor": [t["processor"] / t["judge"] for t in turns],
    }
    whole = rows * MINIMAX_M2_5.num_experts * 4
    on_cuda = torch.device(name).type == "cuda"
    called = torch.cuda.get_device_name(name) if on_cuda else name
    return {
        "machine": {**machine(threads), "device": called, "triton": triton.__version__},
        "rows": rows,
        **{key: statistics.median(values) for key, values in ratios.items()},
        "spread": {key: (min(values), max(values)) for key, values in ratios.items()},
        "judge_rows_per_s": rows / median["judge"],
        "resident_rows_per_s": _RUNS * kept / median["resident"],
        "host_copy_bytes_per_s": whole / median["host copy"],
        "device_copy_bytes_per_s": _RUNS * resident.nbytes / median["device copy"],
    }


def text(found: Mapping[str, Any]) -> str:
    """Return what `bench_device` measured, a line each."""
    about = found["machine"]
    shape = [found["rows"], MINIMAX_M2_5.num_experts]
    beside = f"{about['device']} beside {about['processor']}, {about['threads']} threads"
    lines = [f"{beside}, float32 {shape}"]
    for name, (low, high) in found["spread"].items():
        lines.append(f"{name:32s} {found[name]:8.2f} ({low:.2f} to {high:.2f})")
    for name, key, unit in (
        ("judge", "judge_rows_per_s", "million rows/s"),
        ("screening what the device holds", "resident_rows_per_s", "million rows/s"),
        ("copy from the host", "host_copy_bytes_per_s", "GB/s"),
        ("copy on the device, read once", "device_copy_bytes_per_s", "GB/s"),
    ):
        lines.append(f"{name:32s} {found[key] / (1e9 if unit == 'GB/s' else 1e6):8.2f} {unit}")
    return "\n".join(lines)


def disagreement(results: Sequence[Result]) -> str:
    """Return what differs between results that should be the same; "" if nothing does."""
    first, *rest = results
    for number, other in enumerate(rest, 1):
        for what, one, two in (
            ("rows by verdict", first.counts, other.counts),
            ("failing rows", first.failing.tolist(), other.failing.tolist()),
            ("histogram of errors", first.histogram.tolist(), other.histogram.tolist()),
        ):
            if one != two:
                return f"{what} of results 0 and {number}: {one} and {two}"
    return ""
