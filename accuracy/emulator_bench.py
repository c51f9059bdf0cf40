"""The emulator's speed on aiter's kernel, as a ratio to the golden router in the same process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from goldgate.kernels.aiter_emulated.build import build
from goldgate.kernels.aiter_emulated.route import route as emulate
from goldgate.reference import MINIMAX_M2_5, route

_SEED = 20260423
_TURNS = 3


def bench_emulator(rows: int = 2048) -> None:
    """Print tokens a second and core of the emulated kernel and of the golden router.

    The two take turns over the same float32 [rows, 256] logits, top-8; medians of three, after a
    call that compiles.

    Args:
        rows: tokens of a turn.

    Raises:
        KernelError: the source or the compiler is missing.

    """
    rng = np.random.default_rng(_SEED)
    logits = rng.standard_normal((rows, 256), dtype=np.float32)
    bias = rng.normal(0.0, 0.1, 256).astype(np.float32)
    found = build()

    def emulated() -> None:
        emulate(found, logits, bias, "F32", top_k=8)

    def golden() -> None:
        route(logits, bias, MINIMAX_M2_5)

    emulated()
    turns = [(_seconds(emulated), _seconds(golden)) for _ in range(_TURNS)]
    mine, theirs = (statistics.median(side) for side in zip(*turns, strict=True))
    ratio = statistics.median(g / e for e, g in turns)
    print(f"emulated aiter, one core   {rows / mine:8.0f} tokens/s ({found.source.version})")
    print(f"golden router, one core    {rows / theirs:8.0f} tokens/s")
    print(f"emulated / golden          {ratio:8.3f} times")


def _seconds(do: Callable[[], object]) -> float:
    """Return the processor time of a call: the ratio is of work, not of how busy a machine is."""
    start = time.process_time()
    do()
    return time.process_time() - start
