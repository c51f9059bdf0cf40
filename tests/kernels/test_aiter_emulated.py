"""aiter's kernel compiled from its own source and executed: needs ziglang and aiter's package.

`tox -e aiter-emulated-tests` has both; elsewhere these tests are skipped by name.
"""

from __future__ import annotations

import dataclasses
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from goldgate.accuracy.calls import run
from goldgate.accuracy.evaluate import Result, judge
from goldgate.accuracy.known_failures import SHIPPED, read_known_failures
from goldgate.cli import main
from goldgate.emulator import ROUNDINGS, Memory, Rounding, launch
from goldgate.emulator.compiler import find_compiler
from goldgate.fixtures import (
    SHIPPED_OUTPUTS,
    SHIPPED_RECORDINGS,
    KernelInfo,
    Output,
    Recording,
    open_output,
    open_recording,
    write_recording,
)
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import Tensor, tensor
from goldgate.kernels import KernelError, load
from goldgate.kernels.aiter_emulated import NAME, source
from goldgate.kernels.aiter_emulated.build import (
    ARCHITECTURES,
    GATES,
    Build,
    Instantiation,
    instantiation,
)
from goldgate.kernels.aiter_emulated.route import Routed, cast, route
from goldgate.kernels.aiter_emulated.variants import arithmetic
from goldgate.reference import MINIMAX_M2_5, PROFILES, RoutingSpec
from goldgate.reference import route as golden

pytestmark = [
    pytest.mark.skipif(find_spec("ziglang") is None, reason="ziglang is not here"),
    pytest.mark.skipif(source.missing() is not None, reason="aiter's package is not here"),
]

#: One group in each gate type, several groups, the sorting kernel, weights that are not
#: renormalised: the ten that the package's users reach.
TEN = (
    *(Instantiation(gate, 4, 1, True, False) for gate in GATES),
    *(Instantiation("F32", 4, groups, True, False) for groups in (2, 4, 8)),
    *(Instantiation(gate, 4, 8, True, True) for gate in GATES),
    Instantiation("F32", 4, 1, False, False),
)


@pytest.fixture(scope="module")
def build() -> Build:
    """Return the pinned source with the compiler: each kernel is compiled once."""
    return Build(source.find(), find_compiler())


def routed(build: Build, held: Recording, **more: Any) -> Routed:  # noqa: ANN401 - route's own
    """Execute the kernel on a recording."""
    spec, gate, bias = held.spec, held.gating_output, held.correction_bias
    return route(
        build,
        gate.stored(0, held.rows),
        cast(bias.stored(0, spec.num_experts), bias.dtype, gate.dtype),
        gate.dtype,
        top_k=spec.top_k,
        groups=spec.num_expert_group,
        kept=spec.topk_group,
        renormalize=spec.renormalize,
        scale=spec.routed_scaling_factor,
        **more,
    )


def judged(build: Build, held: Recording, done: Routed, **more: Any) -> Result:  # noqa: ANN401
    """Judge what it returned."""
    name = arithmetic(build, held.spec)
    info = KernelInfo(NAME, build.source.version, "gfx942, emulated", "emulated", name)
    output = Output(info, tensor(done.weights), tensor(done.ids))
    return judge(held, output, PROFILES[name], **more)


def same(one: Routed, other: Routed) -> bool:
    """Say whether two runs returned the same bits."""
    weights = (one.weights.view(np.uint32), other.weights.view(np.uint32))
    return bool((one.ids == other.ids).all() and (weights[0] == weights[1]).all())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("one", TEN, ids=lambda one: f"{one.kernel}-{one.gate}-{one.groups}")
def test_every_instantiation_is_executable(
    build: Build, one: Instantiation, architecture: str
) -> None:
    """It compiles for the architecture, and the table has each of its instructions."""
    kernel = build.kernel(one, architecture)

    assert kernel.program.target == architecture
    assert len(kernel.actions) > 400
    assert kernel.actions[-1].__class__.__name__ == "End"


def _recorded(one: Instantiation, kept: int) -> Recording:
    """Return 65 rows of the router and the gate type that an instantiation is for."""
    rng = np.random.default_rng(15)
    spec = RoutingSpec(
        256, 8, num_expert_group=one.groups, topk_group=kept, renormalize=one.renormalize
    )
    logits = _typed(rng.standard_normal((65, 256)).astype(np.float32), one.gate)
    bias = _typed((0.1 * rng.standard_normal(256)).astype(np.float32), one.gate)
    return recording(one.kernel, logits, bias, spec)


def _typed(values: NDArray[np.float32], kind: str) -> Tensor:
    bits = cast(values, "F32", kind)
    return Tensor(kind, bits.shape, bits)


@pytest.mark.parametrize("one", TEN, ids=lambda one: f"{one.kernel}-{one.gate}-{one.groups}")
def test_every_instantiation_is_launched_and_passes(build: Build, one: Instantiation) -> None:
    """biased_grouped_topk launches it, it routes as the golden router, alike on both architectures.

    2 and 4 groups all stay here: which of them do is aiter's issue 2153, a test of its own.
    """
    kept = {8: 4 if one.sorting else 3}.get(one.groups, one.groups)
    held = _recorded(one, kept)
    spec = held.spec
    chosen = instantiation(one.gate, 256, 8, one.groups, kept, renormalize=one.renormalize)

    done = {name: routed(build, held, architecture=name) for name in ARCHITECTURES}

    assert chosen == one
    assert same(done["gfx942"], done["gfx950"])
    result = judged(build, held, done["gfx942"])
    assert result.passed
    assert result.rows == 65
    ids = golden(held.logits(), held.bias(), spec).ids
    assert (np.sort(done["gfx942"].ids, axis=1) == np.sort(ids, axis=1)).all()


@pytest.mark.parametrize("softmax", [False, True], ids=["sigmoid", "softmax"])
@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize("gate", GATES)
def test_the_kernels_without_a_bias_route_as_the_golden_router(
    build: Build, gate: str, groups: int, *, softmax: bool
) -> None:
    """The file's other host function launches them: softmax or sigmoid, groups by their maximum."""
    one = Instantiation(gate, 4, groups, True, False, biased=False, softmax=softmax)
    spec = RoutingSpec(
        160,
        6,
        scoring="softmax" if softmax else "sigmoid",
        num_expert_group=groups,
        topk_group=3 if groups == 8 else 1,
        group_score="maximum",
    )
    rng = np.random.default_rng(15)
    logits = cast(rng.standard_normal((33, 160)).astype(np.float32), "F32", gate)
    weights, ids = np.zeros((33, 6), np.float32), np.full((33, 6), -1, np.int32)
    memory = Memory()
    values: dict[str, Any] = {
        "gating_output": memory.add("gating_output", logits, writable=False),
        "correction_bias": 0,
        "topk_weights": memory.add("topk_weights", weights, writable=True),
        "topk_ids": memory.add("topk_ids", ids, writable=True),
        "stride_tk": 6,
        "num_experts": 160,
        "topk": 6,
        "topk_group": spec.topk_group,
        "num_tokens": 33,
        "routed_scaling_factor": np.float32(1),
    }

    launch(
        build.kernel(one, "gfx942"),
        memory,
        [values[name] for name in build.shape.parameters[one.kernel]],
        grid=33,
        block=64,
        # (experts + groups + 1 + 2 * topk) words, rounded up to 256 bytes: grouped_topk's own.
        dynamic_lds=(4 * (160 + groups + 1 + 12) + 255) & ~255,
        rounding=Rounding("nearest"),
    )

    held = recording("unbiased", Tensor(gate, logits.shape, logits), np.zeros(160, "f4"), spec)
    info = KernelInfo("aiter.grouped_topk", "", "gfx942, emulated", "emulated", "conservative")
    output = Output(info, tensor(weights), tensor(ids))
    assert judge(held, output, PROFILES["conservative"]).passed


@pytest.mark.parametrize("name", ["normal", "offset"])
def test_outputs_agree_with_those_of_another_emulator(build: Build, name: str) -> None:
    """Ids equal those that ship; weights lie within 4 ulp and what recovering them loses.

    The shipped files are of the source of 2026-06, whose arithmetic this one has, and were made
    with another v_exp_f32. A weight recovered as (s + b) - b moves by one spacing of s + b, which
    is that over s relatively.
    """
    held = open_recording(SHIPPED_RECORDINGS / f"{name}.safetensors")
    shipped = open_output(
        SHIPPED_OUTPUTS / "aiter-2026-06-gfx942-emulated" / f"{name}.safetensors", held
    )

    done = routed(build, held)

    assert (done.ids == shipped.ids()).all()
    scores = golden(held.logits(), held.bias(), held.spec).scores
    s = np.take_along_axis(scores, done.ids.astype(np.int64), 1)
    c = (s + held.bias()[done.ids]).astype(np.float32)
    weights = shipped.weights()
    recovered = weights * np.spacing(np.abs(c)) / s
    allowed = 4 * np.spacing(weights) + recovered
    assert (np.abs(done.weights.astype(np.float64) - weights) <= allowed).all()
    ulps = np.abs(done.weights.view(np.int32).astype(np.int64) - weights.view(np.int32))
    assert ulps.max() <= (4 if name == "normal" else 16)


@pytest.mark.parametrize(
    "name",
    [
        *("groups_1_of_1", "groups_4_of_8", "groups_8_of_8", "lattice_bf16", "lattice_f16"),
        *("scaled", "unnormalised", "shape_60_4", "shape_100_8", "exact_ties", "tied_groups"),
        *("bias_near_35", "below_minus_one", "infinite", "not_a_number", "dead_group_8_of_8"),
    ],
)
def test_constructed_recordings_pass_and_architectures_agree(build: Build, name: str) -> None:
    """gfx942's and gfx950's code give the same bits, and the judge passes them."""
    held = construct(name)

    done = {one: routed(build, held, architecture=one) for one in ARCHITECTURES}

    assert same(done["gfx942"], done["gfx950"])
    assert judged(build, held, done["gfx942"]).passed


@pytest.mark.parametrize("name", ["normal", "offset"])
def test_the_verdict_holds_under_each_rounding_model(build: Build, name: str) -> None:
    """Correct, one ulp below, one above and random last bits pass, and are not all alike."""
    whole = open_recording(SHIPPED_RECORDINGS / f"{name}.safetensors")
    held = recording(name, whole.logits(0, 1024), whole.bias(), whole.spec)

    done = {model: routed(build, held, rounding=Rounding(model)) for model in ROUNDINGS}

    for model in ROUNDINGS:
        result = judged(build, held, done[model])
        assert result.passed
        assert result.weight_error_over_bound < 0.5
    assert not same(done["below"], done["above"])
    assert not same(done["nearest"], done["random"])


@pytest.mark.parametrize(
    "name",
    [
        *("groups_1_of_2", "groups_2_of_4", "bias_cast", "deep_negative", "few_selectable"),
        *("routers/groups_2_1", "routers/groups_4_2"),
        *("routers/Qwen3-MoE_sigmoid", "routers/Qwen3-Next_sigmoid"),
        *("MiniMax-M2.5/types_bf16_f32", "MiniMax-M2.5/types_f16_f32"),
    ],
)
def test_faults_of_the_source_are_found_and_listed(build: Build, name: str, tmp_path: Path) -> None:
    """The judge fails the recording, and the list of known failures has exactly its rows."""
    path = tmp_path / "held.safetensors"
    write_recording(path, construct(name))
    held = open_recording(path)

    done = routed(build, held)

    known = read_known_failures(SHIPPED)
    assert not judged(build, held, done).passed
    with_list = judged(build, held, done, known_failures=known)
    assert with_list.passed
    assert with_list.known > 0
    links = {one.link for one in with_list.known_failures}
    if "groups" in name:
        assert links == {"https://github.com/ROCm/aiter/issues/2153"}


def test_a_sample_of_workgroups_is_the_same_as_in_the_whole_grid(build: Build) -> None:
    """Chosen rows of a large grid have the bits of the full run; the others are not executed."""
    held = construct("tokens_1025")
    rows = [0, 3, 511, 1024]

    whole, some = routed(build, held), routed(build, held, rows=rows)

    left = np.ones(held.rows, bool)
    left[rows] = False
    assert (some.ids[rows] == whole.ids[rows]).all()
    assert (some.weights[rows].view(np.uint32) == whole.weights[rows].view(np.uint32)).all()
    assert (some.ids[left] == -0x5EED).all()
    assert np.isnan(some.weights[left]).all()


def test_a_row_alone_has_the_bits_that_it_has_in_a_batch(build: Build) -> None:
    """The kernel is batch-invariant: a workgroup reads its own row alone."""
    held = construct("tokens_257")
    whole = routed(build, held)

    for row in (0, 100, 256):
        alone = recording("alone", held.logits(row, row + 1), held.bias(), held.spec)
        done = routed(build, alone)

        assert (done.ids[0] == whole.ids[row]).all()
        assert (done.weights[0].view(np.uint32) == whole.weights[row].view(np.uint32)).all()


def test_a_bias_that_is_too_short_is_read_outside(build: Build) -> None:
    """The emulator is a memory checker: the message has instruction, lane, address and buffer."""
    logits = np.zeros((2, 256), np.float32)

    with pytest.raises(KernelError, match=r"`global_load_dwordx4 .*\(line \d+\): workgroup 0, l"):
        route(build, logits, np.zeros(128, np.float32), "F32", top_k=8)


def test_lds_written_past_what_was_asked_for_is_reported(build: Build) -> None:
    """With every group NaN the kernel marks a group that is not there, behind its LDS."""
    held = recording(
        "nan", np.full((1, 256), np.nan, np.float32), np.zeros(256, np.float32), MINIMAX_M2_5
    )

    done = routed(build, held)

    assert len(done.findings) == 1
    assert "past the 1028 bytes that the kernel asked for" in done.findings[0]


def test_findings_are_notes_of_the_catalogues_kernel_too() -> None:
    """`goldgate parity --kernel aiter-emulated` reports them, each with the recording it is of."""
    kernel = load("aiter-emulated", None, None)
    nan = recording(
        "nan", np.full((2, 256), np.nan, np.float32), np.zeros(256, np.float32), MINIMAX_M2_5
    )
    plain = recording("plain", np.zeros((2, 256), np.float32), nan.bias(), MINIMAX_M2_5)

    found, none = run(kernel, nan), run(kernel, plain)

    assert any("past the 1028 bytes that the kernel asked for" in note for note in found.notes)
    assert not any("LDS" in note for note in none.notes)


def _tensors(
    gate: torch.dtype, rows: int = 40, spec: RoutingSpec = MINIMAX_M2_5
) -> tuple[torch.Tensor, ...]:
    rng = torch.Generator().manual_seed(3)
    logits = torch.randn(rows, spec.num_experts, generator=rng).to(gate)
    bias = torch.randn(spec.num_experts, generator=rng) * 0.1
    weights = torch.full((rows, spec.top_k), float("nan"))
    return logits, bias, weights, torch.full((rows, spec.top_k), -1, dtype=torch.int32)


@pytest.mark.parametrize("gate", [torch.float32, torch.bfloat16, torch.float16])
def test_the_catalogues_kernel_routes_tensors(gate: torch.dtype) -> None:
    """`--kernel aiter-emulated` writes in place what the golden router says of the cast bias."""
    kernel = load("aiter-emulated", None, None)
    logits, bias, weights, ids = _tensors(gate)

    kernel.route(logits, bias, weights, ids, 1, 1, True, 1.0)

    expected = golden(logits.double().numpy(), bias.to(gate).double().numpy(), MINIMAX_M2_5)
    assert (ids.numpy() == expected.ids).all()
    assert np.allclose(weights.numpy(), expected.weights, rtol=1e-5)
    assert kernel.execution == "emulated"
    assert kernel.name == NAME
    assert "clang" in kernel.note
    assert "rounding of exp and rcp: nearest" in kernel.note


def test_the_catalogues_kernel_refuses_what_aiter_does_not_take() -> None:
    """Strides, other types and other group counts are errors that name them."""
    route_tensors = load("aiter-emulated", None, None).route
    logits, bias, weights, ids = _tensors(torch.float32)

    with pytest.raises(KernelError, match="expected contiguous ones"):
        route_tensors(logits[:, ::2], bias[::2], weights, ids, 1, 1, True, 1.0)
    with pytest.raises(KernelError, match=r"torch\.float64: expected"):
        route_tensors(logits.double(), bias, weights, ids, 1, 1, True, 1.0)
    with pytest.raises(KernelError, match=r"expected torch\.float32 and torch\.int32"):
        route_tensors(logits, bias, weights, ids.long(), 1, 1, True, 1.0)
    with pytest.raises(KernelError, match="Unsupported num_expert_group: 16"):
        route_tensors(logits, bias, weights, ids, 16, 8, True, 1.0)


def test_no_tokens_launch_nothing() -> None:
    """A batch of no rows returns at once, as a launch of an empty grid must not happen."""
    logits, bias, weights, ids = _tensors(torch.float32, rows=0)

    load("aiter-emulated", None, None).route(logits, bias, weights, ids, 1, 1, True, 1.0)

    assert ids.shape == (0, 8)


def test_the_command_executes_judges_and_keeps_outputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`goldgate emulate --recordings DIR --save-outputs DIR`: eight variants, files, statements."""
    (tmp_path / "in").mkdir()
    write_recording(tmp_path / "in" / "tokens_33.safetensors", construct("tokens_33"))
    held = open_recording(tmp_path / "in" / "tokens_33.safetensors")

    status = main(
        [
            *("emulate", "--recordings", str(tmp_path / "in")),
            *("--save-outputs", str(tmp_path / "out"), "--json", str(tmp_path / "evidence.json")),
        ]
    )

    assert status == 0
    printed = capsys.readouterr().out
    assert "emulated, not run on AMD hardware: " in printed
    assert "nearest, below, above, random" in printed
    assert "gfx942 and gfx950 return the same bits in 4 of 4 outputs" in printed
    results = json.loads((tmp_path / "evidence.json").read_text())["results"]
    assert [one["verdict"] for one in results] == ["PASS"] * 8
    for one in results:
        assert one["execution"] == "emulated"
        assert "topk_softmax_kernels_group.cu" in one["ran"]["version"]
        model = one["kernel"].rpartition("-")[2]
        model = "random (seed 0)" if model == "random" else model
        assert f"rounding of exp and rcp: {model}; 0 of 33 rows" in one["ran"]["note"]
        saved = open_output(tmp_path / "out" / one["kernel"] / "tokens_33.safetensors", held)
        assert saved.kernel.device in ("gfx942, emulated", "gfx950, emulated")


def test_recordings_beyond_the_package_leave_a_pass_a_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What aiter has no kernel for is named, and the exit status is that of the others."""
    for name in ("tokens_3", "routers/groups_16_8"):
        path = tmp_path / f"{name.replace('/', '-')}.safetensors"
        write_recording(path, construct(name))

    status = main(["emulate", "--recordings", str(tmp_path)])

    seen = capsys.readouterr()
    assert "8 passed, 0 failed, 0 refused; 1 not run" in seen.out
    assert "nothing was judged" not in seen.err
    assert status == 0


def test_every_kernel_of_the_file_passes_under_every_model(tmp_path: Path) -> None:
    """Expert counts that integers are divided by, and the sorting kernel with its reciprocals."""
    for name in ("shape_60_4", "shape_384_8", "groups_4_of_8"):
        write_recording(tmp_path / f"{name}.safetensors", construct(name))

    status = main(["emulate", "--recordings", str(tmp_path)])

    assert status == 0


def test_a_source_that_does_not_compile_names_what_is_missing(build: Build) -> None:
    """A name that the shim lacks is in the message, in one line."""
    changed = build.source.text.replace("__syncthreads();", "goldgate_has_no_such_name();", 1)
    other = Build(dataclasses.replace(build.source, text=changed), build.compiler)

    with pytest.raises(KernelError) as raised:
        other.kernel(TEN[0], "gfx942")

    assert "rejects the source" in str(raised.value)
    assert "goldgate_has_no_such_name" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_subnormals_are_flushed_as_aiter_builds_it(build: Build) -> None:
    """The compiled kernel starts with float32 subnormals flushed: aiter's own compiler flag."""
    descriptor = build.kernel(TEN[0], "gfx942").program.descriptor

    assert descriptor["float_denorm_mode_32"] == 0
    assert descriptor["float_denorm_mode_16_64"] == 3
