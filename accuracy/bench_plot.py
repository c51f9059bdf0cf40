"""Draws rows/s of the judge against threads and against the number of experts."""

from __future__ import annotations

import os
from pathlib import Path

from goldgate.accuracy.bench import machine, rates
from goldgate.reference import RoutingSpec

#: The numbers of experts that are measured, k = 8 of them.
EXPERTS = (32, 64, 128, 256, 512, 1024)

#: Logits of each recording: 256 MiB of float32.
_LOGITS = 1 << 26


def draw(path: Path) -> None:
    """Measure and draw; the memory's line is what reading the logits alone would allow.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        OSError: the picture cannot be written.

    """
    import matplotlib as mpl  # noqa: PLC0415 - an extra

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415
    from matplotlib.ticker import LogLocator, ScalarFormatter  # noqa: PLC0415

    cores = os.cpu_count() or 1
    threads = sorted({min(2**i, 16, cores) for i in range(5)})
    by_threads = rates(RoutingSpec(256, 8), _LOGITS // 256, threads)
    by_experts = [rates(RoutingSpec(e, 8), _LOGITS // e, [threads[-1]])[0] for e in EXPERTS]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axes, at, found, label in (
        (left, threads, by_threads, "threads (256 experts)"),
        (right, EXPERTS, by_experts, f"experts ({threads[-1]} threads)"),
    ):
        axes.plot(at, [judge / 1e6 for judge, _ in found], "o-", label="judge")
        axes.plot(at, [memory / 1e6 for _, memory in found], "s--", label="reading the logits")
        axes.set(xscale="log", yscale="log", xlabel=label, ylabel="million rows/s, float32")
        axes.set_xticks(at, [str(n) for n in at])
        axes.minorticks_off()
        # A decade or less has no labels otherwise.
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    figure.suptitle(str(machine(threads[-1])["processor"]), fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
