"""Fused softmax routers of CUDA libraries: sgl_kernel's and vLLM's `topk_softmax`.

They route Qwen3-MoE's kind: softmax over all experts, then the k largest. Both add a bias to the
softmax for the selection alone. Read in the wheels of sglang-kernel 0.4.4 (sgl_kernel/moe.py) and
vLLM 0.25.1 (vllm/_custom_ops.py). Their arithmetic has not been measured: conservative.
"""

from __future__ import annotations

from typing import Any

from goldgate.kernels import vllm
from goldgate.kernels.adapter import Adapter
from goldgate.kernels.call import Call, taking
from goldgate.kernels.hosts import distribution_version
from goldgate.kernels.kernel import Kernel, Loaded
from goldgate.kernels.origin import Origin
from goldgate.kernels.sglang import NVIDIA, PACKAGES, imported, missing
from goldgate.kernels.sglang import TOPK_SIGMOID as SGL_KERNEL
from goldgate.reference import RoutingSpec

SGLANG = Origin(
    "sgl_kernel:topk_softmax", PACKAGES, NVIDIA, (), SGL_KERNEL.files, SGL_KERNEL.environment
)
VLLM = vllm.origin("topk_softmax")


def softmax_only(spec: RoutingSpec) -> str | None:
    """Refuse routers with another scoring, groups or a scale."""
    if spec.scoring != "softmax":
        return f"scores with softmax, not {spec.scoring}"
    if spec.num_expert_group != 1:
        return "knows no expert groups"
    if spec.routed_scaling_factor != 1.0:
        return "applies no scaling factor: engines scale after the experts"
    return None


def _load_sglang() -> Loaded:
    kernel = imported("topk_softmax", "sgl_kernel")

    def call(a: Call) -> None:
        bias = a.bias.float() if a.biased() else None  # as engines call it for Qwen3-MoE
        kernel(a.weights, a.ids, a.logits, a.renormalize, correction_bias=bias)

    return _loaded(call, "sgl_kernel.topk_softmax", SGLANG)


def _load_vllm() -> Loaded:
    operators = vllm.operators()

    def call(a: Call) -> None:
        rows = _token_expert_indices(a.ids)
        bias = a.bias.float() if a.biased() else None
        operators.topk_softmax(a.weights, a.ids, rows, a.logits, a.renormalize, bias)

    return _loaded(call, "vLLM topk_softmax", VLLM)


def _token_expert_indices(ids: Any) -> Any:  # noqa: ANN401 - torch.Tensor
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    return torch.empty_like(ids)


def _loaded(call: Any, name: str, origin: Origin) -> Loaded:  # noqa: ANN401 - as above
    release = distribution_version(*origin.packages)
    profile, adapter = origin.arithmetic_of(release).profile, Adapter(scorings=("softmax",))
    return Loaded(taking(call), name, release, "cuda", profile, contiguous=True, adapter=adapter)


KERNELS = (
    Kernel(
        name="sglang-topk-softmax",
        summary="sgl_kernel.topk_softmax (CUDA), sglang 0.5.15's for Qwen3-MoE without Triton",
        missing=lambda: missing("sgl_kernel"),
        load=_load_sglang,
        supports=softmax_only,
        origin=SGLANG,
    ),
    Kernel(
        name="vllm-topk-softmax",
        summary="vLLM's topk_softmax (CUDA), what Qwen3-MoE reaches there",
        missing=vllm.missing,
        load=_load_vllm,
        supports=softmax_only,
        origin=VLLM,
    ),
)
