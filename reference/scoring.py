"""The three scorings in float64, and how good float64 is at each.

Every scoring is defined here and nowhere else. Shapes: logits are float64 [T, E]; a NaN logit is an
expert that cannot be selected and takes no part in another's score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldgate.reference.spec import RoutingSpec

Float64 = NDArray[np.float64]

#: Unit roundoff of float64.
U64 = 2.0**-53

#: Below this float64 is subnormal and relative bounds stop; they carry it as an absolute term.
TINY64 = 2.0**-1022


def exponents(logits: Float64, scoring: str) -> Float64:
    """Return the number that is exponentiated for each expert.

    Softmax kernels subtract the row's largest logit first; the others exponentiate the logit.
    A softmax row that holds +inf has no softmax: all its exponents are NaN.
    """
    if scoring != "softmax":
        return logits
    with np.errstate(invalid="ignore"):
        return logits - _row_maximum(logits)


def scores(logits: Float64, scoring: str) -> Float64:
    """Return s [T, E] for logits [T, E]; NaN where the logit is NaN.

    sigmoid: 1 / (1 + exp(-x)). softmax: exp(x - max) / sum(exp(x - max)). sqrtsoftplus:
    sqrt(log(1 + exp(x))), the scoring of DeepSeek-V4's router.
    """
    x = exponents(logits, scoring)
    with np.errstate(over="ignore", invalid="ignore"):
        if scoring == "sigmoid":
            return np.asarray(1.0 / (1.0 + np.exp(-x)))
        if scoring == "softmax":
            e = np.exp(x)
            return np.asarray(e / np.nansum(e, axis=-1, keepdims=True))
        # Below -40, log(1 + exp(x)) is exp(x) up to exp(x) / 2 < 3e-18 of it, and its root does not
        # underflow where exp(x) does.
        softplus = np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))
        return np.asarray(np.where(x < -40.0, np.exp(x / 2.0), np.sqrt(softplus)))


def weights(logits: Float64, s: Float64, spec: RoutingSpec) -> Float64:
    """Return the weights [T, k] of chosen experts, from their logits and scores [T, k].

    s, divided by its sum if the router renormalises, times the scale; NaN where the sum is 0. Where
    float64 underflows in the scores, though not in their ratios, these come from the logits: a
    score is there exp(x), or its root, times a factor the whole row shares.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        w = s
        if spec.renormalize:
            total = s.sum(axis=-1, keepdims=True)
            x = np.where(np.isnan(logits), -np.inf, logits)
            root = 0.5 if spec.scoring == "sqrtsoftplus" else 1.0
            e = np.exp(root * (x - x.max(axis=-1, keepdims=True)))
            # A sum of 1e-280 leaves every score of weight above 1e-28 a normal number.
            w = np.where(total > 1e-280, s / total, e / e.sum(axis=-1, keepdims=True))
            w = np.where(np.isnan(s), np.nan, w)
    return np.asarray(w * spec.routed_scaling_factor)


def float64_error(logits: Float64, s: Float64, scoring: str) -> Float64:
    """Return a bound on the absolute error of `scores`, [T, E].

    sigmoid: 4 u64 relative (1.94 u64 was measured against Arb enclosures; the tests hold 4).
    softmax: the subtraction errs by u64 |x - max|, the sum of E terms by at most E u64, exp and
    the division by 4 u64. sqrtsoftplus: 8 u64 (the tests hold it against Arb).
    """
    if scoring == "softmax":
        x = np.nan_to_num(np.abs(exponents(logits, scoring)), posinf=0.0)
        return np.asarray((4.0 + logits.shape[-1] + 2.0 * x) * U64 * s + TINY64)
    return np.asarray((4.0 if scoring == "sigmoid" else 8.0) * U64 * s + TINY64)


def sensitivity(logits: Float64, s: Float64, scoring: str) -> Float64:
    """Return z [T, E]: the relative change of a score for a relative change of its exponent.

    z = x s'(x) / s(x), NaN for infinite x. sigmoid: (1 - s) x. softmax: x - max, up to a term the
    whole row shares. sqrtsoftplus: x sigmoid(x) / (2 log(1 + exp(x))), x / 2 below -40.
    """
    x = exponents(logits, scoring)
    x = np.where(np.isfinite(x), x, np.nan)
    if scoring == "softmax":
        return x
    if scoring == "sigmoid":
        return np.asarray(x * (1.0 - s))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(x < -40.0, x / 2.0, x * scores(x, "sigmoid") / (2.0 * s * s)))


def _row_maximum(logits: Float64) -> Float64:
    return np.asarray(np.max(np.where(np.isnan(logits), -np.inf, logits), axis=-1, keepdims=True))
