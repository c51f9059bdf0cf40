"""The figure of power: how often a candidate passes GSM8K's verdict, by its true change."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from goldgate.signoff.gathered import Gathered, Scored
from goldgate.signoff.page.figure import WIDTH, Figure, series
from goldgate.signoff.page.scores import counted, name_of
from goldgate.svg import Axis, below, beside, curve, line

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Discordances that are drawn beside the one that was seen.
_OTHERS = (0.02, 0.10)

#: Beyond this many questions the exact enumeration takes seconds.
_MOST_QUESTIONS = 20_000


def powers(gathered: Gathered) -> Iterator[Figure]:
    """Yield the figure of every verdict that has counts of one repeat for the deciding filter."""
    for one in gathered.scored:
        counts = counted(one).get(str(one.document.get("decides")))
        if counts and 0 < counts["questions"] <= _MOST_QUESTIONS:
            yield _power(one, counts)


def _power(one: Scored, counts: Mapping[str, Any]) -> Figure:
    questions, margin = int(counts["questions"]), float(counts["margin"])
    alpha = _level(one) or float(counts["alpha"])
    # Half a question is the least that a sample can show of a discordance.
    seen = max((float(counts["losses"]) + float(counts["gains"])) / questions, 0.5 / questions)
    shown = [seen, *(other for other in _OTHERS if abs(other - seen) > 0.005)]
    lines = {psi: _line(psi, questions, margin, alpha) for psi in shown}
    across = Axis(-3 * 100 * margin, 100 * margin, 40, WIDTH - 8)
    up = Axis(0, 1, 190, 24)
    unchanged = dict(lines[seen]).get(0.0, 0.0)
    return Figure(
        f"Power of the verdict ({name_of(one)})",
        f"Probability that the verdict is PRESERVED, by the true change of the score; exact, "
        f"{questions} questions, one look at alpha {alpha:g}, margin {100 * margin:g} points. An "
        f"unchanged score passes with probability {unchanged:.3f} if {100 * seen:.2g} % of the "
        "answers change, as seen here.",
        222,
        (
            *below(across, 190, 24, "true change, points"),
            *beside(up, 40, WIDTH - 8, "probability of PRESERVED"),
            line(across.at(-100 * margin), 24, across.at(-100 * margin), 190, "limit"),
            *(
                curve([(across.at(x), up.at(p)) for x, p in points], series(number))
                for number, points in enumerate(lines.values())
            ),
        ),
        ("answers that change", "true change, points", "probability"),
        tuple(
            (f"{100 * psi:.3g} %", f"{x:+.3g}", f"{p:.4f}")
            for psi, points in lines.items()
            for x, p in points
        ),
        (
            *(
                (series(n), f"{100 * psi:.2g} % of the answers change{_as_seen(psi, seen)}")
                for n, psi in enumerate(lines)
            ),
            ("limit", f"margin -{100 * margin:g} points"),
        ),
    )


def _as_seen(psi: float, seen: float) -> str:
    return ", as seen" if psi == seen else ""


def _level(one: Scored) -> float | None:
    """Return the part of alpha that the look spent; None where the document does not say."""
    look = one.document.get("look")
    level = look.get("level") if isinstance(look, dict) else None
    return float(level) if isinstance(level, float) and 0 < level < 1 else None


def _line(psi: float, questions: int, margin: float, alpha: float) -> Sequence[tuple[float, float]]:
    """Return points (true change in points, probability), as far as this discordance allows."""
    from goldgate.evals.stats import criteria  # noqa: PLC0415 - scipy
    from goldgate.evals.stats.power import paired_power  # noqa: PLC0415 - scipy

    gate = functools.partial(criteria.preserved, margin=margin, alpha=alpha)
    losses = [margin * step / 10 for step in range(30, -11, -1)]
    return [
        (-100 * loss + 0.0, paired_power(gate, loss, psi, questions))
        for loss in losses
        if abs(loss) <= psi
    ]
