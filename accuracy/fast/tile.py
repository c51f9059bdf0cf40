"""What a tile holds: the chosen experts of some rows side by side, so that loops vectorise."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core import types
from numba.extending import overload
from numpy.typing import NDArray

from goldgate.accuracy.fast.compiled import compiled
from goldgate.accuracy.fast.vectors import prefetch, widen

#: Rows of a tile: what is kept of their chosen experts then stays in the L1 cache.
TILE = 64

#: Buckets counted here: (16, 32] and (32, 64] ulps are one of `weights.ULP_EDGES`.
FINE_BUCKETS = 9

#: Bytes of a cache line. Asking for every second one, whose neighbour comes as well on some
#: processors, takes a fifth longer.
_LINE = 64

#: Lines asked for between two chosen experts of a tile, for one between two rows.
LONGER = 2

_prefetch: Any = prefetch  # what numba compiles of it takes no context

#: Bits that are 0 in a float32 that float16 or bfloat16 holds, and those that NaN and infinity set.
BELOW, EXPONENT = np.uint32(0x1FFF), np.uint32(0x7F800000)

Lanes = NDArray[np.float64]


class Tile(NamedTuple):
    """The working arrays of `TILE` rows; k experts are chosen of E.

    Attributes:
        logits: of 16-bit rows, as float32 [TILE, E].
        across: of all rows, as float32 [E, TILE]; then their biased scores.
        lines: biased scores as float64, [E, TILE].
        asked: what `ask_for` fetches: the number from which on, where it stops, and how many lines
            at a time, int64 [3].
        mark: the last row that chose an expert, int64 [E].
        x, b, got: logits, biases and the kernel's weights at its ids, float64 [k, TILE].
        s, inverse, error: their scores, 1 over these, and the bounds on a kernel's scores.
        w, bound: the exact weights, and the bounds on a kernel's.
        r, z: signed errors in u, and sensitivities.
        hashes: the buckets of the systematic error, int64 [k, TILE].
        buckets: how many weights are in each of the histogram's, 7 bits each, int64 [TILE].
        used: whether a weight takes part in the systematic error; taking: how many of a row's do.
        sound: whether the row is settled so far, int64 [TILE].
        narrow: whether a narrower type may hold its first chosen logit.
        descends: whether its ids descend.
        cut: the least biased score of the chosen, less its error, [TILE]; before: of the last.
        total: of the scores; moved: relative error of that; shared: the error that all scores of
            the row share; worst: error over bound; level, center: sums of r and z; [TILE].

    """

    logits: NDArray[np.float32]
    across: NDArray[np.float32]
    lines: Lanes
    mark: NDArray[np.int64]
    asked: NDArray[np.int64]
    x: Lanes
    b: Lanes
    got: Lanes
    s: Lanes
    inverse: Lanes
    error: Lanes
    bound: Lanes
    w: Lanes
    r: Lanes
    z: Lanes
    used: NDArray[np.int64]
    hashes: NDArray[np.int64]
    buckets: NDArray[np.int64]
    taking: NDArray[np.int64]
    sound: NDArray[np.int64]
    narrow: NDArray[np.int64]
    descends: NDArray[np.int64]
    cut: Lanes
    before: Lanes
    total: Lanes
    moved: Lanes
    shared: Lanes
    worst: Lanes
    level: Lanes
    center: Lanes


@compiled()
def empty_tile(experts: int, k: int) -> Any:  # noqa: ANN401 - Tile, which numba cannot be told
    """Return a tile for k of E experts, zeros."""
    return Tile(
        np.zeros((TILE, experts), np.float32),
        np.zeros((experts, TILE), np.float32),
        np.zeros((experts, TILE)),
        np.full(experts, -1, np.int64),
        np.zeros(3, np.int64),
        np.zeros((k, TILE)),
        np.zeros((k, TILE)),
        np.zeros((k, TILE)),
        np.zeros((k, TILE)),
        np.zeros((k, TILE)),
        np.zeros((k, TILE)),
        np.zeros((k, TILE)),
        np.zeros((k, TILE)),
        np.zeros((k, TILE)),
        np.zeros((k, TILE)),
        np.zeros((k, TILE), np.int64),
        np.zeros((k, TILE), np.int64),
        np.zeros(TILE, np.int64),
        np.zeros(TILE, np.int64),
        np.zeros(TILE, np.int64),
        np.zeros(TILE, np.int64),
        np.zeros(TILE, np.int64),
        np.zeros(TILE),
        np.zeros(TILE),
        np.zeros(TILE),
        np.zeros(TILE),
        np.zeros(TILE),
        np.zeros(TILE),
        np.zeros(TILE),
        np.zeros(TILE),
    )


# numba compares the two signatures, annotations included: there are none.
def load(stored, start, stop, scratch):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """In compiled code: rows start to stop as float32; maybe in the scratch."""
    raise NotImplementedError


@overload(load)
def _load(stored, start, stop, scratch):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG001
    if stored.dtype == types.float32:

        def view(stored, start, stop, scratch):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG001
            return stored[start:stop]

        return view

    def copy(stored, start, stop, scratch):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        for t in range(start, stop):
            for i in range(stored.shape[1]):
                scratch[t - start, i] = widen(stored[t, i])  # type: ignore[no-untyped-call]
        return scratch[: stop - start]

    return copy


@compiled(borrows=True)
def look_ahead(tile: Any, stored: Any, start: int) -> None:  # noqa: ANN401
    """Let `ask_for` fetch the rows from start on, a tile of them."""
    experts, asked = stored.shape[1], tile.asked
    step = _LINE // stored.itemsize
    asked[0] = start * experts
    asked[1] = (start + TILE) * experts
    # It is called in three loops over the rows, and in six over the chosen or more often, where as
    # much time passes between two calls as between three of the others.
    asked[2] = -(-(TILE * experts) // (step * (3 * TILE + 6 * LONGER * len(tile.x))))


@numba.njit(inline="always")
def ask_for(stored: Any, asked: Any, calls: Any) -> None:  # noqa: ANN401
    """Fetch some more of the next rows ahead of their use, in which chosen experts lie about.

    A few cache lines at a time, all through the work on a tile: a processor that has asked for some
    16 waits for the first of them. Past the last row there is nothing to fetch, and no harm done.

    Args:
        stored: all rows.
        asked: `Tile.asked`.
        calls: how many calls' worth.

    """
    at, step = asked[0], _LINE // stored.itemsize
    if at < asked[1]:
        for _ in range(calls * asked[2]):
            _prefetch(stored, 0, at)  # contiguous: the at-th number of all rows
            at += step
        asked[0] = at


@compiled(borrows=True)
def gather(
    tile: Any,  # noqa: ANN401
    stored: Any,  # noqa: ANN401
    logits: NDArray[np.float32],
    start: int,
    bias: NDArray[np.float64],
    ids: NDArray[np.int32],
    weights: NDArray[np.float32],
    skip: NDArray[np.bool_],
) -> None:
    """Gather the rows' chosen experts; rows whose ids are not distinct and in range are unsound.

    What is not gathered stays as it was, some other row's.
    """
    mark, sound = tile.mark, tile.sound
    x, b, got = tile.x, tile.b, tile.got
    experts, k = len(bias), ids.shape[1]
    sound[:] = 0
    for t in range(len(logits)):
        ask_for(stored, tile.asked, 1)
        row = start + t
        distinct = not skip[row]
        for j in range(k):
            i = ids[row, j]
            if i < 0 or i >= experts or mark[i] == row:
                distinct = False
                break
            mark[i] = row
            x[j, t] = logits[t, i]
            b[j, t] = bias[i]
            got[j, t] = weights[row, j]
        sound[t] = distinct
        bits = np.float32(x[0, t]).view(np.uint32)
        tile.narrow[t] = ((bits & BELOW) == 0) | ((bits & EXPONENT) == EXPONENT)
