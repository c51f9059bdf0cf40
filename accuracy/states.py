"""What happens around a call: other calls before it, other batches, streams, devices, a compiler.

Each function looks at one thing and returns faults and notes; nothing is judged here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.call_tensors import POISON_IDS, POISON_WEIGHTS, given
from goldgate.accuracy.one_call import Call, call
from goldgate.fixtures import Recording
from goldgate.fixtures.plan import Layout
from goldgate.fixtures.recording import recording
from goldgate.kernels import FOREIGN, KernelError, Loaded, NotCoveredError, one_line
from goldgate.reference import RoutingSpec

#: Sizes of the batches in which the same rows are routed again.
_BATCHES = (1, 2, 7, 16, 64, 128)

#: Unit roundoff of float32.
_U = 2.0**-24

#: Clock cycles for which a side stream is kept busy: 50 ms at 2 GHz.
_CYCLES = 100_000_000

#: Calls before the one that is judged, by state.
_EARLIER = {"second call": 1, "tenth call": 9, "thousandth call": 999}


def prepare(
    kernel: Loaded, held: Recording, start: int, stop: int, state: str, layout: Layout
) -> None:
    """Make the calls that a state has before the first one that counts, on mirrored inputs.

    Raises:
        NotCoveredError: the kernel is not made for such calls, or there is no such device.
        KernelError: one of them failed.

    """
    times = _EARLIER.get(state, 0)
    inputs = given(kernel, held, start, stop, mirrored=True) if times else None
    for _ in range(times):
        # A kernel that keeps a result, or inputs captured in a graph, would otherwise answer the
        # same recording rightly from what it kept.
        call(kernel, held, start, stop, 1, mirrored=True, layout=layout, inputs=inputs)


def between(kernel: Loaded, held: Recording) -> tuple[str, ...]:
    """Call the kernel on another shape; return a note where it takes none."""
    spec = held.spec
    other = RoutingSpec(64, 6) if spec.num_experts != 64 else RoutingSpec(128, 8)
    spec = replace(other, scoring=spec.scoring)
    rng = np.random.default_rng(spec.num_experts)
    logits = rng.standard_normal((5, spec.num_experts), dtype=np.float32)
    bias = rng.normal(0.0, 0.1, spec.num_experts).astype(np.float32)
    try:
        call(kernel, recording("another shape", logits, bias, spec), 0, 5)
    except KernelError as error:
        shape = f"{spec.num_experts} experts, top {spec.top_k}"
        return (f"no call of another shape ({shape}) between its calls: {error}",)
    return ()


def batches(kernel: Loaded, held: Recording) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Route the same rows alone and in batches of other sizes; return faults and notes.

    Rows that depend on their batch are a fault of a kernel that claims they do not, and a note on
    every other.

    Raises:
        KernelError: a call failed.

    """
    whole = call(kernel, held, 0, held.rows)
    compared = differing = moved = 0
    furthest = 0.0
    sizes = [size for size in _BATCHES if size < held.rows]
    refused = []
    for size in sizes:
        for start in (0, held.rows - size):
            try:
                part = call(kernel, held, start, start + size)
            except NotCoveredError:
                refused.append(size)
                break
            mine = slice(start, start + size)
            ids = (part.ids != whole.ids[mine]).any(axis=1)
            weights = part.weights.astype(np.float64) - whole.weights[mine]
            off = np.nan_to_num(np.abs(weights / whole.weights[mine]).max(axis=1) / _U)
            compared += size
            moved += int(ids.sum())
            differing += int((ids | (off > 0)).sum())
            furthest = max(furthest, float(np.where(ids, 0.0, off).max(initial=0.0)))
    tried = ", ".join(str(size) for size in sizes if size not in refused)
    if not compared:
        return (), ("batch invariance: no other batch is supported",)
    if not differing:
        return (), (f"batch-invariant: {compared} rows in batches of {tried} and {held.rows}",)
    text = (
        f"{differing} of {compared} rows in batches of {tried} differ from the same rows in a "
        f"batch of {held.rows}: {moved} in their ids, the weights of others by up to "
        f"{furthest:.3g} u"
    )
    if kernel.adapter.batch_invariant:
        return (f"claims batch invariance (BATCH_INVARIANT), but {text}",), ()
    return (), (f"not batch-invariant: {text}",)


def repeated(
    kernel: Loaded, held: Recording, start: int, stop: int, layout: Layout, times: int
) -> str:
    """Call the kernel again and again on the same rows; return the first difference, or ""."""
    if not times:
        return ""
    inputs = given(kernel, held, start, stop)
    first = call(kernel, held, start, stop, layout=layout, inputs=inputs)
    for number in range(times):
        again = call(kernel, held, start, stop, number % 2, layout=layout, inputs=inputs)
        if rows := differing_rows(first, again):
            return f"call {number + 2} on the same input differs from the first in {rows} rows"
    return ""


def differing_rows(first: Call, second: Call) -> int:
    """Return in how many rows two calls differ, slots that neither wrote aside."""
    ids, weights = _unwritten(first, second)
    nan = np.isnan(first.weights) & np.isnan(second.weights)
    same = (first.weights.view(np.uint32) == second.weights.view(np.uint32)) | nan
    differ = (first.ids != second.ids) & ~ids
    return int((differ | ~(same | weights)).any(axis=1).sum())


def unwritten(first: Call, second: Call) -> tuple[int, int]:
    """Return in how many rows ids and weights still hold what two calls found there."""
    ids, weights = _unwritten(first, second)
    return int(ids.any(axis=1).sum()), int(weights.any(axis=1).sum())


def _unwritten(first: Call, second: Call) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    ids = (first.ids == POISON_IDS[0]) & (second.ids == POISON_IDS[1])
    return ids, np.isnan(first.weights) & (second.weights == np.float32(POISON_WEIGHTS[1]))


def elsewhere(kernel: Loaded, held: Recording, state: str) -> tuple[str, ...]:
    """Return what a call in one of the states `ELSEWHERE` does otherwise.

    Raises:
        NotCoveredError: there is no such device here, or the kernel cannot be called so.
        KernelError: the call failed.

    """
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    rows = min(held.rows, 256)
    if state in _MODES:
        plain = call(kernel, held, 0, rows)
        with _MODES[state]():
            other = call(kernel, held, 0, rows)
        return _compared(state, differing_rows(plain, other), rows)
    if not kernel.device.startswith("cuda"):
        raise NotCoveredError(f"{state}: needs a GPU")
    plain = call(kernel, held, 0, rows)
    if state == "side stream":
        stream = torch.cuda.Stream(device=kernel.device)  # type: ignore[no-untyped-call]  # torch's
        stream.wait_stream(torch.cuda.current_stream(kernel.device))
        with torch.cuda.stream(stream):
            other = call(kernel, held, 0, rows, pause=_busy)
    elif state == "second device":
        if torch.cuda.device_count() < 2:
            raise NotCoveredError("second device: needs a second GPU")
        index = torch.device(kernel.device).index or 0
        other = call(kernel, held, 0, rows, device=f"cuda:{1 if index == 0 else 0}")
    else:
        route = inspect.unwrap(kernel.route)
        try:
            compiled = replace(kernel, route=torch.compile(route))
            other = call(compiled, held, 0, rows)
        except KernelError as error:
            raise NotCoveredError(f"torch.compile: {error}") from None
        except FOREIGN as error:
            raise NotCoveredError(f"torch.compile: {one_line(error)}") from None
    # Compiled code may round otherwise: its rows are compared by their experts alone.
    found = (
        int((np.sort(plain.ids) != np.sort(other.ids)).any(axis=1).sum())
        if state == "torch.compile"
        else differing_rows(plain, other)
    )
    return _compared(state, found, rows)


def _compared(state: str, found: int, rows: int) -> tuple[str, ...]:
    return (f"{state}: {found} of {rows} rows differ from a plain call",) if found else ()


def _busy() -> None:
    """Keep the current stream busy for some 50 ms: a call on another one does not wait for it."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    torch.cuda._sleep(_CYCLES)  # type: ignore[no-untyped-call]  # noqa: SLF001 - torch has no other


@contextmanager
def _inference() -> Iterator[None]:
    """Call as servers do, without autograd's records."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    with torch.inference_mode():
        yield


@contextmanager
def _bfloat16_by_default() -> Iterator[None]:
    """Call where a tensor made without a type is bfloat16, as model loaders leave torch."""
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


#: The states that are a mode of torch's, on any device.
_MODES = {"inference mode": _inference, "bfloat16 by default": _bfloat16_by_default}
