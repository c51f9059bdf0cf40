"""How far weights moved between two kernels, in u and in what rounding allows both together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.systematic_error import ResidualSums, residual_sums
from goldgate.accuracy.weights import expected_weights, held_scores, sharpness
from goldgate.fixtures import Output
from goldgate.reference import FORMATS, Profile, RoutingSpec, U, score_error, weight_error
from goldgate.reference.scoring import scores, sensitivity

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
    logits: NDArray[np.float32],
    bias: Float64,
    outputs: tuple[Output, Output],
    profiles: tuple[Profile, Profile],
    start: int,
    sound: NDArray[np.bool_],
    spec: RoutingSpec,
) -> Moves:
    """Compare the weights of n rows.

    Args:
        logits: float32 [n, E].
        bias: float64 [E].
        outputs: the old kernel's and the new one's, whose rows from `start` on are compared.
        profiles: their arithmetic.
        start: see above.
        sound: rows that both answer as they may, bool [n]; the others take no part.
        spec: the router.

    """
    if any(output.topk_weights is None for output in outputs):
        return Moves()
    stop = start + len(logits)
    ids = [output.ids(start, stop) for output in outputs]
    # Pairs in the order of their ids, so that each expert meets itself.
    orders = [np.argsort(one, axis=1, kind="stable") for one in ids]
    ids = [np.take_along_axis(one, by, axis=1) for one, by in zip(ids, orders, strict=True)]
    weights = [
        np.take_along_axis(output.weights(start, stop), by, axis=1).astype(np.float64)
        for output, by in zip(outputs, orders, strict=True)
    ]
    rows = np.flatnonzero(sound & (ids[0] == ids[1]).all(axis=1))
    size = max(1, _LOGITS // spec.num_experts)
    found = Moves()
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        found += _moves(
            logits[part],
            bias,
            ids[0][part],
            weights[0][part],
            weights[1][part],
            outputs,
            profiles,
            spec,
        )
    return found


def _moves(
    logits: NDArray[np.float32],
    bias: Float64,
    at: NDArray[np.int32],
    old: Float64,
    new: Float64,
    outputs: tuple[Output, Output],
    profiles: tuple[Profile, Profile],
    spec: RoutingSpec,
) -> Moves:
    x = logits.astype(np.float64)
    every = scores(x, spec.scoring)
    s, z = (
        np.take_along_axis(values, at, axis=1)
        for values in (every, sensitivity(x, every, spec.scoring))
    )
    expected = expected_weights(s, spec)
    bounds = []
    for output, profile in zip(outputs, profiles, strict=True):
        error = np.take_along_axis(score_error(x, every, spec, profile), at, axis=1)
        bound = weight_error(s, error, bias[at], spec, profile)
        held = output.topk_weights
        widened = bound if held is None else FORMATS[held.dtype].widened(bound, expected)
        bounds.append(np.asarray(widened))
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
        residual_sums(r, z, expected, held_scores(s, bias[at], wide)),
    )
