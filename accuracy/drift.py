"""The second tier: a systematic error of the weights that hides inside the worst-case bound.

A wrong constant in the exponential moves every score by z = (1 - s) x times its relative error, so
the weights' signed errors r, in units of u, lean with z. Both are centred per row, since
renormalisation removes what the row has in common, and r is regressed on z. What separates a
fault from honest kernels is the size of the systematic part, |slope| rms(z): at most 0.13 u was
measured for honest kernels, 0.8 to 4.8 u for log2(e) shortened to 1.4427. The mean of r catches a
common scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

#: The systematic part that is drift, in u: three times the largest of any honest kernel measured,
#: half the smallest of a shortened constant.
SIZE_LIMIT = 0.4

#: The mean signed error that is drift, in u. Honest kernels measured here stay within 0.2.
MEAN_LIMIT = 0.5

#: Standard errors that either must be away from 0 as well, so that few rows prove nothing.
SIGNIFICANCE = 5.0

#: Fewer rows prove nothing: their standard error is itself too uncertain.
MIN_ROWS = 64


@dataclass(frozen=True)
class DriftSums:
    """What the regression needs, summed over rows; the rows are the independent units.

    With a = sum(r z) and d = sum(z z) of a row's centred values, m the sum of its r and n their
    number.
    """

    rows: int = 0
    weights: int = 0
    a: float = 0.0
    d: float = 0.0
    aa: float = 0.0
    ad: float = 0.0
    dd: float = 0.0
    m: float = 0.0
    mm: float = 0.0
    mn: float = 0.0
    nn: float = 0.0

    def __add__(self, other: DriftSums) -> DriftSums:
        """Return the sums over both sets of rows."""
        return DriftSums(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )


@dataclass(frozen=True)
class Drift:
    """The systematic error of a kernel's weights over a recording; in u = 2**-24.

    Attributes:
        rows: rows that took part.
        slope: of r on z.
        slope_error: its standard error, by rows.
        size: |slope| rms(z), the systematic part of a weight's relative error.
        mean: the mean signed relative error.
        mean_error: its standard error, by rows.
        found: whether this is drift.

    """

    rows: int
    slope: float
    slope_error: float
    size: float
    mean: float
    mean_error: float
    found: bool


def drift_sums(r: Float64, z: Float64) -> DriftSums:
    """Sum over n rows.

    Args:
        r: signed relative errors in u, [n, k]; NaN takes no part.
        z: the scores' sensitivities, [n, k].

    """
    used = np.isfinite(r) & np.isfinite(z)
    used &= used.sum(axis=1, keepdims=True) >= 2
    count = used.sum(axis=1)
    some = np.maximum(count, 1)[:, None]
    r, z = np.where(used, r, 0.0), np.where(used, z, 0.0)
    m = r.sum(axis=1)
    rc = np.where(used, r - m[:, None] / some, 0.0)
    zc = np.where(used, z - z.sum(axis=1, keepdims=True) / some, 0.0)
    a, d = (rc * zc).sum(axis=1), (zc * zc).sum(axis=1)
    return DriftSums(
        rows=int((count > 0).sum()),
        weights=int(count.sum()),
        a=float(a.sum()),
        d=float(d.sum()),
        aa=float(a @ a),
        ad=float(a @ d),
        dd=float(d @ d),
        m=float(m.sum()),
        mm=float(m @ m),
        mn=float(m @ count),
        nn=float(count @ count),
    )


def drift(sums: DriftSums) -> Drift:
    """Regress through the origin, with standard errors that take the row as the unit."""
    if sums.weights == 0:
        return Drift(0, 0.0, 0.0, 0.0, 0.0, 0.0, found=False)
    mean = sums.m / sums.weights
    residual = sums.mm - 2 * mean * sums.mn + mean * mean * sums.nn
    mean_error = math.sqrt(max(residual, 0.0)) / sums.weights
    slope = sums.a / sums.d if sums.d else 0.0
    residual = sums.aa - 2 * slope * sums.ad + slope * slope * sums.dd
    slope_error = math.sqrt(max(residual, 0.0)) / sums.d if sums.d else 0.0
    size = abs(slope) * math.sqrt(sums.d / sums.weights)
    found = size > SIZE_LIMIT and abs(slope) > SIGNIFICANCE * slope_error
    found = found or (abs(mean) > MEAN_LIMIT and abs(mean) > SIGNIFICANCE * mean_error)
    found = found and sums.rows >= MIN_ROWS
    return Drift(sums.rows, slope, slope_error, size, mean, mean_error, found)
