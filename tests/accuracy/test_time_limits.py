"""Kernels that never answer: the call is ended by name, the rest goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from goldgate.accuracy.isolation import Limits, Runner
from goldgate.accuracy.kernel_process import Order
from goldgate.fixtures import Recording, open_recording, write_recording
from goldgate.fixtures.hard_rows import normal
from goldgate.kernels import KernelError, NotCoveredError

_KERNELS = """
import time
from goldgate.kernels.torch_eager import route

DEVICE = "cpu"


def never(*_):
    while True:
        time.sleep(0.1)


def at_17(x, *more):
    if len(x) == 17:
        never()
    route(x, *more)


def compiles(x, *more):
    global _compiled
    try:
        _compiled
    except NameError:
        time.sleep(1.5)
        _compiled = True
    route(x, *more)


def refuses(*_):
    raise NotImplementedError("not today")
"""


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, Recording]:
    """Return recordings of 17, 31 and 33 rows, beside a module of kernels."""
    (tmp_path / "slow_kernels.py").write_text(_KERNELS, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = {}
    for rows in (17, 31, 33):
        path = tmp_path / f"tokens_{rows}.safetensors"
        write_recording(path, normal(f"tokens_{rows}", rows=rows))
        found[rows] = open_recording(path)
    return found


def _order(name: str) -> Order:
    return Order(f"slow_kernels:{name}", None, None)


def test_a_call_that_hangs_is_ended_by_name_and_the_rest_goes_on(
    held: dict[int, Recording],
) -> None:
    """The hanging call is named with its rows and limit; the next recording is run all the same."""
    with Runner(Limits(2.0, 60.0)) as runner:
        runner.run(_order("at_17"), held[31])

        with pytest.raises(KernelError, match=r"call of 17 tokens .*: no answer in 2 s") as failure:
            runner.run(_order("at_17"), held[17])

        assert "slow_kernels:at_17 on tokens_17" in str(failure.value)
        assert runner.run(_order("at_17"), held[33]).faults == ()


def test_a_kernel_that_never_answers_is_not_called_again(held: dict[int, Recording]) -> None:
    """After one hang without any answer a kernel is given up, another kernel is still run."""
    with Runner(Limits(1.0, 3.0)) as runner:
        with pytest.raises(KernelError, match=r"call of 31 tokens .*: no answer in 3 s"):
            runner.run(_order("never"), held[31])

        with pytest.raises(KernelError, match="is not called again: 1 calls gave no answer"):
            runner.run(_order("never"), held[33])

        assert runner.run(_order("at_17"), held[31]).faults == ()


def test_a_first_call_has_a_limit_of_its_own(
    held: dict[int, Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that compiles for longer than --timeout passes, and is shown as compiling."""
    monkeypatch.setattr("goldgate.accuracy.isolation._COMPILING_S", 0.3)
    told: list[str] = []
    with Runner(Limits(0.9, 60.0), tell=told.append) as runner:
        assert runner.run(_order("compiles"), held[31]).faults == ()

    assert any("compiling? call of 31 tokens (256 experts, top 8" in line for line in told)
    assert any("limit 60 s (--first-call-timeout)" in line for line in told)


def test_limits_grow_with_the_rows() -> None:
    """A call of 16,384 rows has twice the limit of a small one; a first call never has less."""
    limits = Limits(10.0, 15.0)

    assert limits.of(0, first=False) == 10.0
    assert limits.of(16384, first=False) == 20.0
    assert limits.of(131072, first=False) == 90.0
    assert limits.of(1, first=True) == 15.0
    assert limits.of(131072, first=True) == 90.0


def test_what_a_kernel_refuses_crosses_the_process(held: dict[int, Recording]) -> None:
    """NotImplementedError in the kernel's process is "not covered" here, and ends nothing."""
    with Runner(Limits(5.0, 60.0)) as runner:
        with pytest.raises(NotCoveredError, match="NotImplementedError: not today"):
            runner.run(_order("refuses"), held[31])
        with pytest.raises(NotCoveredError, match="not today"):
            runner.run(_order("refuses"), held[33])
