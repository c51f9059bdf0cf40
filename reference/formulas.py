"""The formulas of the error bounds, each written once, for single numbers and for arrays.

Only arithmetic and `abs`: `goldgate.reference.bounds`, where the derivations are, evaluates them on
float64 arrays, and the judge's fast path compiles the same functions for float64 numbers.
"""

from __future__ import annotations

from typing import Any, TypeAlias

#: A float64 number or an array of them; arrays broadcast.
Real: TypeAlias = Any

#: Unit roundoff of float32.
U = 2.0**-24

#: The smallest normal float32: what flushing to zero loses at the most.
TINY = 2.0**-126

#: Errors stay below 1e-4 relative wherever a bound is first-order and not absolute, so that
#: products of two of them are below 1e-4 of the sum.
SECOND_ORDER = 1.0001


def sigmoid_error(s: Real, x: Real, slope: Real, exp: Real, divide: Real) -> Real:
    """Return the bound on |s' - s| for s = 1 / (1 + exp(-x)); slope, exp and divide in u."""
    rho = (1.0 - s) * (slope * abs(x) + exp) + 1.0 + divide
    return SECOND_ORDER * U * rho * s + TINY


def tangent_error(s: Real, tanh: Real) -> Real:
    """Return the bound on |s' - s| for s = 1/2 + tanh(x/2)/2; tanh in u."""
    return SECOND_ORDER * U * (s + 0.5 * tanh * abs(1.0 - 2.0 * s)) + TINY


def softmax_error(s: Real, below: Real, slope: Real, exp: Real, divide: Real) -> Real:
    """Return the bound on |s' - s| for s = exp(-below) / sum, but for the sum's error.

    Args:
        s: the exact score.
        below: how far the logit is below the row's largest.
        slope: of the exponential's error, in u, without the rounding of the subtraction.
        exp: in u.
        divide: in u.

    """
    rho = below * (1.0 + slope) + exp + 1.0 + divide
    return SECOND_ORDER * U * rho * s + TINY


def recovery_error(s: Real, b: Real) -> Real:
    """Return what recovering s as (s + b) - b adds to its error."""
    return SECOND_ORDER * U * (abs(s + b) + s)


def sum_error(error: Real, total: Real, k: int) -> Real:
    """Return the relative error of a float32 sum of k scores: their summed errors over their sum.

    Args:
        error: the sum of the scores' absolute errors.
        total: the exact sum.
        k: the number of scores.

    """
    moved = error / total
    return moved + (k - 1) * U * (1.0 + moved)


def last_steps(divide: Real, inexact: Real) -> Real:
    """Return the relative error of division and scaling; divide in u, inexact relative."""
    return SECOND_ORDER * ((divide + 2.0) * U + inexact)


def renormalised_error(
    s: Real, error: Real, total: Real, moved: Real, last: Real, scale: Real
) -> Real:
    """Return the bound on a weight s / total * scale; `moved` must be below 1."""
    above = ((s + error) * (1.0 + last) / (1.0 - moved) - s) / total
    return scale * above + (1.0 + scale) * TINY


def plain_error(s: Real, error: Real, inexact: Real, scale: Real) -> Real:
    """Return the bound on a weight s * scale."""
    return scale * SECOND_ORDER * (error + (2.0 * U + inexact) * s) + (1.0 + scale) * TINY


def row_sum_error(k: int, last: Real, scale: Real) -> Real:
    """Return the bound on |sum of a renormalised row's k weights - scale|.

    Whatever scores the kernel holds, it divides them by their own float32 sum, which errs by
    (k - 1) u relative, since no score is negative: no bound on a score enters. Then each weight
    has the rounding of the last steps, and may be flushed.
    """
    return scale * SECOND_ORDER * ((k - 1) * U + last) + k * (1.0 + scale) * TINY


def rounded_error(bound: Real, weight: Real, roundoff: Real, least: Real) -> Real:
    """Return a weight's bound after one more rounding, to a type of this roundoff.

    What is rounded is at most weight + bound; below the type's normal numbers it errs by `least`.
    """
    return bound + roundoff * (weight + bound) + least
