"""Check a run against a published score: unpaired, a sanity check and never a verdict."""

from __future__ import annotations

import argparse
from pathlib import Path

from goldgate.evals.options import FILTERS, not_negative


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument(
        "--published",
        type=not_negative,
        nargs=2,
        required=True,
        metavar=("LOW", "HIGH"),
        help="the published scores in percent, such as 93.3 93.4",
    )
    parser.add_argument("--filter", choices=FILTERS, default=FILTERS[0])


def main(options: argparse.Namespace) -> int:
    """Check; return 0 if the run is consistent with the published score, else 1."""
    from goldgate.evals.published import band_report, check_band  # noqa: PLC0415 - scipy

    band = check_band(options.run_folder, tuple(options.published), options.filter)
    print(band_report(band))
    return 0 if band.consistent else 1
