"""What of aiter's kernel is executed: an architecture and a rounding model."""

from __future__ import annotations

from dataclasses import dataclass

from goldgate.emulator import ROUNDINGS, Rounding
from goldgate.kernels.aiter_emulated.build import ARCHITECTURES, Build
from goldgate.kernels.aiter_emulated.shape import sorts
from goldgate.reference import RoutingSpec


@dataclass(frozen=True)
class Variant:
    """An architecture and a rounding model.

    Attributes:
        architecture: "gfx942" or "gfx950".
        rounding: of the instructions whose last bit is not published.

    """

    architecture: str
    rounding: Rounding

    @property
    def name(self) -> str:
        """What reports and folders call it."""
        return f"aiter-emulated-{self.architecture}-{self.rounding.name}"


def variants(seed: int = 0) -> tuple[Variant, ...]:
    """Return every architecture with every model; the random one has one seed."""
    return tuple(
        Variant(architecture, Rounding(model, seed if model == "random" else 0))
        for architecture in ARCHITECTURES
        for model in ROUNDINGS
    )


VARIANTS = variants()


def arithmetic(build: Build, spec: RoutingSpec) -> str:
    """Return the arithmetic profile of the kernel that a router is launched with.

    Sources from 2026-06 on keep the scores beside the biased ones and gather them. Before, one
    kernel computes expf and a division and recovers its weights, as `expf_div_subtract`; the
    sorting one exp2 and a reciprocal and recovers them too, which only "conservative" covers.
    """
    if build.shape.score_arrays > 1:
        return "rcp_exp2"
    shape = (spec.num_experts, spec.top_k, spec.num_expert_group, spec.topk_group)
    return "conservative" if sorts(*shape) else "expf_div_subtract"
