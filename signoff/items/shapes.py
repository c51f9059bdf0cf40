"""What was called: production's shapes and hostile rows."""

from __future__ import annotations

from collections.abc import Iterable

from goldgate.signoff.checklist import Item
from goldgate.signoff.fit import files_of, listed, numbers
from goldgate.signoff.gathered import Covered
from goldgate.signoff.items.constructed import (
    HOSTILE,
    constructed,
    cover,
    covered_by,
    failures,
    left_of,
    passes,
    unjudged,
)
from goldgate.signoff.items.item import across, item
from goldgate.signoff.items.known import not_reviewed
from goldgate.signoff.view import View


def coverage(view: View) -> Item:
    """Require the policy's tiers, token counts and pairs on each architecture; all of it passes."""
    policy, rule = view.policy, view.policy.coverage
    covered, misses = covered_by(view, "the shapes")
    tiers = [tier for tier in rule.tiers if tier != HOSTILE]
    # Whichever tier a failure is of, no other item looks at it: recordings that ship, for example.
    judged, left_out = constructed(view, lambda tier: tier not in ("", HOSTILE))
    misses += left_out
    wrong = failures(judged)
    unreviewed, met = not_reviewed(judged, policy)
    wrong += unreviewed
    missing, given_up = unjudged(view)
    details: list[str] = []
    for architecture in policy.architectures:
        here = [one for one in covered if one.kernel.architecture == architecture]
        missing += [(architecture, line) for line in _absent(here, tiers, rule.token_counts)]
        if unpassed := [tier for tier in tiers if here and not passes(judged, architecture, tier)]:
            missing.append((architecture, f"no call of the tiers {', '.join(unpassed)} passes"))
        left = [tier for tier in tiers if here and tier not in unpassed]
        missing += left_of(view, judged, architecture, left)
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
        good=f"{rows} rows of every recording of the tiers {', '.join(tiers)}, with calls of every "
        f"demanded token count, pass{_but(met, covered)}",
        wrong=wrong,
        missing=across(missing),
        evidence=files_of(covered),
        to_do=cover(view, wrong, missing),
        misses=misses,
        told=given_up,
        details=details,
    )


def _but(known: int, covered: Iterable[Covered]) -> str:
    """Say what of a coverage that passes does not: known failures, and what was not called."""
    left = dict.fromkeys(
        line
        for one in covered
        for line in one.not_covered
        if line.partition(": ")[0] in one.unsupported
    )
    rows = f"; {known} rows fail as the policy allows" if known else ""
    return rows + (f"; not called: {listed(left, 2)}" if left else "")


def hostile(view: View) -> Item:
    """Require the hostile rows on each architecture; what fails is known, reviewed and bounded."""
    policy = view.policy
    judged, misses = constructed(view, lambda tier: tier == HOSTILE)
    wrong = failures(judged)
    unreviewed, met = not_reviewed(judged, policy)
    wrong += unreviewed
    missing = [
        (architecture, "no verdict on hostile rows")
        for architecture in policy.architectures
        if not passes(judged, architecture, HOSTILE)
    ]
    for architecture in policy.architectures:
        if architecture not in dict(missing):
            missing += left_of(view, judged, architecture, [HOSTILE])
    missing += unjudged(view)[0]
    return item(
        view,
        "hostile",
        "hostile rows (NaN, infinities, scores beyond float32): known failures are reviewed",
        good=f"{len(judged)} verdicts on the {len(view.named.get(HOSTILE, ()))} recordings of "
        f"hostile rows pass; {met} rows fail as the policy allows",
        wrong=wrong,
        missing=across(missing),
        evidence=files_of(judged),
        to_do=cover(view, wrong, missing),
        misses=misses,
        details=[f"{one.row}: {'; '.join(one.reasons)} ({one.file.path})" for one in misses],
    )


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
