"""aiter's biased_grouped_topk, executed on arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator import EmulationError, Memory, NotEmulatedError, Rounding, launch
from goldgate.kernels import KernelError
from goldgate.kernels.aiter_emulated.build import Build, SourceError, instantiation

_BLOCK = 64


@dataclass(frozen=True)
class Routed:
    """What the kernel wrote, and what the emulator found.

    Attributes:
        weights: float32 [T, k]; NaN in rows that were not executed.
        ids: int32 [T, k]; -0x5EED in rows that were not executed.
        findings: accesses that work by luck (`emulator.lds`).

    """

    weights: NDArray[np.float32]
    ids: NDArray[np.int32]
    findings: tuple[str, ...]


def route(
    build: Build,
    gating_output: NDArray[Any],
    correction_bias: NDArray[Any],
    gate: str,
    *,
    top_k: int,
    groups: int = 1,
    kept: int = 1,
    renormalize: bool = True,
    scale: float = 1.0,
    architecture: str = "gfx942",
    rounding: Rounding | None = None,
    rows: Sequence[int] | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> Routed:
    """Launch the kernel that biased_grouped_topk would.

    Args:
        build: the compiled source.
        gating_output: [T, E] in the gate's type; bfloat16 as its 16 bits.
        correction_bias: [E] in the same type.
        gate: "F32", "BF16" or "F16".
        top_k: experts of a token.
        groups: expert groups.
        kept: groups that stay.
        renormalize: whether weights are divided by their sum.
        scale: routed_scaling_factor.
        architecture: "gfx942" or "gfx950".
        rounding: of exp, log, rcp and rsq; None for correct rounding.
        rows: which tokens to execute, of a grid of all T; None for all.
        advance: called with a number of rows whenever so many more are done.

    Raises:
        SourceError: the compiler rejects the source, or it needs what the emulator lacks.
        KernelError: aiter launches nothing for these arguments, or the run ends early.

    """
    tokens, experts = gating_output.shape
    kernel_of = instantiation(gate, experts, top_k, groups, kept, renormalize=renormalize)
    kernel = build.kernel(kernel_of, architecture)
    weights = np.full((tokens, top_k), np.nan, np.float32)
    ids = np.full((tokens, top_k), -0x5EED, np.int32)
    memory = Memory()
    values: dict[str, Any] = {
        "gating_output": memory.add(
            "gating_output", np.ascontiguousarray(gating_output), writable=False
        ),
        "correction_bias": memory.add(
            "correction_bias", np.ascontiguousarray(correction_bias), writable=False
        ),
        "topk_weights": memory.add("topk_weights", weights, writable=True),
        "topk_ids": memory.add("topk_ids", ids, writable=True),
        "stride_gating": experts,
        "stride_tk": top_k,
        "num_experts": experts,
        "topk": top_k,
        "topk_group": kept,
        "num_tokens": tokens,
        "routed_scaling_factor": np.float32(scale),
    }
    try:
        done = launch(
            kernel,
            memory,
            [values[name] for name in build.shape.parameters[kernel_of.kernel]],
            grid=tokens,
            block=_BLOCK,
            dynamic_lds=build.shape.lds(experts, top_k, groups, kept),
            rounding=rounding or Rounding("nearest"),
            workgroups=rows,
            advance=advance,
        )
    except NotEmulatedError as error:
        raise SourceError(f"{build.source.version}: {error}") from None
    except EmulationError as error:
        raise KernelError(str(error)) from None
    return Routed(weights, ids, done.findings)


def cast(bias: NDArray[Any], from_type: str, to_type: str) -> NDArray[Any]:
    """Return a bias in the gate's type, as sglang's `.to(gating_output.dtype)` makes it.

    bfloat16 is held as its 16 bits; rounding is to nearest even.
    """
    if from_type == to_type:
        return bias
    wide = _widened(bias, from_type)
    if to_type == "F32":
        return wide
    if to_type == "F16":
        with np.errstate(over="ignore"):
            return wide.astype(np.float16)
    bits = wide.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _widened(values: NDArray[Any], kind: str) -> NDArray[np.float32]:
    if kind == "BF16":
        return np.asarray((values.astype(np.uint32) << np.uint32(16)).view(np.float32))
    return np.asarray(values, np.float32)


__all__ = ["KernelError", "Routed", "cast", "route"]
