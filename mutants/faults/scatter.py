"""Errors inside the bound that are random, or that cancel over all weights: no slope, no mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from goldgate.accuracy.systematic_error import mix
from goldgate.mutants.conforming.steps import Call, Ids, Steps, compute
from goldgate.mutants.fault import DRIFT, GRID, GROUP, SCATTER, Fault, PlantedKernel

U = 2.0**-24

#: Weights and ids [T, k] in, weights out.
Change = Callable[[NDArray[np.float64], Ids], NDArray[np.float64]]


def _changed(change: Change) -> PlantedKernel:
    """Return an honest kernel whose weights are changed at the end."""

    def route(
        gating_output: torch.Tensor,
        correction_bias: torch.Tensor,
        topk_weights: torch.Tensor,
        topk_ids: torch.Tensor,
        num_expert_group: int,
        topk_group: int,
        need_renorm: object,
        routed_scaling_factor: float = 1.0,
    ) -> None:
        call = Call(
            num_expert_group,
            topk_group,
            bool(need_renorm),
            np.float32(routed_scaling_factor),
            topk_ids.shape[1],
            gating_output.shape[1],
        )
        logits, bias = gating_output.float().numpy(), correction_bias.float().numpy()
        w, ids = compute(Steps(), logits, bias, call)
        w = change(w.astype(np.float64), ids).astype(np.float32)
        topk_weights.copy_(torch.from_numpy(w))
        topk_ids.copy_(torch.from_numpy(ids.astype(np.int32)))

    return route


def mantissa(bits: int) -> Change:
    """Round to so many explicit mantissa bits, to nearest."""

    def change(w: NDArray[np.float64], _ids: Ids) -> NDArray[np.float64]:
        fraction, exponent = np.frexp(w)
        steps = 2.0 ** (bits + 1)
        return np.asarray(np.ldexp(np.rint(fraction * steps) / steps, exponent))

    return change


def leaning(which: Callable[[NDArray[np.float64], Ids], NDArray[Any]]) -> Change:
    """Move weights by so many u as `which` says of each."""

    def change(w: NDArray[np.float64], ids: Ids) -> NDArray[np.float64]:
        return np.asarray(w * (1.0 + which(w, ids) * U), np.float64)

    return change


def _uniform(w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a number between 0 and 1 for each weight, the same for equal weights."""
    bits = w.astype(np.float32).view(np.uint32).astype(np.uint64)
    return np.asarray((mix(bits) >> np.uint64(40)).astype(np.float64) / 2.0**24, np.float64)


def _decoding(most: int, change: Change) -> Change:
    """Change weights in calls of at most so many rows alone."""
    return lambda w, ids: change(w, ids) if len(w) <= most else w


def _fault(
    name: str, seen_as: str, stands_for: str, change: Change, on: str = "shipped normal"
) -> Fault:
    return Fault(name, "scatter", on, seen_as, stands_for, lambda: _changed(change))


def _column(w: NDArray[np.float64], column: int) -> NDArray[np.bool_]:
    return np.broadcast_to(np.arange(w.shape[1]) == column, w.shape)


FAULTS = (
    _fault(
        "weights of 20 mantissa bits",
        GRID,
        "weights through a narrower type (flashinfer-ai/flashinfer#5211 has them in bfloat16)",
        mantissa(20),
    ),
    _fault(
        "weights of 21 mantissa bits",
        GRID,
        "the same, one bit nearer to float32",
        mantissa(21),
    ),
    _fault(
        "noise of up to 8 u on every weight",
        SCATTER,
        "an approximate division of 20 bits whose errors lean no way",
        leaning(lambda w, _: 8.0 * (2.0 * _uniform(w) - 1.0)),
    ),
    _fault(
        "even experts 6 u too heavy, odd ones too light",
        GROUP,
        "two lanes of a vector unit that round apart",
        leaning(lambda _, ids: 6.0 * (1.0 - 2.0 * (ids % 2))),
    ),
    _fault(
        "expert 103 weighs 12 u too much",
        GROUP,
        "a constant of one expert that went through a narrower type",
        leaning(lambda _, ids: 12.0 * (ids == 103)),
    ),
    _fault(
        "four experts weigh 12 u too much",
        GROUP,
        "the last lane of a vector of four",
        leaning(lambda _, ids: 12.0 * np.isin(ids, (3, 70, 103, 200))),
    ),
    _fault(
        "slot 3 weighs 10 u too much",
        GROUP,
        "one register of eight that is stored in another format",
        leaning(lambda w, _: 10.0 * _column(w, 3)),
    ),
    _fault(
        "row 5 of every 32 weighs 10 u too much",
        GROUP,
        "one lane of a warp",
        leaning(lambda w, _: 10.0 * (np.arange(len(w)) % 32 == 5)[:, None]),
    ),
    _fault(
        "noise of up to 2.5 u on the only weight of a row",
        SCATTER,
        "the same where top-1 leaves no sum to divide by",
        leaning(lambda w, _: 2.5 * (2.0 * _uniform(w) - 1.0)),
        "top-1",
    ),
    _fault(
        "weights of 20 mantissa bits in calls of at most 128 rows",
        GRID,
        "a decode path of its own, whose rows are few beside those of a prefill",
        _decoding(128, mantissa(20)),
        "calls",
    ),
    _fault(
        "even experts 8 u too heavy, odd ones too light, in calls of at most 16 rows",
        GROUP,
        "the same path, two experts at a time",
        _decoding(16, leaning(lambda _, ids: 8.0 * (1.0 - 2.0 * (ids % 2)))),
        "calls",
    ),
    _fault(
        "weights 6 u too large in calls of at most 16 rows",
        DRIFT,
        "a decode path that truncates where the other rounds",
        _decoding(16, leaning(lambda w, _: np.full_like(w, 6.0))),
        "calls",
    ),
)
