"""One call of a kernel: what it returned and what it did wrong.

Nothing here judges what a kernel returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.blame import device_fault
from goldgate.accuracy.call_tensors import (
    POISON_IDS,
    POISON_WEIGHTS,
    Buffer,
    Given,
    buffer,
    given,
    placed,
    written,
)
from goldgate.accuracy.tensors import bits
from goldgate.fixtures import Recording
from goldgate.fixtures.plan import Layout
from goldgate.fixtures.shared_expert import misnamed, misweighed, names
from goldgate.kernels import FOREIGN, KernelError, Loaded, NotCoveredError, one_line
from goldgate.reference import FORMATS, RoutingSpec

if TYPE_CHECKING:
    import torch

#: What refuses a call on strided tensors beside NotImplementedError: these types, before anything
#: is written, in these words. Any other exception there is a failure.
_REFUSALS = (TypeError, ValueError, RuntimeError, AssertionError)
_STRIDES = ("strid", "contiguous")


@dataclass(frozen=True)
class Call:
    """What one call returned for n rows.

    Attributes:
        weights: float32 [n, k].
        ids: int32 [n, k].
        faults: what the call did wrong.
        weight_type: the type that the kernel returned weights in, by safetensors' name.

    """

    weights: NDArray[np.float32]
    ids: NDArray[np.int32]
    faults: tuple[str, ...]
    weight_type: str = "F32"


def call(
    kernel: Loaded,
    recording: Recording,
    start: int,
    stop: int,
    turn: int = 0,
    *,
    mirrored: bool = False,
    layout: Layout | None = None,
    device: str | None = None,
    pause: Callable[[], object] | None = None,
    inputs: Given | None = None,
) -> Call:
    """Call the kernel once on rows start to stop.

    Args:
        kernel: what to call.
        recording: the inputs.
        start: the first row.
        stop: the row behind the last; there may be no rows.
        turn: 0 or 1: what the outputs hold before.
        mirrored: whether rows and experts are reversed: other inputs of the same kind.
        layout: where the tensors lie; None: contiguous.
        device: in place of the kernel's own.
        pause: keeps the current stream busy. It is called before the inputs and outputs are
            written on the device, so that a kernel on another stream comes before them.
        inputs: what `given` returns for these rows, on this device; None: read for this call.

    Raises:
        NotCoveredError: the kernel is not made for this call.
        KernelError: it raised, or there is no torch.

    """
    layout, device = layout or Layout(), device or kernel.device
    spec, adapter = recording.spec, kernel.adapter
    _check_supported(kernel, recording, stop - start, layout)
    inputs = inputs or given(kernel, recording, start, stop, mirrored=mirrored, device=device)
    import torch  # noqa: PLC0415 - kernels need torch, the judge does not

    logits, bias = placed(inputs, layout)
    if pause is not None:
        pause()
        logits, bias = logits.clone(), bias.clone()
    columns = spec.top_k + (adapter.shared.count if adapter.shared else 0)
    shape = (stop - start, columns)
    id_type = torch.int64 if adapter.ids == "int64" else torch.int32
    weight_type: torch.dtype = getattr(torch, adapter.weights)
    weights = buffer(
        shape, layout.weights_row, layout.offset, POISON_WEIGHTS[turn], weight_type, device
    )
    ids = buffer(shape, layout.ids_row, layout.offset, POISON_IDS[turn], id_type, device)
    padding = recording.padding(start, stop) & (not mirrored)
    real = _real_rows(padding) if "num_token_non_padded" in adapter.told else None
    kernel.before(logits, spec)
    try:
        returned = adapter.call(
            kernel.route,
            (logits, bias, weights.view, ids.view),
            spec,
            None if real is None else torch.tensor(real, dtype=torch.int32, device=device),
        )
        views = _returned(kernel, returned, shape) if adapter.returns else (weights.view, ids.view)
        host = [values.float() if values.is_floating_point() else values for values in views]
        arrays = [values.cpu().numpy().copy() for values in host]
        faults = written((logits, bias), inputs, (weights, ids))
    except NotImplementedError as error:
        raise NotCoveredError(one_line(error)) from None
    except FOREIGN as error:
        why = one_line(error)
        if layout.strided and _refuses(error, why) and not _answered(weights, ids):
            raise NotCoveredError(f"refuses strided tensors: {why}") from None
        where = f"{kernel.name} on {recording.name}, in a call of {stop - start:,} tokens"
        raise KernelError(f"{where}: {why}") from None
    limits = np.iinfo(np.int32)  # a 64-bit id beyond them stays out of range
    found = arrays[1].clip(limits.min, limits.max).astype(np.int32)
    kind = {torch.bfloat16: "BF16", torch.float16: "F16"}.get(views[0].dtype, "F32")
    faults += _shared(kernel, spec, arrays[0], found, ~padding, FORMATS[kind].roundoff)
    routed, chosen = arrays[0][:, : spec.top_k], found[:, : spec.top_k]
    if real is not None:
        faults += _masked(routed[real:], chosen[real:])
    return Call(np.ascontiguousarray(routed), np.ascontiguousarray(chosen), faults, kind)


def _refuses(error: BaseException, why: str) -> bool:
    """Say whether an exception refuses the tensors' strides, by its type and words."""
    named = any(word in why.lower() for word in _STRIDES)
    return isinstance(error, _REFUSALS) and named and not device_fault(error)


def _answered(*outputs: Buffer) -> bool:
    """Say whether a call that ended early had written to its outputs."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    return any(
        not torch.equal(bits(held.memory), bits(torch.full_like(held.memory, held.poison)))
        for held in outputs
    )


def _check_supported(kernel: Loaded, recording: Recording, rows: int, layout: Layout) -> None:
    if kernel.contiguous and layout.strided:
        raise NotCoveredError("takes contiguous ones alone (CONTIGUOUS)")
    try:
        types = recording.gating_output.dtype, recording.correction_bias.dtype
        why = kernel.adapter.refusal(recording.spec, rows, *types)
    except FOREIGN as error:
        raise KernelError(f"{kernel.name}: supports() raised {one_line(error)}") from None
    if why:
        raise NotCoveredError(why)


def _returned(
    kernel: Loaded,
    returned: Any,  # noqa: ANN401 - whatever it returned
    shape: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weights and ids that a kernel returned.

    Raises:
        KernelError: they are no tensors of that shape and of those types.

    """
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    order = kernel.adapter.returns
    if not isinstance(returned, tuple | list) or len(returned) < len(order):
        kind = type(returned).__name__
        raise KernelError(f"{kernel.name} returns a {kind}: expected {' and '.join(order)}")
    held = dict(zip(order, returned, strict=False))
    types = {
        "weights": (torch.float32, torch.bfloat16, torch.float16),
        "ids": (torch.int64,) if kernel.adapter.ids == "int64" else (torch.int32,),
    }
    for name, expected in types.items():
        value = held[name]
        usable = isinstance(value, torch.Tensor) and value.dtype in expected
        if not usable or tuple(value.shape) != shape:
            kind = type(value).__name__
            seen = f"{value.dtype} {list(value.shape)}" if hasattr(value, "shape") else kind
            raise KernelError(
                f"{kernel.name} returns {name} {seen}: expected {expected[0]} {list(shape)} "
                "(IDS, WEIGHTS and RETURNS in its module declare others)"
            )
    return held["weights"], held["ids"]


def _shared(
    kernel: Loaded,
    spec: RoutingSpec,
    weights: NDArray[np.float32],
    ids: NDArray[np.int32],
    real: NDArray[np.bool_],
    roundoff: float,
) -> tuple[str, ...]:
    """Return what is wrong with the shared experts' columns."""
    shared = kernel.adapter.shared
    if shared is None:
        return ()
    expected, named = shared.value(spec), names(spec, shared.count).tolist()
    weights, ids = weights[real, spec.top_k :], ids[real, spec.top_k :]
    faults = []
    if rows := int(misnamed(ids, spec).sum()):
        faults.append(f"shared experts: ids are not {named} in {rows} rows")
    if rows := int(misweighed(weights, expected, roundoff).sum()):
        faults.append(f"shared experts: weights are not {expected:.9g} in {rows} rows")
    return tuple(faults)


def _masked(weights: NDArray[np.float32], ids: NDArray[np.int32]) -> tuple[str, ...]:
    """Return whether padding rows are masked: every id -1, or every id 0 with weights of 0."""
    masked = (ids == -1).all(axis=1) | ((ids == 0) & (weights == 0.0)).all(axis=1)
    rows = int((~masked).sum())
    expected = "expected ids -1, or ids and weights 0"
    return (
        (f"does not mask {rows} padding rows (num_token_non_padded): {expected}",) if rows else ()
    )


def _real_rows(padding: NDArray[np.bool_]) -> int:
    """Return how many rows come before the padding that ends a call."""
    real = np.flatnonzero(~padding)
    return int(real[-1]) + 1 if len(real) else 0
