"""An honest float32 routing kernel in numpy, made of steps of which a fault replaces one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from goldgate.mutants.fault import PlantedKernel

Float32 = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Call:
    """The router's parameters, as aiter's signature passes them, and E."""

    groups: int
    topk_group: int
    renormalize: bool
    scale: np.float32
    k: int
    experts: int


def same(values: Float32) -> Float32:
    """Return what it is given."""
    return values


def exp(x: Float32) -> Float32:
    """Return the exponential, rounded once: correctly, but where float64 cannot tell."""
    with np.errstate(over="ignore", under="ignore"):
        return np.exp(x.astype(np.float64)).astype(np.float32)


def sigmoid(x: Float32) -> Float32:
    """Return 1 / (1 + exp(-x)), each operation rounded to float32."""
    return np.asarray(np.float32(1) / (np.float32(1) + exp(-x)))


def keep_groups(c: Float32, call: Call, score: Callable[[Float32], Float32]) -> NDArray[np.bool_]:
    """Return which experts' groups are among the best by a score of a group's c; bool [T, E]."""
    grouped = c.reshape(len(c), call.groups, -1)
    best = np.argsort(-score(grouped), axis=1, kind="stable")[:, : call.topk_group]
    stays = np.zeros((len(c), call.groups), dtype=bool)
    np.put_along_axis(stays, best, values=True, axis=1)
    return np.repeat(stays, grouped.shape[2], axis=1)


def two_largest(grouped: Float32) -> Float32:
    """Return the sum of the two largest of the last axis, NaN below every number."""
    grouped = np.where(np.isnan(grouped), np.float32(-np.inf), grouped)
    return np.asarray(np.sort(grouped, axis=-1)[..., -2:].sum(axis=-1, dtype=np.float32))


def exclude(c: Float32, call: Call) -> Float32:
    """Return c with the experts of the groups that go at -inf."""
    if call.groups == 1:
        return c
    return np.where(keep_groups(c, call, two_largest), c, np.float32(-np.inf))


def largest(c: Float32, k: int) -> Ids:
    """Return the k largest of each row, descending, the lower id first among equals."""
    c = np.where(np.isnan(c), np.float32(-np.inf), c)
    ids = np.sort(np.argpartition(-c, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(c, ids, axis=1), axis=1, kind="stable")
    ids = np.take_along_axis(ids, order, axis=1)
    # A partition takes any of equal values: where the last has an equal outside, a sort decides.
    tied = np.flatnonzero((c >= np.take_along_axis(c, ids[:, -1:], axis=1)).sum(axis=1) > k)
    ids[tied] = np.argsort(-c[tied], axis=1, kind="stable")[:, :k]
    return ids


def gather(s: Float32, _c: Float32, _b: Float32, ids: Ids) -> Float32:
    """Return the scores at the ids, whatever they are."""
    return np.take_along_axis(s, ids, axis=1)


def numbers(s: Float32, c: Float32, b: Float32, ids: Ids) -> Float32:
    """Return the scores at the ids, 0 for NaN: of a row with fewer than k that are numbers."""
    w = gather(s, c, b, ids)
    return np.where(np.isnan(w), np.float32(0), w)


def total(w: Float32, _s: Float32) -> Float32:
    """Return the sum of each row, [T, 1], added one after another."""
    return np.cumsum(w, axis=1, dtype=np.float32)[:, -1:]


def divide(w: Float32, sums: Float32) -> Float32:
    """Return w / sums, whatever the sum is."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return w / sums


def divide_or_share(w: Float32, sums: Float32) -> Float32:
    """Return w / sums, equal shares where there is nothing to divide by."""
    return np.where(sums > 0, divide(w, sums), np.float32(1 / w.shape[1]))


def scale(w: Float32, call: Call) -> Float32:
    """Return w times the scale."""
    return w * call.scale


@dataclass(frozen=True)
class Steps:
    """What a routing kernel does, in its order; the defaults are honest.

    Attributes:
        logits: what is done to the logits [T, E] first.
        bias: what is done to the bias [E] first.
        score: s from the logits.
        add: c from s and the bias.
        exclude: the experts of the groups that go, taken out of c.
        select: ids [T, k] from c.
        weigh: weights from s, c, the bias and the ids.
        total: what the weights are divided by, from them and s; only where renormalised.
        divide: the division by it; only where renormalised.
        scale: the factor.

    """

    logits: Callable[[Float32], Float32] = same
    bias: Callable[[Float32], Float32] = same
    score: Callable[[Float32], Float32] = sigmoid
    add: Callable[[Float32, Float32], Float32] = np.add
    exclude: Callable[[Float32, Call], Float32] = exclude
    select: Callable[[Float32, int], Ids] = largest
    weigh: Callable[[Float32, Float32, Float32, Ids], Float32] = numbers
    total: Callable[[Float32, Float32], Float32] = total
    divide: Callable[[Float32, Float32], Float32] = divide_or_share
    scale: Callable[[Float32, Call], Float32] = scale


def compute(steps: Steps, logits: Float32, bias: Float32, call: Call) -> tuple[Float32, Ids]:
    """Return weights and ids [T, k] of logits [T, E] and bias [E]."""
    b = steps.bias(bias)
    s = steps.score(steps.logits(logits))
    c = steps.exclude(steps.add(s, b), call)
    ids = steps.select(c, call.k)
    w = steps.weigh(s, c, b, ids)
    if call.renormalize:
        w = steps.divide(w, steps.total(w, s))
    return steps.scale(w, call).astype(np.float32), ids


#: What a fault of memory does: the output tensors, and the right weights and ids.
Write = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], None]


def write(
    topk_weights: torch.Tensor, topk_ids: torch.Tensor, w: torch.Tensor, ids: torch.Tensor
) -> None:
    """Write the outputs as they should be."""
    topk_weights.copy_(w)
    topk_ids.copy_(ids)


def kernel(steps: Steps = Steps(), write: Write = write) -> PlantedKernel:
    """Return a kernel with aiter's signature that does these steps and writes so."""

    def route(
        gating_output: torch.Tensor,
        correction_bias: torch.Tensor,
        topk_weights: torch.Tensor,
        topk_ids: torch.Tensor,
        num_expert_group: int,
        topk_group: int,
        need_renorm: Any,  # noqa: ANN401 - aiter's signature
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
        w, ids = compute(steps, logits, bias, call)
        write(topk_weights, topk_ids, torch.from_numpy(w), torch.from_numpy(ids.astype(np.int32)))

    return route
