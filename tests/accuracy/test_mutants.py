"""The planted faults: each is caught, for the reason it should be."""

from __future__ import annotations

import pytest

from accuracy.mutants.fault import Fault, FileFault
from accuracy.mutants.steps import kernel
from accuracy.mutants.inputs import DESCRIPTIONS, made
from accuracy.mutants.trial import FAULTS, FILE_FAULTS, try_fault, try_file, try_kernel

#: Recordings too large for a quick test: `python -m accuracy mutants` runs the faults on them.
_LARGE = ("many", "million")

_QUICK = [fault for fault in FAULTS if fault.on not in _LARGE]


@pytest.mark.parametrize("fault", _QUICK, ids=lambda fault: fault.name)
def test_a_kernel_fault_is_caught(fault: Fault) -> None:
    """A fault planted in a kernel is caught as it should be; one inside rounding passes."""
    own, _ = try_fault(fault)

    assert (fault.seen_as in own.seen) if fault.seen_as else not own.seen


@pytest.mark.parametrize("fault", FILE_FAULTS, ids=lambda fault: fault.name)
def test_a_file_fault_is_caught(fault: FileFault) -> None:
    """A fault planted in an output file is caught as it should be."""
    own, _ = try_file(fault)

    assert fault.seen_as in own.seen


@pytest.mark.parametrize("name", [name for name in DESCRIPTIONS if name not in _LARGE])
def test_the_kernel_without_a_fault_passes(name: str) -> None:
    """The kernel in which faults are planted passes on every recording."""
    (trial,) = try_kernel(kernel(), made(name), ("ieee",))

    assert trial.seen == {}


def test_faults_are_many_and_named_apart() -> None:
    """There are at least sixty faults, each with a name of its own."""
    names = [fault.name for fault in (*FAULTS, *FILE_FAULTS)]

    assert len(names) >= 60
    assert len(set(names)) == len(names)
