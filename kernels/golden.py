"""The golden router as a kernel: float64 and exact ties, on the CPU."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import goldgate
from goldgate.kernels.kernel import (
    Kernel,
    Loaded,
    sigmoid_only,
    spec_of,
)
from goldgate.kernels.origin import Arithmetic, Origin

if TYPE_CHECKING:
    import torch


def golden(
    gating_output: torch.Tensor,
    correction_bias: torch.Tensor,
    topk_weights: torch.Tensor,
    topk_ids: torch.Tensor,
    num_expert_group: int,
    topk_group: int,
    need_renorm: bool,
    routed_scaling_factor: float = 1.0,
) -> None:
    """Route by the golden router, rounding its weights once, to float32."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    from goldgate.reference import route  # noqa: PLC0415 - python-flint, for the same

    spec = spec_of(
        gating_output,
        topk_ids,
        num_expert_group,
        topk_group,
        need_renorm,
        routed_scaling_factor,
    )
    # bfloat16 logits have no numpy dtype; float64 holds them, and float32 ones, exactly.
    routing = route(gating_output.double().cpu().numpy(), correction_bias.double().cpu(), spec)
    topk_ids.copy_(torch.from_numpy(routing.ids))
    topk_weights.copy_(torch.from_numpy(routing.weights))


def _missing() -> str | None:
    return None if find_spec("torch") else "no torch here; any torch, CPU builds included, runs it"


def _load() -> Loaded:
    return Loaded(golden, "golden router", goldgate.__version__, "cpu", "ieee")


KERNELS = (
    Kernel(
        name="golden",
        summary="goldgate's own float64 router, weights rounded once to float32",
        missing=_missing,
        load=_load,
        supports=sigmoid_only,
        origin=Origin(
            "goldgate.reference:route",
            ("goldgate",),
            "any host with torch",
            (Arithmetic(".*", "ieee", "float64, weights rounded once to float32"),),
            ("goldgate/reference/router.py",),
        ),
        by_default=False,  # it is what the others are judged by
    ),
)
