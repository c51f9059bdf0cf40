"""The picture of the served faults: the change of the score by the tokens routed elsewhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from goldgate.mutants.report.served_page import VERDICTS, document
from goldgate.mutants.served.end_to_end import (
    DEGRADED,
    INCONCLUSIVE,
    PRESERVED,
    REFUSED,
    Results,
)

_COLOURS = {DEGRADED: "#2e7d5b", REFUSED: "#30638e", INCONCLUSIVE: "#edae49", PRESERVED: "#d1495b"}

#: The dots with a name beside them, and where: offsets in points.
_NAMED = {
    "no-bias": (-7, 0),
    "writes-its-bias": (7, 3),
    "seven-experts-and-one-repeated": (-7, -2),
    "hard-sigmoid": (-7, -8),
    "biased-scores-compared-in-bfloat16": (-4, -11),
    "bias-cast-to-bfloat16": (-4, 7),
    "last-expert-of-each-block-never-seen": (-7, -2),
    "weights-from-biased-scores": (7, -3),
    "softmax-over-the-selected": (7, -3),
}


def digest(found: Results) -> str:
    """Return a hash of all that the picture shows, which its metadata holds."""
    shown = json.dumps((document(found), _COLOURS, _NAMED))
    return hashlib.sha256(shown.encode()).hexdigest()


def picture(found: Results, path: Path) -> None:
    """Draw the change of the score by the share of tokens routed elsewhere, a dot a kernel."""
    import matplotlib as mpl  # noqa: PLC0415 - slow, and only --write draws

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 - as above

    figure, axes = plt.subplots(figsize=(9, 5.2), layout="constrained")
    for verdict in VERDICTS:
        for fault, marker in ((True, "o"), (False, "D")):
            arms = [
                arm
                for arm in found.arms
                if (arm.verdict, arm.is_fault) == (verdict, fault) and arm.right is not None
            ]
            if not arms:
                continue
            axes.scatter(
                [100 * arm.rerouted / found.tokens for arm in arms],
                [100 * (arm.right - found.baseline) / found.questions for arm in arms],  # type: ignore[operator]  # filtered above
                s=46,
                marker=marker,
                color=_COLOURS[verdict],
                edgecolor="white",
                linewidth=0.6,
                label=f"{verdict}{'' if fault else ', right result'}",
                zorder=3,
            )
    axes.axhline(0, color="#888888", linewidth=0.8)
    axes.axhline(-1.5, color="#888888", linewidth=0.8, linestyle="--")
    axes.text(0.005, -1.65, "margin, 1.5 points", fontsize=7, color="#555555", va="top")
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_xlim(-0.02, 130)
    axes.set_ylim(-130, 0.9)
    axes.set_xticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
    axes.set_yticks([0, -1, -3, -10, -30, -100], ["0", "-1", "-3", "-10", "-30", "-100"])
    axes.set_xlabel("tokens routed to another set of experts, %")
    axes.set_ylabel("change of the score, points")
    axes.set_title(
        f"Every fault here fails kernel parity; GSM8K's verdict on {found.questions} answers",
        fontsize=10,
    )
    axes.grid(color="#eeeeee", linewidth=0.6)
    axes.legend(fontsize=8, frameon=False, loc="center")
    for arm in found.arms:
        if arm.name in _NAMED and arm.right is not None:
            at = (
                100 * arm.rerouted / found.tokens,
                100 * (arm.right - found.baseline) / found.questions,
            )
            axes.annotate(
                arm.title,
                at,
                xytext=_NAMED[arm.name],
                textcoords="offset points",
                fontsize=7,
                ha="left" if _NAMED[arm.name][0] > 0 else "right",
            )
    figure.savefig(path, dpi=130, metadata={"Software": None, "Description": digest(found)})
    plt.close(figure)
