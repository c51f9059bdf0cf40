"""Screening on a GPU gives the processor's verdicts; without one, Triton's interpreter runs it.

`test_device.py` runs this file in a process of its own: Triton asks for its interpreter, by
TRITON_INTERPRET=1, when it is imported.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from goldgate.accuracy import bench_device
from goldgate.accuracy import device as device_module
from goldgate.accuracy.bench_device import disagreement
from goldgate.accuracy.blocks import judge_block
from goldgate.accuracy.device import Device
from goldgate.accuracy.device_kernel import FRACTION, SCORE_ERROR, beaten
from goldgate.accuracy.evaluate import judge
from goldgate.accuracy.fast.weigh import UNSETTLED
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.systematic_error import systematic_error
from goldgate.cli import main
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS, KernelInfo, Output
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.tensorfile import Stored, tensor
from goldgate.reference import PROFILES, RoutingSpec, route
from tests.accuracy.narrow_rows import assert_narrow_rows_are_marked
from tests.accuracy.sums_bound import assert_over_bounds_agree, sums_bound

#: A GPU where there is one; else Triton's interpreter on the CPU.
NAME = "cuda" if torch.cuda.is_available() else "cpu"

#: The interpreter computes with numpy, which warns of what a GPU does silently.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@triton.jit
def _beaten(x, bars, found, size: tl.constexpr):  # noqa: ANN001, ANN202
    at = tl.program_id(0) * size + tl.arange(0, size)
    tl.store(found + at, beaten(tl.load(x + at), tl.load(bars + at)).to(tl.int8))


_JUDGE = ("judge", "--recordings", str(SHIPPED_RECORDINGS), "--outputs", str(SHIPPED_OUTPUTS))


@pytest.fixture(autouse=True)
def large_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the interpreter do many rows at a time: its programs run one after the other."""
    if NAME == "cpu":
        monkeypatch.setattr(device_module, "_CELLS", 1 << 15)


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
@pytest.mark.parametrize("profile", ["ieee", "tanh", "conservative"])
@pytest.mark.parametrize("renormalize", [True, False])
def test_a_device_judges_as_the_processor(dtype: str, profile: str, renormalize: bool) -> None:
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
    there = judge_block(rows, contract, device=Device(NAME))

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


@pytest.mark.parametrize(
    ("scale", "renormalize", "logit"),
    [(1e-9, True, 0.0), (1e12, True, 0.0), (1.0, False, -20.0), (1.0, False, -30.0)],
)
@pytest.mark.parametrize("lean", [0.0, 3.0])
def test_a_device_finds_drift_of_weights_of_any_size(
    scale: float, renormalize: bool, logit: float, lean: float
) -> None:
    """Weights that fixed point does not hold lean by what they do on the processor."""
    rng = np.random.default_rng(1)
    spec = RoutingSpec(64, 8, renormalize=renormalize, routed_scaling_factor=scale)
    x = rng.normal(logit, 2.0, (600, 64)).astype(np.float32)
    bias = rng.normal(0, 0.2, 64).astype(np.float32).astype(np.float64)
    golden, profile = route(x, bias, spec), PROFILES["ieee"]
    weights = (golden.weights * (1 + lean * 2.0**-24)).astype(np.float32)
    rows = Rows(x, bias, golden.ids.astype(np.int32), weights, np.zeros(600, bool))

    here = judge_block(rows, Contract(spec, profile))
    there = judge_block(rows, Contract(spec, profile), device=Device(NAME))

    expected = systematic_error(here.sums, spec, profile)
    found = systematic_error(there.sums, spec, profile)
    assert expected.found == found.found == (lean > 0.0)
    assert abs(found.mean - expected.mean) < 0.01


@pytest.mark.parametrize("spread", [5e-4, 1e-4])
@pytest.mark.parametrize("lean", [0.25, 2.0])
def test_a_device_finds_drift_of_logits_however_near_to_each_other(
    spread: float, lean: float
) -> None:
    """Sensitivities whose squares fixed point does not hold give the processor's slope."""
    rng = np.random.default_rng(1)
    spec, profile = RoutingSpec(64, 8), PROFILES["ieee"]
    x = rng.normal(0, spread, (1000, 64)).astype(np.float32)
    bias = rng.normal(0, 0.2, 64).astype(np.float32).astype(np.float64)
    golden = route(x, bias, spec)
    z = np.take_along_axis(x, golden.ids, axis=1).astype(np.float64) / spread
    z -= z.mean(axis=1, keepdims=True)
    weights = (golden.weights * (1 + lean * 2.0**-24 * z)).astype(np.float32)
    rows = Rows(x, bias, golden.ids.astype(np.int32), weights, np.zeros(1000, bool))

    here = judge_block(rows, Contract(spec, profile))
    there = judge_block(rows, Contract(spec, profile), device=Device(NAME))

    expected = systematic_error(here.sums, spec, profile)
    found = systematic_error(there.sums, spec, profile)
    assert expected.found == found.found == (lean > 1.0)
    assert abs(found.size - expected.size) < 0.01


def test_a_device_settles_ordinary_rows() -> None:
    """Of ordinary rows at most one in five hundred is left to the processor."""
    held = construct("tokens_1024")
    golden = route(held.logits(), held.bias(), held.spec)
    bias, skip = held.bias().astype(np.float64), np.zeros(held.rows, bool)
    ids, weights = golden.ids.astype(np.int32), golden.weights.astype(np.float32)
    rows = Rows(held.logits(), bias, ids, weights, skip)

    found = Device(NAME).screen(rows, Contract(held.spec, PROFILES["ieee"]))

    assert (found.codes == UNSETTLED).mean() < 0.002


@pytest.mark.parametrize(("experts", "k"), [(4, 1), (24, 3), (96, 32), (160, 6), (1024, 8)])
def test_a_device_screens_any_shape(experts: int, k: int) -> None:
    """Experts and choices that are no powers of two, one and many of them: the same verdicts.

    Every tenth row has a duplicate, an expert that does not exist, or one that is beaten.
    """
    rng = np.random.default_rng(experts)
    x = rng.normal(0.0, 2.0, (90, experts)).astype(np.float32)
    bias = rng.normal(0, 0.2, experts).astype(np.float32).astype(np.float64)
    spec = RoutingSpec(experts, k)
    golden = route(x, bias, spec)
    ids, weights = golden.ids.astype(np.int32), golden.weights.astype(np.float32)
    ids[::30, -1] = ids[::30, 0] if k > 1 else -1
    ids[10::30, 0] = experts
    ids[20::30, 0] = np.argmin(x[20::30] + bias, axis=1)
    rows = Rows(x, bias, ids, weights, np.zeros(90, bool))
    contract = Contract(spec, PROFILES["ieee"])

    here = judge_block(rows, contract)
    there = judge_block(rows, contract, device=Device(NAME))

    assert (here.reason[::10] > 0).all()
    np.testing.assert_array_equal(there.verdict, here.verdict)
    np.testing.assert_array_equal(there.reason, here.reason)
    np.testing.assert_array_equal(there.histogram, here.histogram)
    np.testing.assert_array_equal(there.sums.sums[:, :, 0], here.sums.sums[:, :, 0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 800.0])
@pytest.mark.parametrize("at", ["chosen", "left"])
def test_a_device_leaves_hard_logits_to_the_processor(value: float, at: str) -> None:
    """NaN, infinities and logits beyond the exponential's range do not change a verdict."""
    rng = np.random.default_rng(5)
    x = rng.normal(0.0, 2.0, (40, 16)).astype(np.float32)
    bias, spec = np.zeros(16), RoutingSpec(16, 4)
    golden = route(x, bias, spec)
    ids, weights = golden.ids.astype(np.int32), golden.weights.astype(np.float32)
    left = np.argmin(x, axis=1)
    x[np.arange(40), ids[:, 1] if at == "chosen" else left] = value
    rows = Rows(x, bias, ids, weights, np.zeros(40, bool))
    contract = Contract(spec, PROFILES["ieee"])

    here = judge_block(rows, contract)
    there = judge_block(rows, contract, device=Device(NAME))

    np.testing.assert_array_equal(there.verdict, here.verdict)
    np.testing.assert_array_equal(there.reason, here.reason)


def test_float32_scores_are_within_half_of_their_bound() -> None:
    """No score is taken to be below a bar that it exceeds by half of `SCORE_ERROR`.

    Over logits from -95 to 95, and those of the largest error of the exponent's product.
    """
    count = 1 << 22 if NAME == "cuda" else 1 << 16
    x = torch.linspace(-95.0, 95.0, count, device=NAME)
    bars = (torch.sigmoid(x.double()) - SCORE_ERROR / 2).float()
    found = torch.zeros(count, dtype=torch.int8, device=NAME)

    _beaten[(count // 1024,)](x, bars, found, 1024)

    assert not found.any()
    _beaten[(count // 1024,)](x, torch.full_like(bars, 1.5), found, 1024)
    assert found.all()


def test_several_parts_are_screened_as_one_processor_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parts in several threads of one device give the processor's verdict, counts and histogram."""
    monkeypatch.setattr("goldgate.accuracy.parts.PART_LOGITS", 1 << 12)
    held = construct("tokens_1024")
    golden = route(held.logits(), held.bias(), held.spec)
    weights, ids = golden.weights.astype(np.float32), golden.ids.astype(np.int32)
    ids[[70, 700], 0] = ids[[70, 700], 1]
    info = KernelInfo("k", "1", "cpu", "hardware", "ieee")
    output = Output(info, tensor(weights), tensor(ids))

    here = judge(held, output, PROFILES["ieee"])
    there = judge(held, output, PROFILES["ieee"], device=Device(NAME), cores=8)

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
    assert error.startswith("goldgate judge: --judge-device abacus: expected a GPU")
    assert error.count("\n") == 1


def test_shipped_outputs_pass_on_a_device(tmp_path: Path) -> None:
    """`goldgate judge --judge-device` passes what the processor passes."""
    name, kernel = "edge.safetensors", "torch-2.11-eager-h100"
    (tmp_path / kernel).mkdir()
    shutil.copy(SHIPPED_OUTPUTS / kernel / name, tmp_path / kernel)

    status = main(
        [
            *("judge", "--recordings", str(SHIPPED_RECORDINGS / name)),
            *("--outputs", str(tmp_path), "--judge-device", NAME),
        ]
    )

    assert status == 0


def test_a_device_marks_rows_on_a_narrow_grid() -> None:
    """Of float32 rows those that bfloat16 or float16 holds are marked, and few others."""
    assert_narrow_rows_are_marked(Device(NAME))


def test_the_benchmark_states_machine_ratios_and_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written names processor, device and versions; what is printed has a line a figure."""
    for name in ("_TURNS", "_RUNS"):
        monkeypatch.setattr(bench_device, name, 2)

    found = bench_device.bench_device(NAME, 256)

    json.dumps(found)
    assert {"processor", "threads", "device", "torch", "triton"} <= found["machine"].keys()
    assert found["rows"] == 256
    for name, (low, high) in found["spread"].items():
        assert 0.0 < low <= found[name] <= high
    printed = bench_device.text(found).splitlines()
    assert len(printed) == 8
    assert printed[2].startswith("resident_fraction_of_device_copy")
