"""A Triton routing kernel: sigmoid, bias, top-k, one program a row.

On a GPU:              goldgate parity --kernel triton_router:route --arithmetic fast_math
Without one, slowly:   TRITON_INTERPRET=1 pytest test_triton_router.py
"""

from __future__ import annotations

import os

import torch
import triton
import triton.language as tl

#: goldgate puts the tensors on this device.
DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"


@triton.jit
def _route(
    logits,
    bias,
    weights,
    ids,
    logits_stride,
    weights_stride,
    ids_stride,
    scale,
    experts: tl.constexpr,
    top_k: tl.constexpr,
    renormalize: tl.constexpr,
    width: tl.constexpr,
    slots: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    expert = tl.arange(0, width)
    inside = expert < experts
    x = tl.load(logits + row * logits_stride + expert, mask=inside, other=0.0).to(tl.float32)
    score = 1.0 / (1.0 + tl.exp(-x))
    biased = score + tl.load(bias + expert, mask=inside, other=0.0).to(tl.float32)
    # NaN is never selected.
    left = tl.where(inside & (x == x), biased, -float("inf"))
    slot = tl.arange(0, slots)
    chosen_score = tl.zeros([slots], tl.float32)
    chosen_id = tl.zeros([slots], tl.int32)
    for k in range(top_k):
        best = tl.argmax(left, axis=0)  # of equal ones the lowest
        picked = tl.sum(tl.where(expert == best, score, 0.0), axis=0)
        chosen_score = tl.where(slot == k, picked, chosen_score)
        chosen_id = tl.where(slot == k, best, chosen_id)
        left = tl.where(expert == best, -float("inf"), left)
    if renormalize:
        chosen_score = chosen_score / tl.sum(chosen_score, axis=0)
    tl.store(weights + row * weights_stride + slot, chosen_score * scale, mask=slot < top_k)
    tl.store(ids + row * ids_stride + slot, chosen_id, mask=slot < top_k)


def route(
    gating_output: torch.Tensor,
    correction_bias: torch.Tensor,
    topk_weights: torch.Tensor,
    topk_ids: torch.Tensor,
    num_expert_group: int,
    topk_group: int,
    need_renorm: bool,
    routed_scaling_factor: float = 1.0,
) -> None:
    """Route with aiter's signature; outputs are written in place."""
    if num_expert_group != 1 or topk_group != 1:
        raise ValueError("this kernel knows no expert groups")
    rows, experts = gating_output.shape
    top_k = topk_ids.shape[1]
    _route[(rows,)](
        gating_output,
        correction_bias,
        topk_weights,
        topk_ids,
        gating_output.stride(0),
        topk_weights.stride(0),
        topk_ids.stride(0),
        routed_scaling_factor,
        experts,
        top_k,
        need_renorm,
        triton.next_power_of_2(experts),
        triton.next_power_of_2(top_k),
    )
