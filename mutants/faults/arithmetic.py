"""Faults of arithmetic: casts, sums, divisions, scales."""

from __future__ import annotations

import numpy as np

from goldgate.mutants.conforming.steps import (
    Float32,
    Ids,
    Steps,
    divide,
    gather,
    kernel,
    scale,
    sigmoid,
    total,
)
from goldgate.mutants.fault import Fault
from goldgate.mutants.recordings import bfloat16

_ONE = np.float32(1)


def float16(values: Float32) -> Float32:
    """Round float32 values to float16."""
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)


def _mantissa(values: Float32, bits: int) -> Float32:
    """Cut a float32's mantissa to so many bits, as a reciprocal estimate has them."""
    mask = np.uint32(0xFFFFFFFF << (23 - bits) & 0xFFFFFFFF)
    return np.asarray((np.ascontiguousarray(values).view(np.uint32) & mask).view(np.float32))


def _subtracted(s: Float32, _c: Float32, b: Float32, ids: Ids) -> Float32:
    return ((s + b) - b)[np.arange(len(ids))[:, None], ids]


def _or_zero(w: Float32, sums: Float32) -> Float32:
    return np.where(sums > 0, divide(w, sums), np.float32(0))


def _half_sum(w: Float32, _s: Float32) -> Float32:
    sums = np.zeros((len(w), 1), np.float32)
    for j in range(w.shape[1]):
        sums = float16(sums + w[:, j : j + 1])
    return sums


def _estimated(w: Float32, sums: Float32) -> Float32:
    return w * _mantissa(_ONE / sums, 12)


def epsilon(value: float) -> Steps:
    """Add something to the denominator."""
    return Steps(total=lambda w, s: total(w, s) + np.float32(value))


def _softmaxed(w: Float32, _: Float32) -> Float32:
    e = np.exp(w - w.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _fault(name: str, on: str, seen_as: str, stands_for: str, steps: Steps) -> Fault:
    return Fault(name, "arithmetic", on, seen_as, stands_for, lambda: kernel(steps))


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
        "weights recovered by subtraction, called gathered",
        "far",
        _WEIGHT,
        "(s + b) - b beside biases near 35, under a profile that says otherwise: vllm#47367, "
        "sglang#31001; `conservative`, which allows it, is right to pass it",
        Steps(weigh=_subtracted),
    ),
    _fault(
        "0/0 where subtraction leaves no score",
        "deep",
        _NONFINITE,
        "(s + b) - b is 0 for tiny s, then 0/0: aiter before aiter#3466",
        Steps(weigh=_subtracted, divide=divide),
    ),
    _fault(
        "0/0 where every score is flushed",
        "deepest",
        _NONFINITE,
        "logits below -87.5, no guard: weights NaN (aiter, emulated)",
        Steps(divide=divide),
    ),
    _fault(
        "weights 1 where every score is flushed",
        "deepest",
        "weight sum",
        "scores over a sum that was replaced by themselves: what bounds no weight bounds their sum",
        Steps(divide=lambda w, sums: np.where(sums > 0, divide(w, sums), np.float32(1))),
    ),
    _fault(
        "weights 0 where the bias swallows the scores",
        "swallowed",
        _WEIGHT,
        "a guard of the division that drops the token; an unknown kernel's weights have no bound "
        "there, and their sum is what fails",
        Steps(weigh=_subtracted, divide=_or_zero),
    ),
    _fault(
        "0/0 where every logit is -inf",
        "all-minus-inf",
        _NONFINITE,
        "no guard: weights NaN (aiter, emulated)",
        Steps(divide=divide),
    ),
    _fault(
        "weights NaN where every logit is NaN",
        "all-nan",
        _NONFINITE,
        "no guard: ids 0 to 7 and weights NaN (aiter, emulated)",
        Steps(weigh=gather, divide=divide),
    ),
    _fault(
        "reciprocal of twelve bits",
        "normal",
        _WEIGHT,
        "a hardware estimate without its Newton step",
        Steps(divide=_estimated),
    ),
    _fault(
        "epsilon 1e-20 in the denominator",
        "deep",
        _WEIGHT,
        "sglang 0.5.23 topk_sigmoid: scores of about 1e-20 no longer sum to 1",
        epsilon(1e-20),
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
)
