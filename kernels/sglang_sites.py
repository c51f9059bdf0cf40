"""Where sglang calls its routing kernels (read in sglang 0.5.10 to 0.5.23)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goldgate.kernels.call_site import CallSite, UnsupportedCallError
from goldgate.reference import RoutingSpec

_TOPK = "sglang.srt.layers.moe.topk"
_SCALE_IF = "apply_routed_scaling_factor_on_output"


def _moe_fused_gate(module: str) -> CallSite:
    """Return the Triton kernel's site; it moved from sglang.jit_kernel to sglang.kernels."""
    return CallSite(
        module=module,
        function="moe_fused_gate",
        parameters=(
            "scores",
            "bias",
            "topk",
            "scoring_func",
            "num_fused_shared_experts",
            "renormalize",
            "routed_scaling_factor",
            "apply_routed_scaling_factor_on_output",
            "moe_softcapping",
            "num_expert_group",
            "topk_group",
        ),
        name="sglang.moe_fused_gate",
        package="sglang",
        arithmetic="fast_math",  # a Triton kernel
        gating="scores",
        bias="bias",
        spec={
            "scoring": "scoring_func",
            "renormalize": "renormalize",
            "routed_scaling_factor": "routed_scaling_factor",
            "num_expert_group": "num_expert_group",
            "topk_group": "topk_group",
        },
        scale_if=_SCALE_IF,
        shared="num_fused_shared_experts",
        refused=("input_ids",),
        renamed={"input": "scores"},  # up to 0.5.14, a CUDA kernel
    )


MOE_FUSED_GATE = _moe_fused_gate("sglang.kernels.ops.moe.moe_fused_gate")
MOE_FUSED_GATE_JIT = _moe_fused_gate("sglang.jit_kernel.moe_fused_gate")

ROUTE_RADIX = CallSite(
    module="sglang.kernels.ops.moe.moe_route_radix",
    function="route_radix",
    parameters=(
        "scores",
        "bias",
        "topk",
        "renormalize",
        "routed_scaling_factor",
        "apply_scale",
    ),
    name="sglang.route_radix",
    package="sglang",
    arithmetic="conservative",
    gating="scores",
    bias="bias",
    spec={
        "renormalize": "renormalize",
        "routed_scaling_factor": "routed_scaling_factor",
    },
    scale_if="apply_scale",
)


def _topk_sigmoid(module: str) -> CallSite:
    """Return the site of sglang's own kernel; 0.5.16 has it in sglang.jit_kernel."""
    return CallSite(
        module=_TOPK,
        function="topk_sigmoid",
        parameters=(
            "topk_weights",
            "topk_ids",
            "gating_output",
            "renormalize",
            "correction_bias",
            "routed_scaling_factor",
            "num_fused_shared_experts",
        ),
        name="sglang.topk_sigmoid",
        package="sglang",
        arithmetic="fast_math",  # built with --use_fast_math
        outputs=("topk_weights", "topk_ids"),
        spec={"renormalize": "renormalize", "routed_scaling_factor": "routed_scaling_factor"},
        fixed={"renormalize": False},
        scale_if="renormalize",  # the kernel scales where it divides by the sum, and nowhere else
        shared="num_fused_shared_experts",
        defined=(module, "topk_sigmoid"),
    )


TOPK_SIGMOID = _topk_sigmoid("sglang.kernels.ops.moe.moe_topk_sigmoid")
TOPK_SIGMOID_JIT = _topk_sigmoid("sglang.jit_kernel.moe_topk_sigmoid")

#: The compiled library's kernel, which sglang called until its own sources had one. The build for
#: compute capability 9.0 has fast math, and 0.4.4 recovers its weights as (score + bias) - bias.
TOPK_SIGMOID_AOT = CallSite(
    module=_TOPK,
    function="topk_sigmoid",
    parameters=("topk_weights", "topk_ids", "gating_output", "renormalize", "correction_bias"),
    name="sgl_kernel.topk_sigmoid",
    package="sglang-kernel",
    arithmetic="conservative",
    outputs=("topk_weights", "topk_ids"),
    spec={"renormalize": "renormalize"},
    fixed={"renormalize": False},
    defined=("sgl_kernel.moe", "topk_sigmoid"),
)

TORCH_NATIVE = tuple(
    CallSite(
        module=_TOPK,
        function=function,
        parameters=(
            "hidden_states",
            "gating_output",
            "topk",
            "renormalize",
            "correction_bias",
            "scoring_func",
        ),
        name="sglang.fused_topk_torch_native",
        package="sglang",
        arithmetic="ieee",  # eager torch
        spec={"renormalize": "renormalize", "scoring": "scoring_func"},
        fixed={"scoring": "softmax"},
        defined=(_TOPK, "fused_topk_torch_native"),
    )
    # One function under two names; select_experts takes the second.
    for function in ("fused_topk_torch_native", "fused_topk_native")
)


@dataclass(frozen=True)
class _ScaledByRelease(CallSite):
    """A function that scales weights which it does not renormalise in some releases alone."""

    def routing_spec(self, call: Mapping[str, object], experts: int, top_k: int) -> RoutingSpec:
        """Return the router that a call asked for, as `CallSite.routing_spec`.

        Raises:
            UnsupportedCallError: a recording cannot describe it, or it asks for a scale and no
                renormalisation.

        """
        spec = super().routing_spec(call, experts, top_k)
        if spec.routed_scaling_factor != 1.0 and not spec.renormalize:
            raise UnsupportedCallError(
                f"{self.name} with a scale and no renormalisation: sglang scales then from 0.5.23 "
                "on, and not before"
            )
        return spec


BIASED_GROUPED_TOPK = _ScaledByRelease(
    module=_TOPK,
    function="biased_grouped_topk_impl",
    parameters=(
        "hidden_states",
        "gating_output",
        "correction_bias",
        "topk",
        "renormalize",
        "num_expert_group",
        "topk_group",
        "num_fused_shared_experts",
        "routed_scaling_factor",
        "apply_routed_scaling_factor_on_output",
    ),
    name="sglang.biased_grouped_topk_impl",
    package="sglang",
    arithmetic="conservative",  # compiled by torch
    spec={
        "renormalize": "renormalize",
        "num_expert_group": "num_expert_group",
        "topk_group": "topk_group",
        "routed_scaling_factor": "routed_scaling_factor",
    },
    scale_if=_SCALE_IF,
    shared="num_fused_shared_experts",
)
