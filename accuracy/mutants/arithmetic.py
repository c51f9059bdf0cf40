"""Faults of arithmetic: casts, constants, approximations, sums, scales."""

from __future__ import annotations

import numpy as np

from accuracy.mutants.fault import DRIFT, Fault
from accuracy.mutants.inputs import bfloat16
from accuracy.mutants.steps import (
    Float32,
    Ids,
    Steps,
    gather,
    kernel,
    scale,
    sigmoid,
    total,
)

_ONE = np.float32(1)


def float16(values: Float32) -> Float32:
    """Round float32 values to float16."""
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)


def exp2_sigmoid(log2e: float) -> Steps:
    """Compute the sigmoid as 1 / (1 + exp2(-x log2e)) with the given constant in float64."""

    def score(x: Float32) -> Float32:
        t = (x.astype(np.float64) * log2e).astype(np.float32)
        with np.errstate(over="ignore"):
            y = np.exp2(-t.astype(np.float64)).astype(np.float32)
        return np.asarray(_ONE / (_ONE + y))

    return Steps(score=score)


def _schraudolph(x: Float32) -> Float32:
    """Schraudolph's exponential (Neural Computation 11, 1999): the bits of a float as a line."""
    bits = np.clip(-x.astype(np.float64) * 2**23 / np.log(2) + 127 * 2**23 - 486411, 0, 2**31 - 1)
    return np.asarray(_ONE / (_ONE + bits.astype(np.uint32).view(np.float32)))


def _compounded(x: Float32) -> Float32:
    y = _ONE - x / np.float32(256)
    for _ in range(8):
        y = y * y
    return np.asarray(_ONE / (_ONE + y))


def _hard(x: Float32) -> Float32:
    return np.asarray(np.clip(x / np.float32(6) + np.float32(0.5), np.float32(0), _ONE))


def _pade(x: Float32) -> Float32:
    half = x / np.float32(2)
    square = half * half
    ratio = half * (27 + square) / (27 + 9 * square)
    return np.asarray(np.float32(0.5) + np.float32(0.5) * np.clip(ratio, -_ONE, _ONE))


def _table(x: Float32) -> Float32:
    nodes = np.linspace(-8, 8, 1025)
    return np.interp(x, nodes, 1 / (1 + np.exp(-nodes))).astype(np.float32)


def _softmax(x: Float32) -> Float32:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _overflowing(x: Float32) -> Float32:
    with np.errstate(over="ignore", invalid="ignore"):
        y = np.exp(x.astype(np.float64)).astype(np.float32)
        return np.asarray(y / (_ONE + y))


def _mantissa(values: Float32, bits: int) -> Float32:
    """Cut a float32's mantissa to so many bits, as a reciprocal estimate has them."""
    mask = np.uint32(0xFFFFFFFF << (23 - bits) & 0xFFFFFFFF)
    return np.asarray((np.ascontiguousarray(values).view(np.uint32) & mask).view(np.float32))


def _subtracted(s: Float32, _c: Float32, b: Float32, ids: Ids) -> Float32:
    return ((s + b) - b)[np.arange(len(ids))[:, None], ids]


def _half_sum(w: Float32, _s: Float32) -> Float32:
    sums = np.zeros((len(w), 1), np.float32)
    for j in range(w.shape[1]):
        sums = float16(sums + w[:, j : j + 1])
    return sums


def _truncated(w: Float32, sums: Float32) -> Float32:
    exact = w.astype(np.float64) / sums
    nearest = exact.astype(np.float32)
    return np.where(nearest > exact, np.nextafter(nearest, np.float32(0)), nearest)


def _estimated(w: Float32, sums: Float32) -> Float32:
    return w * _mantissa(_ONE / sums, 12)


def _epsilon(epsilon: float) -> Steps:
    return Steps(total=lambda w, s: total(w, s) + np.float32(epsilon))


def _softmaxed(w: Float32, _: Float32) -> Float32:
    e = np.exp(w - w.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _fault(name: str, on: str, seen_as: str | None, stands_for: str, steps: Steps) -> Fault:
    family = "inside rounding" if seen_as is None else "drift" if seen_as == DRIFT else "arithmetic"
    return Fault(name, family, on, seen_as, stands_for, lambda: kernel(steps))


_OTHER, _WEIGHT, _NONFINITE = "other experts", "weight", "nonfinite weight"

FAULTS = (
    _fault(
        "bias cast to bfloat16",
        "offset",
        _OTHER,
        "the bias cast with the gate's dtype: sglang#37133, sglang#39775, vllm#50761",
        Steps(bias=bfloat16),
    ),
    _fault(
        "bias cast to float16",
        "offset",
        _OTHER,
        "the bias cast with the gate's dtype: sglang#37133",
        Steps(bias=float16),
    ),
    _fault(
        "logits rounded to bfloat16",
        "normal",
        _OTHER,
        "a gate computed in the model's dtype before a float32 router",
        Steps(logits=bfloat16),
    ),
    _fault(
        "logits rounded to float16",
        "normal",
        _WEIGHT,
        "a gate computed in the model's dtype before a float32 router",
        Steps(logits=float16),
    ),
    _fault(
        "logits clamped to 2.5",
        "normal",
        _WEIGHT,
        "an input guard left in a kernel",
        Steps(logits=lambda x: np.minimum(x, np.float32(2.5))),
    ),
    _fault(
        "sigmoid in half precision",
        "normal",
        _OTHER,
        "a sigmoid evaluated in the gate's dtype",
        Steps(score=lambda x: float16(sigmoid(float16(x)))),
    ),
    _fault(
        "scores stored as bfloat16",
        "normal",
        _OTHER,
        "an intermediate buffer of the model's dtype",
        Steps(score=lambda x: bfloat16(sigmoid(x))),
    ),
    _fault(
        "biased scores compared in bfloat16",
        "normal",
        _OTHER,
        "selection in the model's dtype; torch.topk beyond 256 bfloat16 values: pytorch#196177",
        Steps(add=lambda s, b: bfloat16(s + b)),
    ),
    _fault(
        "weights stored as float16",
        "normal",
        _WEIGHT,
        "outputs rounded through the model's dtype",
        Steps(scale=lambda w, call: float16(scale(w, call))),
    ),
    _fault(
        "weights stored as bfloat16",
        "normal",
        _WEIGHT,
        "outputs rounded through the model's dtype",
        Steps(scale=lambda w, call: bfloat16(scale(w, call))),
    ),
    _fault(
        "log2(e) as bfloat16",
        "normal",
        _WEIGHT,
        "a constant of the template's dtype: 1.4453125",
        exp2_sigmoid(1.4453125),
    ),
    _fault(
        "log2(e) as 1.44",
        "normal",
        _WEIGHT,
        "a wrong constant",
        exp2_sigmoid(1.44),
    ),
    _fault(
        "log2(e) as 1.4427",
        "normal",
        DRIFT,
        "a constant shortened: inside the worst-case bound, every weight leans",
        exp2_sigmoid(1.4427),
    ),
    _fault(
        "log2(e) as 1.44269",
        "wide",
        DRIFT,
        "a constant shortened to six digits",
        exp2_sigmoid(1.44269),
    ),
    _fault(
        "log2(e) rounded to float32",
        "normal",
        None,
        "what sglang's fast-math kernels do: 2e-8 of the exponent's argument",
        exp2_sigmoid(float(np.float32(1.4426950408889634))),
    ),
    _fault(
        "exponential by Schraudolph",
        "normal",
        _OTHER,
        "an approximation from image kernels",
        Steps(score=_schraudolph),
    ),
    _fault(
        "exponential as (1 - x/256)^256",
        "normal",
        _WEIGHT,
        "an approximation by repeated squaring",
        Steps(score=_compounded),
    ),
    _fault("hard sigmoid", "normal", _WEIGHT, "a mobile approximation", Steps(score=_hard)),
    _fault(
        "sigmoid from a Pade tanh",
        "wide",
        _WEIGHT,
        "tanh(x/2) as x (27 + x^2) / (27 + 9 x^2)",
        Steps(score=_pade),
    ),
    _fault(
        "sigmoid from a table",
        "normal",
        _WEIGHT,
        "1,025 nodes, interpolated",
        Steps(score=_table),
    ),
    _fault(
        "softmax instead of sigmoid",
        "normal",
        _OTHER,
        "the scoring of another model; custom scoring ignored",
        Steps(score=_softmax),
    ),
    _fault(
        "exp(x) / (1 + exp(x))",
        "high",
        _OTHER,
        "the other branch of the sigmoid overflows above 88.7: NaN",
        Steps(score=_overflowing),
    ),
    _fault(
        "weights recovered by subtraction, called gathered",
        "deep",
        _NONFINITE,
        "(s + b) - b is 0 for tiny s, then 0/0: aiter before aiter#3466, vllm#47367, sglang#31001",
        Steps(weigh=_subtracted),
    ),
    _fault(
        "0/0 where every score is flushed",
        "deepest",
        _NONFINITE,
        "logits below -87.5: weights NaN (aiter, emulated)",
        Steps(),
    ),
    _fault(
        "reciprocal of twelve bits",
        "normal",
        _WEIGHT,
        "a hardware estimate without its Newton step",
        Steps(divide=_estimated),
    ),
    _fault(
        "division truncates",
        "normal",
        DRIFT,
        "rounding towards zero: every weight a little small",
        Steps(divide=_truncated),
    ),
    _fault(
        "epsilon 1e-20 in the denominator",
        "deep",
        _WEIGHT,
        "sglang 0.5.23 topk_sigmoid: scores of about 1e-20 no longer sum to 1",
        _epsilon(1e-20),
    ),
    _fault(
        "epsilon 1e-6 in the denominator",
        "normal",
        DRIFT,
        "a guard against 0/0 that moves every row",
        _epsilon(1e-6),
    ),
    _fault(
        "epsilon 1e-9 in the denominator",
        "normal",
        None,
        "lost beside a sum of about 6, whose half ulp is 2.4e-7 (`deep` sees it at 1e-20)",
        _epsilon(1e-9),
    ),
    _fault(
        "sum in half precision",
        "normal",
        _WEIGHT,
        "an accumulator of the model's dtype",
        Steps(total=_half_sum),
    ),
    _fault(
        "sum misses the last slot",
        "normal",
        _WEIGHT,
        "a reduction over k - 1 lanes",
        Steps(total=lambda w, s: total(w[:, :-1], s)),
    ),
    _fault(
        "sum over all experts",
        "normal",
        _WEIGHT,
        "normalised before the selection",
        Steps(total=lambda _w, s: total(s, s)),
    ),
    _fault(
        "not renormalised",
        "normal",
        _WEIGHT,
        "need_renorm ignored",
        Steps(divide=lambda w, _: w),
    ),
    _fault(
        "softmax over the selected",
        "normal",
        _WEIGHT,
        "another model's renormalisation",
        Steps(divide=_softmaxed),
    ),
    _fault(
        "scale missing",
        "grouped",
        _WEIGHT,
        "routed_scaling_factor never applied: aiter moe_fused_gate, sglang#26852",
        Steps(scale=lambda w, _: w),
    ),
    _fault(
        "scale applied twice",
        "grouped",
        _WEIGHT,
        "the kernel and its caller both apply it",
        Steps(scale=lambda w, call: scale(scale(w, call), call)),
    ),
    _fault(
        "scale squared where not renormalised",
        "unnormalised",
        _WEIGHT,
        "one of two paths applies it again",
        Steps(
            scale=lambda w, call: (
                scale(w, call) if call.renormalize else scale(scale(w, call), call)
            )
        ),
    ),
    _fault(
        "weights from biased scores",
        "normal",
        _WEIGHT,
        "c gathered where s is meant",
        Steps(weigh=lambda _s, c, b, ids: gather(c, c, b, ids)),
    ),
    _fault(
        "every weight 2**-22 too large",
        "normal",
        DRIFT,
        "a common factor inside the worst-case bound",
        Steps(scale=lambda w, call: scale(w, call) * np.float32(1 + 2.0**-22)),
    ),
    _fault(
        "exponent 4e-6 too steep",
        "normal",
        DRIFT,
        "the argument of the exponential off by 4e-6: inside the bound, every weight leans",
        exp2_sigmoid(1.4426950408889634 * (1 + 4e-6)),
    ),
    _fault(
        "sum added in reverse",
        "normal",
        None,
        "another order of the same sum: at most k - 1 roundings either way",
        Steps(total=lambda w, s: total(w[:, ::-1], s)),
    ),
)
