"""Running a kernel on a recording: each call of its plan twice, and what calls do wrong.

Nothing here judges what a kernel returns; what a call itself does wrong (an input written, two
calls that differ, a write outside the outputs) is reported beside the outputs.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.call_tensors import Given, given
from goldgate.accuracy.graphs import replayed
from goldgate.accuracy.one_call import Call, call
from goldgate.accuracy.origin import origin
from goldgate.accuracy.states import (
    batches,
    between,
    differing_rows,
    elsewhere,
    prepare,
    repeated,
    unwritten,
)
from goldgate.fixtures import KernelInfo, Output, Recording
from goldgate.fixtures.plan import ELSEWHERE, LAYOUTS, Plan, plan_of
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels import KernelError, Loaded, NotCoveredError
from goldgate.reference import FORMATS

#: Rows of the call on strided tensors, for a recording that has no plan.
_STRIDED_ROWS = 1024

#: Rows of the call that is repeated, at the most: what decoding steps have.
_REPEATED_ROWS = 256

#: Faults of calls that are named; a kernel that errs in every call has hundreds.
_NAMED = 20


@dataclass(frozen=True)
class Uncovered:
    """A call that was not made: the kernel does not support it.

    Attributes:
        start: its first row.
        stop: the row behind its last.
        why: in the kernel's words.

    """

    start: int
    stop: int
    why: str


@dataclass(frozen=True)
class KernelRun:
    """A kernel's outputs, and what its calls showed.

    Attributes:
        output: ids and weights; rows that were not covered hold id -1 and NaN.
        faults: what calls did wrong.
        notes: what was not tried, and what the kernel's calls found.
        uncovered: the calls that the kernel does not support.
        unsaved: why the outputs are not in the file that was asked for, "" where they are.
        strided: the outputs with the rows of a call on strided tensors in place of the plain ones;
            None where they are the same, or there was no such call.

    """

    output: Output
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()
    uncovered: tuple[Uncovered, ...] = ()
    unsaved: str = ""
    strided: Output | None = None


def run(
    kernel: Loaded,
    recording: Recording,
    advance: Callable[[int], object] = lambda _: None,
    *,
    repeats: int = 0,
) -> KernelRun:
    """Run a kernel on every row of a recording, in the calls that its plan has.

    Args:
        kernel: what to call.
        recording: the inputs; logits and bias are passed in their recorded types.
        advance: called with a number of rows whenever so many more are done.
        repeats: how often a call is made again on the same rows.

    Raises:
        NotCoveredError: the kernel supports no call of the recording.
        KernelError: the kernel raised in a call that has tokens, or there is no torch. What it
            raises in a call of no tokens is one of the faults.

    """
    plan = plan_of(recording.source) or Plan()
    layout = LAYOUTS[plan.layout]
    spans = list(plan.spans(recording.rows))
    weights = np.full((recording.rows, recording.spec.top_k), np.nan, dtype=np.float32)
    ids = np.full((recording.rows, recording.spec.top_k), -1, dtype=np.int32)
    uncovered: list[Uncovered] = []
    faults: dict[str, None] = {}
    notes: dict[str, None] = {}
    weight_types: dict[str, None] = {}
    if plan.state in ELSEWHERE:
        faults.update(dict.fromkeys(elsewhere(kernel, recording, plan.state)))
    prepared, empty = False, dict[tuple[int, int], str]()
    for start, stop in spans:
        try:
            if not prepared and stop > start:
                prepare(kernel, recording, start, stop, plan.state, layout)
                prepared = True
            if plan.state == "another shape between":
                notes.update(dict.fromkeys(between(kernel, recording)))
            inputs = given(kernel, recording, start, stop)
            first = call(kernel, recording, start, stop, 0, layout=layout, inputs=inputs)
            if plan.state == "another shape between":
                between(kernel, recording)
        except NotCoveredError as error:
            uncovered.append(Uncovered(start, stop, str(error)))
            continue
        except KernelError as error:
            if stop > start:
                raise
            empty[start, stop] = str(error)  # no row of it is left to judge
            continue
        weights[start:stop], ids[start:stop] = first.weights, first.ids
        weight_types[first.weight_type] = None
        faults.update(dict.fromkeys(first.faults))
        faults.update(dict.fromkeys(_again(kernel, recording, first, start, stop, inputs)))
        advance(stop - start)
    _check_any(spans, uncovered)
    left_out = {*empty, *((one.start, one.stop) for one in uncovered)}
    answered = [span for span in spans if span not in left_out]
    try:
        more = _checks(kernel, recording, plan, answered, repeats)
    except NotCoveredError as error:  # no reason to leave out what it answered
        more = (), (f"further calls were not made: it {error}",)
    faults.update(dict.fromkeys((*empty.values(), *more[0])))
    notes.update(dict.fromkeys(more[1] + kernel.findings()))
    output = _output(kernel, recording, weights, ids, weight_types)
    strided, found, why = _strided(kernel, recording, output)
    faults.update(dict.fromkeys(found))
    notes.update(dict.fromkeys(why))
    return KernelRun(output, _named(tuple(faults)), tuple(notes), tuple(uncovered), strided=strided)


def _check_any(spans: list[tuple[int, int]], uncovered: list[Uncovered]) -> None:
    if len(uncovered) == len(spans):
        raise NotCoveredError(uncovered[0].why)


def _again(
    kernel: Loaded, recording: Recording, first: Call, start: int, stop: int, inputs: Given
) -> tuple[str, ...]:
    """Make a call again over other poison; return its faults and what differs from the first."""
    layout = LAYOUTS[(plan_of(recording.source) or Plan()).layout]
    where = f"of rows {start} to {stop}"
    try:
        second = call(kernel, recording, start, stop, 1, layout=layout, inputs=inputs)
    except NotCoveredError as error:  # what it answered before is judged all the same
        return (f"answers a call {where}, and refuses the same call the second time: {error}",)
    return second.faults + tuple(_between(first, second, where))


def _output(
    kernel: Loaded,
    recording: Recording,
    weights: NDArray[np.float32],
    ids: NDArray[np.int32],
    types: Iterable[str],
) -> Output:
    kind = _one_type(types, f"{kernel.name} on {recording.name}")
    return Output(_info(kernel), tensor(weights, kind), tensor(ids))


def _info(kernel: Loaded) -> KernelInfo:
    return KernelInfo(
        kernel.name,
        kernel.version,
        kernel.processor or device_name(kernel.device),
        kernel.execution,
        kernel.arithmetic,
        kernel.note,
        **origin(kernel),
        rounding=kernel.rounding,
    )


def _checks(
    kernel: Loaded, recording: Recording, plan: Plan, spans: list[tuple[int, int]], repeats: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what further calls on the same recording show: faults and notes."""
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    layout = LAYOUTS[plan.layout]
    if plan.state == "other batches":
        faults, notes = batches(kernel, recording)
    small = [span for span in spans if 0 < span[1] - span[0] <= _REPEATED_ROWS]
    start, stop = max(small or spans[:1], key=lambda span: span[1] - span[0])
    stop = min(stop, start + _REPEATED_ROWS)
    if why := repeated(kernel, recording, start, stop, layout, repeats if stop > start else 0):
        faults += (why,)
    if not layout.strided:
        found, more = replayed(kernel, recording)
        faults, notes = faults + found, notes + more
    return faults, notes


def _one_type(types: Iterable[str], where: str) -> str:
    """Return the type that all calls return weights in.

    Raises:
        KernelError: they return several.

    """
    first, *others = types
    if others:
        names = ", in others in ".join(FORMATS[one].name for one in (first, *others))
        raise KernelError(
            f"{where}: returns weights in some calls in {names}: expected one type in all"
        )
    return first


def _named(faults: tuple[str, ...]) -> tuple[str, ...]:
    if len(faults) <= _NAMED:
        return faults
    return (*faults[:_NAMED], f"and {len(faults) - _NAMED} more faults of its calls")


def _strided(
    kernel: Loaded, recording: Recording, output: Output
) -> tuple[Output | None, tuple[str, ...], tuple[str, ...]]:
    """Call the kernel on strided tensors.

    Returns:
        The outputs with the first rows as that call answers them, None where it answers them as
        before, bit for bit; what the call did wrong; why it was not made.

    """
    if plan_of(recording.source):  # its layout is the plan's
        return None, (), ()
    rows = min(_STRIDED_ROWS, recording.rows)
    try:
        found = call(kernel, recording, 0, rows, 0, layout=LAYOUTS["all padded"])
    except NotCoveredError as error:
        return None, (), (f"not called on strided tensors: it {error}",)
    faults = tuple(f"{fault}, called on strided tensors" for fault in found.faults)
    ids, weights = output.topk_ids.rows().copy(), output.topk_weights
    if weights is None:  # a kernel that is run has weights
        return None, faults, ()
    changed = weights.rows().copy()
    ids[:rows], changed[:rows] = found.ids, found.weights
    plain = Call(weights.rows(0, rows), output.topk_ids.rows(0, rows), ())
    if not differing_rows(plain, found):
        return None, faults, ()
    other = replace(output, topk_weights=tensor(changed, weights.dtype), topk_ids=tensor(ids))
    return other, faults, ()


def _between(first: Call, second: Call, where: str) -> Iterator[str]:
    """Yield what two calls on the same input show together: slots left unwritten, other answers."""
    ids, weights = unwritten(first, second)
    if ids:
        yield f"does not write topk_ids in {ids} {where}"
    if weights:
        yield f"does not write topk_weights in {weights} {where}"
    if rows := differing_rows(first, second):
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
