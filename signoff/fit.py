"""Whether a fact counts under a policy: reasons why not, each a few words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goldgate.reference.models import MODELS
from goldgate.signoff.checklist import EvidenceFile
from goldgate.signoff.gathered import Kernel, Parity, Recorded
from goldgate.signoff.rules import KernelRule, Policy, matches
from goldgate.signoff.standin import of_standin

_NOWHERE = "its recording is described nowhere"
_PARTIAL = "a partial run (--partial)"
_IDS_ALONE = "ids alone, without weights"

#: Why a pass proves too little. A failure of such a run is one all the same.
_TOO_LITTLE = frozenset((_NOWHERE, _PARTIAL, _IDS_ALONE))


def is_kernel(kernel: Kernel, rule: KernelRule) -> bool:
    """Say whether a kernel is the one of a rule, of whichever version."""
    return matches(kernel.name, rule.names) or kernel.name == rule.command


def kernel_reasons(kernel: Kernel, rule: KernelRule) -> list[str]:
    """Say why a kernel of the right name is not the one of a rule."""
    reasons = []
    if kernel.execution != "hardware":
        reasons.append("emulated")
    if not matches(kernel.version, rule.versions):
        reasons.append(f"version {kernel.version or 'unknown'}, not {' or '.join(rule.versions)}")
    if rule.source_sha256 and kernel.source_sha256 not in rule.source_sha256:
        held = f"{kernel.source_sha256[:12]}..." if kernel.source_sha256 else "unknown"
        reasons.append(f"its source's sha256 is {held}, which the policy does not name")
    if rule.arithmetic and kernel.arithmetic and kernel.arithmetic not in rule.arithmetic:
        reasons.append(
            f"judged by the arithmetic {kernel.arithmetic}, not {' or '.join(rule.arithmetic)}"
        )
    return reasons


def device_reasons(kernel: Kernel, policy: Policy) -> list[str]:
    """Return why the device that a kernel ran on is not one of the policy's; nothing if it is."""
    if kernel.architecture in policy.architectures:
        return []
    held = kernel.architecture or f"unknown ({kernel.device or 'no device'})"
    return [f"on the architecture {held}, not {' or '.join(policy.architectures)}"]


def recording_reasons(recorded: Recorded | None, policy: Policy) -> list[str]:
    """Say why a recording is not one of the policy's model, as its engine served it."""
    if recorded is None:
        return [_NOWHERE]
    if not recorded.model:
        return ["a synthetic recording"]
    reasons = []
    if not matches(recorded.model, policy.model.names):
        what = "the stand-in" if of_standin(recorded) else recorded.model
        reasons.append(f"of {what}, not {policy.model.title}")
    else:
        revision = str(recorded.source.get("revision", ""))
        if not matches(revision, policy.model.revision):
            reasons.append(f"of revision {revision or 'unknown'}, not {policy.model.revision}")
        if recorded.layer is None or recorded.layer not in policy.layers:
            reasons.append(f"of layer {recorded.layer}, which does not route")
    server = str(recorded.source.get("server", ""))
    if not matches(server, policy.engine.server):
        reasons.append(f"recorded in {server or 'an unknown engine'}, not {policy.engine.server}")
    reasons += router_reasons(recorded.spec, policy)
    return reasons


def router_reasons(spec: Mapping[str, Any], policy: Policy) -> list[str]:
    """Say in what a router differs from the model's."""
    model = MODELS.get(policy.model.router)
    if model is None:
        return []
    meant = model.spec.to_dict()
    differing = [name for name, value in meant.items() if name in spec and spec[name] != value]
    return [f"for another router ({', '.join(differing)})"] if differing else []


def run_reasons(one: Parity, rule: KernelRule) -> list[str]:
    """Say why a verdict proves too little: of a part, of ids alone, of weights of another type."""
    # Only a pass can owe itself to the rounding of the type that was declared.
    other = one.verdict == "PASS" and one.weight_format not in ("", rule.weights)
    return [
        *([f"judged as {one.weight_format} weights, not {rule.weights}"] if other else []),
        *([_PARTIAL] if one.partial else []),
        *([_IDS_ALONE] if one.verdict == "PASS" and not one.weights else []),
    ]


def fails(one: Parity, reasons: Sequence[str]) -> bool:
    """Say whether a verdict that does not count is a failure of the kernel all the same."""
    return one.verdict == "FAIL" and _TOO_LITTLE.issuperset(reasons)


@dataclass(frozen=True)
class Miss:
    """A fact that does not count.

    Attributes:
        file: where it is from.
        row: which row of the item it would have filled.
        reasons: why it does not.
        verdict: FAIL or REFUSED, of which a reader has to know whatever else passes; else "".

    """

    file: EvidenceFile
    row: str
    reasons: tuple[str, ...]
    verdict: str = ""


def miss(one: Parity, row: str, reasons: Iterable[str]) -> Miss:
    """Return a verdict that does not count."""
    verdict = one.verdict if one.verdict in ("FAIL", "REFUSED") else ""
    return Miss(one.file, row, tuple(reasons), verdict)


def not_passing(misses: Iterable[Miss]) -> tuple[str, ...]:
    """Return a sentence for each set of reasons why a FAIL or REFUSED does not count."""
    return would_fill(one for one in misses if one.verdict)


def would_fill(misses: Iterable[Miss]) -> tuple[str, ...]:
    """Return a sentence for each set of reasons: which files, which rows, why not."""
    groups: dict[tuple[str, tuple[str, ...]], list[Miss]] = {}
    for one in misses:
        groups.setdefault((one.verdict, one.reasons), []).append(one)
    return tuple(
        f"{_files(some)} {f'states {verdict} of' if verdict else 'would have filled'} "
        f"{listed([one.row for one in some])}; not counted: {'; '.join(reasons)}"
        for (verdict, reasons), some in groups.items()
    )


def _paths(misses: Sequence[Miss]) -> list[str]:
    return list(dict.fromkeys(one.file.path for one in misses))


def _files(misses: Sequence[Miss]) -> str:
    paths = _paths(misses)
    return paths[0] + (f" and {len(paths) - 1} more files" if len(paths) > 1 else "")


def listed(rows: Iterable[str], most: int = 4) -> str:
    """Return rows in one line, each once, cut to `most`."""
    names = list(dict.fromkeys(rows))
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def numbers(values: Iterable[int]) -> str:
    """Return whole numbers in one line, those that follow each other as "a to b"."""
    runs: list[list[int]] = []
    for value in sorted(set(values)):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(f"{a} to {b}" if b > a else str(a) for a, b in runs)


def files_of(facts: Iterable[Any]) -> tuple[EvidenceFile, ...]:
    """Return the files of facts, each once, in order."""
    return tuple(dict.fromkeys(one.file for one in facts))
