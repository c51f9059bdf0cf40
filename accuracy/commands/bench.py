"""Measure the speed of the judge and of the emulator, as ratios of one run."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import sys
from functools import partial
from pathlib import Path

from goldgate.kernels.aiter_emulated import KERNELS
from goldgate.options import positive, whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--rows",
        type=partial(whole, least=4),  # other shapes are measured on a quarter of them
        default=1 << 20,
        metavar="ROWS",
        help="rows to judge (default: 1048576)",
    )
    parser.add_argument(
        "--threads",
        type=positive,
        default=min(16, os.cpu_count() or 1),
        help="threads of the judge, of torch and of the memory test (default: all, up to 16)",
    )
    parser.add_argument(
        "--judge-device",
        metavar="DEVICE",
        help="measure the judge on this torch device instead, and the copies to it",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements as JSON")
    parser.add_argument(
        "--plot",
        type=_picture,
        metavar="FILE.png",
        help="also measure and draw rows/s against threads and against the number of experts",
    )


def main(options: argparse.Namespace) -> int:
    """Measure, print and write."""
    from goldgate.accuracy.bench import bench, text  # noqa: PLC0415 - torch, which --help is without

    if options.plot:  # before minutes of measuring, where matplotlib is missing
        importlib.import_module("matplotlib")
    if options.judge_device:
        from goldgate.accuracy import bench_device  # noqa: PLC0415 - triton, as below

        found = bench_device.bench_device(options.judge_device, options.rows, _tell)
        print(bench_device.text(found))
    else:
        speed = bench(options.rows, options.threads, _tell)
        print(text(speed))
        _emulator()
        found = dataclasses.asdict(speed)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        held = {"schema": 1, **found}
        options.json.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")
    if options.plot:
        from goldgate.accuracy.bench_plot import draw  # noqa: PLC0415 - matplotlib, an extra

        draw(options.plot)
    return 0


def _tell(what: str) -> None:
    print(f"goldgate bench: {what}", file=sys.stderr, flush=True)


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".png":
        raise argparse.ArgumentTypeError(f"{text!r}: expected a name that ends in .png")
    return path


def _emulator() -> None:
    """Print the emulator's speed, or why it is not measured here."""
    why = KERNELS[0].missing()
    if why is not None:
        print(f"emulated aiter             not measured here: {why}")
        return
    from goldgate.accuracy.emulator_bench import bench_emulator  # noqa: PLC0415 - starts clang

    bench_emulator()
