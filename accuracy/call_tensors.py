"""The tensors of a call: inputs in a layout, poisoned outputs between guards, what was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goldgate.accuracy.tensors import bits, to_torch
from goldgate.fixtures import Recording
from goldgate.fixtures.plan import Layout
from goldgate.kernels import KernelError, Loaded

if TYPE_CHECKING:
    import torch

#: What the outputs hold before the first and before the second call: ids that no expert has, and
#: weights that are never right, and exact in float16 too. Zeros would hide a row not written.
POISON_IDS = (-0x5EED, -0x0BAD)
POISON_WEIGHTS = (float("nan"), -(2.0**15))

#: Bytes in front of the outputs and rows behind them that no kernel may touch, all of the outputs'
#: own storage. 512 bytes keep the alignment that torch gives.
_FRONT_BYTES = 512
_BACK_ROWS = 16


@dataclass(frozen=True)
class Given:
    """What calls on the same rows are given: each call gets a copy, and must leave it so.

    Attributes:
        logits: [n, E] in the recorded type, contiguous.
        bias: [E] likewise.

    """

    logits: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True)
class Buffer:
    """An output: a view of `memory`, with `front` elements before it."""

    memory: torch.Tensor
    view: torch.Tensor
    front: int
    poison: float


def given(
    kernel: Loaded,
    recording: Recording,
    start: int,
    stop: int,
    *,
    mirrored: bool = False,
    device: str | None = None,
) -> Given:
    """Return the inputs of calls on rows start to stop, for `call`.

    Args:
        kernel: what is called; its device is theirs.
        recording: holds the rows.
        start: the first row.
        stop: the row behind the last.
        mirrored: as `call` has it.
        device: in place of the kernel's own.

    Raises:
        KernelError: there is no torch.

    """
    device = device or kernel.device
    try:
        logits = to_torch(recording.gating_output, start, stop, device)
        bias = to_torch(recording.correction_bias, 0, recording.spec.num_experts, device)
    except ImportError:
        raise KernelError("no torch here: a kernel takes torch tensors; install torch") from None
    if mirrored:
        logits, bias = logits.flip((0, 1)).contiguous(), bias.flip(0).contiguous()
    return Given(logits, bias)


def placed(inputs: Given, layout: Layout) -> tuple[torch.Tensor, torch.Tensor]:
    """Return copies of logits and bias in a layout, NaN in between."""
    logits, bias = inputs.logits, inputs.bias
    if layout == Layout():
        return logits.clone(), bias.clone()
    rows, experts = logits.shape
    stride = (experts + layout.gate_row) * layout.gate_column
    memory = logits.new_full((layout.offset + rows * stride + 1,), float("nan"))
    spread = memory.as_strided((rows, experts), (stride, layout.gate_column), layout.offset)
    spread.copy_(logits)
    moved = bias.new_full((experts + layout.offset,), float("nan"))[layout.offset :]
    moved.copy_(bias)
    return spread, moved


def buffer(
    shape: tuple[int, int],
    longer: int,
    offset: int,
    poison: float,
    dtype: torch.dtype,
    device: str,
) -> Buffer:
    """Return an output of poison, its rows `longer` elements longer than their contents."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    rows, columns = shape
    stride = columns + longer
    front = _FRONT_BYTES // dtype.itemsize + offset
    size = front + (rows + _BACK_ROWS) * stride
    memory = torch.full((size,), poison, dtype=dtype, device=device)
    return Buffer(memory, memory.as_strided(shape, (stride, 1), front), front, poison)


def written(
    passed: tuple[torch.Tensor, torch.Tensor],
    inputs: Given,
    outputs: tuple[Buffer, Buffer],
) -> tuple[str, ...]:
    """Return what was written beside the outputs."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    faults = []
    was = inputs.logits, inputs.bias
    for name, values, before in zip(("gating_output", "correction_bias"), passed, was, strict=True):
        if not torch.equal(bits(values), bits(before)):
            faults.append(f"writes {name}")
    for name, held in zip(("topk_weights", "topk_ids"), outputs, strict=True):
        held.view.fill_(held.poison)
        touched = bits(held.memory) != bits(torch.full_like(held.memory, held.poison))
        for where, part in (
            ("in front of", touched[: held.front]),
            ("behind", touched[held.front :]),
        ):
            if bool(part.any()):
                faults.append(f"writes memory {where} {name}")
    return tuple(faults)
