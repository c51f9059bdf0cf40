"""Measure the judge's speed, as ratios to torch's float64 router in the same run."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--rows", type=_positive, default=1 << 19, help="rows to judge (default: 524288)"
    )


def main(options: argparse.Namespace) -> int:
    """Measure and print."""
    from goldgate.accuracy.bench import bench  # noqa: PLC0415 - needs torch, --help does not

    bench(options.rows)
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return int(text)
