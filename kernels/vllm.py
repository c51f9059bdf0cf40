"""vLLM's routing kernels on NVIDIA GPUs: `topk_sigmoid` and the fused `grouped_topk`.

Their operators are called as vllm/_custom_ops.py calls them, from the library alone, so that no
other part of vLLM has to be importable. Read in the wheel of vLLM 0.25.1: one group and a bias
reach `topk_sigmoid` (fused_topk_bias_router.py), several groups `grouped_topk`
(grouped_topk_router.py).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldgate.kernels import vllm_sites as sites
from goldgate.kernels.hosts import distribution_version, no_gpu
from goldgate.kernels.kernel import (
    FOREIGN,
    Kernel,
    KernelError,
    Loaded,
    one_line,
    recorded_only,
    sigmoid_only,
)
from goldgate.kernels.sglang import one_group_sigmoid
from goldgate.reference import RoutingSpec

if TYPE_CHECKING:
    import torch

#: What `grouped_topk` takes at the most (grouped_topk_router.py).
_MOST_GROUPS, _MOST_TOP_K = 32, 32


def _libraries() -> list[Path]:
    """Return vLLM's libraries of MoE operators; none where it is not installed."""
    found = find_spec("vllm")
    if found is None or found.origin is None:
        return []
    return sorted(Path(found.origin).parent.glob("_moe_C*.so"))


def _missing() -> str | None:
    if why := no_gpu("vllm", "cuda", "an NVIDIA host with vLLM (such as its container)"):
        return why
    return None if _libraries() else "vllm is here without its library _moe_C"


def _operators() -> Any:  # noqa: ANN401 - torch's namespace of operators
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    try:
        for library in _libraries():
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]  # torch's own
    except FOREIGN as error:
        raise KernelError(f"vLLM's _moe_C cannot be loaded ({one_line(error)})") from None
    return torch.ops._moe_C  # noqa: SLF001 - the namespace's name


def _load_topk_sigmoid() -> Loaded:
    operators = _operators()

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
        import torch  # noqa: PLC0415 - imported only where a kernel runs

        del num_expert_group, topk_group, routed_scaling_factor  # `supports` refuses others
        rows = torch.empty_like(topk_ids)  # token_expert_indices, which routing does not use
        operators.topk_sigmoid(
            topk_weights, topk_ids, rows, gating_output, need_renorm, correction_bias
        )

    name = "vLLM topk_sigmoid"
    return Loaded(
        route, name, distribution_version("vllm"), "cuda", "conservative", contiguous=True
    )


def _load_grouped_topk() -> Loaded:
    operators = _operators()

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
        weights, ids = operators.grouped_topk(
            gating_output,
            num_expert_group,
            topk_group,
            topk_ids.shape[1],
            need_renorm,
            routed_scaling_factor,
            correction_bias,
            1,  # sigmoid
        )
        topk_weights.copy_(weights)
        topk_ids.copy_(ids)

    name = "vLLM grouped_topk"
    return Loaded(
        route, name, distribution_version("vllm"), "cuda", "conservative", contiguous=True
    )


def _grouped(spec: RoutingSpec) -> str | None:
    if spec.scoring != "sigmoid":
        return f"fuses sigmoid alone, not {spec.scoring}"
    if why := sigmoid_only(spec):  # which looks at the groups' rule too
        return why
    if spec.num_expert_group > _MOST_GROUPS or spec.top_k > _MOST_TOP_K:
        return f"takes at most {_MOST_GROUPS} groups and top-{_MOST_TOP_K}"
    return None


KERNELS = (
    Kernel(
        name="vllm-topk-sigmoid",
        summary="vLLM's topk_sigmoid (CUDA), what MiniMax-M2 reaches there",
        missing=_missing,
        load=_load_topk_sigmoid,
        supports=one_group_sigmoid,
        call_sites=(sites.TOPK_SIGMOID,),
    ),
    Kernel(
        name="vllm-grouped-topk",
        summary="vLLM's fused grouped_topk (CUDA), what DeepSeek-V3 reaches there",
        missing=_missing,
        load=_load_grouped_topk,
        supports=_grouped,
    ),
    recorded_only(
        "vllm-fused-topk-bias", "vLLM's fused_topk_bias, torch's operations", sites.FUSED_TOPK_BIAS
    ),
)
