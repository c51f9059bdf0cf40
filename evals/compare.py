"""The verdict between two runs: first whether they can be compared at all, then Tango's bound."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evals import verdict
from evals.errors import EvalError
from evals.folder import JOURNAL, read_run, sha256
from evals.journal import read_journal
from evals.junit import Check
from evals.server import changes
from evals.tasks import FILTERS
from evals.throughput import Ratio, compare_throughput
from evals.totals import MAX_TRUNCATED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from evals.folder import Run
    from evals.journal import Answer
    from evals.verdict import NoiseFloor, Paired

STATUS = {
    verdict.PRESERVED: 0,
    verdict.DEGRADED: 1,
    verdict.REFUSED: 2,
    verdict.INCONCLUSIVE: 3,
}

# What both arms must share; base_url and model are what a swap may change (the model id only
# where the user says so).
_SHARED = (
    "api", "task", "task_hash", "prompts_hash", "extractor_hash", "questions", "limit",
    "num_fewshot", "generation", "concurrency", "order", "lm_eval",
)  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """What is fixed before the runs are looked at; fractions, not points."""

    margin: float = verdict.DEFAULT_MARGIN
    alpha: float = verdict.DEFAULT_ALPHA
    max_truncated: float = MAX_TRUNCATED
    main_filter: str = FILTERS[0]
    models_differ: bool = False


@dataclass(frozen=True)
class Comparison:
    """What was found; `paired` is by filter name and None in a refusal."""

    verdict: str
    rules: Rules
    checks: tuple[Check, ...]
    baseline: Run
    candidate: Run
    control: Run | None
    paired: Mapping[str, Paired] | None
    noise: NoiseFloor | None
    throughput: Ratio | None

    @property
    def status(self) -> int:
        """The exit status."""
        return STATUS[self.verdict]


def compare(
    baseline: Path, candidate: Path, control: Path | None = None, rules: Rules | None = None
) -> Comparison:
    """Read the run folders, check that they can be compared, and judge.

    Raises EvalError for a folder that is no finished run.
    """
    rules = rules or Rules()
    base, cand = read_run(baseline), read_run(candidate)
    again = read_run(control) if control is not None else None
    checks = [*_checks(base, cand, rules, "candidate")]
    if again is not None:
        checks += _checks(base, again, rules, "control")
        checks.append(_two_runs(cand, again, "candidate and control"))
    found: dict[str, Paired] | None = None
    noise = None
    decided = verdict.REFUSED
    if all(check.passed for check in checks):
        arms = {name: (right(base, name), right(cand, name)) for name in FILTERS}
        if again is not None:
            main = arms[rules.main_filter]
            noise = verdict.noise_floor(
                main[0], right(again, rules.main_filter), main[1], alpha=rules.alpha
            )
        found = {
            name: verdict.judge(
                *pair,
                margin=rules.margin,
                alpha=rules.alpha,
                noise=noise.discordance if noise else None,
            )
            for name, pair in arms.items()
        }
        decided = found[rules.main_filter].verdict
    return Comparison(
        verdict=decided,
        rules=rules,
        checks=tuple(checks),
        baseline=base,
        candidate=cand,
        control=again,
        paired=found,
        noise=noise,
        throughput=compare_throughput(_answers(base), _answers(cand)) if found else None,
    )


def right(run: Run, filter_name: str) -> NDArray[np.int64]:
    """Right and wrong as 1 and 0, [questions, repeats], questions in the order of their ids."""
    repeats: int = run.settings["runs"]
    marks = [int(sample["right"][filter_name]) for sample in run.samples]
    by_repeat: NDArray[np.int64] = np.array(marks, dtype=np.int64).reshape(repeats, -1)
    return np.transpose(by_repeat)


def _checks(base: Run, other: Run, rules: Rules, name: str) -> list[Check]:
    refused = [
        f"{arm}: {reason}"
        for arm, run in (("baseline", base), (name, other))
        for reason in _reasons(run)
    ]
    ids = [
        run.facts["totals"]["served_models"] or {run.settings["model"]: 0} for run in (base, other)
    ]
    same_model = set(ids[0]) == set(ids[1])
    return [
        _two_runs(base, other, f"baseline and {name}"),
        Check(
            f"baseline and {name} are whole runs",
            not refused,
            "; ".join(refused) or "every question answered, one model id, one server in each",
        ),
        _same_settings(base, other, name),
        _same_prompts(base, other, name),
        Check(
            f"baseline and {name} serve one model id",
            same_model or rules.models_differ,
            f"{_names(ids[0])} and {_names(ids[1])}"
            + ("" if same_model else "; pass --models-differ if these are one model"),
        ),
        *_truncation(base, other, rules, name),
    ]


def _reasons(run: Run) -> list[str]:
    """Why a run is no evidence: as it says itself, else as its own fields say."""
    if run.facts["reasons"]:
        return list(run.facts["reasons"])
    void = sum(sample["text"] is None for sample in run.samples)
    models = run.facts["totals"]["served_models"]
    changed = changes(run.facts["server"]["at_start"], run.facts["server"]["at_end"])
    return [
        *([f"{void} answers without a text"] if void else []),
        *([f"answered by {_names(models)}"] if len(models) > 1 else []),
        *changed,
    ]


def _two_runs(one: Run, other: Run, names: str) -> Check:
    # A journal holds times to the microsecond: two runs never share its bytes.
    same = one.facts["hashes"]["journal"] == other.facts["hashes"]["journal"]
    return Check(
        f"{names} are two runs",
        not same,
        f"{one.path} and {other.path} hold the same journal, so nothing was asked twice"
        if same
        else "each has a journal of its own",
    )


def _names(models: Mapping[str, int]) -> str:
    return ", ".join(sorted(models))


def _same_settings(base: Run, other: Run, name: str) -> Check:
    differing = [
        f"{key} {base.settings.get(key)!r} and {other.settings.get(key)!r}"
        for key in _SHARED
        if base.settings.get(key) != other.settings.get(key)
    ]
    return Check(
        f"baseline and {name} were asked alike",
        not differing,
        "; ".join(differing) or "same task, extractor, generation settings, concurrency, order",
    )


def _same_prompts(base: Run, other: Run, name: str) -> Check:
    prompts: list[dict[int, set[tuple[str, str]]]] = []
    for run in (base, other):
        asked: dict[int, set[tuple[str, str]]] = {}
        for sample in run.samples:  # of every pass: each question has one prompt throughout
            hashes = (sample["prompt_hash"], sample["target_hash"])
            asked.setdefault(sample["doc_id"], set()).add(hashes)
        prompts.append(asked)
    differing = sorted(
        doc_id
        for doc_id in prompts[0].keys() | prompts[1].keys()
        if prompts[0].get(doc_id) != prompts[1].get(doc_id) or len(prompts[0][doc_id]) > 1
    )
    listed = ", ".join(map(str, differing[:5]))
    return Check(
        f"baseline and {name} had the same prompts",
        not differing,
        f"{len(differing)} questions differ, the first: {listed}"
        if differing
        else f"{len(prompts[0])} prompt and target hashes are equal",
    )


def _truncation(base: Run, other: Run, rules: Rules, name: str) -> list[Check]:
    totals = [run.facts["totals"] for run in (base, other)]
    unknown = [total["truncation_unknown"] for total in totals]
    rates = [total["truncated"] / max(total["answers"], 1) for total in totals]
    shown = f"{100 * rates[0]:.2f} % and {100 * rates[1]:.2f} % truncated"
    return [
        Check(
            f"truncations of baseline and {name} are known",
            not any(unknown),
            f"unknown for {unknown[0]} and {unknown[1]} answers"
            + (": the server sends neither finish_reason nor usage" if any(unknown) else ""),
        ),
        Check(
            f"truncations of baseline and {name} are within the limit",
            max(rates) <= rules.max_truncated,
            f"{shown}, limit {100 * rules.max_truncated:g} % (--max-truncated)"
            + ("; ask again with more --max-tokens" if max(rates) > rules.max_truncated else ""),
        ),
        Check(
            f"baseline and {name} are truncated alike",
            abs(rates[0] - rates[1]) <= rules.margin,
            f"{shown}, at most the margin of {100 * rules.margin:g} points apart",
        ),
    ]


def _answers(run: Run) -> Sequence[Answer]:
    """Times for the throughput: from the journal, if it is still the one of the run."""
    path = run.path / JOURNAL
    if not path.exists() or sha256(path) != run.facts["hashes"]["journal"]:
        return ()
    try:
        return tuple(read_journal(path).answers.values())
    except EvalError:
        return ()


def as_checks(found: Comparison) -> list[Check]:
    """Return what has to hold for a release: comparable, and PRESERVED."""
    return [
        *found.checks,
        Check("the score is preserved", found.verdict == verdict.PRESERVED, found.verdict),
    ]


def as_json(found: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON, with the hashes of what was read."""
    runs = {"baseline": found.baseline, "candidate": found.candidate, "control": found.control}
    return {
        "schema": 1,
        "verdict": found.verdict,
        "exit_status": found.status,
        "rules": asdict(found.rules),
        "checks": [asdict(check) for check in found.checks],
        "paired": {
            name: {**asdict(paired), "discordance": paired.discordance}
            for name, paired in (found.paired or {}).items()
        },
        "noise_floor": asdict(found.noise) if found.noise else None,
        "throughput": asdict(found.throughput) if found.throughput else None,
        "runs": {
            name: {
                "folder": str(run.path),
                "settings": run.settings,
                "totals": run.facts["totals"],
                "speed": run.facts["speed"],
                "hashes": run.facts["hashes"],
            }
            for name, run in runs.items()
            if run is not None
        },
    }
