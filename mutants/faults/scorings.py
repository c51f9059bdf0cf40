"""Faults of softmax and of sqrt(softplus), most of them at some sizes of logits alone."""

from __future__ import annotations

import numpy as np

from goldgate.mutants.conforming.steps import Float32, Steps, exp, kernel, softmax, sqrtsoftplus
from goldgate.mutants.fault import Fault
from goldgate.mutants.recordings import bfloat16

_ONE = np.float32(1)


def _below(x: Float32) -> Float32:
    return np.asarray(x - x.max(axis=1, keepdims=True))


def _shares(e: Float32) -> Float32:
    with np.errstate(invalid="ignore"):
        return np.asarray(e / e.sum(axis=1, keepdims=True, dtype=np.float32))


def _not_subtracted(x: Float32) -> Float32:
    return _shares(exp(x))


def _dropped(x: Float32) -> Float32:
    """Leave out what is below exp(-20) of the largest."""
    below = _below(x)
    return _shares(np.where(below < np.float32(-20), np.float32(0), exp(below)))


def _narrow(x: Float32) -> Float32:
    return _shares(exp(bfloat16(_below(x))))


def _plain(x: Float32) -> Float32:
    with np.errstate(over="ignore"):
        return np.asarray(np.sqrt(np.log(_ONE + exp(x))))


def _clamped(x: Float32) -> Float32:
    return sqrtsoftplus(np.maximum(x, np.float32(-10)))


def _softplus(x: Float32) -> Float32:
    return np.asarray(np.maximum(x, np.float32(0)) + np.log1p(exp(-np.abs(x))))


def _fault(name: str, on: str, seen_as: str, stands_for: str, steps: Steps) -> Fault:
    return Fault(name, "arithmetic", on, seen_as, stands_for, lambda: kernel(steps))


_OTHER, _WEIGHT = "other experts", "weight"

FAULTS = (
    _fault(
        "softmax without the largest subtracted",
        "softmax-large",
        _OTHER,
        "exp overflows above 88.7: inf / inf is NaN; right for logits of unit size",
        Steps(score=_not_subtracted),
    ),
    _fault(
        "softmax drops what is 20 below the largest",
        "softmax-dominant",
        _OTHER,
        "a shortcut that shows only where one expert dominates its row",
        Steps(score=_dropped),
    ),
    _fault(
        "softmax of differences in bfloat16",
        "softmax",
        _OTHER,
        "an intermediate of the model's dtype",
        Steps(score=_narrow),
    ),
    _fault(
        "softmax over the selected in place of all",
        "softmax-groups",
        _WEIGHT,
        "the two are one where the weights are renormalised, and differ where they are not",
        Steps(weigh=lambda s, _c, _b, ids: _shares(np.take_along_axis(s, ids, axis=1))),
    ),
    _fault(
        "sigmoid instead of softmax",
        "softmax",
        _WEIGHT,
        "the scoring of another model: the same experts, other weights",
        Steps(score=lambda x: _ONE / (_ONE + exp(-x))),
    ),
    _fault(
        "log(1 + exp(x)) that overflows",
        "sqrtsoftplus-large",
        _OTHER,
        "softplus without a branch for large x",
        Steps(score=_plain),
    ),
    _fault(
        "softplus of clamped logits",
        "sqrtsoftplus-low",
        _OTHER,
        "an input guard at -10, which logits of unit size never reach",
        Steps(score=_clamped),
    ),
    _fault(
        "softplus without its root",
        "sqrtsoftplus",
        _OTHER,
        "the scoring of another model",
        Steps(score=_softplus),
    ),
    _fault(
        "softmax instead of sqrt(softplus)",
        "sqrtsoftplus",
        _OTHER,
        "the parameter `scoring` ignored",
        Steps(score=softmax),
    ),
)
