"""What is known of a sample's weights for their random error, before it is summed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.call_sizes import Sample
from goldgate.accuracy.chosen import Chosen, choose
from goldgate.accuracy.fast.sample import LARGEST_VARIANCE, sum_rows, take_chosen, weigh_sample
from goldgate.accuracy.fastpath import compilable, figures
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.weights import bounded_weights, held_scores, signed_errors
from goldgate.reference import FLOAT32, U, formulas, scale_rounding
from goldgate.reference.formulas import SECOND_ORDER, TINY

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class SampledWeights:
    """The weights of m rows, [m, k] each.

    Attributes:
        sample: the rows.
        ids: the experts, int32.
        weights: the kernel's, float32.
        exact: the exact ones, float64.
        r: signed errors in u, float64; NaN where a weight takes no part.
        z: sensitivities, float64.
        variance: bounds on the variance of r, in u^2, float64.
        held: the scores as the kernel holds them (`weights.held_scores`), float32.

    """

    sample: Sample
    ids: NDArray[np.int32]
    weights: NDArray[np.float32]
    exact: Float64
    r: Float64
    z: Float64
    variance: Float64
    held: NDArray[np.float32]


def sampled_weights(rows: Rows, sample: Sample, contract: Contract) -> SampledWeights | None:
    """Return what is known of a sample of rows that pass; None if they have no float32 weights.

    Args:
        rows: those that the sample counts from, among others; ids are distinct and in range where
            the sample is.
        sample: which of the rows.
        contract: what they are held against.

    """
    if rows.weights is None or contract.weight_format != FLOAT32 or not len(sample):
        return None
    if contract.spec.scoring == "sigmoid":
        return _sigmoid_weights(rows, rows.weights, sample, contract)
    if contract.spec.scoring == "softmax" and not contract.profile.prescaled:
        return _softmax_weights(rows, rows.weights, sample, contract)
    return defined_weights(rows, sample, contract)


def _sigmoid_weights(
    rows: Rows, weights: NDArray[np.float32], sample: Sample, contract: Contract
) -> SampledWeights:
    profile = contract.profile
    logits, ids, own = _of_sample(rows, weights, sample)
    shape = logits.shape
    exact, r, z, bound = (np.empty(shape) for _ in range(4))
    held = np.empty(shape, np.float32)
    known = (exact, r, z, bound, held)
    of_exponential = profile.exponent, profile.exp_per_unit
    weigh_sample(
        logits, rows.bias, ids, own, figures(contract.spec, profile), of_exponential, *known
    )
    return SampledWeights(sample, ids, own, *known)


def _softmax_weights(
    rows: Rows, weights: NDArray[np.float32], sample: Sample, contract: Contract
) -> SampledWeights:
    """Return the same of softmax scores: whole rows are summed, the rest is of the chosen alone."""
    spec, profile = contract.spec, contract.profile
    logits, ids, own = _of_sample(rows, weights, sample)
    slope, constant = profile.slope, profile.exp + 1.0 + profile.divide
    highest, totals, terms = (np.empty(len(sample)) for _ in range(3))
    stored = compilable(rows.logits)
    sum_rows(stored, sample.rows, 1.0 + slope, constant, highest, totals, terms)
    if not np.isfinite(highest).all():
        return defined_weights(rows, sample, contract)
    experts = spec.num_experts
    # `reference.bounds.shared_error`.
    shared = SECOND_ORDER * U * terms / totals + experts * TINY + (experts - 1) * U
    if not spec.renormalize and not (shared < 1.0).all():
        return defined_weights(rows, sample, contract)
    x = logits.astype(np.float64)
    below = x - highest[:, None]
    size = np.where(np.isfinite(below), -below, 0.0)
    s = np.exp(below) / totals[:, None]
    error = formulas.softmax_error(s, size, slope, profile.exp, profile.divide)
    if not spec.renormalize:
        error = error + (s + error) * (shared / (1.0 - shared))[:, None]
    z = np.where(np.isfinite(below), below, np.nan)
    return _of_chosen(Chosen(x, s, error, z, rows.bias[ids], z), sample, ids, own, contract)


def _of_sample(
    rows: Rows, weights: NDArray[np.float32], sample: Sample
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """Return logits at the ids, ids and weights of a sample, [m, k] each."""
    shape = len(sample), rows.ids.shape[1]
    logits, own = np.empty(shape, np.float32), np.empty(shape, np.float32)
    ids = np.empty(shape, np.int32)
    take_chosen(compilable(rows.logits), rows.ids, weights, sample.rows, logits, ids, own)
    return logits, ids, own


def defined_weights(rows: Rows, sample: Sample, contract: Contract) -> SampledWeights:
    """Return the same by the definitions of the weights, for any scoring."""
    rows = rows.take(sample.rows)
    if rows.weights is None:
        raise TypeError("rows without weights have no errors")
    chosen = choose(rows, rows.ids, contract)
    return _of_chosen(chosen, sample, rows.ids, rows.weights, contract)


def _of_chosen(
    chosen: Chosen,
    sample: Sample,
    ids: NDArray[np.int32],
    weights: NDArray[np.float32],
    contract: Contract,
) -> SampledWeights:
    expected, bound = bounded_weights(chosen, contract)
    r = signed_errors(weights, expected, bound, contract.profile)
    r = np.where(np.isfinite(chosen.z), r, np.nan)
    return SampledWeights(
        sample,
        ids,
        weights,
        expected,
        r,
        np.ascontiguousarray(chosen.z),
        variance(chosen, contract),
        held_scores(chosen, contract.profile).astype(np.float32),
    )


def variance(chosen: Chosen, contract: Contract) -> Float64:
    """Return a bound on the variance of a weight's relative error, in u^2, [n, k].

    Args:
        chosen: what the rows have at the ids; scores above 0 where it matters.
        contract: the router and the kernel's arithmetic.

    """
    spec, profile, s = contract.spec, contract.profile, chosen.s
    third = 1.0 / 3.0
    divide = third if profile.divide <= 1.0 else profile.divide**2
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if spec.scoring != "sigmoid":
            own = (chosen.error / (s * U)) ** 2  # whatever the operations, no error is larger
        elif profile.tanh:
            own = (0.5 * profile.tanh * np.abs(1.0 - 2.0 * s) / s) ** 2 + third
        else:
            size = np.abs(np.where(np.isfinite(chosen.x), chosen.x, 0.0))
            exponent = profile.exponent * size
            function = profile.exp + profile.exp_per_unit * size
            own = (1.0 - s) ** 2 * (exponent**2 + function**2) + third + divide
        if profile.recovered:
            own = own + third * ((s + chosen.bias) ** 2 + s**2) / s**2
        # A score that nothing bounds says nothing, nor one that vanishes in float64 (0 / 0, hence
        # fmin), which has no share of the sum either.
        own = np.fmin(own, LARGEST_VARIANCE)
        inexact = (scale_rounding(spec) / U) ** 2
        if not spec.renormalize:
            return np.asarray(own + 2.0 * third + inexact)
        share = s / s.sum(axis=1, keepdims=True)
        others = (share**2 * own).sum(axis=1, keepdims=True)
    additions = (spec.top_k - 1) * third
    return np.asarray(own + others + additions + divide + 2.0 * third + inexact)
