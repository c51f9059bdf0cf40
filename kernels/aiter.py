"""aiter's biased grouped top-k, as sglang and as vLLM call it, and the two kernels behind it.

`biased_grouped_topk` calls its HIP kernel up to 212 rows a compute unit and, since aiter pull
request 2611, for groups of more than 32 experts; else `moe_fused_gate`. MiniMax-M2.5 in one group
(sglang) always takes the first since then, in 8 of 8 groups (vLLM) either. The entries of the two
kernels call each at any number of rows.

Not run on AMD hardware by this project: the calls are tested around stubs with the published
signatures (aiter/ops/topk.py), and the kernel itself through outputs of its own source under an
instruction-set emulator (fixtures/outputs/aiter-*).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from goldgate.kernels.aiter_sites import ARITHMETIC, CALL_SITES
from goldgate.kernels.call import Call, taking
from goldgate.kernels.hosts import distribution_version, no_gpu
from goldgate.kernels.kernel import (
    FOREIGN,
    Kernel,
    KernelError,
    Loaded,
    one_line,
    sigmoid_only,
)
from goldgate.kernels.origin import Arithmetic, Origin
from goldgate.reference import RoutingSpec

PACKAGES = ("amd-aiter", "aiter")
_HOST = "a ROCm host with aiter (for example sglang's container)"
_CSRC = "aiter_meta/csrc"

#: Experts in a group that `moe_fused_gate` takes, and that vLLM makes of a router without groups.
_GROUP = 32

_RELEASES = (
    Arithmetic(
        r"\d.*",
        ARITHMETIC,
        "rcp_exp2 from 2026-06 on, expf_div_subtract before; a version does not say which: the "
        "widest covers both",
    ),
)

#: Group counts that biased_grouped_topk dispatches; the others fail its TORCH_CHECK (read in
#: csrc/kernels/topk_softmax_kernels_group.cu of 2025-10 to 2026-08).
GROUPS = (1, 2, 4, 8)


def supports(spec: RoutingSpec) -> str | None:
    """Return why aiter's host function launches nothing for a router, or None."""
    if spec.num_expert_group not in GROUPS:
        return f"has kernels for {', '.join(map(str, GROUPS))} groups, not {spec.num_expert_group}"
    return sigmoid_only(spec)


def missing() -> str | None:
    """Return why aiter's kernels cannot run here, or None."""
    return no_gpu("aiter", "hip", _HOST)


def origin(module: str, function: str, *sources: str) -> Origin:
    """Return the origin of one of aiter's functions; its kernels' sources are named under csrc."""
    files = ("aiter/ops/topk.py", "aiter/ops/moe_op.py", *(f"{_CSRC}/{one}" for one in sources))
    return Origin(f"{module}:{function}", PACKAGES, _HOST, _RELEASES, files, ("AITER_",))


BIASED = origin("aiter", "biased_grouped_topk", "kernels/topk_softmax_kernels_group.cu")
FUSED = origin("aiter.ops.topk", "moe_fused_gate", "kernels/moe_fused_gate.cu")
HIP = origin("aiter.ops.topk", "biased_grouped_topk_hip", "kernels/topk_softmax_kernels_group.cu")


def loader(
    origin: Origin,
    call: Callable[[Callable[..., Any], Call], object],
    **more: Any,  # noqa: ANN401 - of Loaded
) -> Callable[[], Loaded]:
    """Return what imports a function of aiter's and loads a kernel that calls it.

    aiter's import looks for the ROCm toolchain and for compiled modules, so that it raises
    RuntimeError or OSError as well as ImportError.

    Args:
        origin: where the function is.
        call: passes a call on to the function.
        more: fields of `Loaded`.

    """
    module, _, function = origin.imports.partition(":")

    def load() -> Loaded:
        try:
            kernel = getattr(importlib.import_module(module), function)
        except FOREIGN as error:
            raise KernelError(
                f"aiter's {function} cannot be imported ({one_line(error)})"
            ) from None
        release = distribution_version(*PACKAGES)
        # It takes the ids' stride for the weights' too (seen under the emulator); engines pass
        # contiguous tensors.
        profile, route = origin.arithmetic_of(release).profile, taking(lambda a: call(kernel, a))
        return Loaded(route, f"aiter.{function}", release, "cuda", profile, contiguous=True, **more)

    return load


def _as_sglang(kernel: Callable[..., Any], a: Call) -> None:
    # The call of sglang pull request 23611, its bias cast included; the scale is passed on where
    # it is not 1.
    scale = {} if a.scale == 1.0 else {"routed_scaling_factor": a.scale}
    kernel(
        a.logits,
        a.bias.to(a.logits.dtype),
        a.weights,
        a.ids,
        num_expert_group=a.groups,
        topk_group=a.kept,
        need_renorm=a.renormalize,
        **scale,
    )


def groups_of_vllm(experts: int) -> int:
    """Return the groups that vLLM divides a router without groups into, all of which stay.

    As `_aiter_get_num_expert_group` of vLLM 0.25.1 (fused_topk_bias_router.py): the fewest equal
    groups of 32 experts at the most.
    """
    groups = max(1, -(-experts // _GROUP))
    while experts % groups:
        groups += 1
    return groups


def _as_vllm(kernel: Callable[..., Any], a: Call) -> None:
    groups = groups_of_vllm(a.logits.shape[1])
    kernel(
        a.logits,
        a.bias,
        a.weights,
        a.ids,
        num_expert_group=groups,
        topk_group=groups,
        need_renorm=a.renormalize,
    )
    if a.scale != 1.0:
        a.weights.mul_(a.scale)


def _one_group(spec: RoutingSpec) -> str | None:
    if spec.num_expert_group != 1:
        return "is vLLM's call for a router without groups"
    groups = groups_of_vllm(spec.num_experts)
    if spec.top_k < groups:
        return f"needs top-k of at least {groups}, the groups that vLLM makes"
    return sigmoid_only(spec)


def _hip(kernel: Callable[..., Any], a: Call) -> None:
    bias = a.bias.to(a.logits.dtype)
    kernel(a.logits, bias, a.weights, a.ids, a.groups, a.kept, a.renormalize, a.scale)


def _fused(kernel: Callable[..., Any], a: Call) -> None:
    bias = a.bias.to(a.logits.dtype)
    kernel(
        *(a.logits, bias, a.weights, a.ids, a.groups, a.kept, a.top_k),
        n_share_experts_fusion=0,
        routed_scaling_factor=a.scale,
    )


def _fused_supports(spec: RoutingSpec) -> str | None:
    if not spec.renormalize:
        return "always renormalises"
    if spec.num_experts // spec.num_expert_group > _GROUP:
        return f"takes {_GROUP} experts a group at the most"
    return sigmoid_only(spec)


KERNELS = (
    Kernel(
        name="aiter",
        summary="aiter.biased_grouped_topk, as sglang calls it for MiniMax-M2.5 (1 of 1 groups)",
        missing=missing,
        load=loader(BIASED, _as_sglang),
        supports=supports,
        origin=BIASED,
        call_sites=CALL_SITES,
    ),
    Kernel(
        name="aiter-vllm",
        summary="aiter.biased_grouped_topk, as vLLM calls it for MiniMax-M2.5 (8 of 8 groups)",
        missing=missing,
        load=loader(BIASED, _as_vllm),
        supports=_one_group,
        origin=BIASED,
    ),
    Kernel(
        name="aiter-biased-grouped-topk-hip",
        summary="aiter's HIP kernel behind biased_grouped_topk, at any number of rows",
        missing=missing,
        load=loader(HIP, _hip),
        supports=supports,
        origin=HIP,
    ),
    Kernel(
        name="aiter-moe-fused-gate",
        summary="aiter.moe_fused_gate, which biased_grouped_topk takes for large calls of groups",
        missing=missing,
        load=loader(FUSED, _fused),
        supports=_fused_supports,
        origin=FUSED,
    ),
)
