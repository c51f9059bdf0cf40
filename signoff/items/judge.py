"""The judge itself, and where every recording comes from."""

from __future__ import annotations

from goldgate.signoff import commands
from goldgate.signoff.checklist import Item
from goldgate.signoff.fit import Miss, files_of, recording_reasons
from goldgate.signoff.gathered import Recorded
from goldgate.signoff.items.item import item
from goldgate.signoff.view import View

#: What a recorder writes of a recording of a model.
_STATED = ("model", "revision", "layer", "recorder")
_UNKNOWN = ("", "unknown", "None")


def judge(view: View) -> Item:
    """Require that this judge catches every planted fault, and that it judged the evidence."""
    killed = [one for one in view.facts.killed if one.judge_sha256 == view.judge]
    misses = [
        Miss(
            one.file,
            "the kill matrix",
            (f"of another judge ({one.judge_sha256[:12]}..., this is {view.judge[:12]}...)",),
        )
        for one in view.facts.killed
        if one.judge_sha256 != view.judge
    ]
    wrong = []
    for one in killed:
        if one.survivors:
            first = one.survivors[0]
            wrong.append(
                f"{one.planted - one.caught} of {one.planted} faults survive or differ from what "
                f"is expected, the first {first} ({one.file.path})"
            )
        wrong += [f"a conforming kernel is called wrong: {alarm}" for alarm in one.alarms[:1]]
    used = [one for one, _, reasons in view.on_model() if not reasons]
    used += [one for one in view.of_kernel() if one.tier and not view.run_here(one)]
    held = [(one.judge_sha256, one.file.path) for one in used]
    held += [(one.judge_sha256, one.file.path) for one in view.facts.compared]
    other = [path for sha256, path in held if sha256 != view.judge]
    missing = [] if killed else ["no kill matrix of this judge"]
    if other:
        missing.append(
            f"{len(other)} verdicts are of another version's judge, the first in {other[0]}: "
            "judge again with this version"
        )
    # Not their sum: the same matrix may be there twice, and two may have judged the same rows.
    rows = max((one.conforming_rows for one in killed), default=0)
    least = view.policy.evidence.conforming_rows
    if killed and rows < least:
        missing.append(f"conforming kernels were judged on {rows} rows, not {least}")
    return item(
        view,
        "judge",
        "the judge catches every planted fault, and is the one that judged",
        good=f"{killed[0].caught if killed else 0} of {killed[0].planted if killed else 0} planted "
        f"faults caught, no alarm on {rows} rows of conforming kernels, judge {view.judge[:12]}",
        wrong=wrong,
        missing=missing,
        evidence=files_of(killed),
        to_do=[commands.plant_faults(view.policy)],
        misses=misses,
    )


def provenance(view: View) -> Item:
    """Require that every recording that counts states its model, revision, layer and recorder."""
    used = {
        recorded.sha256: recorded
        for _, recorded, reasons in view.on_model()
        if recorded is not None and not reasons
    }
    wrong: list[str] = []
    for one in used.values():
        absent = [name for name in _STATED if str(one.source.get(name, "")) in _UNKNOWN]
        if absent:
            wrong.append(f"{one.name} does not state its {', '.join(absent)} ({one.file.path})")
    wrong += _one_of_all("revisions", "revision", list(used.values()))
    at_hand = sum(one.at_hand for one in used.values())
    others = [one for one in view.facts.recordings if one.model and one.sha256 not in used]
    misses = [
        Miss(one.file, f"layer {one.layer}", tuple(reasons))
        for one in others
        if (reasons := recording_reasons(one, view.policy))
    ]
    return item(
        view,
        "provenance",
        "every recording states its model, revision, layer and recorder",
        good=f"{len(used)} recordings state all of it, {at_hand} of them at hand with the hash "
        "that the verdicts name",
        wrong=wrong,
        missing=[] if used else [f"no recording of {view.policy.model.title}"],
        evidence=[one.file for one in used.values()],
        to_do=commands.record(view.policy, view.policy.architectures[0]),
        misses=misses,
    )


def _one_of_all(what: str, key: str, used: list[Recorded]) -> list[str]:
    held: dict[str, str] = {}
    for one in used:
        held.setdefault(str(one.source.get(key)), one.name)
    if len(held) < 2:
        return []
    return [f"{len(held)} {what}: " + ", ".join(f"{v} ({name})" for v, name in held.items())]
