"""The verdict between two runs: first whether they can be compared at all, then Tango's bound."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from goldgate.evals.asking.journal_lines import read_journal
from goldgate.evals.comparing import reading
from goldgate.evals.comparing.compatibility import Rules, checks_of, two_runs
from goldgate.evals.comparing.looking import ends_as, further_level, look_at
from goldgate.evals.comparing.reading import Reading
from goldgate.evals.comparing.throughput import Ratio, compare_throughput
from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import JOURNAL, read_run, sha256
from goldgate.evals.records.foreign import read_foreign
from goldgate.evals.records.looks import Look, read_looks, record
from goldgate.evals.stats import paired as verdict
from goldgate.junit import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from goldgate.evals.asking.journal_lines import Answer
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
    """What was found; `paired` is by filter name, empty where the questions cannot be paired.

    `decides` is the filter that decides, None where no filter qualifies; `withheld` says why counts
    that read PRESERVED do not make the verdict. `look` is the look at the candidate that this
    comparison is, None in a refusal; `next_level` is what a further look may spend. `noise` is the
    control's for the filter that decides. The throughputs are ratios to the baseline's. `loads`
    has a caution for each load of a sweep at which answers were lost, if less than a collapse.
    """

    verdict: str
    rules: Rules
    checks: tuple[Check, ...]
    baseline: Run
    candidate: Run
    control: Run | None
    decides: str | None
    readings: tuple[Reading, ...]
    withheld: tuple[str, ...]
    paired: Mapping[str, Paired]
    look: Look | None
    next_level: float
    noise: NoiseFloor | None
    throughput: Ratio | None
    control_throughput: Ratio | None
    loads: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The exit status."""
        return STATUS[self.verdict]

    @property
    def refused(self) -> bool:
        """Whether the runs cannot be compared: the counts are information, no verdict."""
        return self.verdict == verdict.REFUSED

    def runs(self) -> Iterator[tuple[str, Run]]:
        """Yield each run with its part."""
        yield "baseline", self.baseline
        yield "candidate", self.candidate
        if self.control is not None:
            yield "control", self.control


def compare(
    baseline: Path, candidate: Path, control: Path | None = None, rules: Rules | None = None
) -> Comparison:
    """Read the run folders, check that they can be compared, judge, and record the look.

    The record is a new file in the candidate's folder; what is read is not changed. Raises
    EvalError for a folder that is no finished run.
    """
    rules = rules or Rules()
    base, cand = read_arm(baseline), read_arm(candidate)
    again = read_arm(control) if control is not None else None
    looks = read_looks(candidate) if candidate.is_dir() else []
    found = compare_runs(base, cand, again, rules, looks)
    if found.look is not None and found.look.number > len(looks):
        more = {"verdict": found.verdict, "baseline": str(baseline), "filter": found.decides}
        if not (candidate.is_dir() and record(candidate, found.look, more)):
            found = replace(found, look=replace(found.look, recorded=False))
    return found


def read_arm(path: Path) -> Run:
    """Read a run folder, or a file of per-question results that another program wrote."""
    return read_foreign(path) if path.is_file() else read_run(path)


def compare_runs(
    base: Run,
    cand: Run,
    again: Run | None,
    rules: Rules,
    looks: Sequence[Look],
    *,
    timed: bool = True,
) -> Comparison:
    """Check that runs can be compared and judge; `looks` are those that the candidate has had.

    `timed` compares the throughput too.
    """
    checks = [*checks_of(base, cand, rules, "candidate")]
    if again is not None:
        checks += checks_of(base, again, rules, "control")
        checks.append(two_runs(cand, again, "candidate and control"))
    read = reading.readings(base, cand)
    decides = reading.deciding(read, rules.main_filter)
    checks += reading.checks(base, read, decides, rules.min_score)
    refused = not all(check.passed for check in checks)

    look = look_at(base, cand, rules, looks)
    further = further_level(look, rules, looks)
    arms = _arms(base, cand, [one.filter for one in read])
    noise = _noise(base, again, arms, rules)
    paired = {
        name: verdict.judge(
            *pair,
            margin=rules.margin,
            # With nothing left the counts are information: no level is as small as none.
            alpha=look.level or rules.alpha,
            noise=noise[name].discordance if name in noise else None,
            next_alpha=further,
        )
        for name, pair in arms.items()
    }
    decided, why = verdict.REFUSED, []
    if not refused and decides is not None:
        verdicts = {name: one.verdict for name, one in paired.items()}
        decided = paired[decides].verdict
        why = reading.withheld(base, cand, read, verdicts, decides)
        if decided != verdict.PRESERVED:
            why = []
        decided = reading.combine(decided, why)
        decided, why = ends_as(decided, why, look, rules, looks)
    timed = timed and not refused and bool(paired)
    return Comparison(
        verdict=decided,
        rules=rules,
        checks=tuple(checks),
        baseline=base,
        candidate=cand,
        control=again,
        decides=decides,
        readings=tuple(read),
        withheld=tuple(why),
        paired=paired,
        look=None if refused else look,
        next_level=further,
        noise=noise.get(decides or ""),
        throughput=_throughput(base, cand) if timed else None,
        control_throughput=_throughput(base, again) if timed and again is not None else None,
    )


def _arms(
    base: Run, cand: Run, filters: Sequence[str]
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return right and wrong of both arms by filter; nothing where questions do not pair."""
    asked = [
        [
            (sample["doc_id"], sample["target_hash"])
            for sample in run.samples
            if not sample["repeat"]
        ]
        for run in (base, cand)
    ]
    if asked[0] != asked[1]:
        return {}
    return {name: (right(base, name), right(cand, name)) for name in filters}


def _noise(
    base: Run,
    again: Run | None,
    arms: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]],
    rules: Rules,
) -> dict[str, NoiseFloor]:
    if again is None or not _arms(base, again, base.filters):
        return {}
    return {
        name: verdict.noise_floor(one, right(again, name), other, alpha=rules.alpha)
        for name, (one, other) in arms.items()
        if name in again.filters
    }


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
    detail = "; ".join([found.verdict, *found.withheld])
    return [
        *found.checks,
        Check("the score is preserved", found.verdict == verdict.PRESERVED, detail),
    ]


def as_json(found: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON, with the hashes of what was read."""
    return {
        "schema": 2,
        "verdict": found.verdict,
        "exit_status": found.status,
        "rules": asdict(found.rules),
        "checks": [asdict(check) for check in found.checks],
        "paired": {
            name: {**asdict(paired), "discordance": paired.discordance}
            for name, paired in found.paired.items()
        },
        "decides": found.decides,
        "withheld": list(found.withheld),
        "readings": [asdict(one) for one in found.readings],
        "look": asdict(found.look) if found.look else None,
        "next_level": found.next_level,
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
                "data": run.facts["data"],
                "foreign": run.foreign,
                "server": run.facts["server"],
                "finished": run.facts.get("finished"),
                "speed": run.facts["speed"],
                "hashes": run.facts["hashes"],
            }
            for name, run in found.runs()
        },
    }
