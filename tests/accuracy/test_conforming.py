"""An honest float32 kernel is never called wrong, over 20 million rows of many distributions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.accuracy.blocks import Block, judge_block
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.selection import Verdict
from goldgate.accuracy.systematic_error import systematic_error
from goldgate.mutants.conforming.distributions import CASES, Case
from goldgate.reference import MINIMAX_M2_5, PROFILES

Honest = Callable[
    [NDArray[np.float32], NDArray[np.float32], int, bool],
    tuple[NDArray[np.int32], NDArray[np.float32]],
]
ROWS = 20_000_000
BLOCK = 32768


@pytest.mark.parametrize("case", CASES, ids=str)
def test_honest_rows_are_never_wrong(honest: Honest, case: Case) -> None:
    """No row of an honest kernel is wrong, no weight reaches its bound, nothing drifts."""
    scale, shift, centre, spread, subtract = case
    rng = np.random.default_rng([20260423, CASES.index(case)])
    bias = (centre + spread * rng.standard_normal(256)).astype(np.float32)
    base = rng.standard_normal((BLOCK, 256), dtype=np.float32)
    profile = PROFILES["expf_div_subtract" if subtract else "ieee"]
    # Fresh rows at the price of an addition: every block shifts the base by another row of it.
    blocks = -(-ROWS // (len(CASES) * BLOCK))

    def judged(block: int) -> Block:
        x: NDArray[np.float32] = (base + base[block]) * np.float32(scale * 0.7071)
        x += np.float32(shift)
        ids, weights = honest(x, bias, 8, subtract)
        padding = np.zeros(BLOCK, dtype=bool)
        rows = Rows(x, bias.astype(np.float64), ids, weights, padding)
        return judge_block(rows, Contract(MINIMAX_M2_5, profile, ordered=True))

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(judged, range(blocks)))

    assert sum((one.verdict == Verdict.WRONG).sum() for one in found) == 0
    assert max(one.over_bound.max() for one in found) < 1.0
    sums = found[0].sums
    for one in found[1:]:
        sums += one.sums
    assert not systematic_error(sums, MINIMAX_M2_5, profile).found


def test_processes_judge_the_same_blocks_in_order() -> None:
    """A run in processes finds in each block what a run in one process does."""
    from goldgate.mutants.conforming import volume  # noqa: PLC0415 - torch is loaded in processes

    rows = 40_000
    last = volume.blocks(rows) - 2

    alone = list(volume.volume(rows, last))
    shared = list(volume.volume(rows, last, processes=2))

    assert len(alone) == 2
    assert [(of, honest.name, trial) for of, honest, trial in shared] == [
        (of, honest.name, trial) for of, honest, trial in alone
    ]
