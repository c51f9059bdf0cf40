"""The verdict between two runs: first whether they can be compared at all, then Tango's bound."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from goldgate.evals.asking.journal import read_journal
from goldgate.evals.comparing.compatibility import Rules, checks_of, two_runs
from goldgate.evals.comparing.throughput import Ratio, compare_throughput
from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import JOURNAL, read_run, sha256
from goldgate.evals.stats import paired as verdict
from goldgate.evals.task import FILTERS
from goldgate.junit import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from goldgate.evals.asking.journal import Answer
    from goldgate.evals.records.folder import Run
    from goldgate.evals.stats.paired import NoiseFloor, Paired

STATUS = {
    verdict.PRESERVED: 0,
    verdict.DEGRADED: 1,
    verdict.REFUSED: 2,
    verdict.INCONCLUSIVE: 3,
}


@dataclass(frozen=True)
class Comparison:
    """What was found; `paired` is by filter name and None in a refusal.

    `noise` is the control's for the filter that decides. The throughputs are ratios to the
    baseline's.
    """

    verdict: str
    rules: Rules
    checks: tuple[Check, ...]
    baseline: Run
    candidate: Run
    control: Run | None
    paired: Mapping[str, Paired] | None
    noise: NoiseFloor | None
    throughput: Ratio | None
    control_throughput: Ratio | None

    @property
    def status(self) -> int:
        """The exit status."""
        return STATUS[self.verdict]

    def runs(self) -> Iterator[tuple[str, Run]]:
        """Yield each run with its part."""
        yield "baseline", self.baseline
        yield "candidate", self.candidate
        if self.control is not None:
            yield "control", self.control


def compare(
    baseline: Path, candidate: Path, control: Path | None = None, rules: Rules | None = None
) -> Comparison:
    """Read the run folders, check that they can be compared, and judge.

    Raises EvalError for a folder that is no finished run.
    """
    rules = rules or Rules()
    base, cand = read_run(baseline), read_run(candidate)
    again = read_run(control) if control is not None else None
    checks = [*checks_of(base, cand, rules, "candidate")]
    if again is not None:
        checks += checks_of(base, again, rules, "control")
        checks.append(two_runs(cand, again, "candidate and control"))
    found: dict[str, Paired] | None = None
    noise: dict[str, NoiseFloor] = {}
    decided = verdict.REFUSED
    if all(check.passed for check in checks):
        arms = {name: (right(base, name), right(cand, name)) for name in FILTERS}
        if again is not None:
            noise = {
                name: verdict.noise_floor(one, right(again, name), other, alpha=rules.alpha)
                for name, (one, other) in arms.items()
            }
        found = {
            name: verdict.judge(
                *pair,
                margin=rules.margin,
                alpha=rules.alpha,
                noise=noise[name].discordance if noise else None,
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
        noise=noise.get(rules.main_filter),
        throughput=_throughput(base, cand) if found else None,
        control_throughput=_throughput(base, again) if found and again is not None else None,
    )


def right(run: Run, filter_name: str) -> NDArray[np.int64]:
    """Right and wrong as 1 and 0, [questions, repeats], questions in the order of their ids."""
    repeats: int = run.settings["runs"]
    marks = [int(sample["right"][filter_name]) for sample in run.samples]
    by_repeat: NDArray[np.int64] = np.array(marks, dtype=np.int64).reshape(repeats, -1)
    return np.transpose(by_repeat)


def _throughput(base: Run, other: Run) -> Ratio | None:
    return compare_throughput(_answers(base), _answers(other))


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
        "control_throughput": (
            asdict(found.control_throughput) if found.control_throughput else None
        ),
        "runs": {
            name: {
                "folder": str(run.path),
                "settings": run.settings,
                "totals": run.facts["totals"],
                "speed": run.facts["speed"],
                "hashes": run.facts["hashes"],
            }
            for name, run in found.runs()
        },
    }
