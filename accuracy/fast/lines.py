"""Rows where every expert's biased score is needed: of several groups, and of softmax scores.

The scores are bounded, not proven: float32 for sigmoid, float64 for softmax, whose row they share.
A row whose groups or experts are nearer than that is not settled.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.compiled import compiled
from goldgate.accuracy.fast.thresholds import ERROR64
from goldgate.accuracy.fast.tile import LONGER, TILE, ask_for
from goldgate.accuracy.fast.vectors import EXP_RANGE, SIGMOID32_ERROR, exp64, sigmoid32
from goldgate.reference import U
from goldgate.reference.formulas import SECOND_ORDER, TINY

_U64 = 2.0**-53


@compiled()
def line_error(bias: NDArray[np.float64], softmax: bool) -> float:
    """Return what a line's scores can be wrong by, absolute."""
    largest = np.abs(bias).max()
    if softmax:
        return float(softmax_error(len(bias)) * (1.0 + largest))
    return float(SIGMOID32_ERROR + 4.0 * U * (1.0 + largest))


@compiled()
def softmax_error(experts: int) -> float:
    """Return the bound on a biased score's float64 error, relative to 1 + |b|.

    `reference.scoring.float64_error` with |x - max| s <= 1/e, and as much again.
    """
    return max(ERROR64, 2.0 * (16.0 + experts) * _U64)


@compiled(borrows=True)
def transpose(
    tile: Any,  # noqa: ANN401
    stored: Any,  # noqa: ANN401
    logits: NDArray[np.float32],
) -> None:
    """Turn the rows' logits [n, E] into `tile.across`, [E, TILE]; rows with NaN are unsound."""
    across, sound, experts = tile.across, tile.sound, logits.shape[1]
    # Eight rows at a time, which LLVM does not unroll by itself.
    whole = len(logits) - len(logits) % 8
    for first in range(0, whole, 8):
        a, b, c, d = logits[first], logits[first + 1], logits[first + 2], logits[first + 3]
        e, f, g, h = logits[first + 4], logits[first + 5], logits[first + 6], logits[first + 7]
        for i in range(experts):
            place = across[i, first : first + 8]
            place[0], place[1], place[2], place[3] = a[i], b[i], c[i], d[i]
            place[4], place[5], place[6], place[7] = e[i], f[i], g[i], h[i]
    for t in range(whole, len(logits)):
        for i in range(experts):
            across[i, t] = logits[t, i]
    for i in range(experts):
        ask_for(stored, tile.asked, LONGER)
        for t in range(TILE):
            sound[t] &= across[i, t] == across[i, t]


@compiled("contract", borrows=True)
def sigmoid_lines(tile: Any, bias: NDArray[np.float64]) -> None:  # noqa: ANN401
    """Turn `tile.across` from logits into biased scores, float32."""
    across = tile.across
    for i in range(len(bias)):
        b = np.float32(bias[i])
        for t in range(TILE):
            across[i, t] = sigmoid32(across[i, t]) + b


@compiled("contract", borrows=True)
def softmax_lines(
    tile: Any,  # noqa: ANN401
    start: int,
    rows: int,
    bias: NDArray[np.float64],
    ids: NDArray[np.int32],
    figures: Any,  # noqa: ANN401
) -> None:
    """Turn logits into biased scores, float64 `tile.lines`, and score the chosen experts.

    Rows with infinities are unsound. `tile.x` becomes the exponent, x - max; `tile.shared` is
    `reference.bounds.shared_error`.
    """
    across, lines, sound, shared = tile.across, tile.lines, tile.sound, tile.shared
    highest, total = tile.before, tile.total
    slope, constant = 1.0 + figures[0], figures[1] + 1.0 + figures[2]
    renormalised = figures[5] > 0.0  # such weights do not have the shared error
    experts = len(bias)
    highest[:] = -math.inf
    total[:] = 0.0
    shared[:] = 0.0
    for i in range(experts):
        for t in range(TILE):
            highest[t] = max(highest[t], across[i, t])
    for t in range(TILE):
        sound[t] &= abs(highest[t]) < math.inf
    for i in range(experts):
        for t in range(TILE):
            below = across[i, t] - highest[t]
            lines[i, t] = exp64(max(-EXP_RANGE, below))
        for t in range(TILE):
            total[t] += lines[i, t]
        if not renormalised:
            for t in range(TILE):
                below = min(highest[t] - across[i, t], EXP_RANGE)
                shared[t] += lines[i, t] * (below * slope + constant)
    for t in range(TILE):
        shared[t] = SECOND_ORDER * U * shared[t] / total[t] + experts * TINY + (experts - 1) * U
    _score_chosen(tile, start, rows, ids)
    for t in range(TILE):
        total[t] = 1.0 / total[t]
    for i in range(experts):
        for t in range(TILE):
            lines[i, t] = lines[i, t] * total[t] + bias[i]


@compiled(borrows=True)
def _score_chosen(tile: Any, start: int, rows: int, ids: NDArray[np.int32]) -> None:  # noqa: ANN401
    lines, sound, total, highest = tile.lines, tile.sound, tile.total, tile.before
    xs, scores, inverse = tile.x, tile.s, tile.inverse
    for t in range(rows):
        if sound[t]:
            for j in range(len(xs)):
                xs[j, t] -= highest[t]
                sound[t] &= xs[j, t] >= -EXP_RANGE
                scores[j, t] = lines[ids[start + t, j], t] / total[t]
                inverse[j, t] = 1.0 / scores[j, t]


@compiled()
def reject_rivalled_in(
    tile: Any,  # noqa: ANN401
    lines: Any,  # noqa: ANN401 - float32 or float64 [E, TILE]
    start: int,
    rows: int,
    ids: NDArray[np.int32],
    groups: int,
    stay: int,
    group_terms: int,
    error: float,
) -> None:
    """Make rows unsound where groups or experts beside the chosen come near."""
    cut, sound = tile.cut, tile.sound
    experts, k = len(lines), ids.shape[1]
    size = experts // groups
    # The bar of each group: the cut where it stays, infinity where it goes.
    bars = np.empty((groups, TILE), lines.dtype)
    near = np.zeros(TILE, np.int32)
    for g in range(groups):
        for t in range(TILE):
            bars[g, t] = cut[t] - 2.0 * error
    if stay < groups:
        _drop_groups(lines, stay, group_terms, 4.0 * error, bars, sound)
        for t in range(rows):
            for j in range(k):
                if sound[t]:
                    sound[t] = bars[ids[start + t, j] // size, t] < math.inf
    for i in range(experts):
        g = i // size
        for t in range(TILE):
            near[t] += np.int32(lines[i, t] >= bars[g, t])
    for t in range(TILE):
        sound[t] &= near[t] == k


@compiled()
def _drop_groups(
    lines: Any,  # noqa: ANN401
    stay: int,
    group_terms: int,
    slack: float,
    bars: Any,  # noqa: ANN401
    sound: NDArray[np.int64],
) -> None:
    """Raise the bars of the groups that go; rows where that is not certain become unsound.

    A group is certain to stay if fewer than `stay` others may have its score or more, and certain
    to go if as many have more. Its score is the sum of its
    `group_terms` largest, 2 or 1; two scores differ by `slack` at the most more or less.
    """
    groups, size = len(bars), len(lines) // len(bars)
    score = np.empty(bars.shape, lines.dtype)
    best = np.empty(TILE, lines.dtype)
    second = np.empty(TILE, lines.dtype)
    for g in range(groups):
        best[:] = -math.inf
        second[:] = -math.inf
        for i in range(g * size, (g + 1) * size):
            for t in range(TILE):
                c = lines[i, t]
                lower = min(best[t], c)
                second[t] = max(second[t], lower)
            for t in range(TILE):
                c = lines[i, t]
                best[t] = max(best[t], c)
        for t in range(TILE):
            score[g, t] = best[t] + second[t] if group_terms == 2 else best[t]
    at_least = np.empty(TILE, np.int32)
    above = np.empty(TILE, np.int32)
    for g in range(groups):
        at_least[:] = 0
        above[:] = 0
        for h in range(groups):
            if h != g:
                for t in range(TILE):
                    at_least[t] += np.int32(score[h, t] >= score[g, t] - slack)
                for t in range(TILE):
                    above[t] += np.int32(score[h, t] > score[g, t] + slack)
        for t in range(TILE):
            sound[t] &= (at_least[t] < stay) | (above[t] >= stay)
        for t in range(TILE):
            bars[g, t] = bars[g, t] if at_least[t] < stay else math.inf
