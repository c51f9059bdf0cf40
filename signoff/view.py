"""The facts as the items look at them: verdicts sorted by whether they count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from goldgate.signoff.checklist import EvidenceFile
from goldgate.signoff.fit import (
    device_reasons,
    is_kernel,
    kernel_reasons,
    recording_reasons,
    run_reasons,
)
from goldgate.signoff.gathered import Gathered, Parity, Recorded
from goldgate.signoff.rules import Policy


@dataclass(frozen=True)
class View:
    """A policy with the facts that are left under it.

    Attributes:
        policy: what is demanded.
        facts: sifted: fresh, whole, and about the policy's kernels and model.
        judge: the hash of this goldgate's judge.
        named: the constructed recordings of each tier, by name.

    """

    policy: Policy
    facts: Gathered
    judge: str
    named: Mapping[str, tuple[str, ...]]

    @cached_property
    def recordings(self) -> Mapping[str, Recorded]:
        """Recordings by SHA-256; one that is at hand describes itself."""
        found: dict[str, Recorded] = {}
        for one in self.facts.recordings:
            if one.sha256 not in found or one.at_hand:
                found[one.sha256] = one
        return found

    @cached_property
    def live(self) -> frozenset[EvidenceFile]:
        """The files of runs that called a kernel and counted what they covered."""
        return frozenset(one.file for one in self.facts.covered)

    def was_left(self, one: Parity) -> bool:
        """Say whether a run that was broken off left a recording: it has no tier then."""
        return one.verdict == "REFUSED" and not one.tier and one.file in self.live

    def of_kernel(self) -> Iterator[Parity]:
        """Yield the verdicts on the kernel to release, of whichever version and device."""
        return (one for one in self.facts.parity if is_kernel(one.kernel, self.policy.kernel))

    def on_model(self) -> Iterator[tuple[Parity, Recorded | None, tuple[str, ...]]]:
        """Yield the kernel's verdicts on recordings of a model, with why each does not count.

        A verdict on constructed or synthetic rows is not among them, nor what a run that was
        broken off left unjudged.
        """
        for one in self.of_kernel():
            if self.was_left(one):
                continue
            recorded = self.recordings.get(one.recording_sha256)
            if one.tier not in ("", "recorded") or (recorded is not None and not recorded.model):
                continue
            yield one, recorded, self.reasons(one, recorded)

    def reasons(self, one: Parity, recorded: Recorded | None) -> tuple[str, ...]:
        """Say why a verdict on a recording does not count as one of the model."""
        return (
            *kernel_reasons(one.kernel, self.policy.kernel),
            *device_reasons(one.kernel, self.policy),
            *recording_reasons(recorded, self.policy),
            *run_reasons(one, self.policy.kernel),
        )

    def run_here(self, one: Parity) -> tuple[str, ...]:
        """Say why a verdict on constructed rows, or on a call's habits, does not count."""
        return (
            *kernel_reasons(one.kernel, self.policy.kernel),
            *device_reasons(one.kernel, self.policy),
            *run_reasons(one, self.policy.kernel),
            *(() if one.live else ("recorded outputs, not a kernel that goldgate called",)),
        )
