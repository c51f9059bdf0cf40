"""torch eager: score, topk, gather, divide, in float32 on whatever device torch has."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from goldgate.kernels.adapter import Adapter
from goldgate.kernels.hosts import default_device
from goldgate.kernels.kernel import Kernel, Loaded
from goldgate.kernels.origin import Arithmetic, Origin
from goldgate.reference import spec as routing_spec
from goldgate.reference.spec import RoutingSpec

if TYPE_CHECKING:
    import torch


def route(
    gating_output: torch.Tensor,
    correction_bias: torch.Tensor,
    topk_weights: torch.Tensor,
    topk_ids: torch.Tensor,
    num_expert_group: int,
    topk_group: int,
    need_renorm: bool,
    routed_scaling_factor: float = 1.0,
    *,
    scoring: str = "sigmoid",
    group_score: str = "sum of two largest",
) -> None:
    """Route in float32 as model code does; see `goldgate.kernels` for the signature."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    rows, experts = gating_output.shape
    logits = gating_output.float()
    if scoring == "softmax":
        scores = torch.softmax(logits, dim=1)
    elif scoring == "sqrtsoftplus":
        scores = torch.nn.functional.softplus(logits).sqrt()
    else:
        scores = torch.sigmoid(logits)
    biased = scores + correction_bias.float()
    if num_expert_group > 1:
        grouped = biased.view(rows, num_expert_group, experts // num_expert_group)
        merit = grouped.topk(routing_spec.GROUP_SCORES[group_score], dim=2).values.sum(dim=2)
        best = merit.topk(topk_group, dim=1).indices
        stays = torch.zeros(rows, num_expert_group, dtype=torch.bool, device=biased.device)
        stays.scatter_(1, best, value=True)
        biased = grouped.masked_fill(~stays.unsqueeze(2), -torch.inf).view(rows, experts)
    ids = biased.topk(topk_ids.shape[1], dim=1, sorted=True).indices
    weights = scores.gather(1, ids)
    if need_renorm:
        weights = weights / weights.sum(dim=1, keepdim=True)
    topk_weights.copy_(weights * routed_scaling_factor)
    topk_ids.copy_(ids)


def _missing() -> str | None:
    return None if find_spec("torch") else "no torch here; any torch, CPU builds included, runs it"


def _load() -> Loaded:
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    version = str(torch.__version__)
    name = "torch eager: sigmoid, topk, gather, divide"
    told = Adapter(told=("scoring", "group_score"))
    return Loaded(route, name, version, default_device(), "ieee", adapter=told)


def _supports(_spec: RoutingSpec) -> str | None:
    return None


KERNELS = (
    Kernel(
        name="torch-eager",
        summary="torch eager in float32: sigmoid, softmax or sqrtsoftplus, topk, gather, divide",
        missing=_missing,
        load=_load,
        supports=_supports,
        origin=Origin(
            "torch:topk",
            ("torch",),
            "any host with torch",
            (
                Arithmetic(
                    r"2\..*", "ieee", "IEEE division; 2.11 swept over every float32 on an H100"
                ),
            ),
        ),
        # The name that the stand-in's recordings and server have for it.
        aliases=("torch-float32",),
    ),
)
