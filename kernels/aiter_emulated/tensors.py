"""aiter's biased_grouped_topk on torch tensors, as sglang calls it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from goldgate.kernels import KernelError
from goldgate.kernels.aiter_emulated.build import Build
from goldgate.kernels.aiter_emulated.route import cast, route

_GATES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}


def route_tensors(
    build: Build,
    gating_output: torch.Tensor,
    correction_bias: torch.Tensor,
    topk_weights: torch.Tensor,
    topk_ids: torch.Tensor,
    *,
    groups: int,
    kept: int,
    renormalize: bool,
    scale: float,
    architecture: str,
) -> tuple[str, ...]:
    """Route tensors of the CPU, the outputs written in place; return what the emulator found.

    Args:
        build: the compiled source.
        gating_output: [T, E] float32, bfloat16 or float16.
        correction_bias: [E]; cast to the gate's type, as sglang does.
        topk_weights: [T, k] float32.
        topk_ids: [T, k] int32.
        groups: num_expert_group.
        kept: topk_group.
        renormalize: need_renorm.
        scale: routed_scaling_factor.
        architecture: "gfx942" or "gfx950".

    Raises:
        KernelError: tensors of other types or layouts than aiter's host function takes, arguments
            for which it launches nothing, or a run that ends early.

    """
    if topk_weights.dtype != torch.float32 or topk_ids.dtype != torch.int32:
        raise KernelError(
            f"topk_weights {topk_weights.dtype}, topk_ids {topk_ids.dtype}: "
            "expected torch.float32 and torch.int32"
        )
    given = (gating_output, correction_bias, topk_weights, topk_ids)
    if not all(tensor.is_contiguous() for tensor in given):
        raise KernelError("tensors with strides: expected contiguous ones, as sglang passes")
    if not len(gating_output):
        return ()
    gate, bias_type = (_gate(tensor) for tensor in (gating_output, correction_bias))
    done = route(
        build,
        _stored(gating_output),
        cast(_stored(correction_bias), bias_type, gate),
        gate,
        top_k=topk_ids.shape[1],
        groups=groups,
        kept=kept,
        renormalize=renormalize,
        scale=scale,
        architecture=architecture,
    )
    topk_weights.copy_(torch.from_numpy(done.weights))
    topk_ids.copy_(torch.from_numpy(done.ids))
    return done.findings


def _gate(tensor: torch.Tensor) -> str:
    if tensor.dtype not in _GATES:
        expected = ", ".join(str(kind) for kind in _GATES)
        raise KernelError(f"a tensor of {tensor.dtype}: expected {expected}")
    return _GATES[tensor.dtype]


def _stored(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor's array; bfloat16 as its 16 bits."""
    held = tensor.detach()
    if held.dtype == torch.bfloat16:
        return np.asarray(held.view(torch.int16).numpy()).view(np.uint16)
    return np.asarray(held.numpy())
