"""aiter's routers that MiniMax-M2.5 does not reach: topk_gating, topk_sigmoid, topk_softmax, ...

`grouped_topk`, `topk_sigmoid` and `topk_softmax` have no bias. Signatures: amd-aiter 0.1.7
(aiter/ops/topk.py and moe_op.py), against which a test holds them. `topk_gating` is younger than
that package: read at commit 016a7b8e of ROCm/aiter. Not run on AMD hardware by this project.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from goldgate.kernels.adapter import Adapter
from goldgate.kernels.aiter import loader, missing, origin
from goldgate.kernels.call import Call
from goldgate.kernels.kernel import Kernel, NotCoveredError
from goldgate.reference import RoutingSpec

GATING = origin("aiter", "topk_gating", "**/*topk_gating*.cu", "**/*topk_softplus*.cu")
SIGMOID = origin("aiter", "topk_sigmoid", "py_itfs_ck/topk_sigmoid_kernels.cu")
SOFTMAX = origin("aiter", "topk_softmax", "kernels/topk_softmax_kernels.cu")
GROUPED = origin("aiter", "grouped_topk", "kernels/topk_softmax_kernels_group.cu")


def _without_bias(a: Call) -> None:
    if a.biased():
        raise NotCoveredError("has no bias")


def _gating(kernel: Callable[..., Any], a: Call) -> None:
    bias = a.bias if a.biased() else None
    kernel(a.weights, a.ids, a.logits, bias, a.renormalize, a.scale, score_func=a.scoring)


def _sigmoid(kernel: Callable[..., Any], a: Call) -> None:
    _without_bias(a)
    kernel(a.weights, a.ids, a.logits)


def _softmax(kernel: Callable[..., Any], a: Call) -> None:
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    _without_bias(a)
    kernel(a.weights, a.ids, torch.empty_like(a.ids), a.logits, a.renormalize)


def _grouped(kernel: Callable[..., Any], a: Call) -> None:
    _without_bias(a)
    softmax = a.scoring == "softmax"
    kernel(a.logits, a.weights, a.ids, a.groups, a.kept, a.renormalize, softmax, a.scale)


def _one_group(spec: RoutingSpec) -> str | None:
    return None if spec.num_expert_group == 1 else "knows no expert groups"


def _sigmoid_supports(spec: RoutingSpec) -> str | None:
    if spec.scoring != "sigmoid":
        return f"scores with sigmoid, not {spec.scoring}"
    if spec.renormalize or spec.routed_scaling_factor != 1.0:
        return "neither renormalises nor scales"
    return _one_group(spec)


def _softmax_supports(spec: RoutingSpec) -> str | None:
    if spec.scoring != "softmax":
        return f"scores with softmax, not {spec.scoring}"
    if spec.routed_scaling_factor != 1.0:
        return "applies no scaling factor"
    return _one_group(spec)


def _grouped_supports(spec: RoutingSpec) -> str | None:
    if spec.scoring not in ("sigmoid", "softmax"):
        return f"scores with sigmoid or softmax, not {spec.scoring}"
    if spec.num_expert_group > 1 and spec.group_terms != 1:
        return f"ranks groups by their maximum, not by the {spec.group_score}"
    return None


def _gating_types(_spec: RoutingSpec, _rows: int, gate: str, bias: str) -> str | None:
    """Refuse the types that topk_gating asserts against."""
    usable = ("F32",) if gate == "F16" else ("F32", "BF16")
    return None if bias in usable else f"takes a bias of {' or '.join(usable)} with {gate} logits"


KERNELS = (
    Kernel(
        name="aiter-topk-gating",
        summary="aiter.topk_gating (once topk_softplus), what DeepSeek-V4 reaches on ROCm",
        missing=missing,
        load=loader(GATING, _gating, adapter=Adapter(told=("scoring",), supports=_gating_types)),
        supports=_one_group,
        origin=GATING,
    ),
    Kernel(
        name="aiter-topk-sigmoid",
        summary="aiter.topk_sigmoid, without bias and renormalising (Llama 4)",
        missing=missing,
        load=loader(SIGMOID, _sigmoid),
        supports=_sigmoid_supports,
        origin=SIGMOID,
    ),
    Kernel(
        name="aiter-topk-softmax",
        summary="aiter.topk_softmax, what Qwen3-MoE reaches on ROCm",
        missing=missing,
        load=loader(SOFTMAX, _softmax, adapter=Adapter(scorings=("softmax",))),
        supports=_softmax_supports,
        origin=SOFTMAX,
    ),
    Kernel(
        name="aiter-grouped-topk",
        summary="aiter.grouped_topk, what DeepSeek-V2 reaches on ROCm",
        missing=missing,
        load=loader(
            GROUPED,
            _grouped,
            adapter=Adapter(told=("scoring",), group_scores=("maximum",)),
        ),
        supports=_grouped_supports,
        origin=GROUPED,
    ),
)
