"""Check a run against a published score: an unpaired sanity check, not a verdict."""

from __future__ import annotations

import argparse
from pathlib import Path

from goldgate.evals.commands.requests import REFUSED
from goldgate.evals.options import PROTOCOLS
from goldgate.options import not_negative, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="the run folder")
    parser.add_argument(
        "--published",
        type=not_negative,
        nargs=2,
        required=True,
        metavar=("LOW", "HIGH"),
        help="the published scores in percent, such as 93.3 93.4",
    )
    parser.add_argument(
        "--filter", metavar="NAME", help="the filter to read (default: the task's first)"
    )
    parser.add_argument(
        "--published-protocol",
        choices=PROTOCOLS,
        help="the protocol that the score was measured with",
    )
    parser.add_argument(
        "--published-questions",
        type=positive,
        default=1319,
        metavar="N",
        help="the number of questions behind the score (default: 1319)",
    )


def main(options: argparse.Namespace) -> int:
    """Check; return 0 if the run is consistent with the score, 1 if below, 2 if not comparable."""
    from goldgate.evals.published import band_report, check_band  # noqa: PLC0415 - scipy

    band = check_band(
        options.run_folder,
        tuple(options.published),
        options.filter,
        protocol=options.published_protocol,
        published_questions=options.published_questions,
    )
    print(band_report(band))
    if not band.comparable:
        return REFUSED
    return 0 if band.consistent else 1
