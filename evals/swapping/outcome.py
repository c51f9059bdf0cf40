"""What a swap leaves: verdict.json, verdict.xml and the report."""

from __future__ import annotations

from pathlib import Path

from goldgate.evals.comparing.compare import Comparison, as_checks, as_json
from goldgate.evals.comparing.page import page
from goldgate.evals.comparing.report import comparison_report
from goldgate.evals.records.folder import write_json, write_text
from goldgate.junit import write_junit


def keep(found: Comparison, out: Path, *, note: str | None) -> Comparison:
    """Write the verdict's files, print the report and return the comparison."""
    write_json(out / "verdict.json", {**as_json(found), "note": note})
    write_text(out / "verdict.html", page(found))
    write_junit(out / "verdict.xml", "goldgate.gsm8k.compare", as_checks(found))
    print(comparison_report(found))
    print(f"evidence: {out}", end="\n\n")
    return found
