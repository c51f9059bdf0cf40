"""How far weights moved between two kernels, in u and in what rounding allows both together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.chosen import choose
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.systematic_error import ResidualSums, residual_sums
from goldgate.accuracy.weights import expected_weights, held_scores, sharpness
from goldgate.reference import U, weight_error

Float64 = NDArray[np.float64]

#: Rows looked at together: some ten arrays of [n, E] float64 are held.
_LOGITS = 1 << 18


@dataclass(frozen=True)
class Moves:
    """Differences of weights over rows that go to the same experts; u = 2**-24.

    Attributes:
        weights: how many were compared.
        moved: how many differ at all.
        largest: the largest |new - old| in u of the exact weight, where rounding has a small bound.
        squares: the sum of the squares of these differences, in u.
        counted: how many these are.
        over_bounds: the largest |new - old| over both bounds together.
        sums: the signed differences, for what one leans against the other.

    """

    weights: int = 0
    moved: int = 0
    largest: float = 0.0
    squares: float = 0.0
    counted: int = 0
    over_bounds: float = 0.0
    sums: ResidualSums = field(default_factory=ResidualSums)

    def __add__(self, other: Moves) -> Moves:
        """Return the moves over both sets of rows."""
        return Moves(
            self.weights + other.weights,
            self.moved + other.moved,
            max(self.largest, other.largest),
            self.squares + other.squares,
            self.counted + other.counted,
            max(self.over_bounds, other.over_bounds),
            self.sums + other.sums,
        )

    @property
    def rms(self) -> float:
        """The root of the mean square difference, in u."""
        return math.sqrt(self.squares / self.counted) if self.counted else 0.0


def moves(
    rows: tuple[Rows, Rows], contracts: tuple[Contract, Contract], sound: NDArray[np.bool_]
) -> Moves:
    """Compare the weights of n rows.

    Args:
        rows: with the old kernel's answers and with the new one's.
        contracts: what either is held against; of one router.
        sound: rows that both answer as they may, bool [n]; the others take no part.

    """
    held = rows[0].weights, rows[1].weights
    if held[0] is None or held[1] is None:
        return Moves()
    # Pairs in the order of their ids, so that each expert meets itself.
    ids, old = _by_expert(rows[0].ids, held[0])
    other, new = _by_expert(rows[1].ids, held[1])
    same = np.flatnonzero(sound & (ids == other).all(axis=1))
    size = max(1, _LOGITS // contracts[0].spec.num_experts)
    found = Moves()
    for begin in range(0, len(same), size):
        part = same[begin : begin + size]
        routed = replace(rows[0].take(part), ids=ids[part])
        found += _moves(routed, old[part], new[part], contracts)
    return found


def _by_expert(
    ids: NDArray[np.int32], weights: NDArray[np.float32]
) -> tuple[NDArray[np.int32], Float64]:
    """Return each row's ids in ascending order, and their weights, [n, k] each."""
    order = np.argsort(ids, axis=1, kind="stable")
    by_id = np.take_along_axis(weights, order, axis=1).astype(np.float64)
    return np.take_along_axis(ids, order, axis=1), by_id


def _moves(rows: Rows, old: Float64, new: Float64, contracts: tuple[Contract, Contract]) -> Moves:
    """Compare old and new weights at the rows' ids, [n, k] each."""
    profiles = [contract.profile for contract in contracts]
    both = [choose(rows, rows.ids, contract) for contract in contracts]
    chosen, expected = both[0], expected_weights(both[0].s, contracts[0].spec)
    bounds = []
    for one, contract in zip(both, contracts, strict=True):
        bound = weight_error(one.s, one.error, one.bias, contract.spec, contract.profile)
        bounds.append(np.asarray(contract.weight_format.widened(bound, expected)))
    together = bounds[0] + bounds[1]
    off = np.abs(new - old)
    with np.errstate(divide="ignore", invalid="ignore"):
        over = np.where(np.isfinite(together), off / together, 0.0)
        wide = profiles[0] if sharpness(profiles[0]) < sharpness(profiles[1]) else profiles[1]
        r = (new - old) / expected / U
        r = np.where(together < 2.0 * expected * sharpness(wide), r, np.nan)
    r = np.where(np.isfinite(r), r, np.nan)
    used = r[np.isfinite(r)]
    return Moves(
        off.size,
        int((off != 0.0).sum()),
        float(np.abs(used).max(initial=0.0)),
        float((used * used).sum()),
        used.size,
        float(np.nan_to_num(over).max(initial=0.0)),
        residual_sums(r, chosen.z, expected, held_scores(chosen, wide)),
    )
