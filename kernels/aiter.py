"""aiter's grouped top-k, called exactly as sglang calls it for MiniMax-M2.5.

Not run on AMD hardware by this project: the call is tested around a stub package with the published
signature (aiter/ops/topk.py), and the kernel itself through outputs of its own source under an
instruction-set emulator (fixtures/outputs/aiter-*).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldgate.kernels.aiter_sites import ARITHMETIC, CALL_SITES
from goldgate.kernels.hosts import distribution_version, no_gpu
from goldgate.kernels.kernel import (
    FOREIGN,
    Kernel,
    KernelError,
    Loaded,
    one_line,
    sigmoid_only,
)
from goldgate.reference import RoutingSpec

if TYPE_CHECKING:
    import torch

_PACKAGES = ("amd-aiter", "aiter")

#: Group counts that biased_grouped_topk dispatches; the others fail its TORCH_CHECK (read in
#: csrc/kernels/topk_softmax_kernels_group.cu of 2025-10 to 2026-08).
GROUPS = (1, 2, 4, 8)


def supports(spec: RoutingSpec) -> str | None:
    """Return why aiter's host function launches nothing for a router, or None."""
    if spec.num_expert_group not in GROUPS:
        return f"has kernels for {', '.join(map(str, GROUPS))} groups, not {spec.num_expert_group}"
    return sigmoid_only(spec)


def _missing() -> str | None:
    return no_gpu("aiter", "hip", "a ROCm host with aiter (for example sglang's container)")


def _load() -> Loaded:
    try:
        from aiter import biased_grouped_topk  # noqa: PLC0415 - present on ROCm hosts alone
    except FOREIGN as error:  # its import looks for the ROCm toolchain and for compiled modules
        raise KernelError(
            f"aiter's biased_grouped_topk cannot be imported ({one_line(error)})"
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
        # The call of sglang pull request 23611, its bias cast included; the scale is passed on
        # where it is not 1.
        scale = (
            {} if routed_scaling_factor == 1.0 else {"routed_scaling_factor": routed_scaling_factor}
        )
        biased_grouped_topk(
            gating_output,
            correction_bias.to(gating_output.dtype),
            topk_weights,
            topk_ids,
            num_expert_group=num_expert_group,
            topk_group=topk_group,
            need_renorm=need_renorm,
            **scale,
        )

    # It takes the ids' stride for the weights' too (seen under the emulator); sglang passes
    # contiguous tensors.
    name = "aiter.biased_grouped_topk"
    return Loaded(
        route, name, distribution_version(*_PACKAGES), "cuda", ARITHMETIC, contiguous=True
    )


KERNELS = (
    Kernel(
        name="aiter",
        summary="aiter.biased_grouped_topk, as sglang calls it for MiniMax-M2.5",
        missing=_missing,
        load=_load,
        supports=supports,
        call_sites=CALL_SITES,
    ),
)
