"""Faults of the sigmoid: constants, approximations, another function."""

from __future__ import annotations

import numpy as np

from goldgate.mutants.conforming.steps import Float32, Steps, kernel
from goldgate.mutants.fault import Fault

_ONE = np.float32(1)


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


def _fault(name: str, on: str, seen_as: str, stands_for: str, steps: Steps) -> Fault:
    return Fault(name, "arithmetic", on, seen_as, stands_for, lambda: kernel(steps))


_OTHER, _WEIGHT = "other experts", "weight"

FAULTS = (
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
        "log2(e) as 1.44269",
        "wide",
        _WEIGHT,
        "a constant shortened to six digits: beyond the bound only where logits are large",
        exp2_sigmoid(1.44269),
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
)
