"""Comparing again the GSM8K runs that are at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from goldgate.evals.comparing.compare import compare_runs
from goldgate.evals.comparing.compatibility import Rules
from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import Run, read_run
from goldgate.evals.records.looks import read_looks
from goldgate.signoff.checklist import Refused
from goldgate.signoff.gather import AtHand
from goldgate.signoff.gathered import Gathered, Scored


def scores_again(at_hand: AtHand, stated: Sequence[Scored]) -> Gathered:
    """Check run folders, and compare the runs of each verdict again where they are at hand.

    Args:
        at_hand: the run folders.
        stated: the paired verdicts that the evidence has.

    """
    refused: list[Refused] = []
    runs: dict[tuple[str, str], Run] = {}
    for folder, file in at_hand.runs:
        try:
            run = read_run(folder)
        except EvalError as error:
            why = str(error).removeprefix(f"{folder}: ")
            refused.append(Refused(file, why, unusable="did not finish" not in why))
            continue
        runs[_hashes(run.facts)] = run
    notes: list[str] = []
    for one in stated:
        named = one.document["runs"]
        found = {name: runs.get(_hashes(about)) for name, about in named.items()}
        base, cand, control = (found.get(name) for name in ("baseline", "candidate", "control"))
        if base is None or cand is None or ("control" in named and control is None):
            continue
        if one.document.get("sequential"):
            continue  # the plan decided on prefixes of the runs, look by look
        why = _differs(one, (base, cand, control))
        if why:
            refused.append(Refused(one.file, why, unusable=True))
        else:
            notes.append(f"{one.file.path}: its runs were compared again, with the same verdict")
    return Gathered(refused=tuple(refused), notes=tuple(notes))


def _differs(one: Scored, runs: tuple[Run, Run, Run | None]) -> str:
    """Say in what a verdict differs from what its runs give today; "" in nothing."""
    base, cand, control = runs
    try:
        rules = Rules(**one.document["rules"])
    except TypeError as error:
        return f"its rules are another version's ({error}): compare the runs again"
    again = compare_runs(base, cand, control, rules, read_looks(cand.path), timed=False)
    paired = again.paired.get(again.decides or "")
    counts = (paired.losses, paired.gains, paired.questions) if paired else ()
    stated = tuple(one.paired.get(key) for key in ("losses", "gains", "questions"))
    if again.verdict == one.verdict and (not paired or counts == stated):
        return ""
    return (
        f"compared again, its runs are {again.verdict} with {counts}, and it states {one.verdict} "
        f"with {stated}: compare the runs with one version"
    )


def _hashes(about: Mapping[str, Any]) -> tuple[str, str]:
    """Tell a run by its samples and its journal: two arms may answer alike to the letter."""
    return str(about["hashes"].get("samples")), str(about["hashes"].get("journal"))
