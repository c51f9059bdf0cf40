"""Running a kernel on a recording: poisoned outputs, guarded inputs, every call made twice.

Nothing here judges what a kernel returns; what a call itself does wrong (an input written, two
calls that differ, a write past the end) is reported beside the outputs.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goldgate.accuracy.graphs import replayed
from goldgate.accuracy.origin import origin
from goldgate.accuracy.tensors import bits, to_torch
from goldgate.fixtures import KernelInfo, Output, Recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels import FOREIGN, KernelError, Loaded, one_line

#: Rows of one call at the most: the largest of aiter's own test (op_tests/test_moeTopkSoftmax.py).
CALL_ROWS = 163840

#: Rows of the call on strided tensors, and what each row is longer by: logits, weights, ids. A
#: kernel that takes one tensor's stride for another's, or for the row's length, errs in every row.
_STRIDED_ROWS = 1024
_PADDING = (8, 2, 1)

#: Rows that may answer otherwise there: another code path's last bits decide near-ties otherwise.
_STRIDED_SHARE = 0.1

#: Rows behind the outputs that no kernel may touch.
_GUARD_ROWS = 16

#: What the outputs hold before the first and before the second call: ids that no expert has, and
#: weights that are never right. Zeros would hide a row that is not written.
_POISON_IDS = (-0x5EED, -0x0BAD)
_POISON_WEIGHTS = (float("nan"), -1e30)


@dataclass(frozen=True)
class Run:
    """A kernel's outputs, what its calls did wrong and what was not tried (empty if nothing).

    `unsaved` says why the outputs are not in the file that was asked for, "" where they are.
    """

    output: Output
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()
    unsaved: str = ""


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
        faults.update(dict.fromkeys(_between(first, second, f"of rows {start} to {stop}")))
        advance(stop - start)
    found, notes = _strided(kernel, recording)
    faults.update(dict.fromkeys(found))
    found, more = replayed(kernel, recording)
    faults.update(dict.fromkeys(found))
    info = KernelInfo(
        kernel.name,
        kernel.version,
        device_name(kernel.device),
        "hardware",
        kernel.arithmetic,
        kernel.note,
        **origin(kernel),
    )
    return Run(Output(info, tensor(weights), tensor(ids)), tuple(faults), notes + more)


def _strided(kernel: Loaded, recording: Recording) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a call on strided tensors did wrong, and why it was not made or came to nothing.

    What it answers is compared with a call on contiguous tensors of the same rows, not judged.
    """
    if kernel.contiguous:
        return (), ("not called on strided tensors: it is said to take contiguous ones alone",)
    rows = min(_STRIDED_ROWS, recording.rows)
    plain = _call(kernel, recording, 0, rows, 0)
    try:
        strided = _call(kernel, recording, 0, rows, 0, padding=_PADDING)
    except KernelError as error:
        return (), (f"refuses strided tensors: {error}",)
    # Pairs in the order of their ids, so that equal weights may come in any order.
    orders = [np.argsort(call.ids, axis=1, kind="stable") for call in (plain, strided)]
    ids = [np.take_along_axis(c.ids, o, 1) for c, o in zip((plain, strided), orders, strict=True)]
    weights = [
        np.take_along_axis(c.weights, o, 1).astype(np.float64)
        for c, o in zip((plain, strided), orders, strict=True)
    ]
    near = np.isclose(weights[0], weights[1], rtol=2.0**-10, atol=0.0, equal_nan=True)
    other = int(((ids[0] != ids[1]) | ~near).any(axis=1).sum())
    faults = [f"{fault}, called on strided tensors" for fault in strided.faults]
    if other > _STRIDED_SHARE * rows:
        logits, wide, narrow = _PADDING
        faults.append(
            f"answers otherwise in {other} of {rows} rows where rows of logits are {logits}, of "
            f"weights {wide} and of ids {narrow} longer than their contents (a kernel that is "
            "given contiguous tensors alone: CONTIGUOUS = True in its module)"
        )
    return tuple(faults), ()


def _between(first: _Call, second: _Call, where: str) -> Iterator[str]:
    """Yield what two calls on the same input say together: slots left unwritten, other answers."""
    unwritten = (first.ids == _POISON_IDS[0]) & (second.ids == _POISON_IDS[1])
    if rows := int(unwritten.any(axis=1).sum()):
        yield f"does not write topk_ids in {rows} {where}"
    differs = (first.ids != second.ids) & ~unwritten
    empty = np.isnan(first.weights) & (second.weights == np.float32(_POISON_WEIGHTS[1]))
    if rows := int(empty.any(axis=1).sum()):
        yield f"does not write topk_weights in {rows} {where}"
    both_nan = np.isnan(first.weights) & np.isnan(second.weights)  # NaN may carry any bits
    same = first.weights.view(np.uint32) == second.weights.view(np.uint32)
    differs |= ~(same | both_nan | empty)
    if rows := int(differs.any(axis=1).sum()):
        yield f"two calls on the same input differ in {rows} {where}"


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
    padding: tuple[int, int, int] = (0, 0, 0),
) -> _Call:
    """Call the kernel once on rows start to stop; `padding` lengthens the tensors' rows."""
    try:
        import torch  # noqa: PLC0415 - kernels need torch, the judge does not
    except ImportError:
        raise KernelError("no torch here: a kernel takes torch tensors; install torch") from None
    spec, rows, k = recording.spec, stop - start, recording.spec.top_k
    logits = to_torch(recording.gating_output, start, stop, kernel.device)
    bias = to_torch(recording.correction_bias, 0, spec.num_experts, kernel.device)
    if mirrored:
        logits, bias = logits.flip((0, 1)).contiguous(), bias.flip(0).contiguous()
    if padding[0]:
        wide = logits.new_full((rows, spec.num_experts + padding[0]), float("nan"))
        wide[:, : spec.num_experts] = logits
        logits = wide[:, : spec.num_experts]
    weights, ids = (
        torch.full((rows + _GUARD_ROWS, k + more), poison, dtype=dtype, device=kernel.device)
        for more, poison, dtype in (
            (padding[1], _POISON_WEIGHTS[turn], torch.float32),
            (padding[2], _POISON_IDS[turn], torch.int32),
        )
    )
    before = (bits(logits).clone(), bits(bias).clone())
    outputs = weights[:rows, :k], ids[:rows, :k]
    try:
        kernel.route(
            logits,
            bias,
            *outputs,
            spec.num_expert_group,
            spec.topk_group,
            spec.renormalize,
            spec.routed_scaling_factor,
        )
        inputs = zip(before, (bits(logits), bits(bias)), strict=True)
        unchanged = [torch.equal(a, b) for a, b in inputs]
        host = [values.cpu().numpy().copy() for values in outputs]
        for values, poison in ((weights, _POISON_WEIGHTS[turn]), (ids, _POISON_IDS[turn])):
            values[:rows, :k] = poison
            full = torch.full_like(values, poison)
            unchanged.append(torch.equal(bits(values), bits(full)))
    except FOREIGN as error:  # it is reported
        raise KernelError(f"{kernel.name} on {recording.name}: {one_line(error)}") from None
    names = (
        "gating_output",
        "correction_bias",
        "memory behind topk_weights",
        "memory behind topk_ids",
    )
    faults = tuple(f"writes {n}" for n, same in zip(names, unchanged, strict=True) if not same)
    return _Call(host[0], host[1], faults)
