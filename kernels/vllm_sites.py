"""Where vLLM calls its routing kernels (read in vLLM 0.19.0 to 0.33.0)."""

from __future__ import annotations

from goldgate.kernels.call_site import CallSite

_ROUTER = "vllm.model_executor.layers.fused_moe.router.fused_topk_bias_router"

TOPK_SIGMOID = CallSite(
    module="vllm._custom_ops",
    function="topk_sigmoid",
    parameters=(
        "topk_weights",
        "topk_ids",
        "token_expert_indices",
        "gating_output",
        "renormalize",
        "e_score_correction_bias",
        "routed_scaling_factor",
    ),
    name="vllm.topk_sigmoid",
    package="vllm",
    arithmetic="conservative",
    bias="e_score_correction_bias",
    outputs=("topk_weights", "topk_ids"),
    spec={"renormalize": "renormalize", "routed_scaling_factor": "routed_scaling_factor"},
    fixed={"renormalize": False},
)

FUSED_TOPK_BIAS = CallSite(
    module=_ROUTER,
    function="fused_topk_bias",
    parameters=(
        "hidden_states",
        "gating_output",
        "scoring_func",
        "e_score_correction_bias",
        "topk",
        "renormalize",
        "indices_type",
        "input_tokens",
        "hash_indices_table",
        "routed_scaling_factor",
    ),
    name="vllm.fused_topk_bias",
    package="vllm",
    arithmetic="conservative",
    bias="e_score_correction_bias",
    spec={
        "scoring": "scoring_func",
        "renormalize": "renormalize",
        "routed_scaling_factor": "routed_scaling_factor",
    },
    refused=("hash_indices_table", "bias_vl"),
)
