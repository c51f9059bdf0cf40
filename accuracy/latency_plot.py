"""Latency against tokens, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldgate.accuracy.latency import Latency


def plot(path: Path, found: Sequence[Latency], document: Mapping[str, Any]) -> None:
    """Draw microseconds a call against tokens, a panel each for rotated and warm inputs.

    Args:
        path: PNG or SVG.
        found: what was measured.
        document: of the JSON evidence: device, floor_us.

    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra of its own

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, rotated in zip(panels, (True, False), strict=True):
        for name in dict.fromkeys(one.kernel for one in found):
            mine = [one for one in found if one.kernel == name and one.rotated == rotated]
            below = [one.us.median - one.us.low for one in mine]
            above = [one.us.high - one.us.median for one in mine]
            panel.errorbar(
                [one.tokens for one in mine],
                [one.us.median for one in mine],
                yerr=[below, above],
                marker="o",
                markersize=3,
                capsize=2,
                label=name,
            )
        floor = {int(tokens): us for tokens, us in document["floor_us"].items()}
        panel.plot(list(floor), list(floor.values()), "k--", linewidth=1, label="floor (copy)")
        panel.set(
            xscale="log",
            yscale="log",
            xlabel="tokens",
            title="inputs not in the cache" if rotated else "inputs in the cache",
        )
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("microseconds a call (graph replay)")
    panels[0].legend(fontsize=8)
    figure.suptitle(f"{document['device']}, 256 experts, top-8, sigmoid, float32")
    figure.savefig(path, dpi=150)
