"""A sequential swap: both arms are asked look by look until one of the bounds is crossed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scipy import stats

from goldgate.evals.comparing import reading
from goldgate.evals.comparing.compare import STATUS, Comparison, compare_runs
from goldgate.evals.comparing.compatibility import Rules
from goldgate.evals.comparing.restrict import restricted
from goldgate.evals.comparing.warnings import cautions
from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import Run
from goldgate.evals.records.looks import Look, data_of, read_looks, record
from goldgate.evals.stats.paired import DEGRADED, INCONCLUSIVE, PRESERVED, REFUSED
from goldgate.evals.stats.sequential import Bounds, score_degraded, score_preserved
from goldgate.evals.stats.tango import tango_bound
from goldgate.evals.swapping.order import order_of
from goldgate.text import printable

#: Of the question order, unless the user names another.
ORDER_SEED = 17

#: Returns an arm's run that holds at least the first questions of the order.
AskArm = Callable[[int], Run]


@dataclass(frozen=True)
class Step:
    """A look of a sequential plan: its counts, its scores and what they are held against.

    `lower` bounds candidate - baseline from below at the confidence that this look has.
    `decided` is None where the plan goes on.
    """

    questions: int
    filter: str
    losses: int
    gains: int
    score_preserved: float
    bound_preserved: float
    score_degraded: float
    bound_degraded: float
    lower: float
    withheld: tuple[str, ...]
    decided: str | None


@dataclass(frozen=True)
class Outcome:
    """How a sequential swap ended; `found` is the comparison of the last look's questions."""

    verdict: str
    plan: Bounds
    steps: tuple[Step, ...]
    found: Comparison

    @property
    def status(self) -> int:
        """The exit status."""
        return STATUS[self.verdict]


def follow(
    plan: Bounds,
    order: str,
    rules: Rules,
    baseline: AskArm,
    candidate: AskArm,
    keep: Callable[[int, Step, Comparison], None],
) -> Outcome:
    """Ask both arms look by look and stop where the plan decides.

    `order` names the question order, `keep` is told of every look: its number from 0, what it
    found and the comparison of its questions. Raises EvalError where an arm
    cannot be asked.
    """
    steps: list[Step] = []
    fixed = rules
    for look, questions in enumerate(plan.looks):
        arms = [ask(questions) for ask in (baseline, candidate)]
        ids = order_of(order, arms[0].settings["population"])[:questions]
        base, cand = (restricted(run, ids) for run in arms)
        # Arms that are asked in step share the time, and perhaps the host: no throughput.
        found = compare_runs(base, cand, None, fixed, [], timed=False)
        if found.refused or found.decides is None:
            return Outcome(REFUSED, plan, tuple(steps), found)
        if steps and found.decides != steps[0].filter:
            raise EvalError(
                f"{steps[0].filter} decided the first look and does not qualify any more: it finds "
                f"no number in more than {100 * reading.MAX_UNREAD:g} % of the baseline's answers; "
                "no verdict can be drawn"
            )
        # The first look's baseline decides which filter it is.
        fixed = replace(rules, main_filter=found.decides)
        step = decide(plan, look, found)
        steps.append(step)
        keep(look, step, found)
        if step.decided is not None:
            return Outcome(step.decided, plan, tuple(steps), found)
    raise AssertionError("the last look always decides")


def decide(plan: Bounds, look: int, found: Comparison) -> Step:
    """Hold the counts of one look against the bounds; the last look is never undecided."""
    name = found.decides or ""
    counts = {one: (paired.losses, paired.gains) for one, paired in found.paired.items()}
    losses, gains = counts[name]
    verdicts = {
        one: PRESERVED if plan.preserves(look, *pair) else INCONCLUSIVE
        for one, pair in counts.items()
    }
    withheld: list[str] = []
    decided: str | None = None
    if verdicts[name] == PRESERVED:
        withheld = reading.withheld(found.baseline, found.candidate, found.readings, verdicts, name)
        decided = None if withheld else PRESERVED
    elif plan.degrades(look, losses, gains):
        decided = DEGRADED
    if decided is None and look == len(plan.looks) - 1:
        decided = INCONCLUSIVE
    questions = plan.looks[look]
    bound = plan.preserved * plan.scale(look)
    return Step(
        questions=questions,
        filter=name,
        losses=round(losses),
        gains=round(gains),
        score_preserved=float(score_preserved(losses, gains, questions, plan.margin)),
        bound_preserved=bound,
        score_degraded=float(score_degraded(losses, gains)),
        bound_degraded=plan.degraded * plan.scale(look),
        lower=tango_bound(losses, gains, questions, float(stats.norm.sf(bound))),
        withheld=tuple(withheld),
        decided=decided,
    )


def describe(plan: Bounds, look: int, step: Step) -> str:
    """Say in one line what a look found."""
    return (
        f"look {look + 1} of {len(plan.looks)}: {step.questions} questions, {step.losses} turned "
        f"wrong, {step.gains} turned right by {step.filter}; PRESERVED {step.score_preserved:.2f} "
        f"of {step.bound_preserved:.2f}, DEGRADED {step.score_degraded:.2f} of "
        f"{step.bound_degraded:.2f}: {step.decided or 'goes on'}"
    )


def sequential_report(outcome: Outcome, digest: str) -> str:
    """Describe the plan, its looks and the verdict; the last line is the verdict's sentence."""
    plan, found = outcome.plan, outcome.found
    looks = ", ".join(map(str, plan.looks))
    lines = [
        f"plan      looks at {looks} questions (sha256 {digest[:12]})",
        f"  margin            {100 * plan.margin:g} points, alpha {plan.alpha:g} one-sided",
        f"  PRESERVED above   {plan.preserved:g} * sqrt(all/asked), size {plan.size_preserved:.4f}",
        f"  DEGRADED above    {plan.degraded:g} * sqrt(all/asked), size {plan.size_degraded:.4f}",
        *(f"  {describe(plan, look, step)}" for look, step in enumerate(outcome.steps)),
        "  throughput        not measured: the arms were asked in step; measure each by itself",
    ]
    failed = [check for check in found.checks if not check.passed]
    lines += [f"  not comparable    {check.name}: no, {check.detail}" for check in failed]
    lines += [f"  caution           {caution}" for caution in cautions(found)]
    lines += ["", f"{outcome.verdict}: {sequential_sentence(outcome)}"]
    return printable("\n".join(lines))


def as_json(outcome: Outcome, digest: str) -> dict[str, Any]:
    """Return what a sequential swap found as JSON, beside the last look's comparison."""
    return {
        "plan_sha256": digest,
        "bounds": asdict(outcome.plan),
        "steps": [asdict(step) for step in outcome.steps],
    }


def keep_look(candidate: Path, plan: Bounds, step: Step, found: Comparison) -> None:
    """Record a look in the candidate's folder, unless this data set was recorded.

    The first spends all of alpha: no comparison outside the plan may decide any more.
    """
    data = data_of(*(run.facts["hashes"]["samples"] for run in (found.baseline, found.candidate)))
    looks = read_looks(candidate)
    if data in {look.data for look in looks}:
        return
    level = max(plan.alpha - sum(look.level for look in looks), 0.0)
    decided = step.decided or INCONCLUSIVE
    look = Look(len(looks) + 1, data, level, plan.margin, decided, alpha=plan.alpha)
    record(candidate, look, {"plan": "sequential", "questions": step.questions})


def check_looks(candidate: Path, plan: Bounds) -> None:
    """Hold that all of alpha is the plan's: no look outside it came before.

    Raises EvalError where a comparison, or a plan at another margin, decided on this candidate.
    """
    for look in read_looks(candidate):
        # One that had nothing to spend, as after the plan's first look, took nothing away.
        if look.level and (look.decided is None or look.margin != plan.margin):
            raise EvalError(
                f"{candidate}: look {look.number} at this candidate was outside the plan and spent "
                f"{look.level:.2g} of alpha, all of which the plan needs; choose another --out"
            )


def arm_from_run(path: Path, run: Run, order: str) -> AskArm:
    """Return the arm of an earlier run, which must hold what each look needs, in this order."""
    if run.settings["order"] != order:
        raise EvalError(
            f"{path}: was asked {run.settings['order']}, the plan asks {order}; ask the baseline "
            f"with --order-seed {order.rpartition(' ')[2]}"
        )
    if run.settings["runs"] != 1:
        raise EvalError(f"{path}: has {run.settings['runs']} repeats; a sequential plan has one")

    def held(questions: int) -> Run:
        if run.settings["questions"] < questions:
            raise EvalError(
                f"{path}: holds {run.settings['questions']} questions, this look needs "
                f"{questions}; ask the baseline on with --resume"
            )
        return run

    return held


def sequential_sentence(outcome: Outcome) -> str:
    """One sentence that a release manager can read."""
    plan = outcome.plan
    if outcome.verdict == REFUSED or not outcome.steps:
        failed = [check for check in outcome.found.checks if not check.passed]
        return (
            f"these runs cannot be compared ({failed[0].name}: no), so nothing is known about the "
            "candidate; this is not a pass."
        )
    last = outcome.steps[-1]
    change = (
        f"{last.losses} answers turned wrong and {last.gains} turned right of the first "
        f"{last.questions} questions"
    )
    if outcome.verdict == PRESERVED:
        bound = (
            f"lost less than {-100 * last.lower:.2f} points"
            if last.lower < 0
            else f"gained at least {100 * last.lower:.2f} points"
        )
        return (
            f"the score is preserved: {change}; over all looks the plan errs at most "
            f"{100 * plan.alpha:g} times in 100, and this one bounds that the candidate {bound} "
            f"(allowed: {100 * plan.margin:g})."
        )
    if outcome.verdict == DEGRADED:
        return (
            f"the candidate is worse: {change}, which crosses the bound that no change crosses "
            f"more than {100 * plan.alpha:g} times in 100 over all looks; do not ship."
        )
    why = "; ".join(last.withheld) or f"a loss of {-100 * last.lower:.2f} points is still possible"
    return (
        f"not decided: {change}; {why} (allowed: {100 * plan.margin:g}). The plan has no look left "
        "and alpha is spent: no further look at this candidate decides."
    )
