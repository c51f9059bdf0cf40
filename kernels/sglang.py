"""sglang's routing kernels; on NVIDIA GPUs: the CUDA `topk_sigmoid`, the Triton `moe_fused_gate`.

In sglang 0.5.15, the release line of pull request 23611, `fused_topk` in
sglang/srt/layers/moe/topk.py calls the first where SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK is 0 and
the second where it is 1, its default. Read in the wheels of sglang 0.5.15 and sglang-kernel 0.4.4.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from goldgate.kernels import sglang_sites as sites
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
from goldgate.reference import RoutingSpec

if TYPE_CHECKING:
    import torch

#: What sgl_kernel's names its distribution; before 0.4 the distribution was named as the module.
_PACKAGES = ("sglang-kernel", "sgl-kernel")


def _missing(package: str) -> str | None:
    return no_gpu(package, "cuda", "an NVIDIA host with sglang (for example its container)")


def one_group_sigmoid(spec: RoutingSpec) -> str | None:
    """Refuse routers with groups, another scoring or a scale: the kernel has no such arguments."""
    if spec.scoring != "sigmoid":
        return f"scores with sigmoid, not {spec.scoring}"
    if spec.num_expert_group != 1:
        return "knows no expert groups"
    if spec.routed_scaling_factor != 1.0:
        return "applies no scaling factor: sglang scales after the experts"
    return None


def topk_sigmoid_arithmetic(release: str) -> str:
    """Return the profile of topk_sigmoid in a release of sgl-kernel.

    0.4.4 has its own. Of other releases it is not known how they recover their weights. The build
    for compute capability 9.0 has fast math, the other has not (sgl_kernel/load_utils.py): the
    figures of fast math cover both.
    """
    own = re.fullmatch(r"0\.4\.4(\.post\d+)?(\+.*)?", release)
    return "sgl_kernel_0.4.4" if own else "conservative"


def _load_topk_sigmoid() -> Loaded:
    try:
        from sgl_kernel import topk_sigmoid  # noqa: PLC0415 - present on GPU hosts alone
    except FOREIGN as error:
        raise KernelError(
            f"sgl_kernel.topk_sigmoid cannot be imported ({one_line(error)})"
        ) from None

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
        del num_expert_group, topk_group, routed_scaling_factor  # `supports` refuses others
        topk_sigmoid(topk_weights, topk_ids, gating_output, need_renorm, correction_bias)

    release = distribution_version(*_PACKAGES)
    arithmetic = topk_sigmoid_arithmetic(release)
    return Loaded(route, "sgl_kernel.topk_sigmoid", release, "cuda", arithmetic, contiguous=True)


def _load_moe_fused_gate() -> Loaded:
    try:
        from sglang.jit_kernel.moe_fused_gate import (  # noqa: PLC0415 - present on GPU hosts alone
            moe_fused_gate,
        )
    except FOREIGN as error:
        why = one_line(error)
        raise KernelError(f"sglang's Triton moe_fused_gate cannot be imported ({why})") from None

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
        weights, ids = moe_fused_gate(
            gating_output,
            correction_bias.float(),  # as its caller in sglang does
            topk_ids.shape[1],
            scoring_func="sigmoid",
            renormalize=need_renorm,
            routed_scaling_factor=routed_scaling_factor,
            apply_routed_scaling_factor_on_output=routed_scaling_factor != 1.0,
            num_expert_group=num_expert_group,
            topk_group=topk_group,
        )
        topk_weights.copy_(weights)
        topk_ids.copy_(ids)

    release = distribution_version("sglang")
    return Loaded(route, "sglang Triton moe_fused_gate", release, "cuda", "fast_math")


def _sigmoid(spec: RoutingSpec) -> str | None:
    if spec.scoring != "sigmoid":
        return f"is called here with sigmoid, not {spec.scoring}"
    return sigmoid_only(spec)  # which looks at the groups' rule too


KERNELS = (
    Kernel(
        name="sglang-topk-sigmoid",
        summary="sgl_kernel.topk_sigmoid (CUDA), what pull request 23611 replaced on AMD",
        missing=lambda: _missing("sgl_kernel"),
        load=_load_topk_sigmoid,
        supports=one_group_sigmoid,
        call_sites=(sites.TOPK_SIGMOID, sites.TOPK_SIGMOID_AOT),
    ),
    Kernel(
        name="sglang-moe-fused-gate",
        summary="sglang's Triton moe_fused_gate, its default on NVIDIA since 0.5.15",
        missing=lambda: _missing("sglang"),
        load=_load_moe_fused_gate,
        supports=_sigmoid,
        call_sites=(sites.MOE_FUSED_GATE, sites.MOE_FUSED_GATE_JIT),
    ),
    recorded_only("sglang-route-radix", "sglang's route_radix", sites.ROUTE_RADIX),
    recorded_only(
        "sglang-torch-native", "sglang's eager torch: fused_topk_torch_native", *sites.TORCH_NATIVE
    ),
    recorded_only(
        "sglang-biased-grouped-topk",
        "sglang's biased_grouped_topk_impl, compiled by torch",
        sites.BIASED_GROUPED_TOPK,
    ),
)
