"""The sample facts with GSM8K verdicts as `goldgate swap` writes them: one look, and a plan."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from goldgate.evals.stats.paired import judge
from goldgate.signoff.gathered import Scored
from tests.signoff.samples import GATHERED, a_file


def document(name: str = "strict-match") -> dict[str, Any]:
    """Return the parts of verdict.json that hold counts: 3 of 200 answers turned wrong, 1 right."""
    baseline, candidate = np.ones(200, dtype=np.int64), np.ones(200, dtype=np.int64)
    candidate[:3] = baseline[3] = 0
    found = judge(baseline, candidate)
    return {
        "verdict": found.verdict,
        "decides": name,
        "paired": {name: {**asdict(found), "discordance": found.discordance}},
        "look": {"number": 1, "level": 0.04},
        "noise_floor": {"discordance": 0.01},
    }


#: What a plan of two looks adds to a document, stopped at the first.
PLAN: dict[str, Any] = {
    "bounds": {
        "looks": [100, 200], "margin": 0.015, "alpha": 0.05, "preserved": 1.7, "degraded": 1.7,
        "size_preserved": 0.05, "size_degraded": 0.05,
    },
    "steps": [
        {
            "questions": 100, "score_preserved": 2.5, "bound_preserved": 2.4,
            "score_degraded": 0.3, "bound_degraded": 2.4, "decided": "PRESERVED",
        }
    ],
}  # fmt: skip

MEASURED = replace(
    GATHERED,
    scored=(Scored("INCONCLUSIVE", document(), {}, False, a_file("evidence/gsm8k/verdict.json")),),
)
