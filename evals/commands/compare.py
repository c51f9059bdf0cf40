"""Compare two GSM8K runs question by question: the paired verdict."""

from __future__ import annotations

import argparse
from pathlib import Path

from goldgate.evals.commands.requests import console, rules
from goldgate.evals.options import add_verdict_options
from goldgate.options import positive

_ARM = "a run folder, or a results file of lm-eval (samples_*.jsonl), sglang or evalscope"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("baseline", type=Path, metavar="BASELINE-RUN", help=_ARM)
    parser.add_argument("candidate", type=Path, metavar="CANDIDATE-RUN", help=_ARM)
    parser.add_argument(
        "--control",
        type=Path,
        metavar="RUN",
        help="a second run of the baseline: measures its noise",
    )
    add_verdict_options(parser)
    parser.add_argument("--show", type=positive, metavar="N", help="print N changed answers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the comparison as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the comparison as HTML")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the checks as JUnit")


def main(options: argparse.Namespace) -> int:
    """Compare; return 0 PRESERVED, 1 DEGRADED, 2 REFUSED, 3 INCONCLUSIVE."""
    from goldgate.evals.comparing.compare import as_checks, as_json, compare  # noqa: PLC0415 - scipy
    from goldgate.evals.comparing.page import page  # noqa: PLC0415 - with the above
    from goldgate.evals.comparing.report import comparison_report, side_by_side  # noqa: PLC0415
    from goldgate.evals.comparing.warnings import cautions  # noqa: PLC0415 - with the above
    from goldgate.evals.records.folder import write_text  # noqa: PLC0415 - with the above
    from goldgate.evals.records.verdict import write_verdict  # noqa: PLC0415 - with the above
    from goldgate.junit import write_junit  # noqa: PLC0415 - with the above

    found = compare(options.baseline, options.candidate, options.control, rules(options))
    if options.show and found.paired:
        console().print(side_by_side(found, options.show))
    print(comparison_report(found))
    if options.json is not None:
        write_verdict(
            options.json, {**as_json(found), "note": None, "cautions": list(cautions(found))}
        )
    if options.html is not None:
        write_text(options.html, page(found))
    if options.junit is not None:
        write_junit(options.junit, "goldgate.gsm8k.compare", as_checks(found))
    return found.status
