"""Whether two runs can be compared at all: what both have to share, and what each has to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldgate.evals.asking.identity import across_starts, changes
from goldgate.evals.comparing.reading import ONE_SIDED
from goldgate.evals.records.differences import differences
from goldgate.evals.records.named import partly_named
from goldgate.evals.records.truncation import MAX_TRUNCATED, Truncation, came_to_its_end
from goldgate.evals.stats import paired as verdict
from goldgate.junit import Check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from goldgate.evals.records.folder import Run

# What both arms must share; base_url and model are what a swap may change (the model id only
# where the user says so).
_SHARED = (
    "api", "protocol", "task", "task_hash", "prompts_hash", "extractor_hash", "filters",
    "questions", "population", "limit", "num_fewshot", "generation", "concurrency", "order",
    "lm_eval",
)  # fmt: skip
# Of these, what the others decide.
_FOLLOWS = {
    "task_hash", "prompts_hash", "extractor_hash", "filters", "questions", "population",
}  # fmt: skip


MIN_SCORE = 0.5


@dataclass(frozen=True)
class Rules:
    """What is fixed before the runs are looked at; fractions, not points.

    `main_filter` decides if it qualifies; None takes the task's own first. `min_score` is the
    share of right answers below which a baseline does not represent the model. `single_look`
    spends all of alpha on the first look at a candidate.
    """

    margin: float = verdict.DEFAULT_MARGIN
    alpha: float = verdict.DEFAULT_ALPHA
    max_truncated: float = MAX_TRUNCATED
    main_filter: str | None = None
    models_differ: bool = False
    min_score: float = MIN_SCORE
    single_look: bool = False


def checks_of(base: Run, other: Run, rules: Rules, name: str) -> list[Check]:
    """Say what has to hold between the baseline and another run, and whether it does.

    Of files that other programs wrote only what they hold is checked; a run folder beside one has
    to be evidence by itself.
    """
    if base.foreign or other.foreign:
        ours = [(arm, run) for arm, run in (("baseline", base), (name, other)) if not run.foreign]
        refused = [
            f"{arm}: {reason}"
            for arm, run in ours
            # A candidate that is cut off has answers that are wrong, which the counts hold.
            for reason in (unfit(run, rules) if run is base else reasons(run))
        ]
        return [
            two_runs(base, other, f"baseline and {name}"),
            *(
                Check(
                    f"the {arm} is a whole run",
                    not refused,
                    "; ".join(refused) or "every question answered, one model id, one server",
                )
                for arm, _ in ours
            ),
            _same_filters(base, other, name),
            _same_prompts(base, other, name),
            *_same_generation(base, other, name),
        ]
    refused = [
        f"{arm}: {reason}"
        for arm, run in (("baseline", base), (name, other))
        for reason in reasons(run)
    ]
    same_model = _models(base) == _models(other)
    return [
        two_runs(base, other, f"baseline and {name}"),
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
            f"{served(base)} and {served(other)}"
            + ("" if same_model else "; pass --models-differ if these are one model"),
        ),
        *_truncation(base, other, rules, name),
    ]


def reasons(run: Run) -> list[str]:
    """Why a run is no evidence: as it says itself, else as its own fields say."""
    if run.facts["reasons"]:
        return list(run.facts["reasons"])
    void = sum(sample["text"] is None and sample["truncated"] is not True for sample in run.samples)
    # Only in runs of an earlier version: today such an answer is a failed request.
    broken_off = sum(not came_to_its_end(sample["finish_reason"]) for sample in run.samples)
    totals = run.facts["totals"]
    named = [
        *(
            f"answered by {', '.join(sorted(seen))}"
            for seen in (_models(run), totals["fingerprints"], totals["builds"])
            if len(seen) > 1
        ),
        *partly_named(totals).values(),
    ]
    # The first look of all sessions and the last: in between a server may have been started anew,
    # which only a session itself can tell from a change (server.changes_within).
    first, last = (across_starts(run.facts["server"][at]) for at in ("at_start", "at_end"))
    changed = changes(first, last)
    return [
        *([f"{void} answers without a text"] if void else []),
        *([f"{broken_off} answers broken off by the server"] if broken_off else []),
        *named,
        *changed,
    ]


def unfit(run: Run, rules: Rules) -> list[str]:
    """Say why no comparison would take a run, whatever the other arm is; empty where one would."""
    truncation = Truncation.of(run.facts["totals"])
    why = reasons(run)
    if truncation.unknown:
        why.append(f"truncation is unknown for {truncation.unknown} answers")
    if truncation.exceeds(rules.max_truncated):
        why.append(
            f"{truncation.percent} truncated, limit {100 * rules.max_truncated:g} % "
            "(--max-truncated); ask again with more --max-tokens"
        )
    return why


def differing_settings(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Name each setting that both arms must share and do not, as `name theirs, not ours`."""
    found = differences(*({key: run.get(key) for key in _SHARED} for run in (ours, theirs)))
    # Another limit or task is other prompts too: what can be set says it, where it differs.
    found = [one for one in found if one.partition(":")[0] not in _FOLLOWS] or found
    return [difference.replace(":", "", 1) for difference in found]


def two_runs(one: Run, other: Run, names: str) -> Check:
    """Hold that something was asked twice."""
    # A journal holds times to the microsecond: two runs never share its bytes.
    same = one.facts["hashes"]["journal"] == other.facts["hashes"]["journal"]
    return Check(
        f"{names} are two runs",
        not same,
        f"{one.path} and {other.path} hold the same journal, so nothing was asked twice"
        if same
        else "each has a journal of its own",
    )


def served(run: Run) -> str:
    """Name the model id that answered, and the one that was asked for where that is another."""
    named, asked = ", ".join(sorted(_models(run))), run.settings["model"]
    return named if _models(run) == {asked} else f"{named} (asked for {asked})"


def _models(run: Run) -> set[str]:
    return set(run.facts["totals"]["served_models"]) or {run.settings["model"]}


def _same_settings(base: Run, other: Run, name: str) -> Check:
    differing = differing_settings(other.settings, base.settings)
    return Check(
        f"baseline and {name} were asked alike",
        not differing,
        "; ".join(differing) or "same task, extractor, generation settings, concurrency, order",
    )


def _same_filters(base: Run, other: Run, name: str) -> Check:
    ours, theirs = base.filters, other.filters
    return Check(
        f"baseline and {name} were read alike",
        ours == theirs and base.settings["runs"] == other.settings["runs"],
        f"{', '.join(ours)} and {', '.join(theirs)}",
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


def _same_generation(base: Run, other: Run, name: str) -> list[Check]:
    """Compare the generation settings of two files that hold them for each question."""
    ours, theirs = ([sample.get("generation") for sample in run.samples] for run in (base, other))
    if None in ours or None in theirs:
        return []
    differing = [pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]]
    return [
        Check(
            f"baseline and {name} were asked alike",
            not differing,
            f"{len(differing)} questions differ, the first: {differing[0][1]}, not "
            f"{differing[0][0]}"
            if differing
            else "equal generation settings with each question",
        )
    ]


def _truncation(base: Run, other: Run, rules: Rules, name: str) -> list[Check]:
    ours, theirs = (Truncation.of(run.facts["totals"]) for run in (base, other))
    unknown, limit = ours.unknown or theirs.unknown, rules.max_truncated
    apart = abs(ours.rate - theirs.rate) > rules.margin
    # A candidate that is cut off so much more often is broken by itself: reading.py judges it.
    one_sided = name == "candidate" and theirs.rate - ours.rate > ONE_SIDED
    shown = f"{ours.percent} and {theirs.percent} truncated"
    return [
        Check(
            f"truncations of baseline and {name} are known",
            not unknown,
            f"unknown for {ours.unknown} and {theirs.unknown} answers"
            + (": the server sends neither finish_reason nor usage" if unknown else ""),
        ),
        Check(
            f"truncations of baseline and {name} are within the limit",
            not ours.exceeds(limit) and (not theirs.exceeds(limit) or one_sided),
            f"{shown}, limit {100 * limit:g} % (--max-truncated)"
            + (
                "; ask again with more --max-tokens"
                if ours.exceeds(limit) or theirs.exceeds(limit)
                else ""
            ),
        ),
        Check(
            f"baseline and {name} are truncated alike",
            not apart or one_sided,
            f"{shown}, at most the margin of {100 * rules.margin:g} points apart"
            + ("; raise --max-tokens" if apart else ""),
        ),
    ]
