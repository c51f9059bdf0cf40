"""How far the sums of two correct evaluations in float64 may be apart."""

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
    softmax = spec.scoring == "softmax"
    score = 8.0 + (spec.num_experts + 2.0 * of_z if softmax else 0.0)
    e = (2.0 * score + spec.top_k + 2.0) * U64
    dr = 2.0 * (e + 2.0 * U64) / U
    of_x = 0.0 if softmax else float(np.abs(chosen.x[used]).max())
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
