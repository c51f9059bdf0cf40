"""The sums of the random error over weights, in one compiled pass without Python's lock."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.compiled import compiled
from goldgate.accuracy.fast.vectors import add_terms
from goldgate.accuracy.systematic_error import BUCKETS

Float64 = NDArray[np.float64]

#: Positions that are told apart: a row's number in its call modulo 32, and which 32nd of the call.
POSITIONS = 32

#: Buckets of a group's jackknife.
PARTS = 32


_add_terms: Any = add_terms  # what numba compiles of it takes no context


@numba.njit(inline="always")
def _mixed(bits: Any) -> Any:  # noqa: ANN401 - uint32 in, uint64 out
    """`systematic_error.mix` of one pattern."""
    h = (np.uint64(bits) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return h ^ (h >> np.uint64(32))


@numba.njit(inline="always")
def _part(mixed: Any) -> Any:  # noqa: ANN401 - uint64 in, int64 out
    """Return which of the `PARTS` a hash is in; of other bits than its bucket."""
    return np.int64((mixed >> np.uint64(20)) & np.uint64(PARTS - 1))


@compiled(borrows=True)
def add_spread(
    errors: tuple[Float64, Float64, Float64],
    exact: Float64,
    held: NDArray[np.uint32],
    weights: NDArray[np.uint32],
    ids: NDArray[np.int32],
    places: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]],
    number: int,
    squares: Float64,
    groups: Float64,
    drift: Float64,
    fine: NDArray[np.bool_],
) -> tuple[int, int]:
    """Add those of n rows of k weights that are of one class of calls to its sums.

    Args:
        errors: r, z and the variance of r, [n, k] each; r is NaN where a weight takes no part.
        exact: the exact weights.
        held: the bits of the scores as the kernel holds them.
        weights: the bits of the kernel's weights.
        ids: the experts, [n, k].
        places: the rows' numbers in their calls, the rows of these, and their classes, [n] each.
        number: the class.
        squares: [2, BUCKETS, 3], `random_sums.RandomSums`.
        groups: [1 + k + E + 2 POSITIONS, PARTS, 4].
        drift: [2, BUCKETS, TERMS], as `systematic_error.ResidualSums` has them.
        fine: [BUCKETS].

    Returns:
        The bits that are set in a weight whose exact value needs its last bit, and the rows that
        `drift` counts.

    """
    (rs, zs, vs), (numbers, calls, classes) = errors, places
    n, k = rs.shape
    lanes = len(groups) - 2 * POSITIONS
    bits, rows = np.uint32(0), 0
    mask = np.uint64(BUCKETS - 1)
    for t in range(n):
        if classes[t] != number:
            continue
        whole, of_used, count, level, center = np.uint64(0), np.uint64(0), 0, 0.0, 0.0
        for j in range(k):
            h = _mixed(held[t, j])
            whole += h
            if np.isfinite(rs[t, j]):
                of_used += h
                count += 1
                level += rs[t, j]
                center += zs[t, j]
        if not count:
            continue
        level, center = level / count, center / count
        rows += count >= 2
        # What the weights of a row share a cell for is added up first. Errors that a row shares
        # count once for it, where a group has whole rows.
        row_r = row_z = row_v = row_rr = row_over = 0.0
        row_w = row_wr = row_rz = row_zz = row_wz = 0.0
        for j in range(k):
            r, z, v = rs[t, j], zs[t, j], vs[t, j]
            if not np.isfinite(r):
                continue
            h = _mixed(held[t, j])
            own, part = np.int64(h & mask), _part(h)
            w = exact[t, j] if count == k else 0.0
            rc, zc = r - level, z - center
            rr, over, wr, rz, zz, wz = r * r, r * r / v, w * r, rc * zc, zc * zc, w * z
            _add_terms(squares, 1, own, (1.0, rr, over))
            if count >= 2:
                _add_terms(drift, 1, own, (1.0, w, wr, rz, zz, wz))
            _add_terms(groups, 1 + j, part, (1.0, r, z, v))
            _add_terms(groups, 1 + k + ids[t, j], part, (1.0, r, z, v))
            row_r, row_z, row_v = row_r + r, row_z + z, row_v + v
            row_rr, row_over = row_rr + rr, row_over + over
            row_w, row_wr, row_rz = row_w + w, row_wr + wr, row_rz + rz
            row_zz, row_wz = row_zz + zz, row_wz + wz
            rounded = np.float32(exact[t, j]).view(np.uint32)
            if rounded & np.uint32(1):
                fine[np.int64(_mixed(rounded) & mask)] = True
                bits |= weights[t, j]
        number_of, part = np.float64(count), _part(whole)
        _add_terms(squares, 0, np.int64(whole & mask), (number_of, row_rr, row_over))
        if count >= 2:
            of_drift = number_of, row_w, row_wr, row_rz, row_zz, row_wz
            _add_terms(drift, 0, np.int64(of_used & mask), of_drift)
        position = numbers[t] * POSITIONS // calls[t]
        for group in (0, lanes + numbers[t] % POSITIONS, lanes + POSITIONS + position):
            _add_terms(groups, group, part, (number_of, row_r, row_z, row_v))
    return np.int64(bits), rows
