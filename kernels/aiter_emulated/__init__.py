"""aiter's grouped top-k, its own source compiled here and executed by the emulator.

No AMD hardware and no ROCm: the kernel's source comes from its PyPI package (by hash, not
installed) or a checkout, clang from PyPI's `ziglang`. What such a run shows and what it does not is
in docs/emulation.md.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from goldgate.kernels import Kernel, Loaded
from goldgate.kernels.aiter import supports
from goldgate.kernels.aiter_emulated import source
from goldgate.kernels.origin import Arithmetic, Origin

if TYPE_CHECKING:
    import torch

#: The architecture and rounding model of `--kernel aiter-emulated`; `goldgate emulate` has all.
ARCHITECTURE, ROUNDING = "gfx942", "nearest"

#: What outputs and known failures call the kernel: the function that aiter exports.
NAME = "aiter.biased_grouped_topk"


def _missing() -> str | None:
    if find_spec("torch") is None:
        return "no torch here; any torch, CPU builds included: its tensors are routed"
    if find_spec("ziglang") is None:
        return "no ziglang here, whose clang compiles the kernel; `tox -e aiter-emulated` has it"
    return source.missing()


def _load() -> Loaded:
    from goldgate.kernels.aiter_emulated.build import (  # noqa: PLC0415 - starts clang
        build,
        instantiation,
    )

    found = build()
    # A source that does not compile is no fault of the kernel's: found before a call is judged.
    found.kernel(instantiation("F32", 256, 8, 1, 1, renormalize=True), ARCHITECTURE)
    findings: dict[str, None] = {}

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
        from goldgate.kernels.aiter_emulated.tensors import route_tensors  # noqa: PLC0415 - torch

        met = route_tensors(
            found,
            gating_output,
            correction_bias,
            topk_weights,
            topk_ids,
            groups=num_expert_group,
            kept=topk_group,
            renormalize=need_renorm,
            scale=routed_scaling_factor,
            architecture=ARCHITECTURE,
        )
        findings.update(dict.fromkeys(met))

    def findings_until_now() -> tuple[str, ...]:
        met = tuple(findings)
        findings.clear()
        return met

    # The release has two kernels with an arithmetic each, as `goldgate.kernels.aiter` explains.
    return Loaded(
        route,
        NAME,
        found.source.version,
        "cpu",
        "conservative",
        found.note(ROUNDING),
        contiguous=True,
        execution="emulated",
        processor=f"{ARCHITECTURE}, emulated",
        rounding=ROUNDING,
        findings=findings_until_now,
    )


KERNELS = (
    Kernel(
        name="aiter-emulated",
        summary="aiter.biased_grouped_topk, its own source executed by an emulator of gfx942",
        missing=_missing,
        load=_load,
        supports=supports,
        origin=Origin(
            runs_on="any host with ziglang and aiter's published package",
            arithmetic=(
                Arithmetic(".*", "conservative", "a release has two kernels with one each"),
            ),
            environment=("GOLDGATE_AITER",),
        ),
    ),
)
