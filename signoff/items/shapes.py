"""What was called: production's shapes, hostile rows, the same rows again and in other batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from goldgate.signoff import commands
from goldgate.signoff.checklist import Item, ToDo
from goldgate.signoff.fit import (
    Miss,
    device_reasons,
    fails,
    files_of,
    is_kernel,
    kernel_reasons,
    listed,
    miss,
    not_passing,
    numbers,
    router_reasons,
    would_fill,
)
from goldgate.signoff.gathered import Covered, Parity
from goldgate.signoff.items.item import across, item
from goldgate.signoff.items.known import not_reviewed
from goldgate.signoff.view import View

HOSTILE = "hostile"


def coverage(view: View) -> Item:
    """Require the policy's tiers, token counts and pairs on each architecture; all of it passes."""
    policy, rule = view.policy, view.policy.coverage
    covered, misses = _covered(view, "the shapes")
    tiers = [tier for tier in rule.tiers if tier != HOSTILE]
    # Whichever tier a failure is of, no other item looks at it: recordings that ship, for example.
    judged, left_out = _constructed(view, lambda tier: tier not in ("", HOSTILE))
    misses += left_out
    wrong = _failures(judged)
    wrong += not_reviewed(judged, policy)[0]
    missing, given_up = _unjudged(view)
    details: list[str] = []
    for architecture in policy.architectures:
        here = [one for one in covered if one.kernel.architecture == architecture]
        missing += [(architecture, line) for line in _absent(here, tiers, rule.token_counts)]
        if unpassed := [tier for tier in tiers if here and not _passes(judged, architecture, tier)]:
            missing.append((architecture, f"no call of the tiers {', '.join(unpassed)} passes"))
        left = [tier for tier in tiers if here and tier not in unpassed]
        missing += _left(view, judged, architecture, left)
        share = max((one.pairs_met / max(one.pairs_possible, 1) for one in here), default=0.0)
        if here and share < rule.pairs:
            text = f"{100 * share:.1f} % of the pairs of levels, not {100 * rule.pairs:g} %"
            missing.append((architecture, text))
        for one in here:
            ends = numbers(n for run in one.token_counts for n in run)
            details.append(
                f"{architecture}: {one.rows} rows, {one.pairs_met} of {one.pairs_possible} pairs "
                f"of levels, calls of {ends} tokens and between ({one.file.path})"
            )
            details += [f"{architecture}: not supported: {line}" for line in one.not_covered[:5]]
    rows = sum(one.rows for one in covered)
    return item(
        view,
        "coverage",
        "production's shapes are covered: tiers, token counts, types, layouts, states",
        good=f"{rows} rows of every recording of the tiers {', '.join(tiers)} pass, with calls of "
        "every demanded token count",
        wrong=wrong,
        missing=across(missing),
        evidence=files_of(covered),
        to_do=_cover(view, wrong, missing),
        would_fill=would_fill(misses),
        not_passing=(*not_passing(misses), *given_up),
        details=details,
    )


def hostile(view: View) -> Item:
    """Require the hostile rows on each architecture; what fails is known, reviewed and bounded."""
    policy = view.policy
    judged, misses = _constructed(view, lambda tier: tier == HOSTILE)
    wrong = _failures(judged)
    unreviewed, met = not_reviewed(judged, policy)
    wrong += unreviewed
    missing = [
        (architecture, "no verdict on hostile rows")
        for architecture in policy.architectures
        if not _passes(judged, architecture, HOSTILE)
    ]
    for architecture in policy.architectures:
        if architecture not in dict(missing):
            missing += _left(view, judged, architecture, [HOSTILE])
    missing += _unjudged(view)[0]
    return item(
        view,
        "hostile",
        "hostile rows (NaN, infinities, scores beyond float32): known failures are reviewed",
        good=f"{len(judged)} recordings of hostile rows pass; {met} rows fail as the policy allows",
        wrong=wrong,
        missing=across(missing),
        evidence=files_of(judged),
        to_do=_cover(view, wrong, missing),
        would_fill=would_fill(misses),
        not_passing=not_passing(misses),
    )


def determinism(view: View) -> Item:
    """Require that repeated calls, and the same rows in other batches, give the same bits."""
    policy = view.policy
    judged, misses = _constructed(view, lambda tier: tier != HOSTILE)
    repeated = [one for one in judged if one.repeats > 0 and one.verdict == "PASS"]
    misses += [
        Miss(one.file, one.recording, ("its calls were not repeated (--repeats 0)",))
        for one in judged
        if not one.repeats
    ]
    wrong = [
        f"{one.recording} on {one.kernel.architecture}: {one.call_faults[0]} ({one.file.path})"
        for one in judged
        if one.call_faults
    ]
    missing = [
        (architecture, "no repeated calls")
        for architecture in policy.architectures
        if not any(one.kernel.architecture == architecture for one in repeated)
    ]
    tiers = [tier for tier in policy.coverage.tiers if tier != HOSTILE]
    for architecture in policy.architectures:
        if architecture not in dict(missing):
            missing += _left(view, repeated, architecture, tiers, "no repeated calls")
    missing += _unjudged(view)[0]
    times = min((one.repeats for one in repeated), default=0)
    notes = dict.fromkeys(note for one in repeated for note in one.call_notes)
    return item(
        view,
        "determinism",
        "the same rows give the same bits: called again, and in other batches",
        good=f"calls of {len(repeated)} recordings repeated {times} times and in other batches: "
        "no bit differs",
        wrong=wrong,
        missing=across(missing),
        evidence=files_of(repeated),
        to_do=_cover(view, wrong, missing),
        would_fill=would_fill(misses),
        not_passing=not_passing(misses),
        details=[f"not tried: {note}" for note in list(notes)[:5]],
    )


def _covered(view: View, row: str) -> tuple[list[Covered], list[Miss]]:
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


def _constructed(view: View, wanted: Callable[[str], bool]) -> tuple[list[Parity], list[Miss]]:
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


def _failures(judged: Iterable[Parity]) -> list[str]:
    return [
        f"{one.recording} on {one.kernel.architecture}: {one.why} ({one.file.path})"
        for one in judged
        if one.verdict != "PASS"
    ]


def _passes(judged: Iterable[Parity], architecture: str, tier: str) -> bool:
    return any(
        one.kernel.architecture == architecture and one.tier == tier and one.verdict == "PASS"
        for one in judged
    )


def _left(
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
    for one in _covered(view, "")[0]:
        if one.kernel.architecture == architecture:
            known.update(one.unsupported)
    lines = []
    for tier in tiers:
        names = view.named.get(tier, ())
        if absent := [name for name in names if name not in known]:
            text = f"{lack} of {len(absent)} of the {len(names)} recordings of the tier {tier}"
            lines.append((architecture, f"{text} ({listed(absent, 3)})"))
    return lines


def _unjudged(view: View) -> tuple[list[tuple[str, str]], list[str]]:
    """Return what runs that were broken off did not judge, and what another run judged instead."""
    judged = {
        (one.kernel.architecture, one.kernel.version, one.recording)
        for one in view.of_kernel()
        if one.verdict in ("PASS", "FAIL") and one.live and not view.run_here(one)
    }
    left: dict[tuple[str, str], list[Parity]] = {}
    again: dict[tuple[str, str], list[Parity]] = {}
    for one in view.unjudged:
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


def _absent(here: list[Covered], tiers: Iterable[str], counts: Iterable[int]) -> list[str]:
    if not here:
        return ["no coverage"]
    lines = []
    if absent := [t for t in tiers if not any(one.tiers.get(t) for one in here)]:
        lines.append(f"nothing of the tiers {', '.join(absent)}")
    runs = [run for one in here for run in one.token_counts]
    if uncalled := [n for n in counts if not any(a <= n <= b for a, b in runs)]:
        lines.append(f"no call of {numbers(uncalled)} tokens")
    return lines


def _cover(view: View, wrong: list[str], missing: list[tuple[str, str]]) -> list[ToDo]:
    return [
        commands.cover(view.policy, architecture)
        for architecture in view.policy.architectures
        if wrong or architecture in dict(missing)
    ]
