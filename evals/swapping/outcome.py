"""What a swap leaves: verdict.json, verdict.xml and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from goldgate.evals.comparing.compare import Comparison, as_checks, as_json
from goldgate.evals.comparing.loads import LOADS, small_loss
from goldgate.evals.comparing.page import page
from goldgate.evals.comparing.report import comparison_report
from goldgate.evals.comparing.warnings import cautions
from goldgate.evals.records.folder import write_text
from goldgate.evals.records.verdict import VERDICT, write_verdict
from goldgate.junit import write_junit


def keep(
    found: Comparison, out: Path, *, note: str | None, plan: Mapping[str, Any] | None = None
) -> Comparison:
    """Write the verdict's files, print the report and return the comparison.

    `plan` is what was registered before anything was asked, None where nothing was. What a sweep
    over loads left in `out` is among the cautions.
    """
    found = replace(found, loads=_lost_at_loads(out / LOADS))
    marks = {"note": note, "plan": plan}
    write_verdict(out / VERDICT, {**as_json(found), **marks, "cautions": list(cautions(found))})
    write_text(out / "verdict.html", page(found))
    write_junit(out / "verdict.xml", "goldgate.gsm8k.compare", as_checks(found))
    print(comparison_report(found))
    print(f"evidence: {out}", end="\n\n")
    return found


def _lost_at_loads(path: Path) -> tuple[str, ...]:
    if not path.exists():
        return ()
    loads = json.loads(path.read_text(encoding="utf-8"))
    return tuple(small_loss(load["concurrency"]) for load in loads if load["lost_beyond_chance"])
