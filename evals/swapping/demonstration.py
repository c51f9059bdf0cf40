"""The whole path on servers of this machine where there is no candidate: no evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from goldgate.evals.asking.report import run_report
from goldgate.evals.asking.request import Request
from goldgate.evals.asking.run import run
from goldgate.evals.comparing.compare import STATUS, compare
from goldgate.evals.comparing.compatibility import Rules
from goldgate.evals.comparing.report import comparison_report
from goldgate.evals.errors import EvalError
from goldgate.evals.servers.local_servers import (
    STANDIN_DATA,
    replay_command,
    serving,
    standin_command,
    standin_is_here,
)
from goldgate.evals.stats.paired import DEGRADED, INCONCLUSIVE, PRESERVED, REFUSED
from goldgate.evals.swapping.outcome import keep

NO_EVIDENCE = "DEMONSTRATION on an embedded server: this is no evidence for a release."
# What the recorded completions hold: two models, one in place of a kernel that loses accuracy.
_LARGE, _SMALL = "175b_verification", "6b_verification"
# Three arms of the stand-in on two cores in two minutes, and more than the 178 questions without
# which this margin decides nothing; --limit overrides it.
_STANDIN_LIMIT = 240
# The stand-in's score is stated without examples, and its tokens are letters: no worked answer of
# its problems is longer.
_STANDIN_FEWSHOT, _STANDIN_TOKENS = 0, 512


def demonstrate(
    request: Request, out: Path, rules: Rules, *, resume: bool, console: Console
) -> int:
    """Serve three arms in turn, ask them and compare; 0 where the whole path worked."""
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
            max_tokens=max(request.max_tokens or 0, _STANDIN_TOKENS),
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
    found = keep(
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
