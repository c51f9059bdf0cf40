"""FlashInfer's `fused_topk_deepseek`, the fused router of DeepSeek-V3 on NVIDIA GPUs.

It is compiled when it is first called, which takes nvcc and some minutes. It always renormalises.
Limits read in flashinfer/fused_moe/fused_routing_dsv3.py of 0.6.12: one group with top-8 is
refused, so the routers of MiniMax-M2.5, Kimi-K2 and GLM-4.5 are beyond it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldgate.kernels.hosts import distribution_version, no_gpu
from goldgate.kernels.kernel import FOREIGN, Kernel, KernelError, Loaded, one_line, sigmoid_only
from goldgate.reference import RoutingSpec

if TYPE_CHECKING:
    import torch


def _missing() -> str | None:
    return no_gpu("flashinfer", "cuda", "an NVIDIA host with flashinfer-python and nvcc")


def _load() -> Loaded:
    try:
        from flashinfer.fused_moe import (  # noqa: PLC0415 - present on GPU hosts alone
            fused_topk_deepseek,
        )
    except FOREIGN as error:
        why = one_line(error)
        raise KernelError(f"flashinfer's fused_topk_deepseek cannot be imported ({why})") from None

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
        if not need_renorm:
            raise NotImplementedError("fused_topk_deepseek always renormalises")
        fused_topk_deepseek(
            gating_output,
            correction_bias,
            num_expert_group,
            topk_group,
            topk_ids.shape[1],
            routed_scaling_factor,
            topk_weights,
            topk_ids,
        )

    release = distribution_version("flashinfer-python")
    name = "flashinfer fused_topk_deepseek"
    return Loaded(route, name, release, "cuda", "conservative", contiguous=True)


def supports(spec: RoutingSpec) -> str | None:
    """Say why a router is beyond the kernel, or None; the conditions are its own checks."""
    groups, kept, k, experts = (
        spec.num_expert_group,
        spec.topk_group,
        spec.top_k,
        spec.num_experts,
    )
    if why := sigmoid_only(spec):
        return why
    if not spec.renormalize:
        return "always renormalises"
    if kept * groups < k or kept > groups:
        return f"needs at least top-k kept groups times groups, not {kept} * {groups} for top-{k}"
    if groups > 1 and (k > 8 or experts // groups > 32 or experts // groups * kept > 128):
        return "takes top-8, 32 experts a group and 128 experts in kept groups at the most"
    if groups == 1 and (experts > 384 or k > 8):
        return "takes 384 experts and top-8 at the most"
    return None


KERNELS = (
    Kernel(
        name="flashinfer-fused-topk-deepseek",
        summary="FlashInfer's fused_topk_deepseek (CUDA, compiled at its first call)",
        missing=_missing,
        load=_load,
        supports=supports,
    ),
)
