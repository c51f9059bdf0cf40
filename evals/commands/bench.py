"""Measure the speed of the GSM8K client against servers that answer at once."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder with train.jsonl and test.jsonl",
    )
    parser.add_argument(
        "--own-data", action="store_true", help="accept questions that are not GSM8K's"
    )


def main(options: argparse.Namespace) -> int:
    """Measure and print."""
    from goldgate.evals.bench import bench  # noqa: PLC0415 - starts servers

    print(bench(options.data, ["--own-data"] if options.own_data else []))
    return 0
