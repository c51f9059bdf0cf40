"""The kernel's verdicts on constructed recordings: which count, which are lacking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from goldgate.signoff import commands
from goldgate.signoff.checklist import ToDo
from goldgate.signoff.fit import (
    Miss,
    device_reasons,
    fails,
    is_kernel,
    kernel_reasons,
    listed,
    miss,
    router_reasons,
)
from goldgate.signoff.gathered import Covered, Parity
from goldgate.signoff.view import View

HOSTILE = "hostile"


def covered_by(view: View, row: str) -> tuple[list[Covered], list[Miss]]:
    """Return what runs of the kernel covered, and what does not count, told as `row`."""
    good, misses = [], []
    for one in view.facts.covered:
        if not is_kernel(one.kernel, view.policy.kernel):
            continue
        reasons = (
            *kernel_reasons(one.kernel, view.policy.kernel),
            *device_reasons(one.kernel, view.policy),
            *_router(one, view),
        )
        if reasons:
            misses.append(Miss(one.file, f"{row} on {one.kernel.architecture or '?'}", reasons))
        else:
            good.append(one)
    # A file of this kernel that counts no coverage: its rows are those of recordings alone.
    counted = {one.file for one in view.facts.covered}
    misses += [
        Miss(one.file, row, ("without coverage",))
        for one in view.of_kernel()
        if one.live and one.file not in counted
    ]
    return good, misses


def _router(one: Covered, view: View) -> list[str]:
    wanted = view.policy.model.router
    if one.router == wanted:
        return []
    return [f"of the router of {one.router or 'a file'}, not of {wanted}"]


def constructed(view: View, wanted: Callable[[str], bool]) -> tuple[list[Parity], list[Miss]]:
    """Return the kernel's verdicts on tiers, and those that do not count."""
    good, misses = [], []
    for one in view.of_kernel():
        # Another router's recordings, which a run without --model has too, are no matter here.
        if not wanted(one.tier) or router_reasons(one.spec, view.policy):
            continue
        reasons = view.run_here(one)
        if one.verdict == "NOT COVERED":
            reasons = (*reasons, f"NOT COVERED: {one.why}")
        if not reasons or (one.live and fails(one, reasons)):
            good.append(one)
        elif one.tier or one.verdict == "PASS":
            misses.append(miss(one, one.recording, reasons))
    return good, misses


def failures(judged: Iterable[Parity]) -> list[str]:
    """Return a clause for each verdict that is not PASS."""
    return [
        f"{one.recording} on {one.kernel.architecture}: {one.why} ({one.file.path})"
        for one in judged
        if one.verdict != "PASS"
    ]


def passes(judged: Iterable[Parity], architecture: str, tier: str) -> bool:
    """Say whether any recording of a tier passes on an architecture."""
    return any(
        one.kernel.architecture == architecture and one.tier == tier and one.verdict == "PASS"
        for one in judged
    )


def left_of(
    view: View,
    judged: Sequence[Parity],
    architecture: str,
    tiers: Iterable[str],
    lack: str = "no verdict",
) -> list[tuple[str, str]]:
    """Return the recordings of tiers of which nothing is known: one alone fills no tier.

    What the kernel does not support, or the machine has not, is told by its run and is known.
    """
    known = {one.recording for one in judged if one.kernel.architecture == architecture}
    for one in covered_by(view, "")[0]:
        if one.kernel.architecture == architecture:
            known.update(one.unsupported)
    known |= {
        one.recording
        for one in view.of_kernel()
        if one.verdict == "NOT COVERED"
        and one.kernel.architecture == architecture
        and not view.run_here(one)
    }
    lines = []
    for tier in tiers:
        names = view.named.get(tier, ())
        if absent := [name for name in names if name not in known]:
            text = f"{lack} of {len(absent)} of the {len(names)} recordings of the tier {tier}"
            lines.append((architecture, f"{text} ({listed(absent, 3)})"))
    return lines


def unjudged(view: View) -> tuple[list[tuple[str, str]], list[str]]:
    """Return what runs that were broken off did not judge, and what another run judged instead."""
    judged = {
        (one.kernel.architecture, one.kernel.version, one.recording)
        for one in view.of_kernel()
        if one.verdict in ("PASS", "FAIL") and one.live and not view.run_here(one)
    }
    left: dict[tuple[str, str], list[Parity]] = {}
    again: dict[tuple[str, str], list[Parity]] = {}
    for one in filter(view.was_left, view.of_kernel()):
        about = (one.kernel.architecture, one.kernel.version, one.recording)
        held = again if about in judged else left
        held.setdefault((one.kernel.architecture, one.file.path), []).append(one)
    missing = [
        (where, f"{len(several)} recordings of {path} were not judged ({several[0].why})")
        for (where, path), several in left.items()
    ]
    instead = [
        f"{path} left {len(several)} recordings unjudged on {where} ({several[0].why}), which "
        "another run judged"
        for (where, path), several in again.items()
    ]
    return missing, instead


def cover(view: View, wrong: list[str], missing: list[tuple[str, str]]) -> list[ToDo]:
    """Return the command that covers each architecture on which something is wrong or missing."""
    return [
        commands.cover(view.policy, architecture)
        for architecture in view.policy.architectures
        if wrong or architecture in dict(missing)
    ]
