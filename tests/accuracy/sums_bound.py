"""How far the errors and the sums of two correct evaluations in float64 may be apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.chosen import choose
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.systematic_error import TERMS
from goldgate.accuracy.weights import bounded_weights, signed_errors
from goldgate.reference import U

U64 = 2.0**-53


def sums_bound(rows: Rows, contract: Contract, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a bound on the differences of `ResidualSums.sums`, [2, BUCKETS, TERMS].

    A score errs by at most 8 u64 relative, of softmax by 8 + E + 2 |z| u64 (`reference.scoring`; an
    exponential of the compiled pass by 4 u64). So an exact weight errs by e = twice that and
    k + 2 roundings, in either evaluation, and r = (weight / exact - 1) / u by 2 (e + 2 u64) / u
    between them; z = (1 - s) x by 10 u64 |x| + 2 u64 |z|, of softmax by u64 |z|. The terms follow,
    with the largest r, z and w that take part; what the row has in common is subtracted from r and
    z, which doubles each. Every weight of a bucket may add as much and with one sign, since equal
    rows are in one bucket and err alike; so the bound grows with the weights in it.

    Args:
        rows: what was judged.
        contract: what it was held against.
        counts: weights in each bucket, [2, BUCKETS].

    """
    spec = contract.spec
    assert rows.weights is not None
    at = np.clip(rows.ids, 0, spec.num_experts - 1)
    chosen = choose(rows.widened(), at, contract)
    expected, bound = bounded_weights(chosen, contract)
    r = signed_errors(rows.weights, expected, bound, contract.profile)
    with np.errstate(invalid="ignore"):
        passes = np.abs(rows.weights - expected) <= bound
    used = np.isfinite(r) & np.isfinite(chosen.z) & passes
    if not used.any():
        return np.zeros((*counts.shape, TERMS))
    of_r, of_z, of_w = (float(np.abs(a[used]).max()) for a in (r, chosen.z, expected))
    e = _of_exact_weight(contract, of_z)
    dr = 2.0 * (e + 2.0 * U64) / U
    of_x = 0.0 if spec.scoring == "softmax" else float(np.abs(chosen.x[used]).max())
    dz = 10.0 * U64 * of_x + 2.0 * U64 * of_z
    terms = np.array(
        [
            0.0,
            2.0 * e * of_w,
            of_w * dr + 2.0 * e * of_w * of_r,
            4.0 * of_z * dr + 4.0 * of_r * dz,
            8.0 * of_z * dz,
            of_w * dz + 2.0 * e * of_w * of_z,
        ]
    )
    largest = np.array([1.0, of_w, of_w * of_r, 4.0 * of_r * of_z, 4.0 * of_z**2, of_w * of_z])
    n = counts[:, :, None]
    return np.asarray(n * terms + n * n * U64 * largest * [0.0, 1.0, 1.0, 1.0, 1.0, 1.0])


def over_bound_apart(rows: Rows, contract: Contract) -> NDArray[np.float64]:
    """Return a bound on the differences of two evaluations of a row's `over_bound`, [n].

    Rows that the compiled pass does not settle are judged by the definition and differ by nothing;
    in the others |weight - exact| <= bound. With w exact, B its bound and e as in `sums_bound`:
    |weight - w| differs by 2 e w. B is ((s + error) M - s) scale / sum, M at most 2 with an error
    that 1 / (1 - m), m < 1/2, doubles: one term is subtracted and every other is positive, so that
    an evaluation of B errs by at most 4 (e + 8 u64) (w + B), for the score's bound, M, the sum and
    four roundings. So the quotient differs by (2 e w + 8 (e + 8 u64) (w + B)) / B, and the largest
    of a row by no more than the largest of these.

    Args:
        rows: what was judged.
        contract: what it was held against.

    """
    at = np.clip(rows.ids, 0, contract.spec.num_experts - 1)
    chosen = choose(rows.widened(), at, contract)
    w, bound = bounded_weights(chosen, contract)
    of_z = float(np.abs(chosen.z[np.isfinite(chosen.z)]).max(initial=0.0))
    e = _of_exact_weight(contract, of_z)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = (2.0 * e * w + 8.0 * (e + 8.0 * U64) * (w + bound)) / bound
    return np.asarray(np.where(np.isfinite(apart), apart, 0.0).max(axis=1))


def assert_over_bounds_agree(
    one: NDArray[np.float64], two: NDArray[np.float64], rows: Rows, contract: Contract
) -> None:
    """Assert that two evaluations of `over_bound` are as near as float64 makes them."""
    with np.errstate(invalid="ignore"):
        near = (one == two) | (np.abs(one - two) <= over_bound_apart(rows, contract))
    assert near.all(), (np.flatnonzero(~near), one[~near], two[~near])


def _of_exact_weight(contract: Contract, of_z: float) -> float:
    """Return e, the relative error of an exact weight as float64 evaluates it."""
    spec = contract.spec
    score = 8.0 + (spec.num_experts + 2.0 * of_z if spec.scoring == "softmax" else 0.0)
    return (2.0 * score + spec.top_k + 2.0) * U64
