"""Forward error bounds: how far float32 arithmetic may move a router's scores and weights.

u = 2**-24 is float32's unit roundoff. Every bound is on |computed - real|, holds for every order of
summation, and includes 2**-126 for hardware that flushes subnormal results to zero; that also
covers the overflow of exp(-x) below x = -88.7, where the score, under 2**-126, becomes 0. Products
of errors are covered by the factor `SECOND_ORDER`.

Derivation for sigmoid. t = fl(x log2e) has relative error alpha u, so exp2(-t) has relative error
alpha |x| u + eps_exp(x); in 1 + exp(-x) that counts (1 - s) times; the sum and the division add
u + eps_div. As 1/2 + tanh(x/2)/2, whose halvings are exact, it errs by half the tangent's error,
|1 - 2s| eps_tanh / 2, and u s for the sum: an absolute error, large beside a small s. Softmax
exponentiates x - max, whose subtraction adds another u |x - max|; the sum of E
terms errs by their weighted mean and (E - 1) u, an error that all scores of the row share and
renormalisation cancels. sqrtsoftplus: s = sqrt(log(1 + exp(x))); a relative error r of
1 + exp(x) moves the logarithm by r absolute, which the root halves or, far below 0, where the
logarithm is smaller than r, bounds by sqrt(r).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldgate.reference.arithmetic import Profile
from goldgate.reference.scoring import exponents, scores
from goldgate.reference.spec import RoutingSpec

Float64 = NDArray[np.float64]

#: Unit roundoff of float32.
U = 2.0**-24

#: The smallest normal float32: what flushing to zero loses at the most.
TINY = 2.0**-126

#: Errors here stay below 1e-4 relative wherever the bound is not absolute, so that products of two
#: of them are below 1e-4 of the sum.
SECOND_ORDER = 1.0001

#: The maximum of s (1 - s) |x| over all x is 0.2239; see the test that searches for it.
_PEAK = 0.224


def score_error(logits: Float64, s: Float64, spec: RoutingSpec, profile: Profile) -> Float64:
    """Return a bound on |s' - s|, float64 [T, E], as far as it reaches the weights.

    Where they are renormalised, `shared_error` does not.

    Args:
        logits: [T, E], whole rows.
        s: [T, E], their exact scores.
        spec: the router; its scoring is used, and whether it renormalises.
        profile: the kernel's arithmetic.

    """
    own = _own_error(logits, s, spec, profile)
    return own if spec.renormalize else own + s * shared_error(logits, s, spec, profile)


def _own_error(logits: Float64, s: Float64, spec: RoutingSpec, profile: Profile) -> Float64:
    x = np.abs(exponents(logits, spec.scoring))
    x = np.where(np.isfinite(x), x, 0.0)  # exp(-inf) = 0 is exact
    exponential = (profile.exponent + profile.exp_per_unit) * x + profile.exp
    if spec.scoring == "sigmoid":
        if profile.tanh:
            moved = s + 0.5 * profile.tanh * np.abs(1.0 - 2.0 * s)
            return np.asarray(SECOND_ORDER * U * moved + TINY)
        rho = (1.0 - s) * exponential + 1.0 + profile.divide
    elif spec.scoring == "softmax":
        rho = x + exponential + 1.0 + profile.divide
    else:
        return _root_error(s, scores(logits, "sigmoid") * exponential, profile)
    return np.asarray(SECOND_ORDER * U * rho * s + TINY)


def _root_error(s: Float64, exponential: Float64, profile: Profile) -> Float64:
    """Return sqrtsoftplus's bound; `exponential` is the exponential's error in 1 + exp(x), in u."""
    p = s * s
    # The sum's rounding counts once. log(d) errs by d's relative error plus its own.
    moved = U * (exponential + 1.0 + profile.log_absolute + profile.log * p)
    # |sqrt(p') - sqrt(p)| = |p' - p| / (sqrt(p') + sqrt(p)): half of moved / s up to second order
    # where moved is small beside p, and in any case at most moved / s and at most sqrt(moved).
    with np.errstate(divide="ignore", invalid="ignore"):
        small = np.where(moved < 1e-4 * p, 0.5 * moved / s, moved / s)
    root = np.where(s > 0.0, np.minimum(small, np.sqrt(moved)), np.sqrt(moved))
    return np.asarray(SECOND_ORDER * (root + 2.0 * U * s) + TINY)


def shared_error(logits: Float64, s: Float64, spec: RoutingSpec, profile: Profile) -> Float64:
    """Return a bound on the relative error that all scores of a row share, float64 [T, 1].

    It moves a selection, where the bias does not share it, but not renormalised weights. Only
    softmax has one: the error of the row's sum.
    """
    if spec.scoring != "softmax":
        return np.zeros((len(s), 1))
    terms = _own_error(logits, s, spec, profile)
    return np.asarray(np.nansum(terms, axis=1, keepdims=True) + (s.shape[1] - 1) * U)


def selection_error(
    logits: Float64, s: Float64, bias: Float64, spec: RoutingSpec, profile: Profile
) -> Float64:
    """Return A, a bound on |c' - c| for c = s + b, float64 [T, E]; 0 where the logit is NaN.

    Expert i before j is certified if c_i - c_j > A_i + A_j.

    Args:
        logits: [T, E], whole rows.
        s: [T, E], their exact scores.
        bias: [E], float32 values.
        spec: the router.
        profile: the kernel's arithmetic.

    """
    moved = _own_error(logits, s, spec, profile) + s * shared_error(logits, s, spec, profile)
    total = moved + SECOND_ORDER * U * (np.abs(s + bias) + moved)
    return np.asarray(np.where(np.isfinite(total), total, 0.0))


def selection_error_ceiling(bias: Float64, profile: Profile) -> Float64:
    """Return an upper bound of sigmoid's `selection_error` over all logits, float64 [E].

    Cheaper than the bound itself, it lets most rows be certified without their exact scores.
    """
    slope = _PEAK * (profile.exponent + profile.exp_per_unit) + 0.25 * profile.exp
    slope += 0.5 * profile.tanh
    moved = SECOND_ORDER * U * (slope + 1.0 + profile.divide) + TINY
    return np.asarray(moved + SECOND_ORDER * U * (1.0 + np.abs(bias) + moved))


def group_error(biased: Float64, errors: Float64, spec: RoutingSpec) -> Float64:
    """Return a bound on a group score's error, float64 [T, G]: 2 max A + u |g|.

    The two largest of perturbed scores differ from the two largest by at most max A each.

    Args:
        biased: c, [T, E]; -inf where an expert cannot be selected.
        errors: A, [T, E].
        spec: the router.

    """
    groups = (len(biased), spec.num_expert_group, spec.group_size)
    largest = np.partition(biased.reshape(groups), -2, axis=2)[:, :, -2:]
    g = np.where(np.isfinite(largest), np.abs(largest), 0.0).sum(axis=2)
    twice = 2.0 * errors.reshape(groups).max(axis=2)
    return np.asarray(twice + SECOND_ORDER * U * (g + twice))


def scale_rounding(spec: RoutingSpec) -> float:
    """Return the relative error of the scale as float32, up to u in size.

    The contract's scale is the number that the model's configuration states; a kernel may take it
    as float32 (2.5 is one, Kimi-K2's 2.827 is not) or wider.
    """
    scale = spec.routed_scaling_factor
    return float(np.float32(scale)) / scale - 1.0


def weight_error(
    s: Float64, s_error: Float64, bias: Float64, spec: RoutingSpec, profile: Profile
) -> Float64:
    """Return a bound on |w' - w|, float64 [T, k]; inf where nothing can be said.

    For renormalised weights the sum errs relatively by the mean of the scores' errors, weighted
    with the scores, and (k - 1) u for its additions; the division and the scale add
    eps_div + 2 u, and the scale's own rounding (`scale_rounding`). Weights recovered as
    (s + b) - b carry u |s + b| + u s more per score. Nothing can be said where that mean reaches 1:
    every selected score may have been flushed to zero. A weight flushed before it is scaled loses
    the scale times 2**-126.

    Args:
        s: exact scores at the chosen ids, [T, k].
        s_error: their `score_error`.
        bias: their experts' biases.
        spec: the router.
        profile: the kernel's arithmetic.

    """
    if profile.recovered:
        s_error = s_error + SECOND_ORDER * U * (np.abs(s + bias) + s)
    scale, inexact = spec.routed_scaling_factor, abs(scale_rounding(spec))
    flushed = (1.0 + scale) * TINY
    if not spec.renormalize:
        return np.asarray(scale * SECOND_ORDER * (s_error + (2 * U + inexact) * s) + flushed)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = s.sum(axis=1, keepdims=True)
        moved = s_error.sum(axis=1, keepdims=True) / total
        moved = moved + (s.shape[1] - 1) * U * (1.0 + moved)
        last = 1.0 + SECOND_ORDER * ((profile.divide + 2.0) * U + inexact)
        above = ((s + s_error) * last / (1.0 - moved) - s) / total
    return np.asarray(np.where(moved < 1.0, scale * above + flushed, np.inf))
