"""Honest float32 kernels, compiled: one group, several ways to evaluate what is the same."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from goldgate.accuracy.systematic_error import mix
from goldgate.mutants.fault import PlantedKernel

Float32 = NDArray[np.float32]

_mix: Any = numba.njit(mix)

#: How the sigmoid is evaluated: 1 / (1 + exp(-x)); e / (1 + e) for negative x; exp2 and a
#: reciprocal, each at the far side of its last bit; exp and division off by the ulps that CUDA
#: states for fast math, either way; 1/2 + tanh(x/2)/2, tanh off by the ulps that CUDA states.
EXP, TWO_BRANCHES, EXP2, FAST_MATH, TANH = range(5)

#: In which order the selected scores are added.
BY_RANK, REVERSED, PAIRWISE, BY_ID = range(4)


def compiled(
    form: int = EXP,
    order: int = BY_RANK,
    *,
    recovered: bool = False,
    lanes: bool = False,
    unordered: bool = False,
) -> PlantedKernel:
    """Return a kernel with aiter's signature, for routers of one group.

    Args:
        form: how the sigmoid is evaluated.
        order: in which order the selected scores are added.
        recovered: whether weights are (s + b) - b.
        lanes: whether equal scores go by lanes of four experts, the last lane first, as aiter's
            grouped kernel has it.
        unordered: whether the pairs are returned by ascending id.

    """

    def route(
        gating_output: torch.Tensor,
        correction_bias: torch.Tensor,
        topk_weights: torch.Tensor,
        topk_ids: torch.Tensor,
        _groups: int,
        _topk_group: int,
        need_renorm: Any,  # noqa: ANN401 - aiter's signature
        routed_scaling_factor: float = 1.0,
    ) -> None:
        experts = np.arange(gating_output.shape[1])
        if lanes:
            experts = experts.reshape(-1, 4)[::-1].reshape(-1)
        _route(
            gating_output.float().numpy(),
            correction_bias.float().numpy(),
            topk_weights.numpy(),
            topk_ids.numpy(),
            bool(need_renorm),
            np.float32(routed_scaling_factor),
            np.ascontiguousarray(experts),
            form,
            order,
            recovered,
            unordered,
        )

    return route


@numba.njit(nogil=True, cache=True)
def _far(exact: float) -> np.float32:
    """The float32 neighbour of a number that is further away: off by 1/2 to 1 ulp."""
    near = np.float32(exact)
    beyond = -np.inf if np.float64(near) > exact else np.inf
    far: np.float32 = np.nextafter(near, np.float32(beyond))
    return far


@numba.njit(nogil=True, cache=True)
def _off(exact: float, ulps: float, up: bool) -> np.float32:
    """A number rounded to float32 and moved by so many ulps."""
    near: np.float32 = np.float32(exact)
    if near != np.float32(0) and not np.isinf(near):
        ulp = np.float64(np.nextafter(near, np.float32(np.inf))) - np.float64(near)
        near = np.float32(np.float64(near) + (ulps * ulp if up else -ulps * ulp))
    return near


@numba.njit(nogil=True, cache=True)
def up(x: np.float32, which: int) -> bool:
    """Which way an operation on x is off: a bit of a hash, for a device's errors lean no way.

    One number to a side in two, and another side for each operation.
    """
    bits = np.uint64(_mix(np.uint64(np.float32(x).view(np.uint32))))
    return bool((bits >> np.uint64(which)) & np.uint64(1))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _sigmoid(x: np.float32, form: int) -> np.float32:
    one = np.float32(1)
    s: np.float32
    if form == 1:
        e = math.exp(-abs(x))
        s = one / (one + e) if x >= 0 else e / (one + e)
    elif form == 2:
        t = np.float32(np.float64(x) * 1.4426950408889634)
        s = _far(1.0 / np.float64(one + _far(2.0 ** -np.float64(t))))
    elif form == 3:
        ulps = 2.0 + math.floor(1.173 * abs(np.float64(x)))
        d = one + _off(math.exp(-np.float64(x)), ulps, up(x, 0))
        s = _off(1.0 / np.float64(d), 2.0, up(x, 1))
    elif form == 4:
        half = np.float32(0.5)
        t = _off(math.tanh(0.5 * np.float64(x)), 2.0, up(x, 0))
        s = half + half * min(max(t, -one), one)
    else:
        s = one / (one + math.exp(-x))
    return s


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _route(  # noqa: C901, PLR0912 - one loop, compiled: a call for each branch would hide it
    logits: Float32,
    bias: Float32,
    weights: Float32,
    out: NDArray[np.int32],
    renormalize: bool,
    scale: np.float32,
    experts: NDArray[np.int64],
    form: int,
    order: int,
    recovered: bool,
    unordered: bool,
) -> None:
    k = out.shape[1]
    for t in numba.prange(logits.shape[0]):
        s = np.empty(k, np.float32)
        c = np.full(k, np.float32(-np.inf))
        ids = np.full(k, -1)
        for i in experts:
            x = logits[t, i]
            score = _sigmoid(x, form)
            biased = score + bias[i]
            if np.isnan(x) or (ids[k - 1] >= 0 and not biased > c[k - 1]):
                continue
            j = k - 1
            while j > 0 and (ids[j - 1] < 0 or biased > c[j - 1]):
                s[j], c[j], ids[j] = s[j - 1], c[j - 1], ids[j - 1]
                j -= 1
            s[j], c[j], ids[j] = score, biased, i
        if unordered or order == 3:
            by_id = np.argsort(ids)
            if unordered:
                s, c, ids = s[by_id], c[by_id], ids[by_id]
        if recovered:
            for j in range(k):
                s[j] = c[j] - bias[ids[j]]
        total = np.float32(0)
        if order == 2:
            part = s.copy()
            n = k
            while n > 1:
                for j in range(n // 2):
                    part[j] = part[2 * j] + part[2 * j + 1]
                if n % 2:
                    part[n // 2] = part[n - 1]
                n = (n + 1) // 2
            total = part[0]
        else:
            for j in range(k):
                at = j
                if order == 1:
                    at = k - 1 - j
                elif order == 3:
                    at = by_id[j]
                total += s[at]
        for j in range(k):
            w = s[j]
            if renormalize:
                w = (
                    _off(np.float64(w) / np.float64(total), 2.0, (j + t) % 2 == 0)
                    if form == 3
                    else w / total
                )
            weights[t, j] = w * scale
            out[t, j] = ids[j]
