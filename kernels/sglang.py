"""sglang's routing kernels."""

from __future__ import annotations

from goldgate.kernels import sglang_sites as sites
from goldgate.kernels.kernel import recorded_only

KERNELS = (
    recorded_only(
        "sglang-moe-fused-gate",
        "sglang's moe_fused_gate, in Triton",
        sites.MOE_FUSED_GATE,
    ),
    recorded_only("sglang-route-radix", "sglang's route_radix", sites.ROUTE_RADIX),
    recorded_only(
        "sglang-topk-sigmoid", "sglang's topk_sigmoid, compiled with fast math", sites.TOPK_SIGMOID
    ),
    recorded_only(
        "sglang-torch-native", "sglang's eager torch: fused_topk_torch_native", *sites.TORCH_NATIVE
    ),
    recorded_only(
        "sglang-biased-grouped-topk",
        "sglang's biased_grouped_topk_impl, compiled by torch",
        sites.BIASED_GROUPED_TOPK,
    ),
)
