"""What ran is what is released: dispatch, version, source, architecture, engine."""

from __future__ import annotations

from collections.abc import Iterable

from goldgate.fixtures.output import SERVED
from goldgate.signoff import commands
from goldgate.signoff.checklist import EvidenceFile, Item
from goldgate.signoff.fit import (
    Miss,
    device_reasons,
    files_of,
    is_kernel,
    kernel_reasons,
    recording_reasons,
)
from goldgate.signoff.gathered import Dispatched, Kernel, Parity, Scored
from goldgate.signoff.items.engines import dispatched_here, mixed, release_of, server_of
from goldgate.signoff.items.item import across, item
from goldgate.signoff.items.scores import counted, fingerprint_of
from goldgate.signoff.rules import matches, named
from goldgate.signoff.view import View

_TITLE = "what ran is what is released: dispatch, version, source, architecture, engine"


def release(view: View) -> Item:
    """Require one version, one source and one engine in all evidence, as the policy names them."""
    policy = view.policy
    ran = list(_ran(view))
    fitting: list[tuple[Kernel, EvidenceFile]] = []
    misses = []
    for kernel, file in ran:
        reasons = (*kernel_reasons(kernel, policy.kernel), *device_reasons(kernel, policy))
        if reasons:
            misses.append(Miss(file, f"{kernel.name} on {kernel.architecture or '?'}", reasons))
        else:
            fitting.append((kernel, file))
    served = [
        (one, recorded) for one, recorded, reasons in view.on_model() if recorded and not reasons
    ]
    missing: list[tuple[str, str]] = []
    dispatched = dispatched_here(view)
    wrong = [*_reached(view), *(_other(one) for one in dispatched if not _agrees(view, one))]
    for architecture in policy.architectures:
        if not any(kernel.architecture == architecture for kernel, _ in fitting):
            missing.append((architecture, f"no evidence of {named(policy.kernel)}"))
        # Only outputs that a recorder took in the engine show which kernel its dispatch reaches.
        if not any(
            _dispatched(one) and one.kernel.architecture == architecture for one, _ in served
        ):
            text = (
                "no outputs that a recorder took from the engine: they show what it dispatches to"
            )
            missing.append((architecture, text))
    scored = [one for one in view.facts.scored if not counted(one, policy)]
    wrong += mixed(view, fitting, served, dispatched, scored)
    mark, unmarked = _engine(view, scored)
    version = next((kernel.version for kernel, _ in fitting), "")
    engine = next((server_of(recorded) for _, recorded in served), "")
    to_do = [
        one
        for architecture in policy.architectures
        if architecture in dict(missing)
        for one in commands.record(policy, architecture)
    ]
    to_do += [commands.swap(policy)] if unmarked else []
    files = [*(file for _, file in fitting), *files_of(one for one, _ in served)]
    return item(
        view,
        "release",
        _TITLE,
        good=f"{policy.kernel.names[0]} {version} on {', '.join(policy.architectures)}, reached by "
        f"the dispatch of {engine}; GSM8K asked {mark}",
        wrong=wrong,
        missing=[*across(missing), *unmarked],
        evidence=[*files, *files_of(dispatched), *files_of(scored)],
        to_do=to_do,
        misses=misses,
        details=[
            f"{one.engine} on {one.platform} reaches {one.kernel} for {one.model} ({one.file.path})"
            for one in dispatched
        ],
    )


def _ran(view: View) -> Iterable[tuple[Kernel, EvidenceFile]]:
    rule = view.policy.kernel
    yield from ((one.kernel, one.file) for one in view.of_kernel())
    yield from ((one.new, one.file) for one in view.facts.compared if is_kernel(one.new, rule))
    yield from ((one.kernel, one.file) for one in view.facts.timed if is_kernel(one.kernel, rule))


def _dispatched(one: Parity) -> bool:
    return one.kernel.note.startswith(SERVED)


def _reached(view: View) -> list[str]:
    """Return a clause for each other kernel that the engine's dispatch reached on the model."""
    rules = (view.policy.kernel, view.policy.replaces)
    found: dict[str, str] = {}
    for one in view.facts.parity:
        if not _dispatched(one) or any(is_kernel(one.kernel, rule) for rule in rules):
            continue
        recorded = view.recordings.get(one.recording_sha256)
        if not recording_reasons(recorded, view.policy):
            found.setdefault(one.kernel.name, one.file.path)
    return [f"the engine's dispatch reaches {name} ({path})" for name, path in found.items()]


def _agrees(view: View, one: Dispatched) -> bool:
    # The baseline's environment reaches the kernel that is replaced.
    return one.catalogue in (view.policy.kernel.command, view.policy.replaces.command)


def _other(one: Dispatched) -> str:
    return (
        f"the dispatch of {one.engine} on {one.platform} reaches {one.kernel}, neither of the two "
        f"kernels ({one.file.path})"
    )


def _engine(view: View, scored: list[Scored]) -> tuple[str, list[str]]:
    """Return the candidate's fingerprint, and what is missing of it."""
    if not scored:
        return "", ["no GSM8K run that names its engine"]
    marks = [fingerprint_of(one) for one in scored]
    wanted = view.policy.engine.fingerprint
    if not all(marks):
        return "", ["the candidate of the GSM8K run has no fingerprint, build or version"]
    if wanted and not all(matches(mark, wanted) for mark in marks):
        return "", [f"the candidate's engine is {marks[0]}, not {wanted}"]
    if not wanted and not all(release_of(one.document["runs"]["candidate"]) for one in scored):
        text = f"the candidate of the GSM8K run states no release ({marks[0]})"
        return "", [f"{text}: name its fingerprint in the policy"]
    return marks[0], []
