"""How often each gate passes: exact enumeration, no simulation.

The model: `questions` independent questions; each is lost (right to wrong) with probability
(discordance + loss) / 2, gained with (discordance - loss) / 2, else unchanged. Every pair of
counts is weighed with its trinomial probability. Gates that see only the candidate's score get a
binomial with the published score less the loss.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from goldgate.evals.stats import criteria, sequential
from goldgate.evals.stats import paired as verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

QUESTIONS = 1319
PANELS = (0.02, 0.04, 0.10)  # discordances
PLOTTED = np.arange(-10, 46) / 1000  # true losses, from a gain of 1 point to a loss of 4.5
DIGEST = "goldgate-table"
_TAIL = 1e-13  # probability left out at each end of the number of changed answers

PAIRED: dict[str, Callable[[Any, Any, int], Any]] = {
    "verdict PRESERVED (Tango)": criteria.preserved,
    "Wald bound": criteria.wald,
    'McNemar "not significant"': lambda losses, gains, _: criteria.not_significant(losses, gains),
}
SEQUENTIAL = "verdict PRESERVED, five looks"
UNPAIRED: dict[str, Callable[[Any, int], Any]] = {
    "threshold, published - 0.4 points": criteria.fixed_threshold,
    "relative tolerance 8 %": criteria.relative_tolerance,
    "unpaired z-test, sigma 50": criteria.unpaired_z,
}


@dataclass(frozen=True)
class Size:
    """The worst case of a gate: how often it passes a candidate that lost exactly the margin."""

    probability: float
    discordance: float


def trinomial(
    questions: int, loss: float, discordance: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Every pair (losses, gains) that matters and its probability, as three flat arrays.

    Raises ValueError where `loss` exceeds `discordance`, which no pair of servers can have.
    """
    if not abs(loss) <= discordance <= 1:
        raise ValueError(f"a loss of {loss} needs a discordance from {abs(loss)} to 1")
    changed = stats.binom(questions, discordance)
    totals = np.arange(int(changed.ppf(_TAIL)), int(changed.isf(_TAIL)) + 1)
    share = (discordance + loss) / (2 * discordance) if discordance else 0.5
    total = np.repeat(totals, totals + 1)
    losses = np.concatenate([np.arange(t + 1) for t in totals])
    weight = changed.pmf(total) * stats.binom.pmf(losses, total, min(share, 1.0))
    return losses, total - losses, weight


def paired_power(
    gate: Callable[[Any, Any, int], Any],
    loss: float,
    discordance: float,
    questions: int = QUESTIONS,
) -> float:
    """Probability that a paired gate passes a candidate with this true loss and discordance."""
    losses, gains, weight = trinomial(questions, loss, discordance)
    return float(weight[gate(losses, gains, questions)].sum())


def unpaired_power(
    gate: Callable[[Any, int], Any], loss: float, questions: int = QUESTIONS
) -> float:
    """Probability that a gate on the score alone passes a candidate with this true loss."""
    right = np.arange(questions + 1)
    weight = stats.binom.pmf(right, questions, criteria.PUBLISHED - loss)
    return float(weight[gate(right, questions)].sum())


def worst_size(
    gate: Callable[[Any, Any, int], Any],
    margin: float = verdict.DEFAULT_MARGIN,
    questions: int = QUESTIONS,
) -> Size:
    """The largest probability of passing a true loss of the margin, over all discordances.

    The grid begins at the margin itself (every change a loss) and is 0.05 points fine up to 14 %,
    the largest discordance seen between two runs of one server.
    """
    grid = [margin, *np.arange(np.ceil(margin * 2000) / 2000 + 0.0005, 0.1401, 0.0005)]
    sizes = [(paired_power(gate, margin, float(psi), questions), float(psi)) for psi in grid]
    return Size(*max(sizes))


def one_look_size(margin: float, alpha: float, questions: int) -> float:
    """The worst size of one look at `alpha`: see worst_size."""
    gate = functools.partial(criteria.preserved, margin=margin, alpha=alpha)
    return worst_size(gate, margin, questions).probability


def table(losses: NDArray[np.float64], discordance: float) -> dict[str, list[float]]:
    """Probability of passing, for each gate, at each true loss.

    NaN for a paired gate where the loss exceeds `discordance`: no server loses more answers than
    it changes.
    """
    rows = {
        name: [
            paired_power(gate, loss, discordance) if abs(loss) <= discordance else math.nan
            for loss in losses
        ]
        for name, gate in PAIRED.items()
    }
    plan = sequential.bounds(
        sequential.looks_of(QUESTIONS), verdict.DEFAULT_MARGIN, verdict.DEFAULT_ALPHA
    )
    rows[SEQUENTIAL] = [
        sum(sequential.course(plan, float(loss), discordance).preserved)
        if abs(loss) <= discordance
        else math.nan
        for loss in losses
    ]
    rows |= {
        name: [unpaired_power(gate, loss) for loss in losses] for name, gate in UNPAIRED.items()
    }
    return rows


def study() -> dict[float, dict[str, list[float]]]:
    """Compute what the plot shows: a table at PLOTTED for each discordance in PANELS."""
    return {discordance: table(PLOTTED, discordance) for discordance in PANELS}


def digest(tables: Mapping[float, Mapping[str, list[float]]]) -> str:
    """Hash what a plot shows, to six digits, so that a drawn file can be held to the code."""
    shown = {
        f"{discordance:g}": {name: [f"{p:.6f}" for p in row] for name, row in rows.items()}
        for discordance, rows in tables.items()
    }
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def plot(path: Path, tables: Mapping[float, Mapping[str, list[float]]]) -> None:
    """Draw the operating characteristics of every gate, one panel a discordance.

    The PNG's text DIGEST is the hash of what is drawn.
    """
    import matplotlib as mpl  # noqa: PLC0415 - a second that only the plot is worth

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    figure, axes = plt.subplots(
        1,
        len(tables),
        figsize=(14, 5.2),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, (discordance, rows) in zip(axes[0], tables.items(), strict=True):
        for name, passing in rows.items():
            ours = name.startswith("verdict")
            style = "-" if ours else ("--" if name in PAIRED else ":")
            colour = {SEQUENTIAL: "tab:gray"}.get(name, "black") if ours else None
            axis.plot(
                -100 * PLOTTED,
                passing,
                style,
                linewidth=3 if ours and name != SEQUENTIAL else 1.6,
                label=name,
                color=colour,
            )
        axis.axvline(-100 * verdict.DEFAULT_MARGIN, color="grey", linewidth=0.8)
        axis.axhline(verdict.DEFAULT_ALPHA, color="grey", linewidth=0.8)
        if discordance < PLOTTED[-1]:
            # Paired curves end where every changed answer is a loss.
            axis.axvspan(-100 * discordance, -100 * PLOTTED[-1], color="0.94", linewidth=0)
            axis.text(
                -100 * discordance - 0.2,
                0.52,
                f"a larger loss changes more than {100 * discordance:g} %",
                rotation=90,
                ha="center",
                va="center",
                color="grey",
                fontsize=9,
            )
        axis.set_title(f"{100 * discordance:g} % of the answers change")
        axis.set_xlim(-100 * PLOTTED[0], -100 * PLOTTED[-1])
        axis.set_xlabel("true change of the score, points")
        axis.set_ylim(-0.02, 1.02)
    first = axes[0][0]
    first.set_ylabel("probability that the release passes")
    first.annotate(
        "margin",
        (-100 * verdict.DEFAULT_MARGIN, 0.5),
        rotation=90,
        va="center",
        ha="right",
        color="grey",
    )
    first.annotate("alpha 5 %", (1.0, 0.06), color="grey")
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"Who passes which release: exact, GSM8K's {QUESTIONS} questions")
    figure.savefig(path, dpi=120, metadata={"Software": None, DIGEST: digest(tables)})
    plt.close(figure)
