"""Faults of selection: bias, ties, ranges of experts, start and clear values."""

from __future__ import annotations

import numpy as np

from goldgate.mutants.conforming.steps import Float32, Ids, Steps, kernel, largest, sigmoid
from goldgate.mutants.fault import CALL, Fault, PlantedKernel

_NOTHING = np.float32(-np.inf)


def _rounds(c: Float32, k: int, start: float, clear: float) -> Ids:
    """Select by k rounds of finding the largest above `start` and clearing it to `clear`."""
    c = np.array(c)
    ids = np.zeros((len(c), k), np.int64)
    rows = np.arange(len(c))
    for j in range(k):
        best = c.argmax(axis=1)
        ids[:, j] = np.where(c[rows, best] > np.float32(start), best, 0)
        c[rows, ids[:, j]] = np.float32(clear)
    return ids


def _unseen(c: Float32, experts: slice | list[int]) -> Float32:
    c = np.array(c)
    c[:, experts] = _NOTHING
    return c


def _packed(c: Float32, k: int) -> Ids:
    """Select by keys whose lowest eight bits hold the expert, so that one maximum finds both."""
    bits = np.ascontiguousarray(c).view(np.int32)
    keys = (bits & ~np.int32(0xFF)) | (255 - np.arange(c.shape[1], dtype=np.int32))
    return np.argsort(-keys.astype(np.int64), axis=1, kind="stable")[:, :k]


def _near_ties(c: Float32, k: int) -> Ids:
    return largest(np.round(c / np.float32(1e-4)), k)


def _all_equal(c: Float32, k: int) -> Ids:
    """Return for equal scores the first of them every time."""
    ids = largest(c, k)
    chosen = np.take_along_axis(c, ids, axis=1)
    for j in range(1, k):
        ids[:, j] = np.where(chosen[:, j] == chosen[:, j - 1], ids[:, j - 1], ids[:, j])
    return ids


def _repeat_last(c: Float32, k: int) -> Ids:
    ids = largest(c, k)
    ids[:, -1] = ids[:, -2]
    return ids


def _nan_first(c: Float32, k: int) -> Ids:
    return np.argsort(-np.where(np.isnan(c), np.float32(np.inf), c), axis=1, kind="stable")[:, :k]


def _whatever_is_left(c: Float32, k: int) -> Ids:
    return _rounds(np.where(np.isnan(c), _NOTHING, c), k, float("-inf"), float("-inf"))


def _lane_by_call() -> PlantedKernel:
    """Return a kernel whose ties go to the lowest id and to the highest, call by call."""
    calls = 0

    def select(c: Float32, k: int) -> Ids:
        nonlocal calls
        calls += 1
        if calls % 2:
            return largest(c, k)
        last = c.shape[1] - 1
        return np.asarray(last - largest(np.ascontiguousarray(c[:, ::-1]), k))

    return kernel(Steps(select=select))


def _skip_best(c: Float32, k: int) -> Ids:
    return largest(c, k + 1)[:, 1:]


def _fault(name: str, on: str, seen_as: str, stands_for: str, steps: Steps) -> Fault:
    return Fault(name, "selection", on, seen_as, stands_for, lambda: kernel(steps))


_OTHER, _TWICE, _OUTSIDE = "other experts", "duplicate id", "id out of range"

FAULTS = (
    _fault(
        "no bias",
        "normal",
        _OTHER,
        "the correction bias never reaches the kernel",
        Steps(add=lambda s, _: s),
    ),
    _fault(
        "bias subtracted",
        "normal",
        _OTHER,
        "a sign",
        Steps(add=lambda s, b: s - b),
    ),
    _fault(
        "bias shifted by one expert",
        "normal",
        _OTHER,
        "an index base",
        Steps(bias=lambda b: np.roll(b, 1)),
    ),
    _fault(
        "bias added before the sigmoid",
        "normal",
        _OTHER,
        "another model's definition",
        Steps(add=lambda s, b: sigmoid(np.log(s / (1 - s)) + b)),
    ),
    _fault(
        "last expert never seen",
        "normal",
        _OTHER,
        "a loop that ends one early",
        Steps(select=lambda c, k: largest(_unseen(c, [c.shape[1] - 1]), k)),
    ),
    _fault(
        "first expert never seen",
        "bfloat16",
        _OTHER,
        "a loop that begins at one",
        Steps(select=lambda c, k: largest(_unseen(c, [0]), k)),
    ),
    _fault(
        "last expert of each block never seen",
        "normal",
        _OTHER,
        "off by one at the edges of blocks of 64",
        Steps(select=lambda c, k: largest(_unseen(c, slice(63, None, 64)), k)),
    ),
    _fault(
        "experts beyond 128 never seen",
        "normal",
        _OTHER,
        "a compile-time limit on experts",
        Steps(select=lambda c, k: largest(_unseen(c, slice(128, None)), k)),
    ),
    _fault(
        "experts beyond 256 never seen",
        "384-experts",
        _OTHER,
        "384 experts on a kernel made for 256: aiter#2359, aiter#2369, aiter#2604",
        Steps(select=lambda c, k: largest(_unseen(c, slice(256, None)), k)),
    ),
    _fault(
        "ids of eight bits, signed",
        "normal",
        _OUTSIDE,
        "ids carried in int8",
        Steps(select=lambda c, k: largest(c, k).astype(np.int8).astype(np.int64)),
    ),
    _fault(
        "score and id packed in one word",
        "offset",
        _OTHER,
        "the lowest eight bits of the score give way to the id",
        Steps(select=_packed),
    ),
    _fault(
        "scores within 1e-4 held equal",
        "normal",
        _OTHER,
        "a tie rule with an epsilon",
        Steps(select=_near_ties),
    ),
    _fault(
        "ties give one expert twice",
        "bfloat16",
        _TWICE,
        "a tie rule that does not take the winner out",
        Steps(select=_all_equal),
    ),
    _fault(
        "start value -1",
        "negative",
        _TWICE,
        "'inputs are probabilities': sgl-kernel topk_sigmoid's fallback repeats expert 0",
        Steps(select=lambda c, k: _rounds(c, k, -1.0, -10000.0)),
    ),
    _fault(
        "start value 0",
        "grouped-negative",
        _TWICE,
        "biased scores below 0 never win, and expert 0 is what is left",
        Steps(select=lambda c, k: _rounds(c, k, 0.0, -np.inf)),
    ),
    _fault(
        "clear value -1",
        "negative",
        _TWICE,
        "a cleared winner beats what is left below -1",
        Steps(select=lambda c, k: _rounds(c, k, -np.inf, -1.0)),
    ),
    _fault(
        "clear value 0",
        "negative",
        _TWICE,
        "the winner of every round is the one just cleared",
        Steps(select=lambda c, k: _rounds(c, k, -np.inf, 0.0)),
    ),
    _fault(
        "selection by abs(c)",
        "grouped",
        _OTHER,
        "keys compared without their sign",
        Steps(select=lambda c, k: largest(np.abs(np.where(np.isinf(c), 0, c)), k)),
    ),
    _fault(
        "seven experts and one repeated",
        "normal",
        _TWICE,
        "the last round does not run",
        Steps(select=_repeat_last),
    ),
    _fault(
        "best expert skipped",
        "normal",
        _OTHER,
        "the first round's result is overwritten",
        Steps(select=_skip_best),
    ),
    _fault(
        "smallest selected",
        "normal",
        _OTHER,
        "a comparison the wrong way round",
        Steps(select=lambda c, k: largest(-c, k)),
    ),
    _fault(
        "expert 0 for what cannot be selected",
        "few",
        _TWICE,
        "fewer than k logits are numbers: duplicate ids (aiter, emulated)",
        Steps(select=_whatever_is_left),
    ),
    Fault(
        "ties fall otherwise at every call",
        "selection",
        "bfloat16",
        CALL,
        "torch.topk not deterministic beyond 256 bfloat16 values on ROCm: pytorch#196177",
        _lane_by_call,
    ),
    _fault(
        "NaN selected first",
        "nonfinite",
        _OTHER,
        "torch.topk orders NaN above every number",
        Steps(select=_nan_first),
    ),
    _fault(
        "NaN logits taken for 0",
        "nan-among-low",
        _OTHER,
        "a guard such as nan_to_num: an expert without a logit gets a score of 1/2",
        Steps(logits=lambda x: np.where(np.isnan(x), np.float32(0), x)),
    ),
)
