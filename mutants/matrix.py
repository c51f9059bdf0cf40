"""The kill matrix: every fault and honest kernel before every check."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.known_failures import SHIPPED as DEVIATIONS
from goldgate.accuracy.known_failures import read_known_failures
from goldgate.mutants.conforming.kernels import HONEST, PADDED, Honest
from goldgate.mutants.fault import INSIDE, Fault, FileFault, FolderFault
from goldgate.mutants.faults.evidence import FAULTS as FOLDER_FAULTS
from goldgate.mutants.folders import try_folder
from goldgate.mutants.other_suites import CHECKS, Given, Outputs, given, outputs, reference
from goldgate.mutants.recordings import DEVIATING, SHIPPED, made, shipped_outputs
from goldgate.mutants.trial import (
    FAULTS,
    FILE_FAULTS,
    judged,
    try_fault,
    try_file,
    try_kernel,
    words,
)

#: The recordings that take the longest, the longest last.
LARGEST = ("many", "million")

#: Lines of any other recording that are found before progress is shown.
_TOGETHER = 8

#: The most trials that a check has.
_TRIALS = max(check.trials for check in CHECKS)

#: The recordings on which honest kernels stand before the checks.
_HONEST_ON = ("normal", "offset", "bfloat16")


@dataclass(frozen=True)
class Line:
    """A row of the matrix.

    Attributes:
        name: the fault's or the honest kernel's.
        family: its section.
        on: the recording.
        stands_for: the real case; for an honest kernel its profile.
        expected: whether it met what was asked: caught as it should be, or passed.
        seen: what the judge says, by the kernel's own profile.
        caught: whether each of goldgate by its profile, goldgate by the profile of unknown
            kernels, and `CHECKS` complains; None where a check has nothing to look at.

    """

    name: str
    family: str
    on: str
    stands_for: str
    expected: bool
    seen: str
    caught: tuple[bool | None, ...]


def fault_line(fault: Fault) -> Line:
    """Try a kernel fault before the judge and every check."""
    own, unknown = try_fault(fault)
    # What leans inside the bound must be seen by nothing else, or it is not inside the bound.
    met = fault.seen_as in own.seen if fault.seen_as else not own.seen
    if fault.seen_as in INSIDE:
        met = met and set(own.seen) <= INSIDE
    others = _complaints(fault.on, lambda *how: outputs(fault.make(), made(fault.on), *how))
    caught = (bool(own.seen), bool(unknown.seen), *others)
    return Line(fault.name, fault.family, fault.on, fault.stands_for, met, words(own), caught)


def file_line(fault: FileFault) -> Line:
    """Try a file fault before the judge, and its tensors before every check."""
    own, unknown, output = try_file(fault)
    others: tuple[bool | None, ...] = (None,) * len(CHECKS)
    if output is not None:
        held = Outputs(output.weights(), output.ids())
        others = _complaints(fault.on, lambda *_: (held,))
    caught = (bool(own.seen), bool(unknown.seen), *others)
    met = fault.seen_as in own.seen
    return Line(fault.name, "file", fault.on, fault.stands_for, met, words(own), caught)


def folder_line(fault: FolderFault) -> Line:
    """Put a folder before the commands' loop; the other checks compare tensors alone."""
    own, unknown = try_folder(fault)
    seen = ", ".join(sorted(own)) or "passes"
    met = own == ({fault.seen_as} if fault.seen_as else frozenset())
    caught = (bool(own), bool(unknown), *(None for _ in CHECKS))
    return Line(fault.name, "evidence", "two recordings", fault.stands_for, met, seen, caught)


def honest_line(honest: Honest, on: str) -> Line:
    """Try an honest kernel before the judge and every check."""
    own, unknown = try_kernel(honest.make(), made(on), (honest.profile, "conservative"))
    others = _complaints(on, lambda *how: outputs(honest.make(), made(on), *how))
    caught = (bool(own.seen), bool(unknown.seen), *others)
    return Line(honest.name, "honest", on, honest.profile, not own.seen, words(own), caught)


def shipped_line(kernel: str, on: str) -> Line:
    """Put a real kernel's shipped outputs before the judge and every check."""
    output = shipped_outputs(on)[kernel]
    profile = output.kernel.arithmetic
    held = Outputs(output.weights().copy(), output.ids().copy())  # torch wants to own them
    others = _complaints(on, lambda *_: (held,))
    if on in DEVIATING:
        own = judged(made(on), output, profile, known_failures=read_known_failures(DEVIATIONS))
        caught: tuple[bool | None, ...] = (bool(own.seen), None, *others)
        return Line(
            kernel, "known", on, profile, bool(own.known) and not own.seen, words(own), caught
        )
    own, unknown = (judged(made(on), output, name) for name in (profile, "conservative"))
    caught = (bool(own.seen), bool(unknown.seen), *others)
    return Line(kernel, "honest", on, profile, not own.seen, words(own), caught)


def honest() -> list[tuple[Honest, str]]:
    """Return every honest kernel that is run, with a recording."""
    found = [(one, on) for on in _HONEST_ON for one in HONEST]
    return found + [(one, "padded") for one in PADDED]


def shipped() -> list[tuple[str, str]]:
    """Return recording and kernel of every shipped output."""
    return [(on, kernel) for on in (*SHIPPED, *DEVIATING) for kernel in shipped_outputs(on)]


def _everything() -> list[tuple[str, Callable[[], Line]]]:
    """Return a recording and a search for each line, in the pages' order."""
    return [
        *((fault.on, partial(fault_line, fault)) for fault in FAULTS),
        *((fault.on, partial(file_line, fault)) for fault in FILE_FAULTS),
        *(("", partial(folder_line, fault)) for fault in FOLDER_FAULTS),
        *((on, partial(honest_line, one, on)) for one, on in honest()),
        *((on, partial(shipped_line, kernel, on)) for on, kernel in shipped()),
    ]


def all_lines(advance: Callable[[Line], object] = lambda _: None, jobs: int = 1) -> list[Line]:
    """Try everything; `advance` is called with each line as it is found.

    Args:
        advance: called in no certain order.
        jobs: processes that share the work. What is of one recording is tried in one of them, which
            keeps it and the reference's answers; the largest recordings first.

    """
    on: dict[str, list[int]] = {}
    for number, (name, _) in enumerate(_everything()):
        on.setdefault(name, []).append(number)
    todo = [on.pop(name, []) for name in reversed(LARGEST)]
    todo += [
        some[n : n + _TOGETHER] for some in on.values() for n in range(0, len(some), _TOGETHER)
    ]
    found: dict[int, Line] = {}
    with (
        ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))
        if jobs > 1
        else ThreadPoolExecutor(1)
    ) as pool:
        try:
            for done in as_completed(pool.submit(_lines, numbers) for numbers in todo):
                for number, line in done.result().items():
                    found[number] = line
                    advance(line)
        except BaseException:  # an interrupt too: what has not begun is left
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [found[number] for number in sorted(found)]


def _lines(numbers: Sequence[int]) -> dict[int, Line]:
    """Find some of the lines, by their numbers in the pages' order."""
    every = _everything()
    return {number: every[number][1]() for number in numbers}


def count() -> int:
    """Return how many lines `all_lines` finds."""
    return len(_everything())


@cache
def _right(on: str, masked: float, trials: int) -> list[Outputs]:
    if masked != -np.inf and made(on).spec.num_expert_group == 1:  # nothing is masked
        return _right(on, -np.inf, trials)
    if trials < _TRIALS:  # the first trial has the recording's own rows
        return _right(on, masked, _TRIALS)[:trials]
    found = outputs(reference(masked), made(on), 1, trials)
    if found is None:
        raise RuntimeError(f"the reference raises on {on}")
    return found


def _complaints(on: str, take: Callable[[int, int], Sequence[Outputs] | None]) -> tuple[bool, ...]:
    """Say whether each check complains of outputs, which `take` makes for its calls and trials."""
    live = ~made(on).padding()  # no check elsewhere knows of padding: they see the other rows

    @cache
    def answers(calls: int, trials: int) -> Sequence[Outputs] | None:
        if calls == 1 and trials < _TRIALS:  # the first of a new kernel's trials is the same
            more = answers(calls, _TRIALS)
            return more[:trials] if more is not None else take(calls, trials)
        return take(calls, trials)

    said = []
    for check in CHECKS:
        got = answers(check.calls, check.trials)
        if got is None:  # a kernel that raises fails every test
            said.append(True)
            continue
        right = _right(on, check.masked, check.trials)
        said.append(
            any(
                check.complains(
                    _rows(right[trial], live), _rows(one, live), _given(on, trial, check.trials)
                )
                for trial, one in enumerate(got)  # a file holds one trial
            )
        )
    return tuple(said)


@lru_cache(maxsize=1)  # most checks in turn are given the same
def _given(on: str, trial: int, trials: int) -> Given:
    inputs, live = given(made(on), trial, trials), ~made(on).padding()
    return replace(inputs, logits=inputs.logits[live])


def _rows(outputs: Outputs, rows: NDArray[Any]) -> Outputs:
    return Outputs(outputs.weights[rows], outputs.ids[rows])
