"""Running kernels: what a call does wrong is seen, whatever it returns."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import goldgate.fixtures.recording
from goldgate.accuracy import assert_parity
from goldgate.accuracy.calls import run
from goldgate.accuracy.one_call import call
from goldgate.accuracy.strided import strided_faults
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.recording import Recording
from goldgate.kernels import KernelError, Loaded, NotCoveredError, load_function, registry
from goldgate.kernels.sglang import TOPK_SIGMOID
from goldgate.kernels.torch_eager import route
from goldgate.reference import PROFILES, RoutingSpec

Route = Callable[..., Any]


def _loaded(function: Route) -> Loaded:
    return Loaded(function, "k", "1", "cpu", "ieee")


def _after(change: Callable[..., None]) -> Route:
    """Return torch's kernel, then a change to its arguments."""

    def kernel(*arguments: Any) -> None:  # noqa: ANN401 - aiter's signature, passed through
        route(*arguments)
        change(*arguments)

    return kernel


@pytest.fixture
def recording() -> Recording:
    """Return a small recording."""
    return construct("tokens_65")


def test_honest_kernel_passes(recording: Recording) -> None:
    """Torch eager is at parity, and its calls are without fault."""
    assert_parity(route, recording, profile="ieee", device="cpu")

    assert run(_loaded(route), recording).faults == ()


def test_parity_fails_with_what_to_look_at(recording: Recording) -> None:
    """The assertion names the kernel, the row, the ids and the gap."""

    def swap(
        _: torch.Tensor, __: torch.Tensor, ___: torch.Tensor, ids: torch.Tensor, *____: object
    ) -> None:
        ids[7, 0] = (ids[7, 0] + 1) % 256

    with pytest.raises(AssertionError, match="not at parity") as failure:
        assert_parity(_after(swap), recording, profile="ieee", device="cpu")

    for part in ("row 7", "golden ids", "of which rounding explains at most"):
        assert part in str(failure.value)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda x, *_: x.zero_(), "writes gating_output"),
        (lambda _, bias, *__: bias.add_(1), "writes correction_bias"),
        (lambda _, __, w, *___: w.as_strided((66, 8), (8, 1))[65].zero_(), "behind topk_weights"),
        (lambda _, __, ___, i, *____: i.as_strided((66, 8), (8, 1))[65].zero_(), "behind topk_ids"),
    ],
)
def test_writes_outside_the_outputs_are_seen(
    recording: Recording, change: Callable[..., None], fault: str
) -> None:
    """A kernel that writes its inputs or past its outputs is at fault, right answer or not."""
    faults = run(_loaded(_after(change)), recording).faults

    assert any(fault in found for found in faults)


@pytest.mark.parametrize("repeats", [0, 4])
def test_each_call_has_inputs_of_its_own(recording: Recording, repeats: int) -> None:
    """What a call writes into its inputs is its fault, and no later call's different answer."""

    def spoil(x: torch.Tensor, bias: torch.Tensor, *_: object) -> None:
        x.zero_()
        bias.add_(1)

    faults = run(_loaded(_after(spoil)), recording, repeats=repeats).faults

    assert {one.removesuffix(", called on strided tensors") for one in faults} == {
        "writes gating_output",
        "writes correction_bias",
    }


def test_parity_asserts_what_calls_do_wrong(recording: Recording) -> None:
    """Right answers do not excuse a kernel that writes its inputs."""
    with pytest.raises(AssertionError, match="the call is at fault: writes correction_bias"):
        assert_parity(
            _after(lambda _, bias, *__: bias.add_(1)), recording, profile="ieee", device="cpu"
        )


def test_parity_names_the_profiles_there_are(recording: Recording) -> None:
    """A misspelt profile is answered with those there are."""
    with pytest.raises(ValueError, match=r"profile 'iee': expected one of .*ieee"):
        assert_parity(route, recording, profile="iee")


def test_unwritten_rows_fail(recording: Recording) -> None:
    """Rows that a kernel leaves unwritten hold poison, which no verdict takes for an answer."""

    def half(
        x: torch.Tensor, b: torch.Tensor, w: torch.Tensor, i: torch.Tensor, *more: object
    ) -> None:
        route(x[:40], b, w[:40], i[:40], *more)  # type: ignore[arg-type]  # passed through

    with pytest.raises(AssertionError, match="does not write topk_ids in 25 of rows") as failure:
        assert_parity(half, recording, profile="ieee", device="cpu")

    assert "25 of 65 rows fail" in str(failure.value)
    assert "two calls" not in str(failure.value)


def test_stale_weights_fail(recording: Recording) -> None:
    """A kernel that writes ids but not weights does not pass on what was there before."""

    def ids_only(
        x: torch.Tensor, b: torch.Tensor, w: torch.Tensor, i: torch.Tensor, *more: object
    ) -> None:
        route(x, b, w.clone(), i, *more)  # type: ignore[arg-type]  # passed through

    with pytest.raises(AssertionError, match="nonfinite weight 65"):
        assert_parity(ids_only, recording, profile="ieee", device="cpu")


def _strides(
    x: torch.Tensor, b: torch.Tensor, w: torch.Tensor, i: torch.Tensor, *more: object
) -> None:
    """Write the weights at the ids' stride, as aiter's kernel does."""
    route(x, b, w.as_strided(w.shape, i.stride()), i, *more)  # type: ignore[arg-type]  # passed on


def _row_length(x: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
    """Read the logits as if one row followed another at once."""
    route(x.as_strided(x.shape, (x.shape[1], 1)), *more)


def _few_rows(
    x: torch.Tensor,
    b: torch.Tensor,
    w: torch.Tensor,
    i: torch.Tensor,
    *more: Any,  # noqa: ANN401
) -> None:
    """Err in one row of 65 where the logits are strided."""
    route(x, b, w, i, *more)
    if not x.is_contiguous():
        i[17] = i[17].roll(1)


def _strided_faults(kernel: Route, held: Recording) -> tuple[str, ...]:
    ran = run(_loaded(kernel), held)
    return ran.faults + strided_faults(held, ran.strided, PROFILES["ieee"])


@pytest.mark.parametrize("kernel", [_strides, _row_length, _few_rows])
def test_a_wrong_stride_is_seen(recording: Recording, kernel: Route) -> None:
    """A kernel that errs on strided tensors, in one row even, is at fault, unless it says so."""
    fault = _strided_faults(kernel, recording)[-1]
    said = run(replace(_loaded(kernel), contiguous=True), recording)

    assert "answers wrongly" in fault
    assert ("in 1 rows" in fault) == (kernel is _few_rows)
    assert said.faults == ()
    assert said.strided is None
    assert "contiguous ones alone" in said.notes[0]


def test_another_rounding_on_strided_tensors_is_right(recording: Recording) -> None:
    """A path of its own for strided tensors may round otherwise: it is judged, not compared."""

    def own_path(x: torch.Tensor, b: torch.Tensor, w: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        route(x, b, w, *more)
        if not x.is_contiguous():
            w[:, 0] = torch.nextafter(w[:, 0], torch.tensor(1.0))

    ran = run(_loaded(own_path), recording)

    assert ran.strided is not None
    assert strided_faults(recording, ran.strided, PROFILES["ieee"]) == ()


@pytest.mark.parametrize(
    "error",
    [ValueError("contiguous, please"), RuntimeError("strides are not supported")],
    ids=lambda error: type(error).__name__,
)
def test_a_kernel_may_refuse_strided_tensors(recording: Recording, error: Exception) -> None:
    """What a kernel refuses in so many words is no fault: it is said that it was not tried."""

    def strict(x: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        if not x.is_contiguous():
            raise error
        route(x, *more)

    ran = run(_loaded(strict), recording)

    assert ran.faults == ()
    assert "refuses strided tensors" in ran.notes[0]
    assert str(error) in ran.notes[0]


@pytest.mark.parametrize(
    "error",
    [RuntimeError("shared memory exhausted"), IndexError("strides"), KeyError("contiguous")],
    ids=lambda error: type(error).__name__,
)
def test_other_exceptions_on_strided_tensors_are_failures(
    recording: Recording, error: Exception
) -> None:
    """An exception that does not refuse strides is the kernel's failure there as elsewhere."""

    def broken(x: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        if not x.is_contiguous():
            raise error
        route(x, *more)

    with pytest.raises(KernelError, match=type(error).__name__):
        run(_loaded(broken), recording)


def test_a_refusal_after_an_answer_is_a_failure(recording: Recording) -> None:
    """What raises when it has written its outputs refuses nothing."""

    def late(x: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        route(x, *more)
        if not x.is_contiguous():
            raise ValueError("contiguous, please")

    with pytest.raises(KernelError, match="contiguous, please"):
        run(_loaded(late), recording)


@pytest.mark.parametrize("kept", ["logits", "bias", "outputs"])
def test_what_a_kernel_keeps_of_its_first_call_is_seen(recording: Recording, kept: str) -> None:
    """The first call's logits, bias or outputs, kept as a graph's capture does, do not pass."""
    first: dict[str, torch.Tensor] = {}

    def keeps(
        x: torch.Tensor, b: torch.Tensor, w: torch.Tensor, i: torch.Tensor, *more: object
    ) -> None:
        if not first or len(first["logits"]) != len(x):
            route(x, b, w, i, *more)  # type: ignore[arg-type]  # passed on
            first.update(logits=x.clone(), bias=b.clone(), weights=w.clone(), ids=i.clone())
        elif kept == "outputs":
            w.copy_(first["weights"])
            i.copy_(first["ids"])
        else:
            used = {"logits": x, "bias": b} | {kept: first[kept]}
            route(used["logits"], used["bias"], w, i, *more)  # type: ignore[arg-type]  # passed on

    with pytest.raises(AssertionError, match="not at parity"):
        assert_parity(keeps, recording, profile="ieee", device="cpu")


def test_two_calls_must_agree(recording: Recording) -> None:
    """A kernel whose second call answers otherwise is at fault."""
    calls = []

    def second(_: torch.Tensor, __: torch.Tensor, w: torch.Tensor, *___: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            w[3, 3] = torch.nextafter(w[3, 3], torch.tensor(1.0))

    faults = run(_loaded(_after(second)), recording).faults

    assert faults == ("two calls on the same input differ in 1 of rows 0 to 65",)


def test_a_raising_kernel_is_one_line(recording: Recording) -> None:
    """What a kernel raises becomes one line that names it."""

    def broken(*_: object) -> None:
        raise RuntimeError("no kernel image\nis available")

    with pytest.raises(KernelError, match="RuntimeError: no kernel image is available"):
        run(_loaded(broken), recording)


@pytest.mark.parametrize("name", ["lattice_bf16", "lattice_f16", "bfloat16_bias"])
def test_types_reach_the_kernel_as_recorded(name: str) -> None:
    """Sixteen-bit logits and biases are passed in their own types, bit for bit."""
    held = construct(name)
    seen: dict[str, torch.Tensor] = {}

    def look(x: torch.Tensor, b: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        seen.update(x=x.clone(), b=b.clone())
        route(x, b, *more)

    run(_loaded(look), held)

    kinds = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    assert seen["x"].dtype == kinds[held.gating_output.dtype]
    assert seen["b"].dtype == kinds[held.correction_bias.dtype]
    np.testing.assert_array_equal(seen["x"].float().numpy(), held.logits())


@pytest.mark.parametrize(
    "name",
    [
        *("groups_4_of_8", "scaled", "unnormalised", "negative_groups", "scaled_inexactly"),
        *("repeated", "barely_saturated", "coarse_lattice"),
    ],
)
def test_torch_eager_routes_groups_and_scales(name: str) -> None:
    """Torch eager is at parity on other routers, and where its rounding is no random sample."""
    assert_parity(route, construct(name), profile="ieee", device="cpu")


def _takes_rows_as_contiguous(
    x: torch.Tensor,
    b: torch.Tensor,
    w: torch.Tensor,
    i: torch.Tensor,
    groups: int,
    kept: int,
    renormalize: bool,
    scale: float = 1.0,
) -> None:
    """Route, and fail on strided tensors as a kernel that reads no stride would go wrong."""
    if not (x.is_contiguous() and w.is_contiguous() and i.is_contiguous()):
        i.fill_(0)
        return
    route(x, b, w, i, groups, kept, renormalize, scale)


def test_assert_parity_heeds_what_the_module_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel whose module has CONTIGUOUS = True is called on contiguous tensors alone."""
    held = construct("tokens_33")
    with pytest.raises(AssertionError, match="CONTIGUOUS = True"):
        assert_parity(_takes_rows_as_contiguous, held, profile="ieee", device="cpu")

    monkeypatch.setitem(globals(), "CONTIGUOUS", True)

    assert_parity(_takes_rows_as_contiguous, held, profile="ieee", device="cpu")


def _through_exp2(
    x: torch.Tensor, b: torch.Tensor, w: torch.Tensor, i: torch.Tensor, *_: object
) -> None:
    """Route through exp2 with log2(e) as float32, as CUDA's fast arithmetic does."""
    s = 1 / (1 + torch.exp2(-x * torch.tensor(1.4426950408889634)))
    i.copy_((s + b).topk(8, dim=1).indices)
    weights = s.gather(1, i.long())
    w.copy_(weights / weights.sum(dim=1, keepdim=True))


@pytest.mark.parametrize(("shift", "spread"), [(0, 1), (-10, 2), (-20, 6), (-40, 10), (6, 1)])
def test_arithmetic_that_leans_as_it_may_is_at_parity(shift: float, spread: float) -> None:
    """A float32 log2(e) leans every weight of wide logits; its profile's claim covers that."""
    x = np.random.default_rng(8).normal(shift, spread, (8192, 256)).astype(np.float32)
    held = goldgate.fixtures.recording.recording(
        "wide", x, np.zeros(256, np.float32), RoutingSpec(256, 8)
    )

    assert_parity(_through_exp2, held, profile="fast_math", device="cpu")


def test_a_lost_scale_is_found() -> None:
    """A kernel that never applies routed_scaling_factor fails on every row."""

    def unscaled(*arguments: Any) -> None:  # noqa: ANN401
        route(*arguments[:7])

    with pytest.raises(AssertionError, match="512 of 512 rows fail"):
        assert_parity(unscaled, construct("scaled"), profile="ieee", device="cpu")


def test_a_bias_cast_is_found() -> None:
    """Casting a bias near 7 to bfloat16 in the call is found in a large part of the rows."""

    def cast(x: torch.Tensor, b: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        route(x, b.bfloat16().float(), *more)

    with pytest.raises(AssertionError, match="other experts") as failure:
        assert_parity(cast, construct("bias_near_7"), profile="ieee", device="cpu")

    failing = int(str(failure.value).split(" of 512 rows fail")[0].split()[-1])
    assert failing > 100


def _published(
    gating_output: torch.Tensor,
    correction_bias: torch.Tensor,
    topk_weights: torch.Tensor,
    topk_ids: torch.Tensor,
    num_expert_group: int,
    topk_group: int,
    need_renorm: bool,
    routed_scaling_factor: float = 1.0,
) -> None:
    """Stand for the signature in aiter/ops/topk.py."""


def _stub_aiter(monkeypatch: pytest.MonkeyPatch, record: list[dict[str, Any]]) -> None:
    """Install a package `aiter` with the published signature, and a torch that says ROCm."""

    def biased_grouped_topk(*arguments: Any, **named: Any) -> None:  # noqa: ANN401
        signature = inspect.signature(_published)
        record.append({"positional": arguments, "named": named})
        bound = signature.bind(*arguments, **named)
        bound.apply_defaults()
        route(*bound.args)

    module = ModuleType("aiter")
    module.biased_grouped_topk = biased_grouped_topk  # type: ignore[attr-defined]
    module.__spec__ = __import__("importlib.machinery").machinery.ModuleSpec("aiter", None)
    monkeypatch.setitem(sys.modules, "aiter", module)
    monkeypatch.setattr(torch.version, "hip", "6.4", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_aiter_is_called_as_sglang_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Around a stub with aiter's signature: the bias takes the gate's type, nothing else moves."""
    record: list[dict[str, Any]] = []
    _stub_aiter(monkeypatch, record)
    kernel = registry()["aiter"]

    assert kernel.missing() is None
    loaded = kernel.load()
    found = run(replace(loaded, device="cpu"), construct("bias_cast"))

    for one in record:
        gate, bias, weights, ids = one["positional"]
        assert gate.dtype == bias.dtype == torch.bfloat16
        assert (weights.dtype, ids.dtype) == (torch.float32, torch.int32)
        assert weights.is_contiguous()
        assert ids.is_contiguous()
        assert one["named"] == {"num_expert_group": 1, "topk_group": 1, "need_renorm": True}
    assert loaded.contiguous
    assert found.faults == ()


def test_aiter_is_passed_a_scale_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups, renormalisation and scale reach aiter by the names that sglang uses."""
    record: list[dict[str, Any]] = []
    _stub_aiter(monkeypatch, record)

    run(replace(registry()["aiter"].load(), device="cpu"), construct("scaled"))

    expected = {"num_expert_group": 8, "topk_group": 4, "need_renorm": True}
    assert record[0]["named"] == expected | {"routed_scaling_factor": 2.5}


def test_an_aiter_that_does_not_import_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever aiter's import raises becomes one line, not the end of the command."""
    _stub_aiter(monkeypatch, [])

    class Broken(ModuleType):
        def __getattr__(self, name: str) -> None:
            raise RuntimeError("Failed to find ROCm root")

    monkeypatch.setitem(sys.modules, "aiter", Broken("aiter"))

    with pytest.raises(KernelError, match=r"cannot be imported \(RuntimeError: Failed to find"):
        registry()["aiter"].load()


def test_aiter_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without aiter, and with it but no ROCm device, the kernel says what would run it."""
    kernel = registry()["aiter"]
    monkeypatch.delitem(sys.modules, "aiter", raising=False)

    assert "no aiter here" in str(kernel.missing())

    _stub_aiter(monkeypatch, [])
    monkeypatch.setattr(torch.version, "hip", None)

    assert "no ROCm device" in str(kernel.missing())


@pytest.mark.parametrize(
    ("release", "profile"),
    [
        ("0.4.4", "sgl_kernel_0.4.4"),
        ("0.4.4.post1+cu130", "sgl_kernel_0.4.4"),
        ("0.4.40", "conservative"),
        ("0.5.0", "conservative"),
        ("unknown", "conservative"),
    ],
)
def test_a_release_of_sgl_kernel_decides_its_profile(release: str, profile: str) -> None:
    """Only the release whose source was read has a profile of its own."""
    assert TOPK_SIGMOID.arithmetic_of(release).profile == profile
    assert profile in PROFILES


_NO_SIGMOID = {
    *("aiter-topk-softmax", "sglang-topk-softmax", "vllm-topk-softmax", "transformers-qwen3-moe"),
    *("flashinfer-routing-renormalize", "flashinfer-routing-renormalize-naive"),
    "tensorrt-llm-renorm",
}
#: They do not renormalise.
_PLAIN = {
    *("flashinfer-routing-default", "flashinfer-routing-llama4", "flashinfer-routing-sigmoid"),
    *("flashinfer-routing-topk-sigmoid", "tensorrt-llm-default"),
}
_BIASED = RoutingSpec(256, 8)
_GROUPED = RoutingSpec(256, 8, num_expert_group=8, topk_group=4)


@pytest.mark.parametrize(
    ("spec", "refusing"),
    [
        (
            _BIASED,
            {*_NO_SIGMOID, *_PLAIN, "aiter-moe-fused-gate", "aiter-topk-sigmoid"}
            | {"flashinfer-fused-topk-deepseek"},
        ),
        (
            _GROUPED,
            {
                *_NO_SIGMOID,
                *_PLAIN,
                *("flashinfer-routing-minimax2", "flashinfer-routing-sigmoid-renorm"),
                *("aiter-grouped-topk", "aiter-topk-gating", "aiter-topk-sigmoid", "aiter-vllm"),
                *("mlx-minimax", "sglang-jit-topk-sigmoid", "sglang-topk-sigmoid"),
                *("sglang-topk-sigmoid-hip", "sglang-torch-native", "transformers-minimax-m2"),
                "vllm-topk-sigmoid",
            },
        ),
    ],
)
def test_kernels_refuse_routers_beyond_them(spec: RoutingSpec, refusing: set[str]) -> None:
    """Each kernel takes MiniMax-M2.5's router and DeepSeek-V3's, or is listed as refusing it."""
    found = {name for name, kernel in registry().items() if kernel.supports(spec) is not None}

    assert found == refusing


@pytest.mark.parametrize(
    ("spec", "taking"),
    [
        (
            replace(_GROUPED, group_score="maximum"),
            {"aiter-grouped-topk", "vllm-fused-topk-bias", "vllm-torch-grouped-topk"},
        ),
        (
            RoutingSpec(128, 8, "softmax"),
            {*_NO_SIGMOID, "aiter-grouped-topk", "aiter-topk-gating", "sglang-moe-fused-gate"}
            | {"sglang-torch-native", "vllm-fused-topk-bias", "vllm-torch-grouped-topk"},
        ),
        (
            RoutingSpec(256, 6, "sqrtsoftplus"),
            {"aiter-topk-gating", "sglang-moe-fused-gate", "sglang-torch-native"}
            | {"vllm-fused-topk-bias"},
        ),
    ],
)
def test_few_kernels_take_other_scores(spec: RoutingSpec, taking: set[str]) -> None:
    """The other scorings and the other group rule are taken by the kernels that have them."""
    found = {name for name, kernel in registry().items() if kernel.supports(spec) is None}

    assert found == taking | {"torch-eager"}  # which has every scoring


@pytest.mark.parametrize(
    ("path", "message"),
    [("no.such.module:f", "cannot be imported"), ("json:no_such", "has no attribute 'no_such'")],
)
def test_unknown_functions_are_refused(path: str, message: str) -> None:
    """A kernel of one's own that cannot be found is refused with what is missing."""
    with pytest.raises(KernelError, match=message):
        load_function(path, "conservative")


@pytest.mark.parametrize("name", ["MiniMax-M2.5/layout_offset", "MiniMax-M2.5/layout_all_padded"])
@pytest.mark.parametrize("which", [2, 3])
def test_writes_in_front_of_the_outputs_are_seen(name: str, which: int) -> None:
    """The element in front of an output is of its own storage, and a write there is a fault."""

    def counts_down_too_far(*arguments: Any) -> None:  # noqa: ANN401
        route(*arguments)
        output = arguments[which]
        output.as_strided((1,), (1,), output.storage_offset() - 1).zero_()

    faults = run(_loaded(counts_down_too_far), construct(name)).faults

    assert f"writes memory in front of {('topk_weights', 'topk_ids')[which - 2]}" in faults


def test_an_empty_batch_is_a_call() -> None:
    """A call of no tokens is made, and a kernel that writes nothing there is at no fault."""
    sizes: list[int] = []

    def counted(x: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        sizes.append(len(x))
        route(x, *more)

    ran = run(_loaded(counted), construct("MiniMax-M2.5/tokens_0_to_257"))

    assert ran.faults == ()
    assert set(sizes) == set(range(258))


def test_a_fault_in_an_empty_call_leaves_the_others_to_be_judged() -> None:
    """What a kernel raises for no tokens is a fault that tells so; every other row is there."""

    def launched(x: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        if not len(x):
            raise RuntimeError("CUDA error: invalid argument")
        route(x, *more)

    ran = run(_loaded(launched), construct("MiniMax-M2.5/tokens_0_to_257"))

    assert [fault.partition(", ")[2] for fault in ran.faults] == [
        "in a call of 0 tokens: RuntimeError: CUDA error: invalid argument"
    ]
    assert ran.output.topk_weights is not None
    assert not np.isnan(ran.output.topk_weights.rows()).any()


def test_states_that_need_a_gpu_are_left_out_by_name() -> None:
    """Without a GPU a side stream, a second device and torch.compile are not covered, by name."""
    for state in ("side stream", "second device", "torch.compile"):
        name = "MiniMax-M2.5/state_" + state.replace(" ", "_").replace(".", "_")

        with pytest.raises(NotCoveredError, match=f"{state}: needs a GPU"):
            run(_loaded(route), construct(name))


def test_a_pause_comes_before_what_a_call_writes(recording: Recording) -> None:
    """What is queued by the pause precedes the inputs that the kernel is given, and the outputs."""
    order: list[str] = []

    def kernel(x: torch.Tensor, b: torch.Tensor, w: torch.Tensor, *more: Any) -> None:  # noqa: ANN401
        order.append("kernel")
        route(x, b, w, *more)

    found = call(_loaded(kernel), recording, 0, 65, pause=lambda: order.append("pause"))

    assert order == ["pause", "kernel"]
    assert found.faults == ()
