"""The figure of power: how often a candidate passes GSM8K's verdict, by its true change."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from goldgate.signoff.gathered import Gathered, Scored
from goldgate.signoff.page.figure import MOST_FILES, WIDTH, Figure, series
from goldgate.signoff.page.scores import counted, is_number, name_of
from goldgate.svg import Axis, below, beside, curve, dot, line

#: The probability of PRESERVED at a true loss and a discordance, both as parts of 1.
Passes = Callable[[float, float], float]

#: Discordances that are drawn beside the one that was seen.
_OTHERS = (0.02, 0.10)

#: Beyond this many questions the exact enumeration takes seconds.
_MOST_QUESTIONS = 20_000


def powers(gathered: Gathered) -> Iterator[Figure]:
    """Yield the figure of the first verdicts that have counts for the deciding filter.

    The curves need scipy, which the judge alone does not: without it there is no figure.
    """
    if importlib.util.find_spec("scipy") is None:
        return
    for one in gathered.scored[:MOST_FILES]:
        counts = counted(one).get(str(one.document.get("decides")))
        if counts and 0 < counts["questions"] <= _MOST_QUESTIONS:
            yield _power(one, counts)


def _power(one: Scored, counts: Mapping[str, Any]) -> Figure:
    questions, margin = int(counts["questions"]), float(counts["margin"])
    # Half a question is the least that a sample can show of a discordance.
    changed = float(counts["losses"]) + float(counts["gains"])
    seen = max(changed, 0.5) / questions
    as_seen = "as seen here" if changed else "half an answer, where none was seen to"
    shown = [seen, *(other for other in _OTHERS if abs(other - seen) > 0.005)]
    passes, how = _plan(one, counts)
    lines = {psi: _line(passes, margin, psi) for psi in shown}
    across = Axis(-3 * 100 * margin, 100 * margin, 40, WIDTH - 8)
    up = Axis(0, 1, 190, 24)
    unchanged = dict(lines[seen]).get(0.0, 0.0)
    return Figure(
        f"Power of the verdict ({name_of(one)})",
        f"Probability that the verdict is PRESERVED, by the true change of the score; exact, "
        f"{how}, margin {100 * margin:g} points. An unchanged score passes with probability "
        f"{unchanged:.3f} if {100 * seen:.2g} % of the answers change, {as_seen}.",
        222,
        (
            *below(across, 190, 24, "true change, points"),
            *beside(up, 40, WIDTH - 8, "probability of PRESERVED"),
            line(across.at(-100 * margin), 24, across.at(-100 * margin), 190, "limit"),
            *(
                _drawn([(across.at(x), up.at(p)) for x, p in points], series(number))
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
                (
                    series(n),
                    f"{100 * psi:.2g} % of the answers change"
                    + (f", {as_seen}" if psi == seen else ""),
                )
                for n, psi in enumerate(lines)
            ),
            ("limit", f"margin -{100 * margin:g} points"),
        ),
    )


def _drawn(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Return a line; where so few answers change that only no change is possible, a dot."""
    return curve(points, kind) if len(points) > 1 else dot(*points[0], 3.5, kind)


def _plan(one: Scored, counts: Mapping[str, Any]) -> tuple[Passes, str]:
    """Return the chance of PRESERVED by (loss, discordance) under the verdict's plan, in words."""
    from goldgate.evals.stats import criteria, sequential  # noqa: PLC0415 - scipy
    from goldgate.evals.stats.power import paired_power  # noqa: PLC0415 - scipy

    margin = float(counts["margin"])
    looks = _bounds(one)
    if looks is not None:
        bounds = sequential.Bounds(**looks)
        how = f"{len(bounds.looks)} looks at up to {bounds.looks[-1]} questions"
        return lambda loss, psi: sum(sequential.course(bounds, loss, psi).preserved), how
    questions, alpha = int(counts["questions"]), _level(one) or float(counts["alpha"])
    gate = functools.partial(criteria.preserved, margin=margin, alpha=alpha)
    how = f"{questions} questions, one look at alpha {alpha:g}"
    return lambda loss, psi: paired_power(gate, loss, psi, questions), how


def _bounds(one: Scored) -> Mapping[str, Any] | None:
    """Return the bounds of a sequential plan as `Bounds` takes them; None where there are none."""
    bounds = one.document.get("bounds")
    names = ("margin", "alpha", "preserved", "degraded", "size_preserved", "size_degraded")
    if not isinstance(bounds, dict) or not all(is_number(bounds.get(name)) for name in names):
        return None
    looks = bounds.get("looks")
    if not isinstance(looks, list) or not looks or not all(isinstance(n, int) for n in looks):
        return None
    if not 0 < looks[0] <= looks[-1] <= _MOST_QUESTIONS or looks != sorted(looks):
        return None
    return {"looks": tuple(looks), **{name: float(bounds[name]) for name in names}}


def _level(one: Scored) -> float | None:
    """Return the part of alpha that the look spent; None where the document does not say."""
    look = one.document.get("look")
    level = look.get("level") if isinstance(look, dict) else None
    return float(level) if isinstance(level, float) and 0 < level < 1 else None


def _line(passes: Passes, margin: float, psi: float) -> Sequence[tuple[float, float]]:
    """Return points (true change in points, probability), as far as this discordance allows."""
    losses = [margin * step / 10 for step in range(30, -11, -1)]
    return [(-100 * loss + 0.0, float(passes(loss, psi))) for loss in losses if abs(loss) <= psi]
