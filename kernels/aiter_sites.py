"""Where sglang and vLLM call aiter's routing kernels (read in ROCm/aiter, aiter/ops/topk.py)."""

from __future__ import annotations

from collections.abc import Mapping

from goldgate.kernels.call_site import CallSite

# Which arithmetic a release has does not show in its version: the widest profile covers both that
# of 2026-06 on (exp2, rcp) and the one before (expf, weights recovered by subtraction).
ARITHMETIC = "conservative"

_SPEC = {
    "num_expert_group": "num_expert_group",
    "topk_group": "topk_group",
    "renormalize": "need_renorm",
    "routed_scaling_factor": "routed_scaling_factor",
}


def _site(
    module: str,
    function: str,
    parameters: tuple[str, ...],
    spec: Mapping[str, str],
    *,
    gating: str = "gating_output",
    bias: str = "correction_bias",
    fixed: Mapping[str, object] | None = None,
    refused: tuple[str, ...] = (),
) -> CallSite:
    return CallSite(
        module=module,
        function=function,
        parameters=(gating, bias, "topk_weights", "topk_ids", *parameters),
        name=f"aiter.{function}",
        package="amd-aiter",
        arithmetic=ARITHMETIC,
        gating=gating,
        bias=bias,
        outputs=("topk_weights", "topk_ids"),
        spec=spec,
        fixed=fixed or {},
        refused=refused,
    )


#: aiter's kernels, in sglang and in vLLM alike (read in ROCm/aiter, aiter/ops/topk.py). The first
#: is what servers call; it hands large batches of small groups to the third and all else to the
#: second, so the innermost is the one that ran. Builds without those two keep the first's name.
CALL_SITES = (
    _site(
        "aiter",
        "biased_grouped_topk",
        ("num_expert_group", "topk_group", "need_renorm", "routed_scaling_factor"),
        _SPEC,
    ),
    _site(
        "aiter.ops.topk",
        "biased_grouped_topk_hip",
        ("num_expert_group", "topk_grp", "need_renorm", "routed_scaling_factor"),
        {**_SPEC, "topk_group": "topk_grp"},
    ),
    _site(
        "aiter.ops.topk",
        "moe_fused_gate",
        (
            "num_expert_group",
            "topk_group",
            "topk",
            "n_share_experts_fusion",
            "routed_scaling_factor",
        ),
        {key: value for key, value in _SPEC.items() if key != "renormalize"},
        gating="input",
        bias="bias",
        fixed={"renormalize": True},
        refused=("n_share_experts_fusion",),
    ),
)
