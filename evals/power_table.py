"""The power study as a table."""

from __future__ import annotations

from functools import partial

from goldgate.evals.stats import criteria as gates
from goldgate.evals.stats.paired import DEFAULT_ALPHA, DEFAULT_MARGIN
from goldgate.evals.stats.power import (
    PAIRED,
    QUESTIONS,
    UNPAIRED,
    paired_power,
    unpaired_power,
    worst_size,
)

DISCORDANCES = (0.02, 0.04, 0.10, 0.14)
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
            for gate in (gates.preserved, gates.wald)
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
    return "\n".join(lines)
