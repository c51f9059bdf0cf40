"""The planted faults: each is caught, for the reason it should be, and the document says so."""

from __future__ import annotations

from functools import cache

import pytest

from accuracy.kernels import Loaded
from accuracy.kernels.torch_eager import route as torch_eager
from accuracy.mutants import matrix
from accuracy.mutants.fault import Fault, FileFault
from accuracy.mutants.honest import COMPILED, Honest, volume
from accuracy.mutants.inputs import DESCRIPTIONS, made
from accuracy.mutants.page import DOCUMENT, PICTURE, digest, halves, picture_digest
from accuracy.mutants.rare import captured
from accuracy.mutants.steps import GUARDED, Steps, kernel
from accuracy.mutants.trial import FAULTS, FILE_FAULTS, try_kernel
from accuracy.running import CALL_ROWS, run

#: Recordings too large for a quick test: `python -m accuracy mutants` runs the faults on them.
_LARGE = ("many", "million")

_QUICK = [fault for fault in FAULTS if fault.on not in _LARGE]


@cache
def _document() -> frozenset[str]:
    first, _ = halves(DOCUMENT.read_text(encoding="utf-8"))
    return frozenset(first.splitlines())


@pytest.mark.parametrize("fault", _QUICK, ids=lambda fault: fault.name)
def test_a_kernel_fault_is_caught(fault: Fault) -> None:
    """A fault planted in a kernel is caught as it should be, and the document has that line."""
    line = matrix.fault_line(fault)

    assert line.expected, line.seen
    assert matrix.row(line) in _document()


@pytest.mark.parametrize("fault", FILE_FAULTS, ids=lambda fault: fault.name)
def test_a_file_fault_is_caught(fault: FileFault) -> None:
    """A fault planted in an output file is caught as it should be, and the document has it."""
    line = matrix.file_line(fault)

    assert line.expected, line.seen
    assert matrix.row(line) in _document()


@pytest.mark.parametrize("name", [name for name in DESCRIPTIONS if name not in _LARGE])
def test_the_kernel_without_a_fault_passes(name: str) -> None:
    """The kernel in which faults are planted passes, guarded where float32 has no weights."""
    steps = GUARDED if name in ("deepest", "few") else Steps()

    (trial,) = try_kernel(kernel(steps), made(name), ("ieee",))

    assert trial.seen == {}


@pytest.mark.parametrize("honest", COMPILED, ids=lambda honest: honest.name)
def test_an_honest_kernel_passes(honest: Honest) -> None:
    """An honest kernel passes by its own profile, and its line in the document is current."""
    line = matrix.honest_line(honest, "bfloat16")

    assert line.expected, line.seen
    assert matrix.row(line) in _document()


@pytest.mark.parametrize(("on", "kernel"), matrix.shipped())
def test_shipped_outputs_of_real_kernels_pass(on: str, kernel: str) -> None:
    """What real kernels returned passes by their own profiles, and the document has that line."""
    line = matrix.shipped_line(kernel, on)

    assert line.expected, line.seen
    assert matrix.row(line) in _document()


def test_torch_eager_passes_on_groups() -> None:
    """The one kernel that every machine runs passes on the router with groups."""
    (trial,) = try_kernel(torch_eager, made("grouped"), ("ieee",))

    assert trial.seen == {}


def test_fresh_rows_raise_no_alarm() -> None:
    """Each honest kernel of the long run passes on a block of rows of its own."""
    tried = list(volume(2 * CALL_ROWS))

    assert [trial.seen for _, trial in tried] == [{}, {}]
    assert sum(trial.rows for _, trial in tried) == 2 * CALL_ROWS


def test_a_recording_of_one_call_shows_a_captured_input() -> None:
    """A kernel that keeps its first inputs is not asked about those inputs first."""
    held = made("normal")
    ran = run(Loaded(captured(), "captured", "unversioned", "cpu", "ieee"), held)
    right = run(Loaded(kernel(), "honest", "unversioned", "cpu", "ieee"), held)

    assert (ran.output.ids() != right.output.ids()).any()


def test_every_line_of_the_document_is_a_fault_or_a_kernel() -> None:
    """The document has a line for each fault and no line for one that is gone."""
    tables = [line for line in _document() if line.startswith("| ") and line.count("|") > 10]
    names = {line.split("|")[1].strip() for line in tables} - {"fault", "kernel"}
    known = {fault.name for fault in FAULTS} | {fault.name for fault in FILE_FAULTS}
    known |= {one.name for one in COMPILED} | {kernel for _, kernel in matrix.shipped()}

    assert names == known


def test_the_picture_shows_the_document() -> None:
    """The picture was drawn of the document's first half as it stands."""
    first, _ = halves(DOCUMENT.read_text(encoding="utf-8"))

    assert picture_digest(PICTURE) == digest(first)


def test_faults_are_many_and_named_apart() -> None:
    """There are at least sixty faults, each with a name of its own."""
    names = [fault.name for fault in FAULTS] + [fault.name for fault in FILE_FAULTS]

    assert len(names) >= 60
    assert len(set(names)) == len(names)
