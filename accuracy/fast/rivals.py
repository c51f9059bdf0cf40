"""Whether the experts that a kernel left are beaten for certain, in real arithmetic.

Then the chosen ones are the golden ids, in some order: what the float64 of a score can be wrong by
(`error64`) is all that is allowed for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.compiled import compiled
from goldgate.accuracy.fast.thresholds import ERROR64, STEPS
from goldgate.accuracy.fast.tile import TILE, ask_for
from goldgate.accuracy.fast.vectors import EXP_RANGE, exp64


@compiled("contract")
def sigmoid_scores(tile: Any) -> None:  # noqa: ANN401 - Tile
    """Score the chosen experts; a row with a logit beyond `EXP_RANGE`, or NaN, is not settled."""
    xs, scores, inverse, sound = tile.x, tile.s, tile.inverse, tile.sound
    for j in range(len(xs)):
        for t in range(TILE):
            x = xs[j, t]
            inverse[j, t] = 1.0 + exp64(-x if abs(x) <= EXP_RANGE else 0.0)
        for t in range(TILE):
            scores[j, t] = 1.0 / inverse[j, t]
        for t in range(TILE):
            sound[t] &= abs(xs[j, t]) <= EXP_RANGE


@compiled()
def order_chosen(tile: Any, error64: float) -> None:  # noqa: ANN401 - Tile
    """Find each row's cut, and whether its ids descend by more than float64 errs."""
    s, b, cut, descends, before = tile.s, tile.b, tile.cut, tile.descends, tile.before
    cut[:] = math.inf
    before[:] = math.inf
    descends[:] = 1
    for j in range(len(s)):
        for t in range(TILE):
            descends[t] &= before[t] - (s[j, t] + b[j, t]) > error64 * (1.0 + abs(b[j, t]))
        for t in range(TILE):
            before[t] = s[j, t] + b[j, t] - error64 * (1.0 + abs(b[j, t]))
        for t in range(TILE):
            cut[t] = min(cut[t], before[t])


@compiled()
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
    experts, k = logits.shape[1], ids.shape[1]
    for t in range(len(logits)):
        # Half of a row ahead, between two rows: all of it would keep the loop waiting.
        ask_for(stored, start + TILE + t, start + TILE + t + 1, experts // 2)
        above = cut[t] - base
        if not (sound[t] and above >= 0.0):
            sound[t] = 0
            continue
        step = min(int(math.sqrt(above) * STEPS), STEPS - 1)
        near = _reaching(logits[t], least[step])
        # Every chosen expert reaches its own threshold, so others do if more than k reach theirs.
        if near > k:
            sound[t] = _all_beaten(logits[t], bias, ids[start + t], least[step], cut[t])


@compiled("reassoc")
def _reaching(row: NDArray[np.float32], least: NDArray[np.float32]) -> float:
    """Count the logits that reach their thresholds: in float32, whose additions vectorise best."""
    near = np.float32(0)
    for i in range(len(row)):
        near += np.float32(1) if row[i] >= least[i] else np.float32(0)
    return float(near)


@compiled()
def _all_beaten(
    row: NDArray[np.float32],
    bias: NDArray[np.float64],
    ids: NDArray[np.int32],
    least: NDArray[np.float32],
    cut: float,
) -> bool:
    for i in range(len(row)):
        if row[i] >= least[i] and not (ids == i).any():
            s = 1.0 / (1.0 + math.exp(-np.float64(row[i]))) if row[i] > -EXP_RANGE else 0.0
            if s >= cut - bias[i] - ERROR64 * (1.0 + abs(bias[i])):
                return False
    return True
