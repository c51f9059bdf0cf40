"""Which files count under a policy at all: too old, of the future, about something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone

from goldgate.signoff.checklist import EvidenceFile, Refused
from goldgate.signoff.fit import is_kernel, listed
from goldgate.signoff.gathered import (
    COMPARISON,
    DISPATCH,
    LATENCY,
    OUTPUT,
    PARITY,
    RECORDING,
    SCORES,
    Gathered,
    Kernel,
    Recorded,
    Scored,
)
from goldgate.signoff.items.scores import fingerprint_of
from goldgate.signoff.rules import Policy, is_standin, matches
from goldgate.signoff.standin import of_standin

#: Kinds whose age counts. A kill matrix is current while the judge's code is the same; a recording
#: and its outputs name the versions that they are of.
_AGED = (PARITY, COMPARISON, LATENCY, SCORES, DISPATCH)

#: How far another machine's clock may be ahead.
_AHEAD = timedelta(days=1)


def sifted(found: Gathered, policy: Policy, now: datetime) -> Gathered:
    """Return the facts of the files that count, the others among the refused.

    Args:
        found: everything that was gathered.
        policy: what counts.
        now: the time against which evidence is old, with an offset.

    """
    kernels, models, scores = _by_file(found)
    refused: dict[EvidenceFile, Refused] = {}
    for file in found.files:
        why = _aged(file, policy, now)
        if not why and file.kind in (PARITY, OUTPUT, COMPARISON, LATENCY) and file in kernels:
            why = _other_kernel(kernels.get(file, []), policy)
        if not why and file.kind == RECORDING:
            why = _other_model(models.get(file, []), policy)
        if not why and file in scores:
            why = _other_scores(scores[file], policy)
        if why:
            refused[file] = Refused(file, why, unusable=False)
    dropped = set(refused) | {one.file for one in found.refused}
    kept = {
        one.name: tuple(fact for fact in getattr(found, one.name) if fact.file not in dropped)
        for one in fields(Gathered)
        if one.name not in ("files", "refused", "notes", "margins")
    }
    files = tuple(file for file in found.files if file not in dropped)
    return replace(found, **kept, files=files, refused=(*found.refused, *refused.values()))


def _aged(file: EvidenceFile, policy: Policy, now: datetime) -> str:
    if file.kind not in _AGED:
        return ""
    try:
        made = datetime.fromisoformat(file.made)
    except ValueError:
        return "does not state when it was made: make it again with this version"
    if made.tzinfo is None:
        made = made.replace(tzinfo=timezone.utc)
    if made > now + _AHEAD:
        return f"made {file.made}, which is in the future: set the clock of its machine"
    age = now - made
    # As numbers of days: a timedelta has a largest one.
    if age / timedelta(days=1) > policy.evidence.most_days:
        return (
            f"made {file.made}, {age.days} days ago: the policy allows "
            f"{policy.evidence.most_days}; make it again"
        )
    return ""


def _by_file(
    found: Gathered,
) -> tuple[
    dict[EvidenceFile, list[Kernel]],
    dict[EvidenceFile, list[Recorded]],
    dict[EvidenceFile, Scored],
]:
    """Return the kernels, the recorded models and the paired verdict that each file is about."""
    kernels: dict[EvidenceFile, list[Kernel]] = {}
    judged = [(one.file, one.kernel) for one in found.parity]
    for file, kernel in (*judged, *((one.file, one.kernel) for one in found.timed)):
        kernels.setdefault(file, []).append(kernel)
    for changed in found.compared:
        kernels.setdefault(changed.file, []).append(changed.new)
    models: dict[EvidenceFile, list[Recorded]] = {}
    for recorded in found.recordings:
        models.setdefault(recorded.file, []).append(recorded)
    return kernels, models, {one.file: one for one in found.scored}


def _other_kernel(kernels: Sequence[Kernel], policy: Policy) -> str:
    if any(is_kernel(one, rule) for one in kernels for rule in (policy.kernel, policy.replaces)):
        return ""
    names = listed(one.name for one in kernels) or "no kernel"
    return f"about another kernel ({names}): the policy is about {policy.kernel.names[0]}"


def _other_model(recordings: Sequence[Recorded], policy: Policy) -> str:
    for one in recordings:
        # What is of the stand-in is told where it would have counted.
        if not one.model or (of_standin(one) and not policy.demonstration):
            continue
        if not matches(one.model, policy.model.names):
            return f"of another model ({one.model}): the policy is about {policy.model.title}"
        server = str(one.source.get("server", ""))
        if server and not matches(server, policy.engine.server):
            return f"of another engine ({server}): the policy is about {policy.engine.server}"
    return ""


def _other_scores(one: Scored, policy: Policy) -> str:
    run = one.document["runs"]["candidate"]
    served = {*run["totals"].get("served_models", {}), str(run["settings"].get("model", ""))}
    if not any(matches(name, policy.model.names) for name in served):
        if any(map(is_standin, served)) or one.demonstration:
            return ""  # the item tells what it would have filled
        names = ", ".join(sorted(served))
        return f"of another model ({names}): the policy is about {policy.model.title}"
    engine, wanted = fingerprint_of(one), policy.engine.fingerprint
    if wanted and engine and not matches(engine, wanted):
        return f"of another engine ({engine}): the policy is about {wanted}"
    rules = one.document["rules"]
    margin = 100 * float(rules.get("margin", 0))
    if abs(margin - policy.gsm8k.margin) > 1e-9 or rules.get("alpha") != policy.gsm8k.alpha:
        return (
            f"made for another policy: margin {margin:g} points and alpha {rules.get('alpha')}, "
            f"not {policy.gsm8k.margin:g} and {policy.gsm8k.alpha:g}; a margin is fixed before the "
            "questions are asked: run it again"
        )
    return ""
