"""An exception in a kernel's process is named by its cause: the kernel, goldgate, memory."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from goldgate.accuracy.blame import defect, of_kernel
from goldgate.cli import main
from goldgate.fixtures import write_recording
from goldgate.fixtures.constructed import construct
from goldgate.kernels import Loaded

#: A kernel in whose process goldgate's own code raises: `len` takes no recording.
_BROKEN = """
import goldgate.accuracy.kernel_process as ours
from goldgate.kernels.torch_eager import route

ours.run = len
"""

#: A kernel whose own code raises outside of its calls.
_RAISES = """
import goldgate.accuracy.kernel_process as ours
from goldgate.kernels.torch_eager import route as honest


def route(*arguments):
    honest(*arguments)


def raises(*_arguments, **_named):
    raise ValueError("no such tile")


ours.run = raises
"""


def _parity(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Return the exit status, the verdict and the reason for a module's kernel."""
    (folder / "blamed.py").write_text(text, "utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    write_recording(folder / "r" / "tokens_1.safetensors", construct("tokens_1"))
    evidence = folder / "e.json"
    command = ("parity", "--kernel", "blamed:route", "--recordings", str(folder / "r"))

    status = main([*command, "--json", str(evidence)])

    (one,) = json.loads(evidence.read_text("utf-8"))["results"]
    return status, one["verdict"], one["refusal"] or one["call_faults"][0]


@pytest.mark.parametrize(
    ("text", "status", "verdict", "reason"),
    [
        (_BROKEN, 2, "REFUSED", "len() takes no keyword arguments"),
        (_RAISES, 1, "FAIL", "blamed:route on tokens_1: ValueError: no such tile"),
    ],
)
def test_an_exception_outside_the_calls_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    status: int,
    verdict: str,
    reason: str,
) -> None:
    """A bug of goldgate refuses the recording, the kernel's own exception fails it; none died."""
    before = sys.modules.pop("blamed", None)
    import goldgate.accuracy.kernel_process as ours  # noqa: PLC0415 - loading the module changes it here

    monkeypatch.setattr(ours, "run", vars(ours)["run"])
    found = _parity(tmp_path, text, monkeypatch)
    sys.modules.pop("blamed", None)

    assert before is None
    assert found[:2] == (status, verdict)
    assert reason in found[2]
    assert ("bug in goldgate" in found[2]) == (verdict == "REFUSED")
    assert "died" not in found[2]


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def _loaded(monkeypatch: pytest.MonkeyPatch, file: str) -> Loaded:
    module = ModuleType("elsewhere")
    module.__file__ = file
    monkeypatch.setitem(sys.modules, "elsewhere", module)

    def route(*_arguments: object) -> None:
        """Do nothing."""

    route.__module__ = "elsewhere"
    return Loaded(route, "k", "1", "cpu", "ieee")


def test_a_device_left_broken_is_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver's report of an earlier fault is the kernel's, whatever code meets it."""
    fault = _raised(RuntimeError("CUDA error: an illegal memory access was encountered"))

    assert of_kernel(fault, None)
    assert not of_kernel(_raised(RuntimeError("shapes differ")), _loaded(monkeypatch, "/k.py"))
    assert of_kernel(_raised(RuntimeError("shapes differ")), _loaded(monkeypatch, __file__))


def test_memory_that_ran_out_is_no_bug() -> None:
    """Too little memory is named as that."""
    assert defect(_raised(MemoryError("5 GiB"))) == "memory ran out (MemoryError: 5 GiB)"
