"""Running a kernel on a recording: poisoned outputs, guarded inputs, every call made twice.

Nothing here judges what a kernel returns; what a call itself does wrong (an input written, two
calls that differ, a write past the end) is reported beside the outputs.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accuracy.kernels import KernelError, Loaded
from fixtures import KernelInfo, Output, Recording
from fixtures.tensorfile import Tensor, tensor

if TYPE_CHECKING:
    import torch

#: Rows of one call at the most; larger batches than servers route at once.
CALL_ROWS = 65536

#: Rows behind the outputs that no kernel may touch.
_GUARD_ROWS = 16

#: What the outputs hold before the first and before the second call: ids that no expert has, and
#: weights that are never right. Zeros would hide a row that is not written.
_POISON_IDS = (-0x5EED, -0x0BAD)
_POISON_WEIGHTS = (float("nan"), -1e30)


@dataclass(frozen=True)
class Run:
    """A kernel's outputs, and what its calls did wrong (empty if nothing)."""

    output: Output
    faults: tuple[str, ...]


def run(
    kernel: Loaded, recording: Recording, advance: Callable[[int], object] = lambda _: None
) -> Run:
    """Run a kernel on every row of a recording.

    Args:
        kernel: what to call.
        recording: the inputs; logits and bias are passed in their recorded types.
        advance: called with a number of rows whenever so many more are done.

    Raises:
        KernelError: the kernel raised, or there is no torch.

    """
    weights = np.empty((recording.rows, recording.spec.top_k), dtype=np.float32)
    ids = np.empty((recording.rows, recording.spec.top_k), dtype=np.int32)
    faults: dict[str, None] = {}
    # A call on other inputs first: a kernel that keeps a result, or inputs captured in a graph,
    # would otherwise answer the same recording rightly from what it kept.
    _call(kernel, recording, 0, min(CALL_ROWS, recording.rows), 1, mirrored=True)
    for start in range(0, recording.rows, CALL_ROWS):
        stop = min(start + CALL_ROWS, recording.rows)
        first = _call(kernel, recording, start, stop, 0)
        second = _call(kernel, recording, start, stop, 1)
        weights[start:stop], ids[start:stop] = first.weights, first.ids
        faults.update(dict.fromkeys(first.faults + second.faults))
        differs = (first.ids != second.ids) | (
            first.weights.view(np.uint32) != second.weights.view(np.uint32)
        )
        # A slot that holds its poison is not written, which the judge sees; NaN may carry any bits.
        differs &= ~(np.isnan(first.weights) & np.isnan(second.weights)) | (first.ids != second.ids)
        if rows := int(differs.any(axis=1).sum()):
            faults[f"two calls on the same input differ in {rows} of rows {start} to {stop}"] = None
        advance(stop - start)
    info = KernelInfo(
        kernel.name,
        kernel.version,
        device_name(kernel.device),
        "hardware",
        kernel.arithmetic,
        kernel.note,
    )
    return Run(Output(info, tensor(weights), tensor(ids)), tuple(faults))


def device_name(device: str) -> str:
    """Return what a reader calls the device: the GPU's name or the processor's."""
    if device.startswith("cuda"):
        import torch  # noqa: PLC0415 - imported only where a kernel runs

        return str(torch.cuda.get_device_name(device))
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class _Call:
    weights: np.ndarray[Any, np.dtype[np.float32]]
    ids: np.ndarray[Any, np.dtype[np.int32]]
    faults: tuple[str, ...]


def _call(
    kernel: Loaded,
    recording: Recording,
    start: int,
    stop: int,
    turn: int,
    *,
    mirrored: bool = False,
) -> _Call:
    try:
        import torch  # noqa: PLC0415 - kernels need torch, the judge does not
    except ImportError:
        raise KernelError("no torch here: a kernel takes torch tensors; install torch") from None
    spec, rows = recording.spec, stop - start
    logits = _to_torch(recording.gating_output, start, stop, kernel.device)
    if mirrored:
        logits = logits.flip((0, 1)).contiguous()
    bias = _to_torch(recording.correction_bias, 0, spec.num_experts, kernel.device)
    shape = (rows + _GUARD_ROWS, spec.top_k)
    weights = torch.full(shape, _POISON_WEIGHTS[turn], dtype=torch.float32, device=kernel.device)
    ids = torch.full(shape, _POISON_IDS[turn], dtype=torch.int32, device=kernel.device)
    before = (_bits(logits).clone(), _bits(bias).clone())
    guard = (_bits(weights[rows:]).clone(), ids[rows:].clone())
    try:
        kernel.route(
            logits,
            bias,
            weights[:rows],
            ids[:rows],
            spec.num_expert_group,
            spec.topk_group,
            spec.renormalize,
            spec.routed_scaling_factor,
        )
        after = (_bits(logits), _bits(bias), _bits(weights[rows:]), ids[rows:])
        unchanged = [torch.equal(a, b) for a, b in zip(before + guard, after, strict=True)]
        host = weights[:rows].cpu().numpy(), ids[:rows].cpu().numpy()
    except Exception as error:  # noqa: BLE001 - a kernel may raise anything; it is reported
        reason = " ".join(str(error).split())[:300]
        raise KernelError(
            f"{kernel.name} on {recording.name}: {type(error).__name__}: {reason}"
        ) from None
    names = (
        "gating_output",
        "correction_bias",
        "memory behind topk_weights",
        "memory behind topk_ids",
    )
    faults = tuple(f"writes {n}" for n, same in zip(names, unchanged, strict=True) if not same)
    return _Call(*host, faults)


def _to_torch(held: Tensor, start: int, stop: int, device: str) -> torch.Tensor:
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    kinds = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    values = np.array(held.rows(start, stop))  # a copy: a kernel must not write the recording
    return torch.from_numpy(values).to(dtype=kinds[held.dtype], device=device)


def _bits(values: torch.Tensor) -> torch.Tensor:
    """View floats as integers, so that NaN equals itself."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    return values.view(torch.int32 if values.element_size() == 4 else torch.int16)
