"""The plan of a swap: what is fixed before the first question, written down and hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from goldgate.evals.comparing.compatibility import Rules
from goldgate.evals.errors import EvalError
from goldgate.evals.records.differences import differences
from goldgate.evals.records.folder import JOURNAL, write_json
from goldgate.evals.stats.sequential import Bounds
from goldgate.evals.stats.spending import SHARE

PLAN = "plan.json"
_SCHEMA = 1
# Settings that a plan fixes; addresses, models and what may grow with --resume are not among them.
_FIXED = (
    "protocol", "api", "task", "task_hash", "extractor_hash", "filters", "num_fewshot",
    "generation", "order", "concurrency",
)  # fmt: skip


@dataclass(frozen=True)
class Sweep:
    """The loads that are asked first, and the loss to rule out at each, a fraction."""

    loads: tuple[int, ...]
    collapse: float


def all_questions(
    settings: Mapping[str, Any], rules: Rules, sweep: Sweep | None = None
) -> dict[str, Any]:
    """Return the plan that asks everything and looks once, or again after more repeats."""
    spends = "all of alpha" if rules.single_look else f"{SHARE:g} of what is left of alpha"
    return {"kind": "all questions", "each_look_spends": spends, **_common(settings, rules, sweep)}


def sequential(
    settings: Mapping[str, Any], rules: Rules, bounds: Bounds, sweep: Sweep | None = None
) -> dict[str, Any]:
    """Return the plan that looks at growing prefixes of the order and may stop at each."""
    return {
        "kind": "sequential",
        "bounds": asdict(bounds),
        "questions": settings["population"],
        "prompts_hash": settings["prompts_hash"],
        **_common(settings, rules, sweep),
    }


def register(out: Path, plan: Mapping[str, Any]) -> str:
    """Write a plan before anything is asked, or check that it is the one in the folder.

    Returns the SHA-256 of the plan. Raises EvalError where the folder has another plan, and where
    it has none although the candidate was asked.
    """
    path = out / PLAN
    # As it looks after a trip through the file: tuples and lists are one.
    wanted: dict[str, Any] = json.loads(json.dumps(plan))
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    if path.exists():
        held = _read(path)
        if held.pop("sha256", None) != digest or held != wanted:
            found = "; ".join(differences(wanted, held)) or "its hash does not fit"
            raise EvalError(
                f"{path}: registers another plan ({found}); repeat it or choose another --out"
            )
        return digest
    for asked in sorted(out.glob(f"**/candidate/{JOURNAL}")):
        raise EvalError(
            f"{path}: there is no plan, and {asked} holds answers of the candidate; a plan comes "
            "before the first question: restore it or choose another --out"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvalError(
            f"{out}: cannot be made ({error.strerror}); choose another --out"
        ) from error
    write_json(path, {**wanted, "sha256": digest})
    return digest


def _common(settings: Mapping[str, Any], rules: Rules, sweep: Sweep | None) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        **({} if sweep is None else {"sweep": asdict(sweep)}),
        "rules": asdict(rules),
        "settings": {name: settings[name] for name in _FIXED},
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EvalError(f"{path}: cannot be read ({error}); choose another --out") from error
    if not isinstance(held, dict):
        raise EvalError(f"{path}: holds no plan; choose another --out")
    return held
