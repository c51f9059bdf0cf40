"""TensorRT-LLM's routers: `noaux_tc_op`, `renorm_moe_routing_op`, `default_moe_routing_op`.

`import tensorrt_llm` registers them under `torch.ops.trtllm`. Schemas and checks were read in
NVIDIA/TensorRT-LLM: cpp/tensorrt_llm/thop/noAuxTcOp.cpp and customMoeRoutingOp.cpp (commit
180e9756), kernels/noAuxTcKernels.cu, and their callers in
tensorrt_llm/_torch/modules/fused_moe/routing.py. MiniMax-M2 reaches none of them there: its method
is torch's operations. Not run: PyPI has no wheel of it. The calls are tested around stubs
with the published schemas.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from goldgate.kernels.adapter import Adapter
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

PACKAGES = ("tensorrt-llm", "tensorrt_llm")
_HOST = "an NVIDIA host with TensorRT-LLM (for example its container)"


def _origin(operator: str) -> Origin:
    return Origin(
        f"torch.ops.trtllm:{operator}",
        PACKAGES,
        _HOST,
        files=("tensorrt_llm/libs/libth_common.so",),
        environment=("TRTLLM_", "TLLM_"),
    )


def _missing() -> str | None:
    return no_gpu("tensorrt_llm", "cuda", _HOST)


def operator(name: str) -> Callable[..., Any]:
    """Import the package, which registers its operators, and return one.

    Raises:
        KernelError: the package cannot be imported, or its release has no such operator.

    """
    try:
        importlib.import_module("tensorrt_llm")
        import torch  # noqa: PLC0415 - imported only where a kernel runs

        found: Callable[..., Any] = getattr(torch.ops.trtllm, name)
    except FOREIGN as error:
        raise KernelError(f"TensorRT-LLM's {name} cannot be loaded ({one_line(error)})") from None
    return found


def _loader(
    name: str, call: Callable[[Callable[..., Any], Call], object], adapter: Adapter
) -> Callable[[], Loaded]:
    def load() -> Loaded:
        kernel, release = operator(name), distribution_version(*PACKAGES)
        route = taking(lambda a: call(kernel, a))
        return Loaded(
            route,
            f"TensorRT-LLM {name}",
            release,
            "cuda",
            "conservative",
            contiguous=True,
            adapter=adapter,
        )

    return load


def _noaux(kernel: Callable[..., Any], a: Call) -> None:
    weights, ids = kernel(a.logits, a.bias, a.groups, a.kept, a.top_k, a.scale)
    a.write(weights, ids)


def _custom(kernel: Callable[..., Any], a: Call) -> None:
    if a.biased():
        raise NotCoveredError("has no bias")
    ids, weights = kernel(a.logits, a.top_k)  # without output_dtype: float32
    a.write(weights, ids)


def float32_logits(_spec: RoutingSpec, _rows: int, gate: str, _bias: str) -> str | None:
    """Refuse narrower logits: weights come back in their type, and the engine's are float32."""
    return None if gate == "F32" else f"returns weights in the type of its logits, here {gate}"


def noaux_supports(spec: RoutingSpec) -> str | None:
    """Refuse what the launcher refuses, and what its caller sends to torch instead."""
    groups, experts = spec.num_expert_group, spec.num_experts
    if why := sigmoid_only(spec):
        return why
    if not spec.renormalize:
        return "always renormalises"
    if groups == 1:
        beyond = experts > 1024 or spec.top_k > 32
        return "takes 1024 experts and top-32 at the most" if beyond else None
    each = experts // groups
    if spec.top_k > 8 or experts > 256 or each > 32 or each * spec.topk_group > 256:
        return "takes top-8, 256 experts and 32 experts a group at the most"
    return None


def _softmax_supports(renormalize: bool) -> Callable[[RoutingSpec], str | None]:
    def supports(spec: RoutingSpec) -> str | None:
        if spec.scoring != "softmax":
            return f"scores with softmax, not {spec.scoring}"
        if spec.renormalize != renormalize:
            return "always renormalises" if renormalize else "does not renormalise"
        if spec.num_expert_group != 1:
            return "knows no expert groups"
        if spec.routed_scaling_factor != 1.0:
            return "applies no scaling factor"
        if spec.num_experts > 128 or spec.top_k > 8:
            return "takes 128 experts and top-8 at the most (later releases may take more)"
        return None

    return supports


_SOFTMAX = Adapter(scorings=("softmax",))

KERNELS = (
    Kernel(
        name="tensorrt-llm-noaux-tc",
        summary="TensorRT-LLM's noaux_tc_op (CUDA), what DeepSeek-V3 reaches there",
        missing=_missing,
        load=_loader("noaux_tc_op", _noaux, Adapter(supports=float32_logits)),
        supports=noaux_supports,
        origin=_origin("noaux_tc_op"),
    ),
    Kernel(
        name="tensorrt-llm-renorm",
        summary="TensorRT-LLM's renorm_moe_routing_op (CUDA), what Qwen3-MoE reaches there",
        missing=_missing,
        load=_loader("renorm_moe_routing_op", _custom, _SOFTMAX),
        supports=_softmax_supports(renormalize=True),
        origin=_origin("renorm_moe_routing_op"),
    ),
    Kernel(
        name="tensorrt-llm-default",
        summary="TensorRT-LLM's default_moe_routing_op (CUDA), softmax without renormalising",
        missing=_missing,
        load=_loader("default_moe_routing_op", _custom, _SOFTMAX),
        supports=_softmax_supports(renormalize=False),
        origin=_origin("default_moe_routing_op"),
    ),
)
