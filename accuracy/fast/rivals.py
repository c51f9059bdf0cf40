"""Whether the experts that a kernel left are beaten for certain, in real arithmetic.

Then the chosen ones are the golden ids, in some order: what the float64 of a score can be wrong by
(`error64`) is all that is allowed for.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.compiled import compiled
from goldgate.accuracy.fast.thresholds import ERROR64, STEPS
from goldgate.accuracy.fast.tile import LONGER, TILE, ask_for
from goldgate.accuracy.fast.vectors import (
    EXP_RANGE,
    LANES,
    exp64,
    lowest_bit,
    reached,
    set_bits,
)

# What numba compiles of them takes no context.
_reached: Any = reached
_set_bits: Any = set_bits
_lowest_bit: Any = lowest_bit


@compiled("contract", borrows=True)
def sigmoid_scores(tile: Any, stored: Any) -> None:  # noqa: ANN401 - Tile
    """Score the chosen experts; a row with a logit beyond `EXP_RANGE`, or NaN, is not settled."""
    xs, scores, inverse, sound = tile.x, tile.s, tile.inverse, tile.sound
    for j in range(len(xs)):
        ask_for(stored, tile.asked, LONGER)
        for t in range(TILE):
            x = xs[j, t]
            inverse[j, t] = 1.0 + exp64(-x if abs(x) <= EXP_RANGE else 0.0)
        for t in range(TILE):
            scores[j, t] = 1.0 / inverse[j, t]
        for t in range(TILE):
            sound[t] &= abs(xs[j, t]) <= EXP_RANGE


@compiled(borrows=True)
def order_chosen(tile: Any, stored: Any, error64: float) -> None:  # noqa: ANN401 - Tile
    """Find each row's cut, and whether its ids descend by more than float64 errs."""
    s, b, cut, descends, before = tile.s, tile.b, tile.cut, tile.descends, tile.before
    cut[:] = math.inf
    before[:] = math.inf
    descends[:] = 1
    for j in range(len(s)):
        ask_for(stored, tile.asked, LONGER)
        for t in range(TILE):
            descends[t] &= before[t] - (s[j, t] + b[j, t]) > error64 * (1.0 + abs(b[j, t]))
        for t in range(TILE):
            before[t] = s[j, t] + b[j, t] - error64 * (1.0 + abs(b[j, t]))
        for t in range(TILE):
            cut[t] = min(cut[t], before[t])


@compiled(borrows=True)
def reject_rivalled(
    tile: Any,  # noqa: ANN401 - Tile
    stored: Any,  # noqa: ANN401 - float32, or 16 bits of a float
    logits: NDArray[np.float32],
    start: int,
    bias: NDArray[np.float64],
    base: float,
    least: NDArray[np.float32],
    ids: NDArray[np.int32],
) -> None:
    """Make rows unsound where another expert comes near the chosen ones.

    For sigmoid scores and one group; `base` and `least` are `accuracy.thresholds`'. `logits` are
    the rows of the tile, `stored` those of the whole recording.
    """
    cut, sound = tile.cut, tile.sound
    k = ids.shape[1]
    for t in range(len(logits)):
        ask_for(stored, tile.asked, 1)
        above = cut[t] - base
        if not (sound[t] and above >= 0.0):
            sound[t] = 0
            continue
        step = min(int(math.sqrt(above) * STEPS), STEPS - 1)
        near = _reaching(logits[t], least[step])
        # Every chosen expert reaches its own threshold, so others do if more than k reach theirs.
        if near > k:
            sound[t] = _all_beaten(logits[t], bias, ids[start + t], least[step], cut[t])


@compiled(borrows=True)
def _reaching(row: NDArray[np.float32], least: NDArray[np.float32]) -> int:
    """Count the logits that reach their thresholds."""
    near = 0
    whole = len(row) - len(row) % LANES
    for i in range(0, whole, LANES):
        near += _set_bits(_reached(row, least, i))
    for i in range(whole, len(row)):
        near += row[i] >= least[i]
    return near


@compiled(borrows=True)
def _all_beaten(
    row: NDArray[np.float32],
    bias: NDArray[np.float64],
    ids: NDArray[np.int32],
    least: NDArray[np.float32],
    cut: float,
) -> bool:
    whole = len(row) - len(row) % LANES
    for first in range(0, whole, LANES):
        near = _reached(row, least, first)
        while near:
            i = first + _lowest_bit(near)
            near &= near - 1
            if not _beaten(i, row, bias, ids, cut):
                return False
    for i in range(whole, len(row)):
        if row[i] >= least[i] and not _beaten(i, row, bias, ids, cut):
            return False
    return True


@numba.njit(inline="always")
def _beaten(i: Any, row: Any, bias: Any, ids: Any, cut: Any) -> Any:  # noqa: ANN401 - as above
    """Whether expert i is chosen, or certain to be below the cut."""
    chosen = False
    for j in range(len(ids)):
        chosen |= ids[j] == i
    s = 1.0 / (1.0 + math.exp(-np.float64(row[i]))) if row[i] > -EXP_RANGE else 0.0
    return chosen or s < cut - bias[i] - ERROR64 * (1.0 + abs(bias[i]))
