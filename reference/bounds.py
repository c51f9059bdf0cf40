"""Forward error bounds: how far float32 arithmetic may move a router's scores and weights.

u = 2**-24 is float32's unit roundoff. Every bound is on |computed - real|, holds for every order of
summation, and includes 2**-126 for hardware that flushes subnormal results to zero; that also
covers the overflow of exp(-x) below x = -88.7, where the score, under 2**-126, becomes 0. Products
of errors are covered by the factor `SECOND_ORDER`. The formulas themselves are in
`goldgate.reference.formulas`.

Derivation for sigmoid. t = fl(x log2e) has relative error alpha u, so exp2(-t) has relative error
alpha |x| u + eps_exp(x); in 1 + exp(-x) that counts (1 - s) times; the sum and the division add
u + eps_div. As 1/2 + tanh(x/2)/2, whose halvings are exact, it errs by half the tangent's error,
|1 - 2s| eps_tanh / 2, and u s for the sum: an absolute error, large beside a small s. Softmax
exponentiates x - max, whose subtraction adds another u |x - max|; the sum of E
terms errs by their weighted mean and (E - 1) u, an error that all scores of the row share and
renormalisation cancels.

Softmax may also scale first: y = fl(x log2e), exp2(y - max y). A shift that the whole row shares
cancels, so that max y needs no error, but each y has its own rounding, `prescaled` u |y|: the
exponent of expert i errs by E_i = prescaled u |x_i|, however near x_i is to the largest. That is
not small beside 1 for large logits (|x| = 16: 16 u; |x| = 1e5: 0.6 %), so it enters as
exp(E_i) - 1 and not to first order. Beyond E_i = 1 nothing is said, unless x_i - max + E_i + E_max
is below -90: then score and computed score are both under 2**-126, since the row's sum is at least
exp2(0).

sqrtsoftplus: s = sqrt(log(1 + exp(x))); a relative error r of
1 + exp(x) moves the logarithm by r absolute, which the root halves or, far below 0, where the
logarithm is smaller than r, bounds by sqrt(r).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldgate.reference import formulas
from goldgate.reference.arithmetic import Profile
from goldgate.reference.formulas import SECOND_ORDER, TINY, U
from goldgate.reference.scoring import exponents, scores
from goldgate.reference.spec import RoutingSpec

Float64 = NDArray[np.float64]

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
    return own if spec.renormalize else _with_shared(own, logits, s, spec, profile)


def _own_error(logits: Float64, s: Float64, spec: RoutingSpec, profile: Profile) -> Float64:
    if spec.scoring == "softmax":
        return _softmax_error(logits, s, profile)
    x = np.where(np.isfinite(logits), logits, 0.0)  # exp(-inf) = 0 is exact
    if spec.scoring == "sqrtsoftplus":
        exponential = profile.slope * np.abs(x) + profile.exp
        return _root_error(s, scores(logits, "sigmoid") * exponential, profile)
    if profile.tanh:
        return np.asarray(formulas.tangent_error(s, profile.tanh))
    return np.asarray(formulas.sigmoid_error(s, x, profile.slope, profile.exp, profile.divide))


def _softmax_error(logits: Float64, s: Float64, profile: Profile) -> Float64:
    below = exponents(logits, "softmax")
    x = np.where(np.isfinite(below), np.abs(below), 0.0)
    slope = profile.exponent + profile.exp_per_unit
    if not profile.prescaled:
        return np.asarray(formulas.softmax_error(s, x, slope, profile.exp, profile.divide))
    rho = x * (1.0 + slope) + profile.exp + 1.0 + profile.divide
    scaled = profile.prescaled * U * np.where(np.isfinite(logits), np.abs(logits), 0.0)
    at_largest = np.where(below == 0.0, scaled, 0.0).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # NaN logits
        flushed, unknown = below + scaled + at_largest < -90.0, scaled > 1.0
    grown = np.expm1(np.minimum(scaled, 1.0))
    error = SECOND_ORDER * (grown + U * rho * (1.0 + grown)) * s + TINY
    error = np.where(unknown & ~np.isnan(below), np.inf, error)
    return np.asarray(np.where(flushed, TINY, error))


def _with_shared(
    own: Float64, logits: Float64, s: Float64, spec: RoutingSpec, profile: Profile
) -> Float64:
    """Return the bound on |s' - s| with the error of the row's sum, inf where that reaches 1."""
    if spec.scoring != "softmax":
        return own
    shared = shared_error(logits, s, spec, profile)
    with np.errstate(divide="ignore", invalid="ignore"):
        both = own + (s + own) * shared / (1.0 - shared)
    return np.asarray(np.where(shared < 1.0, both, np.where(np.isnan(s), np.nan, np.inf)))


def _root_error(s: Float64, exponential: Float64, profile: Profile) -> Float64:
    """Return sqrtsoftplus's bound; `exponential` is the exponential's error in 1 + exp(x), in u."""
    p = s * s
    # The sum's rounding counts once. log(d) errs by d's relative error plus its own.
    moved = U * (exponential + 1.0 + profile.log_absolute + profile.log * p)
    # |sqrt(p') - sqrt(p)| = |p' - p| / (sqrt(p') + sqrt(p)): half of moved / s up to second order
    # where moved is small beside p, and in any case at most moved / s and at most sqrt(moved).
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
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
    own = _own_error(logits, s, spec, profile)
    moved = _with_shared(own, logits, s, spec, profile)
    total = moved + SECOND_ORDER * U * (np.abs(s + bias) + moved)
    return np.asarray(np.where(np.isnan(total), 0.0, total))


def selection_error_ceiling(bias: Float64, profile: Profile) -> Float64:
    """Return an upper bound of sigmoid's `selection_error` over all logits, float64 [E].

    Cheaper than the bound itself, it lets most rows be certified without their exact scores.
    """
    slope = _PEAK * profile.slope + 0.25 * profile.exp
    slope += 0.5 * profile.tanh
    moved = SECOND_ORDER * U * (slope + 1.0 + profile.divide) + TINY
    return np.asarray(moved + SECOND_ORDER * U * (1.0 + np.abs(bias) + moved))


def group_error(biased: Float64, errors: Float64, spec: RoutingSpec) -> Float64:
    """Return a bound on a group score's error, float64 [T, G].

    2 max A + u |g| for the sum of the two largest, max A for the maximum: the largest of perturbed
    scores, and the second largest, differ from the exact ones by at most max A, and a maximum does
    not round.

    Args:
        biased: c, [T, E]; -inf where an expert cannot be selected.
        errors: A, [T, E].
        spec: the router.

    """
    groups = (len(biased), spec.num_expert_group, spec.group_size)
    if spec.group_terms == 1:
        return np.asarray(errors.reshape(groups).max(axis=2))
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
        s_error = s_error + formulas.recovery_error(s, bias)
    scale, inexact = spec.routed_scaling_factor, abs(scale_rounding(spec))
    if not spec.renormalize:
        return np.asarray(formulas.plain_error(s, s_error, inexact, scale))
    last = formulas.last_steps(profile.divide, inexact)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = s.sum(axis=1, keepdims=True)
        error = s_error.sum(axis=1, keepdims=True)
        moved = np.asarray(formulas.sum_error(error, total, s.shape[1]))
        bound = formulas.renormalised_error(s, s_error, total, moved, last, scale)
    return np.asarray(np.where(moved < 1.0, bound, np.inf))


def row_sum_error(spec: RoutingSpec, profile: Profile) -> float:
    """Return a bound on |sum of a row's weights - scale| of a router that renormalises.

    It holds for every row, also where nothing bounds a single weight: what the kernel divides by
    is the sum of what it divides. That sum errs by (k - 1) u, division and scale as in
    `weight_error`, and each weight may be flushed.
    """
    last = formulas.last_steps(profile.divide, abs(scale_rounding(spec)))
    return float(formulas.row_sum_error(spec.top_k, last, spec.routed_scaling_factor))
