"""`tox -e gsm8k`: candidate against baseline where there are servers, else a demonstration."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
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
from evals.folder import read_run, write_json
from evals.junit import write_junit
from evals.report import run_report
from evals.run import Request, run
from evals.server import normalise
from evals.verdict import DEGRADED, INCONCLUSIVE, PRESERVED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from evals.compare import Comparison

NO_EVIDENCE = "DEMONSTRATION on an embedded server: this is no evidence for a release."
# What the recorded completions hold: two models, one in place of a kernel that loses accuracy.
_LARGE, _SMALL = "175b_verification", "6b_verification"
# Three arms of the stand-in on two cores in two minutes, and more than the 178 questions without
# which this margin decides nothing; --limit says otherwise.
_STANDIN_LIMIT = 240
# The stand-in's score is stated without examples, and its tokens are letters: no worked answer of
# its problems is longer.
_STANDIN_FEWSHOT, _STANDIN_TOKENS = 0, 512


@dataclass(frozen=True)
class Arms:
    """Who is asked: addresses of servers or an earlier run's folder; empty where there is none.

    `control` asks for a second run of the baseline's server, which measures the noise floor.
    """

    candidate_url: str = ""
    baseline_url: str = ""
    baseline_run: str = ""
    control: bool = False


def arms_of(environment: Mapping[str, str], *, control: bool) -> Arms:
    """Read BASE_URL, BASELINE_URL and BASELINE_RUN.

    Raises EvalError where they do not say who is to be compared with whom.
    """
    names = ("BASE_URL", "BASELINE_URL", "BASELINE_RUN")
    candidate, url, folder = (environment.get(name, "").strip() for name in names)
    if url and folder:
        raise EvalError("BASELINE_URL and BASELINE_RUN are both set; unset the one not meant")
    if not candidate and (url or folder):
        raise EvalError("a baseline is set but no BASE_URL; set it to the candidate's server")
    if url and normalise(url) == normalise(candidate):
        raise EvalError(
            f"BASE_URL and BASELINE_URL are both {normalise(url)}, so nothing was swapped; "
            "set BASELINE_URL to the baseline's server, or BASELINE_RUN to its earlier run"
        )
    if control and not url:
        raise EvalError(
            "--control asks the baseline's server a second time; set BASELINE_URL to it"
        )
    return Arms(candidate, url, folder, control)


def default_out() -> Path:
    """Return a new folder: answers of an earlier deployment are never taken up by accident."""
    return Path("gsm8k-runs") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def sign_off(
    request: Request,
    arms: Arms,
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
    if not arms.candidate_url:
        return _demonstrate(request, out, rules, resume=resume, console=console)

    def ask(name: str, url: str) -> Path:
        facts = run(replace(request, base_url=url), out / name, resume=resume, console=console)
        print(run_report(facts, out / name), end="\n\n")
        if facts["status"] != "complete":
            raise EvalError(f"{out / name}: {facts['reasons'][0]}; no verdict can be drawn")
        return out / name

    baseline = control = None
    if arms.baseline_run:
        baseline = Path(arms.baseline_run)
        _asked_alike(baseline, request)  # before an hour is spent on a run without a partner
    elif arms.baseline_url:
        baseline = ask("baseline", arms.baseline_url)
    if arms.control:
        control = ask("control", arms.baseline_url)
    candidate = ask("candidate", arms.candidate_url)
    if baseline is None:
        band = check_band(candidate, published, rules.main_filter, rules.max_truncated)
        write_json(out / "unpaired.json", asdict(band))
        print(band_report(band))
        return STATUS[INCONCLUSIVE if band.consistent else DEGRADED]
    return _verdict(compare(baseline, candidate, control, rules), out, note=None).status


def _asked_alike(baseline: Path, request: Request) -> None:
    settings = read_run(baseline).settings
    options = {
        "--api": (settings["api"], request.api),
        "--task": (settings["task"], request.task),
        "--max-tokens": (settings["generation"]["max_tokens"], request.max_tokens),
        "--concurrency": (settings["concurrency"], request.concurrency),
        "--limit": (settings["limit"], request.limit),
    }
    differing = [f"{name} {was}, not {now}" for name, (was, now) in options.items() if was != now]
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
