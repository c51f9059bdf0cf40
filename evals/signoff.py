"""`tox -e gsm8k`: candidate against baseline where there are servers, else a demonstration."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evals.band import band_report, check_band
from evals.compare import STATUS, Rules, as_checks, as_json, compare
from evals.comparison_report import comparison_report
from evals.embedded import (
    STANDIN_DATA,
    replay_command,
    serving,
    standin_command,
    standin_is_here,
)
from evals.errors import EvalError
from evals.folder import write_json
from evals.junit import write_junit
from evals.report import run_report
from evals.run import Request, run
from evals.verdict import DEGRADED, INCONCLUSIVE, PRESERVED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from evals.compare import Comparison

NO_EVIDENCE = "DEMONSTRATION on an embedded server: this is no evidence for a release."
# What the recorded completions hold: two models, one in place of a kernel that loses accuracy.
_LARGE, _SMALL = "175b_verification", "6b_verification"


# Three arms of the stand-in on two cores in minutes; --limit says otherwise.
_STANDIN_LIMIT = 40
_STANDIN_TRUNCATED = 0.25  # it was 2 of 24 answers when measured


def default_out() -> Path:
    """Return a new folder: answers of an earlier deployment are never taken up by accident."""
    return Path("gsm8k-runs") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def sign_off(
    request: Request,
    environment: Mapping[str, str],
    out: Path,
    *,
    rules: Rules,
    published: tuple[float, float],
    resume: bool,
    console: Console,
) -> int:
    """Do what the variables BASE_URL, BASELINE_URL and BASELINE_RUN ask for.

    Returns the exit status of the verdict, or of the labelled unpaired check where there is no
    baseline; of a demonstration 0 where the whole path worked. Raises EvalError where both
    baselines are given and where a run cannot finish.
    """
    candidate_url = environment.get("BASE_URL", "")
    baseline_url = environment.get("BASELINE_URL", "")
    baseline_run = environment.get("BASELINE_RUN", "")
    if baseline_url and baseline_run:
        raise EvalError("BASELINE_URL and BASELINE_RUN are both set; unset the one not meant")
    if not candidate_url:
        if baseline_url or baseline_run:
            raise EvalError("a baseline is set but no BASE_URL; set it to the candidate's server")
        return _demonstrate(request, out, rules, resume=resume, console=console)

    def ask(name: str, url: str) -> Path:
        facts = run(replace(request, base_url=url), out / name, resume=resume, console=console)
        print(run_report(facts, out / name), end="\n\n")
        if facts["status"] != "complete":
            raise EvalError(f"{out / name}: {facts['reasons'][0]}; no verdict can be drawn")
        return out / name

    baseline = Path(baseline_run) if baseline_run else None
    if baseline_url:
        baseline = ask("baseline", baseline_url)
    candidate = ask("candidate", candidate_url)
    if baseline is None:
        band = check_band(candidate, published, rules.main_filter)
        print(band_report(band))
        return 0 if band.consistent else STATUS[DEGRADED]
    return _verdict(compare(baseline, candidate, rules=rules), out).status


def _verdict(found: Comparison, out: Path) -> Comparison:
    write_json(out / "verdict.json", as_json(found))
    write_junit(out / "verdict.xml", "goldgate.gsm8k.compare", as_checks(found))
    print(comparison_report(found))
    print(f"evidence: {out}", end="\n\n")
    return found


def _demonstrate(
    request: Request, out: Path, rules: Rules, *, resume: bool, console: Console
) -> int:
    print(NO_EVIDENCE)
    if standin_is_here():
        limit = request.limit or _STANDIN_LIMIT
        request = replace(request, data=STANDIN_DATA, own_data=True, limit=limit)
        # Another honest kernel in place of the golden router, and the golden router twice.
        arms = {
            "baseline": standin_command("golden"),
            "control": standin_command("golden"),
            "candidate": standin_command("torch-float32"),
        }
        print(
            "The stand-in model, the golden router against torch in float32, on the first "
            f"{limit} of its questions; so few rarely decide, INCONCLUSIVE is the likely verdict.",
            end="\n\n",
        )
    elif request.data is not None and (request.data / "completions.jsonl").exists():
        recorded = request.data / "completions.jsonl"
        arms = {
            "baseline": replay_command(recorded, _LARGE),
            "control": replay_command(recorded, _LARGE),
            "candidate": replay_command(recorded, _LARGE),
            "worse": replay_command(recorded, _SMALL),
        }
        print(f"Recorded completions: {_LARGE} against itself, then {_SMALL}.", end="\n\n")
    else:
        raise EvalError(
            "no BASE_URL, and nothing to demonstrate with: set BASE_URL to the candidate's "
            "server, or pass --data DIR with recorded completions (completions.jsonl)"
        )
    for name, command in arms.items():
        with serving(command) as url:
            facts = run(replace(request, base_url=url), out / name, resume=resume, console=console)
        print(run_report(facts, out / name), end="\n\n")
    # The stand-in's servers may name the model by its router.
    # A model this small runs on to the token limit at times; the release's limit is not its own.
    allowed = max(rules.max_truncated, _STANDIN_TRUNCATED)
    rules = replace(rules, models_differ=True, max_truncated=allowed)
    found = _verdict(compare(out / "baseline", out / "candidate", out / "control", rules), out)
    # Too few questions to decide is a demonstration that worked as well.
    worked = found.verdict in (PRESERVED, INCONCLUSIVE)
    if "worse" in arms and worked:
        worse = compare(out / "baseline", out / "worse", rules=rules)
        print(comparison_report(worse), end="\n\n")
        # Not to see a much smaller model in place of the larger would be a defect of ours.
        worked = worse.verdict == DEGRADED
    print(NO_EVIDENCE)
    return 0 if worked else found.status or STATUS[REFUSED]
