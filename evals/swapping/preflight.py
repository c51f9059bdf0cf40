"""What is checked before an arm is asked: no hour is spent on what a comparison would refuse."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goldgate.evals.asking.identity import model_to_ask, normalise
from goldgate.evals.asking.request import Request, settings_of, task_of
from goldgate.evals.comparing.compatibility import Rules, differing_settings, unfit
from goldgate.evals.comparing.reading import unreadable
from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import Run, read_run
from goldgate.evals.swapping.endpoints import Endpoints
from goldgate.evals.task import LoadedTask


def check_complete(facts: Mapping[str, Any], out: Path) -> None:
    """Raise EvalError for a run that is no evidence."""
    if facts["status"] != "complete":
        raise EvalError(f"{out}: {facts['reasons'][0]}; no verdict can be drawn")


def check_baseline(
    baseline: Path, request: Request, rules: Rules, task: LoadedTask | None = None
) -> None:
    """Hold that the candidate's run will have a partner, before an hour is spent on it.

    Raises EvalError where a comparison would refuse the baseline, whatever the candidate answers.
    """
    found = read_run(baseline)
    why = unfit(found, rules) + unreadable(found, rules)
    if why:
        raise EvalError(f"{baseline}: {why[0]}; no verdict can be drawn from it")
    url, model = found.settings["base_url"], found.settings["model"]
    wanted = settings_of(request, url, model, task or task_of(request))
    differing = differing_settings(wanted, found.settings)
    if differing:
        raise EvalError(
            f"{baseline}: was asked with {'; '.join(differing)}; ask the candidate as the "
            "baseline was asked"
        )


def check_models(baseline: Run, request: Request, url: str, rules: Rules) -> None:
    """Compare model ids before the candidate is asked.

    Raises EvalError where the candidate lists another model than the baseline served.
    """
    theirs = {*baseline.facts["totals"]["served_models"], baseline.settings["model"]}
    _check_same_model(theirs, _listed(request, url), rules)


def check_listed(request: Request, endpoints: Endpoints, rules: Rules) -> None:
    """Compare the model ids that both servers list; raises EvalError where they differ."""
    theirs = _listed(request, endpoints.baseline_url)
    _check_same_model({theirs}, _listed(request, endpoints.candidate_url), rules)


def _listed(request: Request, url: str) -> str:
    key = os.environ.get("OPENAI_API_KEY", "")
    return model_to_ask(request.model, normalise(url), key=key, timeout_s=30.0)


def _check_same_model(theirs: set[str], ours: str, rules: Rules) -> None:
    if ours not in theirs and not rules.models_differ:
        raise EvalError(
            f"the baseline serves {', '.join(sorted(theirs))}, the candidate {ours}; pass "
            "--models-differ if these are one model"
        )
