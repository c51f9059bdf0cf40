"""What the random error needs to know of a sample's weights, in compiled passes."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.compiled import compiled
from goldgate.accuracy.fast.vectors import EXP_RANGE, exp64, widen
from goldgate.reference import U, formulas

Float64 = NDArray[np.float64]

#: What stands for a variance without a bound: large, and finite in sums of thousands.
LARGEST_VARIANCE = 1e280

_inline = numba.njit(inline="always")
_sigmoid_error, _tangent_error = _inline(formulas.sigmoid_error), _inline(formulas.tangent_error)
_recovery_error, _sum_error = _inline(formulas.recovery_error), _inline(formulas.sum_error)
_last_steps, _plain_error = _inline(formulas.last_steps), _inline(formulas.plain_error)
_renormalised_error = _inline(formulas.renormalised_error)

_THIRD = 1.0 / 3.0


@compiled(borrows=True)
def take_chosen(
    stored: Any,  # noqa: ANN401 - float32, or 16 bits of a float
    ids: NDArray[np.int32],
    weights: NDArray[np.float32],
    at: NDArray[np.int64],
    logits: NDArray[np.float32],
    own_ids: NDArray[np.int32],
    own_weights: NDArray[np.float32],
) -> None:
    """Fill the last three, [m, k] each, with what the rows `at` [m] have at their ids."""
    for t in range(len(at)):
        row = at[t]
        for j in range(ids.shape[1]):
            own_ids[t, j] = ids[row, j]
            own_weights[t, j] = weights[row, j]
            logits[t, j] = widen(stored[row, ids[row, j]])  # type: ignore[no-untyped-call]


@compiled("contract")
def sum_rows(
    stored: Any,  # noqa: ANN401 - as above
    at: NDArray[np.int64],
    slope: float,
    constant: float,
    highest: Float64,
    totals: Float64,
    terms: Float64,
) -> None:
    """Fill the last three, [m], with what softmax needs of whole rows `at` [m]; NaN is left out.

    Args:
        stored: logits.
        at: rows.
        slope: of an exponential's error bound in u, as `reference.bounds` has it.
        constant: likewise.
        highest: the rows' largest logits.
        totals: sums of e**(x - highest).
        terms: sums of the same times (highest - x) * slope + constant.

    """
    experts = stored.shape[1]
    below, powers = np.empty(experts), np.empty(experts)
    for t in range(len(at)):
        most = -np.inf
        for i in range(experts):
            x = np.float64(widen(stored[at[t], i]))  # type: ignore[no-untyped-call]
            below[i] = x
            most = x if x > most else most  # noqa: FURB136 - leaves NaN out
        for i in range(experts):
            y = most - below[i]
            y = y if y < EXP_RANGE else EXP_RANGE  # noqa: FURB136 - of NaN too
            below[i] = y
            powers[i] = exp64(-y)
        total = errors = 0.0
        for i in range(experts):
            if below[i] < EXP_RANGE:  # else it vanishes, or is NaN
                total += powers[i]
                errors += powers[i] * (below[i] * slope + constant)
        highest[t], totals[t], terms[t] = most, total, errors


@compiled("contract")
def weigh_sample(
    logits: NDArray[np.float32],
    bias: Float64,
    ids: NDArray[np.int32],
    weights: NDArray[np.float32],
    figures: tuple[float, ...],
    of_exponential: tuple[float, float],
    exact: Float64,
    rs: Float64,
    zs: Float64,
    variances: Float64,
    held: NDArray[np.float32],
) -> None:
    """Fill the last five, [n, k] each, as `goldgate.accuracy.sampled.SampledWeights` states them.

    Args:
        logits: at the ids, [n, k].
        bias: of all experts, [E].
        ids: in range, [n, k].
        weights: the kernel's, [n, k].
        figures: `goldgate.accuracy.fastpath.figures`.
        of_exponential: the profile's `exponent` and `exp_per_unit`.
        exact: the exact weights.
        rs: signed errors in u; NaN where a weight takes no part.
        zs: sensitivities.
        variances: bounds on the variance of r.
        held: the scores as the kernel holds them.

    """
    slope, exp, divide, tanh, recovered, renormalize, scale, inexact, sharp = figures
    exponent, per_unit = of_exponential
    n, k = logits.shape
    last = _last_steps(divide, inexact)
    divided = _THIRD if divide <= 1.0 else divide**2
    always = 2.0 * _THIRD + (inexact / U) ** 2
    scores, errors, bounds = np.empty((n, k)), np.empty((n, k)), np.empty(k)
    flat_x, flat_s = logits.ravel(), scores.ravel()
    for i in range(n * k):
        # Beyond the range a score is 1 or below anything that has a sharp bound.
        y = min(max(-np.float64(flat_x[i]), -EXP_RANGE), EXP_RANGE)
        flat_s[i] = 1.0 / (1.0 + exp64(y))
    for t in range(n):
        total = error = others = 0.0
        for j in range(k):
            s, x = scores[t, j], np.float64(logits[t, j])
            finite = abs(x) < np.inf
            size = abs(x) if finite else 0.0
            zs[t, j] = x * (1.0 - s) if finite else np.nan
            if tanh > 0.0:
                errors[t, j] = _tangent_error(s, tanh)
                own = (0.5 * tanh * abs(1.0 - 2.0 * s) / s) ** 2 + _THIRD
            else:
                errors[t, j] = _sigmoid_error(s, size, slope, exp, divide)
                of_both = (exponent * size) ** 2 + (exp + per_unit * size) ** 2
                own = (1.0 - s) ** 2 * of_both + _THIRD + divided
            held[t, j] = np.float32(s)
            if recovered:
                b = bias[ids[t, j]]
                errors[t, j] += _recovery_error(s, b)
                own += _THIRD * ((s + b) ** 2 + s**2) / s**2
                held[t, j] = np.float32(held[t, j] + np.float32(b)) - np.float32(b)
            if not own < LARGEST_VARIANCE:  # NaN too
                own = LARGEST_VARIANCE
            variances[t, j] = own + always
            total += s
            error += errors[t, j]
            others += s**2 * own
        moved = _sum_error(error, total, k)
        for j in range(k):
            s = scores[t, j]
            if renormalize:
                exact[t, j] = s / total * scale
                bounds[j] = _renormalised_error(s, errors[t, j], total, moved, last, scale)
                bounds[j] = bounds[j] if moved < 1.0 else np.inf
                variances[t, j] += others / total**2 + (k - 1) * _THIRD + divided
            else:
                exact[t, j] = s * scale
                bounds[j] = _plain_error(s, errors[t, j], inexact, scale)
            r = (np.float64(weights[t, j]) / exact[t, j] - 1.0) / U
            known = (bounds[j] < exact[t, j] * sharp) & (abs(r) < np.inf)
            rs[t, j] = r if known & (zs[t, j] == zs[t, j]) else np.nan
