"""vLLM's routing kernels."""

from __future__ import annotations

from goldgate.kernels import vllm_sites as sites
from goldgate.kernels.kernel import recorded_only

KERNELS = (
    recorded_only("vllm-topk-sigmoid", "vLLM's topk_sigmoid", sites.TOPK_SIGMOID),
    recorded_only(
        "vllm-fused-topk-bias", "vLLM's fused_topk_bias, torch's operations", sites.FUSED_TOPK_BIAS
    ),
)
