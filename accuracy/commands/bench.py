"""Measure the speed of the judge and of the emulator, as ratios to a router in the same run."""

from __future__ import annotations

import argparse

from goldgate.kernels.aiter_emulated import KERNELS
from goldgate.options import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--rows", type=positive, default=1 << 19, help="rows to judge (default: 524288)"
    )


def main(options: argparse.Namespace) -> int:
    """Measure and print."""
    from goldgate.accuracy.bench import bench  # noqa: PLC0415 - needs torch, --help does not

    bench(options.rows)
    why = KERNELS[0].missing()
    if why is None:
        from goldgate.accuracy.emulator_bench import bench_emulator  # noqa: PLC0415 - starts clang

        bench_emulator()
    else:
        print(f"emulated aiter             not measured here: {why}")
    return 0
