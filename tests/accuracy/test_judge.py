"""The verdict on a whole recording: what is counted, what is listed, what is left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.accuracy.blocks import judge_block
from goldgate.accuracy.evaluate import judge
from goldgate.accuracy.narrow import narrowed
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.selection import Reason, Verdict
from goldgate.accuracy.summary import LISTED
from goldgate.fixtures import KernelInfo, Output, Recording
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import FORMATS, MINIMAX_M2_5, PROFILES, route

ROOT = Path(__file__).parents[2]
IEEE = PROFILES["ieee"]


def _golden(held: Recording) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    golden = route(held.logits(), held.bias(), held.spec)
    return golden.ids.astype(np.int32), golden.weights.astype(np.float32)


def _output(ids: NDArray[np.int32 | np.int64], weights: NDArray[np.float32]) -> Output:
    return Output(KernelInfo("k", "1", "cpu", "hardware", "ieee"), tensor(weights), tensor(ids))


def test_padding_rows_are_not_judged() -> None:
    """Whatever a kernel leaves in padding rows, they are counted apart and nothing else is."""
    held = construct("padded")
    ids, weights = _golden(held)
    padding = held.padding()
    ids[padding], weights[padding] = -1, np.nan

    result = judge(held, _output(ids, weights), IEEE)

    assert result.passed
    assert result.counts[Verdict.PADDING] == padding.sum() == 16
    assert result.counts[Verdict.EXACT] == 48


def test_rows_that_a_cast_re_routes_are_counted_without_padding() -> None:
    """Padding rows are nobody's tokens: a bias cast re-routes none of them."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((100, 256), dtype=np.float32)
    checkpoint = rng.uniform(6.8, 7.1, 256).astype(np.float32)
    consumed = (checkpoint.view(np.uint32) & 0xFFFF0000).view(np.float32)

    def rerouted(rows: slice) -> int:
        index = np.full(100, -1)
        index[rows] = 0
        held = recording(
            "r", x, consumed, MINIMAX_M2_5, checkpoint_bias=checkpoint, token_index=index
        )
        return judge(held, _output(*_golden(held)), IEEE).rerouted or 0

    halves = rerouted(slice(0, 50)), rerouted(slice(50, 100))

    assert min(halves) > 10
    assert sum(halves) == rerouted(slice(0, 100))
    assert rerouted(slice(0, 0)) == 0


def test_rows_that_pass_with_other_experts_are_listed() -> None:
    """Rows of a tie and admissible rows are named, the first hundred of each, and all counted."""
    x = np.zeros((LISTED + 20, 256), np.float32)
    held = recording("ties", x, np.zeros(256, np.float32), MINIMAX_M2_5)
    ids, weights = _golden(held)
    ids[5:] += 100

    result = judge(held, _output(ids, weights), IEEE)

    assert result.passed
    assert result.counts[Verdict.TIE] == LISTED + 15
    assert result.ties == tuple(range(5, LISTED + 5))
    assert result.admissible == ()


@pytest.mark.parametrize("screened", [True, False])
def test_rows_that_fail_take_no_part_in_the_drift(
    monkeypatch: pytest.MonkeyPatch, screened: bool
) -> None:
    """The weights of a row that is wrong say nothing about the arithmetic of the others."""
    if not screened:
        monkeypatch.setattr("goldgate.accuracy.blocks.applies", lambda _: False)
    held = construct("tokens_1024")
    ids, weights = _golden(held)
    padding = np.zeros(held.rows, bool)
    bias = held.bias().astype(np.float64)
    rows, contract = Rows(held.logits(), bias, ids, weights, padding), Contract(held.spec, IEEE)
    whole = judge_block(rows, contract).sums
    weights[:200] *= np.float32(1 + 2e-4)
    ids[200:300, 0] = (ids[200:300, 0] + 128) % 256

    found = judge_block(rows, contract)

    assert (found.verdict == Verdict.WRONG).sum() == 300
    assert found.sums.rows == whole.rows - 300


def test_ids_alone_are_judged() -> None:
    """Without weights every row has its verdict on ids, and no weight counts as judged."""
    held = construct("tokens_1024")
    ids, weights = _golden(held)
    ids[:7, 0] = [min(set(range(256)) - set(row)) for row in ids[:7].tolist()]
    info = KernelInfo("k", "1", "cpu", "hardware", "ieee")

    result = judge(held, Output(info, None, tensor(ids)), IEEE)

    beside = judge(held, _output(ids, weights), IEEE)
    assert result.failing.tolist() == list(range(7))
    assert result.counts == beside.counts
    assert (result.weight_format, result.weights, result.systematic_error.rows) == (None, 0, 0)
    assert result.weight_error_over_bound == 0
    assert result.histogram.sum() == 0
    assert beside.weights == 8 * 1024


def test_ids_of_64_bits_are_judged_as_they_are() -> None:
    """int64 ids give the same verdicts; one that only 64 bits hold is out of range."""
    held = construct("tokens_64")
    ids, weights = _golden(held)
    wide = ids.astype(np.int64)
    wide[3, 2] += 2**32  # its lower half is the right id
    wide[5, 1] = -(2**40)

    result = judge(held, _output(wide, weights), IEEE)

    assert result.failing.tolist() == [3, 5]
    assert set(result.reasons.tolist()) == {Reason.ID_OUT_OF_RANGE}
    assert result.counts[Verdict.EXACT] == 62


def test_weights_in_bfloat16_are_judged_in_their_own_type() -> None:
    """Rounded to bfloat16 they pass in a bfloat16 tensor and fail in a float32 one."""
    held = construct("tokens_64")
    ids, weights = _golden(held)
    bits = weights.view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) & np.uint64(0xFFFF0000)
    coarse = rounded.astype(np.uint32).view(np.float32)
    info = KernelInfo("k", "1", "cpu", "hardware", "ieee")

    narrow = Output(info, tensor(coarse, "BF16"), tensor(ids))
    stated = judge(held, narrow, IEEE, weights_dtype="bfloat16")
    hidden = judge(held, _output(ids, coarse), IEEE)

    assert stated.passed
    assert stated.weight_format == FORMATS["BF16"]
    assert stated.weights == 8 * 64
    assert (stated.systematic_error.rows, stated.weights_unbounded) == (0, 0)
    assert len(hidden.failing) == 64


@pytest.mark.parametrize("stated", ["float32", "float16"])
def test_weights_in_bfloat16_that_nothing_declares_fail(stated: str) -> None:
    """Weights narrower than float32 fail unless that very type is declared, whatever their size."""
    held = construct("tokens_64")
    ids, weights = _golden(held)
    narrow = Output(
        KernelInfo("k", "1", "cpu", "hardware", "ieee"),
        tensor(narrowed(weights, "bfloat16"), "BF16"),
        tensor(ids),
    )

    result = judge(held, narrow, IEEE, weights_dtype=stated)

    assert (result.passed, result.undeclared, len(result.failing)) == (False, "bfloat16", 0)


def test_float32_weights_need_no_declaration() -> None:
    """Weights wider than what is declared pass: they hold every value of the narrower type."""
    held = construct("tokens_64")
    ids, weights = _golden(held)

    assert judge(held, _output(ids, weights), IEEE, weights_dtype="bfloat16").passed


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_rows_that_nothing_bounds_fail_by_their_sum(value: float) -> None:
    """All weights 0, the token dropped, or all 1 fail where the profile bounds no weight."""
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((64, 256)) - 17).astype(np.float32)
    bias = (7 + rng.uniform(-0.15, 0.15, 256)).astype(np.float32)
    held = recording("unbounded", x, bias, MINIMAX_M2_5)
    ids, weights = _golden(held)

    right = judge(held, _output(ids, weights), PROFILES["conservative"])
    wrong = judge(held, _output(ids, np.full_like(weights, value)), PROFILES["conservative"])

    assert right.passed
    assert right.rows_unbounded == 64
    assert right.weights_unbounded == right.weights == 8 * 64
    assert len(wrong.failing) == 64
    assert set(wrong.reasons.tolist()) == {Reason.WEIGHT_SUM}


def test_padding_and_undefined_rows_have_no_judged_weights() -> None:
    """Only the weights of defined rows that are no padding are counted."""
    held = construct("padded")
    ids, weights = _golden(held)

    result = judge(held, _output(ids, weights), IEEE)

    assert result.weights == 8 * 48


_WIDE = """
import pathlib
import numpy as np
from goldgate.accuracy import judge
from goldgate.fixtures import KernelInfo, Output
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import Tensor, tensor
from goldgate.reference import PROFILES, RoutingSpec
rows = 81920
bits = np.random.default_rng(1).integers(0x3F00, 0x3FFF, (rows, 896)).astype(np.uint16)
spec = RoutingSpec(896, 16)
held = recording("m", Tensor("BF16", bits.shape, bits), np.zeros(896, np.float32), spec)
ids = np.tile(np.arange(16, dtype=np.int32), (rows, 1))
info = KernelInfo("k", "1", "cpu", "hardware", "ieee")
output = Output(info, tensor(np.full((rows, 16), 1 / 16, np.float32)), tensor(ids))
assert len(judge(held, output, PROFILES["conservative"], cores=16).failing) == rows
print(pathlib.Path("/proc/self/status").read_text())
"""


def test_memory_stays_small_on_many_cores_and_experts() -> None:
    """Rows of 896 bfloat16 logits that all fail, in sixteen threads, stay under 1 GiB."""
    done = subprocess.run(
        [sys.executable, "-c", _WIDE],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )

    (line,) = (line for line in done.stdout.splitlines() if line.startswith("VmHWM:"))
    assert int(line.split()[1]) < 1 << 20
