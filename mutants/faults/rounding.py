"""Changes no larger than rounding: some lean one way, the others nothing should call wrong."""

from __future__ import annotations

from typing import cast

import numpy as np

from goldgate.mutants.conforming.steps import (
    Call,
    Float32,
    Ids,
    Steps,
    divide,
    exp,
    gather,
    kernel,
    scale,
    total,
)
from goldgate.mutants.fault import DRIFT, Fault
from goldgate.mutants.faults.arithmetic import epsilon
from goldgate.mutants.faults.sigmoids import exp2_sigmoid

_ONE = np.float32(1)


def _truncated(w: Float32, sums: Float32) -> Float32:
    exact = w.astype(np.float64) / sums
    nearest = exact.astype(np.float32)
    return np.where(nearest > exact, np.nextafter(nearest, np.float32(0)), nearest)


def _pairwise(w: Float32, _s: Float32) -> Float32:
    while w.shape[1] > 1:
        odd = w[:, -1:] if w.shape[1] % 2 else w[:, :0]
        w = np.concatenate((w[:, 0:-1:2] + w[:, 1::2], odd), axis=1)
    return w


def _in_double(w: Float32, _s: Float32) -> Float32:
    return np.asarray(w.sum(axis=1, keepdims=True, dtype=np.float64).astype(np.float32))


def _reciprocal(w: Float32, sums: Float32) -> Float32:
    return w * divide(np.ones_like(sums), sums)


def _fused() -> Steps:
    """Contract s = e r, r = 1 / (1 + e), with what uses it: fma(e, r, b), fma(e, r, sum).

    The product of two float32 is a float64 exactly; adding to it in float64 and rounding once is
    the fused operation but for double rounding, one case in 2**29.
    """

    def product(x: Float32) -> Float32:
        e = exp(np.minimum(x, -x))
        r = _ONE / (_ONE + e)
        # Of two branches, e / (1 + e) below 0 and 1 / (1 + e) above.
        s = np.where(x < 0, e.astype(np.float64) * r, r.astype(np.float64))
        return cast("Float32", s)  # wide on purpose: nothing rounds it before its use

    def added(s: Float32, b: Float32) -> Float32:
        return (s + b.astype(np.float64)).astype(np.float32)

    def weighed(s: Float32, c: Float32, b: Float32, ids: Ids) -> Float32:
        return gather(s, c, b, ids)

    def summed(w: Float32, _s: Float32) -> Float32:
        sums = np.zeros((len(w), 1), np.float32)
        for j in range(w.shape[1]):
            sums = (sums.astype(np.float64) + w[:, j : j + 1]).astype(np.float32)
        return sums

    def divided(w: Float32, sums: Float32) -> Float32:
        return divide(w.astype(np.float32), sums)

    return Steps(score=product, add=added, weigh=weighed, total=summed, divide=divided)


def _scale_first(w: Float32, sums: Float32) -> Float32:
    """Divide 1 by the sum, which `_scale_last` multiplies with the scale before the weights."""
    return np.concatenate((w, divide(np.ones_like(sums), sums)), axis=1)


def _scale_last(w: Float32, call: Call) -> Float32:
    return w[:, :-1] * (w[:, -1:] * call.scale)


def _drift(name: str, stands_for: str, steps: Steps) -> Fault:
    return Fault(name, "drift", "normal", DRIFT, stands_for, lambda: kernel(steps))


def _inside(name: str, stands_for: str, steps: Steps, on: str = "normal") -> Fault:
    return Fault(name, "inside rounding", on, None, stands_for, lambda: kernel(steps))


FAULTS = (
    _drift(
        "log2(e) as 1.4427",
        "a constant shortened: inside the worst-case bound, every weight leans",
        exp2_sigmoid(1.4427),
    ),
    _drift(
        "division truncates",
        "rounding towards zero: every weight a little small",
        Steps(divide=_truncated),
    ),
    _drift(
        "epsilon 1e-6 in the denominator",
        "a guard against 0/0 that moves every row",
        epsilon(1e-6),
    ),
    _drift(
        "every weight 2**-22 too large",
        "a common factor inside the worst-case bound",
        Steps(scale=lambda w, call: scale(w, call) * np.float32(1 + 2.0**-22)),
    ),
    _drift(
        "exponent 4e-6 too steep",
        "the argument of the exponential off by 4e-6: inside the bound, every weight leans",
        exp2_sigmoid(1.4426950408889634 * (1 + 4e-6)),
    ),
    _inside(
        "log2(e) rounded to float32",
        "what sglang's fast-math kernels do: 2e-8 of the exponent's argument",
        exp2_sigmoid(float(np.float32(1.4426950408889634))),
    ),
    _inside(
        "epsilon 1e-9 in the denominator",
        "lost beside a sum of about 6, whose half ulp is 2.4e-7 (`deep` sees it at 1e-20)",
        epsilon(1e-9),
    ),
    _inside(
        "sum added in reverse",
        "another order of the same sum: at most k - 1 roundings either way",
        Steps(total=lambda w, s: total(w[:, ::-1], s)),
    ),
    _inside(
        "sum added in pairs",
        "a reduction by a tree of lanes",
        Steps(total=_pairwise),
    ),
    _inside(
        "sum in double precision",
        "a wider accumulator: nearer to the truth than what is asked",
        Steps(total=_in_double),
    ),
    _inside(
        "product fused into bias and sum",
        "an optimiser contracts e r + b and e r + sum to fused multiply-adds: the score is not "
        "rounded before it is used",
        _fused(),
    ),
    _inside(
        "reciprocal of the sum, then a product",
        "two roundings in place of one",
        Steps(divide=_reciprocal),
    ),
    _inside(
        "scale multiplied into the reciprocal first",
        "w (scale / sum): another order of the same product",
        Steps(divide=_scale_first, scale=_scale_last),
        on="grouped",
    ),
)
