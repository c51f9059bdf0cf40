"""The power study as a table."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from goldgate.evals.stats import criteria
from goldgate.evals.stats.paired import DEFAULT_ALPHA, DEFAULT_MARGIN
from goldgate.evals.stats.power import (
    PAIRED,
    QUESTIONS,
    UNPAIRED,
    paired_power,
    unpaired_power,
    worst_size,
)
from goldgate.evals.stats.sequential import bounds, course, looks_of
from goldgate.evals.stats.spending import level

DISCORDANCES = (0.02, 0.04, 0.10, 0.14)
PLANNED = (0.02, 0.03, 0.04, 0.10)
LOST = ((0.02, 0.04), (0.03, 0.03), (0.03, 0.05), (0.05, 0.07), (0.13, 0.15))
LOSSES = (0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05)


def power_report() -> str:
    """Sizes of the two bounds, then every gate's probability of passing."""
    lines = [
        f"Exact enumeration, {QUESTIONS} questions; margin {100 * DEFAULT_MARGIN:g} points.",
        f"Alpha is {DEFAULT_ALPHA:g}, one-sided.",
        "",
        "Worst size: the largest probability of passing a true loss of exactly the margin",
        f"  {'margin, points':<18}{'Tango':>8}{'Wald':>8}",
    ]
    for margin in (0.01, 0.0125, 0.015, 0.02, 0.025):
        tango, wald = (
            worst_size(partial(gate, margin=margin), margin).probability
            for gate in (criteria.preserved, criteria.wald)
        )
        lines.append(f"  {100 * margin:<18g}{tango:>8.3f}{wald:>8.3f}")
    lines += [
        "",
        "Probability of passing, by true loss in points",
        f"  {'gate':<34}{'changed':>8}" + "".join(f"{100 * loss:>8g}" for loss in LOSSES),
    ]
    for name, gate in PAIRED.items():
        for discordance in DISCORDANCES:
            # No server loses more answers than it changes.
            powers = [
                f"{paired_power(gate, loss, discordance):>8.3f}"
                if loss <= discordance
                else f"{'-':>8}"
                for loss in LOSSES
            ]
            lines.append(f"  {name:<34}{100 * discordance:>6g} %" + "".join(powers))
    for name, gate_on_score in UNPAIRED.items():
        powers = [f"{unpaired_power(gate_on_score, loss):>8.3f}" for loss in LOSSES]
        lines.append(f"  {name:<34}{'any':>8}" + "".join(powers))
    return "\n".join([*lines, "", *_plans()])


def _plans() -> Iterator[str]:
    """Compare the plans: one look, one of several looks, five looks at growing prefixes."""
    plan = bounds(looks_of(QUESTIONS), DEFAULT_MARGIN, DEFAULT_ALPHA)
    first = level(DEFAULT_ALPHA, [])
    looks = ", ".join(map(str, plan.looks))
    yield f"Sequential: looks at {looks} questions; the bounds are C * sqrt(all / asked)"
    yield f"  PRESERVED: C {plan.preserved:g}, size {plan.size_preserved:.4f} at any discordance"
    yield f"  DEGRADED:  C {plan.degraded:g}, size {plan.size_degraded:.4f} at any discordance"
    yield ""
    yield "Power of PRESERVED without a true change, and questions asked on average"
    yield (
        f"  {'changed':>8}{'all, one look':>16}{f'all, alpha {first:g}':>18}"
        f"{'sequential':>12}{'questions':>11}"
    )
    for discordance in PLANNED:
        powers = [
            paired_power(partial(criteria.preserved, alpha=alpha), 0.0, discordance)
            for alpha in (DEFAULT_ALPHA, first)
        ]
        found = course(plan, 0.0, discordance)
        yield (
            f"  {100 * discordance:>6g} %{powers[0]:>16.3f}{powers[1]:>18.3f}"
            f"{sum(found.preserved):>12.3f}{found.questions:>11.0f}"
        )
    yield ""
    yield "Sequential, a true loss: probability of DEGRADED, and questions asked on average"
    yield f"  {'loss':>8}{'changed':>10}{'DEGRADED':>12}{'questions':>11}"
    for loss, discordance in LOST:
        found = course(plan, loss, discordance)
        yield (
            f"  {100 * loss:>8g}{100 * discordance:>8g} %{sum(found.degraded):>12.3f}"
            f"{found.questions:>11.0f}"
        )
