"""Print the power of each GSM8K criterion: how often it passes, by the true change of the score."""

from __future__ import annotations

import argparse
from pathlib import Path

from goldgate.evals.errors import EvalError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the table as a PNG")


def main(options: argparse.Namespace) -> int:
    """Print the table; draw the plot if asked."""
    from goldgate.evals.stats.power import plot, study  # noqa: PLC0415 - scipy
    from goldgate.evals.stats.power_table import power_report  # noqa: PLC0415 - scipy

    if options.plot is not None and not options.plot.parent.is_dir():
        raise EvalError(f"{options.plot}: no such folder {options.plot.parent}; name another")
    print(power_report())
    if options.plot is not None:
        plot(options.plot, study())
        print(f"plot: {options.plot}")
    return 0
