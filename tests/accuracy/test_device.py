"""Screening on a device of torch's gives the processor's verdicts; here torch's CPU stands in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from goldgate.accuracy.bench_device import disagreement
from goldgate.accuracy.blocks import judge_block
from goldgate.accuracy.device import FRACTION, Device
from goldgate.accuracy.evaluate import judge
from goldgate.accuracy.fast.weigh import UNSETTLED
from goldgate.accuracy.rows import Contract, Rows
from goldgate.cli import main
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS, KernelInfo, Output
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.tensorfile import Stored, tensor
from goldgate.reference import PROFILES, RoutingSpec, route
from tests.accuracy.sums_bound import assert_over_bounds_agree, sums_bound

_JUDGE = ("judge", "--recordings", str(SHIPPED_RECORDINGS), "--outputs", str(SHIPPED_OUTPUTS))

#: torch's CPU, and its GPU where there is one.
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
@pytest.mark.parametrize("profile", ["ieee", "tanh", "conservative"])
@pytest.mark.parametrize("renormalize", [True, False])
def test_a_device_judges_as_the_processor(
    dtype: str, profile: str, renormalize: bool, device: str
) -> None:
    """Verdicts, reasons, histogram and units are the same; errors and sums up to rounding."""
    rng = np.random.default_rng(1)
    x = rng.normal(rng.choice([0.0, -12.0, -30.0], (1500, 1)), 2.0, (1500, 64)).astype(np.float32)
    stored: Stored = x.astype(np.float16) if dtype == "F16" else x
    if dtype == "BF16":
        stored = (x.view(np.uint32) >> 16).astype(np.uint16)
        x = (stored.astype(np.uint32) << 16).view(np.float32)
    bias = rng.normal(0, 0.2, 64).astype(np.float32).astype(np.float64)
    spec = RoutingSpec(64, 6, renormalize=renormalize, routed_scaling_factor=2.827)
    golden = route(stored if dtype == "F16" else x, bias, spec)
    ids = golden.ids.astype(np.int32)
    weights = golden.weights.astype(np.float32)
    weights *= (1 + rng.integers(-2, 3, weights.shape) * 2.0**-24).astype(np.float32)
    ids[::50, 0], ids[1::50, 1], ids[2::50, [0, 1]] = 64, ids[1::50, 0], ids[2::50, [1, 0]]
    weights[3::50, 2] = np.nan
    padding = rng.random(1500) < 0.1
    rows, contract = Rows(stored, bias, ids, weights, padding), Contract(spec, PROFILES[profile])

    here = judge_block(rows, contract)
    there = judge_block(rows, contract, device=Device(device))

    np.testing.assert_array_equal(there.verdict, here.verdict)
    np.testing.assert_array_equal(there.reason, here.reason)
    np.testing.assert_array_equal(there.histogram, here.histogram)
    assert_over_bounds_agree(there.over_bound, here.over_bound, rows, contract)
    assert there.sums.rows == here.sums.rows
    np.testing.assert_array_equal(there.sums.sums[:, :, 0], here.sums.sums[:, :, 0])
    counts = here.sums.sums[:, :, 0]
    # The device adds in fixed point, which rounds each term by half of its last bit at the most.
    allowed = sums_bound(rows, contract, counts) + counts[:, :, None] * 2.0 ** -(FRACTION + 1)
    assert (np.abs(there.sums.sums - here.sums.sums) <= allowed).all()


def test_a_device_settles_ordinary_rows() -> None:
    """Of ordinary rows at most one in twenty is left to the processor."""
    held = construct("tokens_1024")
    golden = route(held.logits(), held.bias(), held.spec)
    bias, skip = held.bias().astype(np.float64), np.zeros(held.rows, bool)
    ids, weights = golden.ids.astype(np.int32), golden.weights.astype(np.float32)
    rows = Rows(held.logits(), bias, ids, weights, skip)

    found = Device("cpu").screen(rows, Contract(held.spec, PROFILES["ieee"]))

    assert (found.codes == UNSETTLED).mean() < 0.05


def test_several_parts_are_screened_as_one_processor_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parts in several threads of one device give the processor's verdict, counts and histogram."""
    monkeypatch.setattr("goldgate.accuracy.parts.PART_LOGITS", 1 << 12)
    monkeypatch.setattr("goldgate.accuracy.turns.cores", lambda: 8)
    held = construct("tokens_1024")
    golden = route(held.logits(), held.bias(), held.spec)
    weights, ids = golden.weights.astype(np.float32), golden.ids.astype(np.int32)
    ids[[70, 700], 0] = ids[[70, 700], 1]
    info = KernelInfo("k", "1", "cpu", "hardware", "ieee")
    output = Output(info, tensor(weights), tensor(ids))

    here = judge(held, output, PROFILES["ieee"])
    there = judge(held, output, PROFILES["ieee"], device=Device("cpu"))

    assert here.failing.tolist() == [70, 700]
    assert disagreement([here, there]) == ""


def test_a_disagreement_is_said_with_what_differs() -> None:
    """The benchmark's check names the first thing that differs and both sides of it."""
    held = construct("tokens_65")
    golden = route(held.logits(), held.bias(), held.spec)
    weights, ids = golden.weights.astype(np.float32), golden.ids.astype(np.int32)
    info = KernelInfo("k", "1", "cpu", "hardware", "ieee")
    result = judge(held, Output(info, tensor(weights), tensor(ids)), PROFILES["ieee"])

    apart = disagreement([result, result, replace(result, failing=np.array([7]))])

    assert apart == "failing rows of results 0 and 2: [] and [7]"


def test_a_device_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The line names the device and what was expected; nothing is judged."""
    status = main([*_JUDGE, "--judge-device", "abacus"])

    assert status == 2
    error = capsys.readouterr().err
    assert error.startswith("goldgate judge: --judge-device abacus: expected a device")
    assert error.count("\n") == 1


def test_the_shipped_outputs_pass_on_a_device() -> None:
    """`goldgate judge --judge-device` passes what the processor passes."""
    status = main([*_JUDGE, "--judge-device", "cpu"])

    assert status == 0
