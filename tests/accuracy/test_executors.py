"""Whatever runs the parts, the verdict is the same."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.accuracy import judge, parts
from goldgate.accuracy.evaluate import Result
from goldgate.accuracy.parts import Part
from goldgate.fixtures import (
    KernelInfo,
    Output,
    Recording,
    open_output,
    open_recording,
    write_output,
    write_recording,
)
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import PROFILES, route

_INFO = KernelInfo("k", "1", "cpu", "hardware", "ieee")


def _judged_in_memory() -> tuple[Recording, Output]:
    """Return a recording and outputs of it, some wrong, and one in a wrong order."""
    held = construct("tokens_1024")
    golden = route(held.logits(), held.bias(), held.spec)
    ids, weights = golden.ids.astype(np.int32), golden.weights.astype(np.float32)
    ids[[3, 500, 900], 0] = 255 - ids[[3, 500, 900], 0]
    weights[40:60] *= np.float32(1 + 1e-4)
    return held, Output(_INFO, tensor(weights), tensor(ids))


def _same(one: Result, two: Result) -> bool:
    """Say whether two results agree in every bit."""
    return pickle.dumps(one) == pickle.dumps(two)


def _threads() -> Executor:
    return ThreadPoolExecutor(3)


def _processes() -> Executor:
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ten parts of a recording of 1,024 rows."""
    monkeypatch.setattr(parts, "PART_LOGITS", 256 * 103)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("executor", [_threads, _processes])
@pytest.mark.parametrize("in_file", [True, False])
def test_every_executor_gives_the_same_bits(
    tmp_path: Path, executor: Callable[[], Executor], in_file: bool
) -> None:
    """Threads and processes, of rows in memory and in files, agree with one thread."""
    held, output = _judged_in_memory()
    if in_file:
        write_recording(tmp_path / "r.safetensors", held)
        held = open_recording(tmp_path / "r.safetensors")
        write_output(tmp_path / "o.safetensors", output, held)
        output = open_output(tmp_path / "o.safetensors", held)
    done: list[int] = []
    with ThreadPoolExecutor(1) as one:
        expected = judge(held, output, PROFILES["ieee"], executor=one)

    with executor() as pool:
        found = judge(held, output, PROFILES["ieee"], executor=pool, advance=done.append)

    assert len(expected.failing) == 23
    assert _same(found, expected)
    assert sum(done) == held.rows
    assert len(done) == 10


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("cores", [1, 2, 5])
def test_every_number_of_cores_gives_the_same_bits(tmp_path: Path, cores: int) -> None:
    """The judge's own threads agree with one, beside hashes that are still pending."""
    held, output = _judged_in_memory()
    write_recording(tmp_path / "r.safetensors", held)
    write_output(tmp_path / "o.safetensors", output, open_recording(tmp_path / "r.safetensors"))
    with ThreadPoolExecutor(1) as one:
        expected = judge(held, output, PROFILES["ieee"], executor=one)
    done: list[int] = []

    for _ in range(5):  # a thread takes whatever part is next
        opened = open_recording(tmp_path / "r.safetensors")
        answers = open_output(tmp_path / "o.safetensors", opened)
        found = judge(opened, answers, PROFILES["ieee"], cores=cores, advance=done.append)
        assert _same(found, expected)

    assert sum(done) == 5 * held.rows


def test_a_part_of_a_file_travels_without_its_rows(tmp_path: Path) -> None:
    """Pickled, it is smaller than the rows by far, and reads them from the file."""
    held, output = _judged_in_memory()
    write_recording(tmp_path / "r.safetensors", held)
    held = open_recording(tmp_path / "r.safetensors")
    write_output(tmp_path / "o.safetensors", output, held)
    output = open_output(tmp_path / "o.safetensors", held)
    (part,) = parts.parts(held, output, PROFILES["ieee"], ordered=False)

    sent = pickle.dumps(part)

    assert len(sent) < 10_000
    again: Part = pickle.loads(sent)  # noqa: S301 - our own
    _assert_equal(again.recording.logits(), held.logits())
    _assert_equal(again.output.ids(), output.ids())


def _assert_equal(one: NDArray[np.generic], two: NDArray[np.generic]) -> None:
    np.testing.assert_array_equal(one, two)
