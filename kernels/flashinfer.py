"""FlashInfer's `fused_topk_deepseek`, the fused router of DeepSeek-V3 on NVIDIA GPUs.

It is compiled when it is first called, which takes nvcc and some minutes. It always renormalises.
Limits read in flashinfer/fused_moe/fused_routing_dsv3.py of 0.6.12: one group with top-8 is
refused, so the routers of MiniMax-M2.5, Kimi-K2 and GLM-4.5 are beyond it.
"""

from __future__ import annotations

from goldgate.kernels.call import Call, taking
from goldgate.kernels.hosts import distribution_version, no_gpu
from goldgate.kernels.kernel import (
    FOREIGN,
    Kernel,
    KernelError,
    Loaded,
    NotCoveredError,
    one_line,
    sigmoid_only,
)
from goldgate.kernels.origin import Origin
from goldgate.reference import RoutingSpec

_HOST = "an NVIDIA host with flashinfer-python and nvcc"


def _missing() -> str | None:
    return no_gpu("flashinfer", "cuda", _HOST)


def _load() -> Loaded:
    try:
        from flashinfer.fused_moe import (  # noqa: PLC0415 - present on GPU hosts alone
            fused_topk_deepseek,
        )
    except FOREIGN as error:
        why = one_line(error)
        raise KernelError(f"flashinfer's fused_topk_deepseek cannot be imported ({why})") from None

    def call(a: Call) -> None:
        if not a.renormalize:
            raise NotCoveredError("always renormalises")
        # In float32, as sglang's biased_grouped_topk_gpu calls it: the kernel wants one type.
        logits, bias = a.logits.float(), a.bias.float()
        fused_topk_deepseek(logits, bias, a.groups, a.kept, a.top_k, a.scale, a.weights, a.ids)

    release = distribution_version("flashinfer-python")
    name = "flashinfer fused_topk_deepseek"
    return Loaded(taking(call), name, release, "cuda", "conservative", contiguous=True)


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
        origin=Origin(
            "flashinfer.fused_moe:fused_topk_deepseek",
            ("flashinfer-python",),
            _HOST,
            files=(
                "flashinfer/fused_moe/fused_routing_dsv3.py",
                "flashinfer/data/csrc/**/noAuxTcKernels.cu",
            ),
            environment=("FLASHINFER_",),
        ),
    ),
)
