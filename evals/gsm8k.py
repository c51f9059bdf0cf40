"""`tox -e gsm8k`: candidate against baseline where there are servers, else a demonstration."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from goldgate.evals.asking.report import run_report
from goldgate.evals.asking.run import Request, run, settings_of, task_of
from goldgate.evals.comparing.compare import STATUS, as_checks, as_json, compare
from goldgate.evals.comparing.compatibility import Rules, differing_settings, unfit
from goldgate.evals.comparing.report import comparison_report
from goldgate.evals.errors import EvalError
from goldgate.evals.local_servers import (
    STANDIN_DATA,
    replay_command,
    serving,
    standin_command,
    standin_is_here,
)
from goldgate.evals.published import band_report, check_band, check_published
from goldgate.evals.records.folder import read_run, write_json
from goldgate.evals.stats.paired import DEGRADED, INCONCLUSIVE, PRESERVED, REFUSED
from goldgate.junit import write_junit

if TYPE_CHECKING:
    from rich.console import Console

    from goldgate.evals.comparing.compare import Comparison
    from goldgate.evals.endpoints import Endpoints

NO_EVIDENCE = "DEMONSTRATION on an embedded server: this is no evidence for a release."
# What the recorded completions hold: two models, one in place of a kernel that loses accuracy.
_LARGE, _SMALL = "175b_verification", "6b_verification"
# Three arms of the stand-in on two cores in two minutes, and more than the 178 questions without
# which this margin decides nothing; --limit says otherwise.
_STANDIN_LIMIT = 240
# The stand-in's score is stated without examples, and its tokens are letters: no worked answer of
# its problems is longer.
_STANDIN_FEWSHOT, _STANDIN_TOKENS = 0, 512


def default_out() -> Path:
    """Return a new folder: answers of an earlier deployment are never taken up by accident."""
    return Path("gsm8k-runs") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def swap(
    request: Request,
    endpoints: Endpoints,
    out: Path,
    *,
    rules: Rules,
    published: tuple[float, float],
    resume: bool,
    console: Console,
) -> int:
    """Ask the arms and judge, or demonstrate the path where there is no candidate.

    Returns the exit status of the verdict; without a baseline never 0: that of DEGRADED where the
    labelled unpaired check finds the score below the published one, else of INCONCLUSIVE; of a
    demonstration 0 where the whole path worked. Raises EvalError where a run cannot finish.
    """
    if not endpoints.candidate_url:
        return _demonstrate(request, out, rules, resume=resume, console=console)

    def ask(name: str, url: str) -> Path:
        facts = run(replace(request, base_url=url), out / name, resume=resume, console=console)
        print(run_report(facts, out / name), end="\n\n")
        if facts["status"] != "complete":
            raise EvalError(f"{out / name}: {facts['reasons'][0]}; no verdict can be drawn")
        return out / name

    baseline = control = None
    if endpoints.baseline_run:
        baseline = Path(endpoints.baseline_run)
    elif endpoints.baseline_url:
        baseline = ask("baseline", endpoints.baseline_url)
    if baseline is not None:
        _check_baseline(baseline, request, rules)
    elif request.own_data:
        raise EvalError(
            "--own-data without a baseline: a published score is about GSM8K's questions; "
            "set BASELINE_URL or BASELINE_RUN"
        )
    else:
        check_published(published)
    if endpoints.control:
        control = ask("control", endpoints.baseline_url)
    candidate = ask("candidate", endpoints.candidate_url)
    if baseline is None:
        band = check_band(candidate, published, rules.main_filter, rules.max_truncated)
        write_json(out / "unpaired.json", asdict(band))
        print(band_report(band))
        return STATUS[INCONCLUSIVE if band.consistent else DEGRADED]
    return _verdict(compare(baseline, candidate, control, rules), out, note=None).status


def _check_baseline(baseline: Path, request: Request, rules: Rules) -> None:
    """Hold that the candidate's run will have a partner, before an hour is spent on it.

    Raises EvalError where a comparison would refuse the baseline, whatever the candidate answers.
    """
    found = read_run(baseline)
    why = unfit(found, rules)
    if why:
        raise EvalError(f"{baseline}: {why[0]}; no verdict can be drawn from it")
    wanted = settings_of(
        request, found.settings["base_url"], found.settings["model"], task_of(request)
    )
    differing = differing_settings(wanted, found.settings)
    if differing:
        raise EvalError(
            f"{baseline}: was asked with {'; '.join(differing)}; ask the candidate as the "
            "baseline was asked"
        )


def _verdict(found: Comparison, out: Path, *, note: str | None) -> Comparison:
    write_json(out / "verdict.json", {**as_json(found), "note": note})
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
        shots = _STANDIN_FEWSHOT if request.num_fewshot is None else request.num_fewshot
        request = replace(
            request,
            data=STANDIN_DATA,
            own_data=True,
            limit=limit,
            num_fewshot=shots,
            max_tokens=max(request.max_tokens, _STANDIN_TOKENS),
        )
        # Another honest kernel in place of the golden router, and the golden router twice.
        arms = {
            "baseline": standin_command("golden"),
            "control": standin_command("golden"),
            "candidate": standin_command("torch-float32"),
        }
        print(
            "The stand-in model, the golden router against torch in float32, on the first "
            f"{limit} of its own questions.",
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
    found = _verdict(
        compare(out / "baseline", out / "candidate", out / "control", rules),
        out,
        note=NO_EVIDENCE,
    )
    # Too few questions to decide is a demonstration that worked as well.
    worked = found.verdict in (PRESERVED, INCONCLUSIVE)
    if "worse" in arms and worked:
        worse = compare(out / "baseline", out / "worse", rules=rules)
        print(comparison_report(worse), end="\n\n")
        # Not to see a much smaller model in place of the larger would be a defect of ours.
        worked = worse.verdict == DEGRADED
    print(NO_EVIDENCE)
    return 0 if worked else found.status or STATUS[REFUSED]
