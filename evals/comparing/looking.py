"""Which look at a candidate a comparison is, and what the looks before it leave of its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from goldgate.evals.records.looks import Look, data_of
from goldgate.evals.stats import spending
from goldgate.evals.stats.paired import INCONCLUSIVE, PRESERVED

if TYPE_CHECKING:
    from goldgate.evals.comparing.compatibility import Rules
    from goldgate.evals.records.folder import Run


def look_at(base: Run, cand: Run, rules: Rules, looks: Sequence[Look]) -> Look:
    """Return the look at this data set: the recorded one, else the next.

    A recorded look never spends more than the looks before it left of the rules' alpha, whatever
    its record holds: it may be from a comparison at a larger alpha.
    """
    data = data_of(*(run.facts["hashes"]["samples"] for run in (base, cand)))
    for number, look in enumerate(looks):
        if look.data == data:
            most = spending.level(rules.alpha, [one.level for one in looks[:number]], single=True)
            return replace(look, level=min(look.level, most))
    level = spending.level(rules.alpha, [look.level for look in looks], single=rules.single_look)
    return Look(len(looks) + 1, data, level, rules.margin, alpha=rules.alpha)


def further_level(look: Look, rules: Rules, looks: Sequence[Look]) -> float:
    """Return what a look after this one may spend."""
    others = [one.level for one in looks if one.number != look.number]
    return spending.level(rules.alpha, [*others, look.level])


def ends_as(
    decided: str, why: Sequence[str], look: Look, rules: Rules, looks: Sequence[Look]
) -> tuple[str, list[str]]:
    """Return the verdict that the looks leave of `decided`, and the reasons.

    `decided` and `why` are what the counts alone read. A look turns no verdict into PRESERVED: a
    recorded PRESERVED of a sequential plan stands only where the counts read so too.
    """
    if look.decided is not None:
        if look.decided == PRESERVED and (decided != PRESERVED or look.margin != rules.margin):
            recorded = (
                f"{look.decided} is recorded of a sequential plan with a margin of "
                f"{100 * look.margin:g} points, which these counts do not bear out at "
                f"{100 * rules.margin:g}"
            )
            return INCONCLUSIVE, [*why, recorded]
        return look.decided, ["a sequential plan decides on these data"]
    if not look.level:
        return INCONCLUSIVE, [f"alpha is spent: {len(looks)} looks at this candidate came before"]
    widened = _widened(rules, looks)
    if decided == PRESERVED and widened:
        return INCONCLUSIVE, [*why, *widened]
    return decided, list(why)


def _widened(rules: Rules, looks: Sequence[Look]) -> list[str]:
    """Name what was chosen wider than at an earlier look: margin and alpha are fixed before one."""
    why = []
    margin = min((look.margin for look in looks), default=rules.margin)
    if rules.margin > margin:
        why.append(
            f"the candidate was judged before at a margin of {100 * margin:g} points, and a wider "
            f"one, {100 * rules.margin:g}, decides nothing afterwards"
        )
    alpha = min((look.alpha for look in looks if look.alpha is not None), default=rules.alpha)
    if rules.alpha > alpha:
        why.append(
            f"the candidate was judged before at alpha {alpha:g}, and a larger one, "
            f"{rules.alpha:g}, decides nothing afterwards"
        )
    return why
