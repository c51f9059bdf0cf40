"""Whether all evidence is of one release: of the kernel, of the one it replaces, of the engine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from goldgate.signoff.checklist import EvidenceFile
from goldgate.signoff.fit import device_reasons, is_kernel, kernel_reasons, recording_reasons
from goldgate.signoff.gathered import Dispatched, Kernel, Parity, Recorded, Scored
from goldgate.signoff.rules import NAMES, matches
from goldgate.signoff.view import View

Sourced = tuple[str, EvidenceFile]


def mixed(
    view: View,
    fitting: Iterable[tuple[Kernel, EvidenceFile]],
    served: Iterable[tuple[Parity, Recorded]],
    dispatched: Iterable[Dispatched],
    scored: Iterable[Scored],
) -> list[str]:
    """Return a clause for each two releases that the evidence mixes, with a file of each.

    Args:
        view: the facts.
        fitting: the kernels that count, each with its file.
        served: verdicts that count on recordings of the model.
        dispatched: what the engine's dispatch was found to reach here.
        scored: the paired verdicts that count.

    """
    kernels = [*fitting]
    replaced = list(_replaced(view))
    engines = sorted(
        {(server_of(recorded), one.file) for one, recorded in (*served, *_old_served(view))},
        key=lambda pair: (pair[0], pair[1].path),
    )
    wrong = [
        *several("versions", ((release_in(kernel.version), file) for kernel, file in kernels)),
        *several(
            "sources", ((k.source_sha256[:12], file) for k, file in kernels if k.source_sha256)
        ),
        *several(
            "versions of the kernel that is replaced",
            ((release_in(kernel.version), file) for kernel, file in replaced if kernel.version),
        ),
        *several("engines", engines),
    ]
    packages = {kernel.package: (kernel, file) for kernel, file in reversed(kernels)}
    for package, (new, file) in packages.items():
        wrong += _unlike(
            (f"{new.name} {new.version}", file),
            ((f"{k.name} {k.version}", at) for k, at in replaced if package == k.package != ""),
            f"of one package, {package}",
        )
    if engines:
        package = engines[0][0].split(" ")[0]
        of_engine = ((k, at) for k, at in kernels if k.package == package)
        wrong += _unlike(
            (f"recorded in {engines[0][0]}", engines[0][1]),
            [
                *((f"{k.name} {k.version}", at) for k, at in of_engine),
                *((f"the dispatch of {one.engine}", one.file) for one in dispatched),
                *_asked(scored),
            ],
            "evidence of one release is asked for",
        )
    return wrong


def dispatched_here(view: View) -> list[Dispatched]:
    """Return what the policy's engine was found to reach on this platform, not simulated."""
    policy = view.policy
    platforms = {"hip" if name.startswith("gfx") else "cuda" for name in policy.architectures}
    return [
        one
        for one in view.facts.dispatched
        if matches(one.engine, policy.engine.server)
        and one.platform in platforms
        and one.model == policy.model.router
        and one.gate == NAMES[policy.inputs.logits]
        and not one.simulated
    ]


def several(what: str, found: Iterable[Sourced]) -> list[str]:
    """Return a clause where evidence names more than one, with a file of each."""
    held: dict[str, str] = {}
    for value, file in found:
        held.setdefault(value, file.path)
    if len(held) < 2:
        return []
    return [f"{len(held)} {what}: " + ", ".join(f"{one} ({path})" for one, path in held.items())]


def server_of(recorded: Recorded) -> str:
    """Return the engine that a recording names, as in "sglang 0.5.15"."""
    return str(recorded.source.get("server") or "an engine without a name")


def release_in(text: str) -> str:
    """Return the release in a version, which recorders and commands word differently."""
    return _release(text) or text


def release_of(run: Mapping[str, Any]) -> str:
    """Return the release that a GSM8K run's server states, "" where it states none.

    Args:
        run: one of the runs of a paired verdict.

    """
    identity = run["server"].get("at_start") or {}
    stated = sorted(
        str(value) for name, value in identity.items() if name.rpartition(".")[2] == "version"
    )
    marks = map(str, run["totals"].get("fingerprints") or ())
    return next(filter(None, map(_release, (*stated, *marks))), "")


def _release(text: str) -> str:
    found = re.search(r"\d+\.\d+[\w.]*", text)
    return found[0] if found else ""


def _unlike(first: Sourced, others: Iterable[Sourced], why: str) -> list[str]:
    """Return a clause for each that states another release than the first; no release is none."""
    text, file = first
    clauses = [
        f"{other} ({at.path}) and {text} ({file.path}): {why}"
        for other, at in others
        if _release(other) and _release(text) and _release(other) != _release(text)
    ]
    return list(dict.fromkeys(clauses))


def _replaced(view: View) -> Iterator[tuple[Kernel, EvidenceFile]]:
    """Yield the kernel that is replaced, wherever evidence that counts has it."""
    rule = view.policy.replaces
    found = [
        *((one.old, one.file) for one in view.facts.compared),
        *((one.baseline, one.file) for one in view.facts.timed),
        *((one.kernel, one.file) for one in view.facts.parity),
    ]
    for kernel, file in found:
        if is_kernel(kernel, rule) and not (
            kernel_reasons(kernel, rule) or device_reasons(kernel, view.policy)
        ):
            yield kernel, file


def _old_served(view: View) -> Iterator[tuple[Parity, Recorded]]:
    """Yield what the replaced kernel returned as the engine served the model."""
    for one in view.facts.parity:
        recorded = view.recordings.get(one.recording_sha256)
        if recorded is None or recording_reasons(recorded, view.policy):
            continue
        if is_kernel(one.kernel, view.policy.replaces) and not one.live:
            yield one, recorded


def _asked(scored: Iterable[Scored]) -> Iterator[Sourced]:
    """Yield each GSM8K run whose server states a release."""
    for one in scored:
        for name, run in one.document["runs"].items():
            if release := release_of(run):
                yield f"the {name} of GSM8K asked {release}", one.file
