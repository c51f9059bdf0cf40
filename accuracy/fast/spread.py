"""The sums of the random error over weights, in one compiled pass without Python's lock."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.compiled import compiled
from goldgate.accuracy.systematic_error import BUCKETS

Float64 = NDArray[np.float64]

#: Positions that are told apart: a row's number in its call modulo 32, and which 32nd of the call.
POSITIONS = 32

#: Buckets of a group's jackknife.
PARTS = 32


@numba.njit(inline="always")
def _mixed(bits: Any) -> Any:  # noqa: ANN401 - uint32 in, uint64 out
    """`systematic_error.mix` of one pattern."""
    h = (np.uint64(bits) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return h ^ (h >> np.uint64(32))


@numba.njit(inline="always")
def _add_group(cells: Any, part: Any, r: Any, z: Any, v: Any) -> None:  # noqa: ANN401 - scalars
    cells[part, 0] += 1.0
    cells[part, 1] += r
    cells[part, 2] += z
    cells[part, 3] += v


@numba.njit(inline="always")
def _add_drift(at: Any, w: Any, r: Any, rc: Any, z: Any, zc: Any) -> None:  # noqa: ANN401 - scalars
    at[0] += 1.0
    at[1] += w
    at[2] += w * r
    at[3] += rc * zc
    at[4] += zc * zc
    at[5] += w * z


@compiled()
def add_spread(
    errors: tuple[Float64, Float64, Float64],
    exact: Float64,
    held: NDArray[np.uint32],
    weights: NDArray[np.uint32],
    ids: NDArray[np.int32],
    numbers: NDArray[np.int64],
    calls: NDArray[np.int64],
    squares: Float64,
    groups: Float64,
    drift: Float64,
    fine: NDArray[np.bool_],
) -> tuple[int, int]:
    """Add n rows of k weights to the sums of one class of calls.

    Args:
        errors: r, z and the variance of r, [n, k] each; r is NaN where a weight takes no part.
        exact: the exact weights.
        held: the bits of the scores as the kernel holds them.
        weights: the bits of the kernel's weights.
        ids: the experts, [n, k].
        numbers: the rows' numbers in their calls, [n].
        calls: the rows of their calls, [n].
        squares: [2, BUCKETS, 3], `random_sums.RandomSums`.
        groups: [1 + k + E + 2 POSITIONS, PARTS, 4].
        drift: [2, BUCKETS, TERMS], as `systematic_error.ResidualSums` has them.
        fine: [BUCKETS].

    Returns:
        The bits that are set in a weight whose exact value needs its last bit, and the rows that
        `drift` counts.

    """
    rs, zs, vs = errors
    n, k = rs.shape
    lanes = len(groups) - 2 * POSITIONS
    hashes = np.empty(k, np.uint64)
    bits, rows = np.uint32(0), 0
    mask = np.uint64(BUCKETS - 1)
    for t in range(n):
        whole, of_used, count, level, center = np.uint64(0), np.uint64(0), 0, 0.0, 0.0
        for j in range(k):
            hashes[j] = _mixed(held[t, j])
            whole += hashes[j]
            if np.isfinite(rs[t, j]):
                of_used += hashes[j]
                count += 1
                level += rs[t, j]
                center += zs[t, j]
        if not count:
            continue
        level, center = level / count, center / count
        rows += count >= 2
        row_part = np.int64((whole >> np.uint64(20)) % np.uint64(PARTS))
        lane = lanes + numbers[t] % POSITIONS
        part = lanes + POSITIONS + numbers[t] * POSITIONS // calls[t]
        for j in range(k):
            r, z, v = rs[t, j], zs[t, j], vs[t, j]
            if not np.isfinite(r):
                continue
            own = np.int64(hashes[j] & mask)
            for side, at in ((0, np.int64(whole & mask)), (1, own)):
                squares[side, at, 0] += 1.0
                squares[side, at, 1] += r * r
                squares[side, at, 2] += r * r / v
            if count >= 2:
                w = exact[t, j] if count == k else 0.0
                _add_drift(drift[0, np.int64(of_used & mask)], w, r, r - level, z, z - center)
                _add_drift(drift[1, own], w, r, r - level, z, z - center)
            score_part = np.int64((hashes[j] >> np.uint64(20)) % np.uint64(PARTS))
            # Errors that a row shares count once for it, where a group has whole rows.
            _add_group(groups[0], row_part, r, z, v)
            _add_group(groups[1 + j], score_part, r, z, v)
            _add_group(groups[1 + k + ids[t, j]], score_part, r, z, v)
            _add_group(groups[lane], row_part, r, z, v)
            _add_group(groups[part], row_part, r, z, v)
            rounded = np.float32(exact[t, j]).view(np.uint32)
            if rounded & np.uint32(1):
                fine[np.int64(_mixed(rounded) & mask)] = True
                bits |= weights[t, j]
    return np.int64(bits), rows
