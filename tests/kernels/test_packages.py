"""The catalogue of kernels: each entry calls its package by the published signature.

Packages that need a GPU are stubs here, with the signatures of the releases that the entries name;
the stubs route in float32 with torch. The real packages run in examples on GPU hosts.
"""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from goldgate.accuracy.testing import assert_parity
from goldgate.fixtures.recording import Recording, recording
from goldgate.kernels import Loaded, NotCoveredError, flashinfer, registry, sglang, vllm, vllm_torch
from goldgate.kernels.torch_eager import route
from goldgate.reference import MINIMAX_M2_5, MODELS, RoutingSpec

GROUPED = RoutingSpec(256, 8, num_expert_group=8, topk_group=4, routed_scaling_factor=2.5)


def _recording(spec: RoutingSpec) -> Recording:
    rng = np.random.default_rng(4)
    x = rng.normal(0, 1, (64, spec.num_experts)).astype(np.float32)
    return recording("rows", x, rng.random(spec.num_experts).astype(np.float32), spec)


def _module(monkeypatch: pytest.MonkeyPatch, name: str, **held: object) -> None:
    """Put a module of this name in place, its parents included."""
    parts = name.split(".")
    for i in range(1, len(parts) + 1):
        module = ModuleType(".".join(parts[:i]))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    vars(sys.modules[name]).update(held)


def _load(name: str) -> Loaded:
    """Load an entry whether or not its package and device are here."""
    return registry()[name].load()


def _check(loaded: Loaded, spec: RoutingSpec) -> None:
    assert_parity(loaded.route, _recording(spec), profile="ieee", device="cpu")


def _topk_sigmoid(
    topk_weights: torch.Tensor,
    topk_ids: torch.Tensor,
    gating_output: torch.Tensor,
    renormalize: bool = False,
    correction_bias: torch.Tensor | None = None,
) -> None:
    """Route with the signature of sgl_kernel 0.4.4's topk_sigmoid."""
    route(gating_output, correction_bias, topk_weights, topk_ids, 1, 1, renormalize)  # type: ignore[arg-type]


def _moe_fused_gate(
    scores: torch.Tensor,
    bias: torch.Tensor,
    topk: int,
    scoring_func: str = "sigmoid",
    num_fused_shared_experts: int = 0,
    renormalize: bool = True,
    routed_scaling_factor: float = 1.0,
    apply_routed_scaling_factor_on_output: bool = False,
    moe_softcapping: float = 0.0,
    num_expert_group: int = 1,
    topk_group: int = 1,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Route with the signature of sglang 0.5.15's Triton moe_fused_gate."""
    assert (scoring_func, num_fused_shared_experts, moe_softcapping) == ("sigmoid", 0, 0.0)
    weights = torch.empty(len(scores), topk)
    ids = torch.empty(len(scores), topk, dtype=torch.int32)
    scale = routed_scaling_factor if apply_routed_scaling_factor_on_output else 1.0
    route(scores, bias, weights, ids, num_expert_group, topk_group, renormalize, scale)
    return weights, ids


def _fused_topk_deepseek(
    scores: torch.Tensor,
    bias: torch.Tensor,
    n_group: int,
    topk_group: int,
    topk: int,
    routed_scaling_factor: float,
    topk_values: torch.Tensor,
    topk_indices: torch.Tensor,
    launch_with_pdl: bool = True,
    routing_replay_out: torch.Tensor | None = None,
) -> None:
    """Route with the signature of flashinfer 0.6.12's fused_topk_deepseek."""
    assert launch_with_pdl
    assert routing_replay_out is None
    assert topk == topk_indices.shape[1]
    scale = routed_scaling_factor
    route(scores, bias, topk_values, topk_indices, n_group, topk_group, True, scale)


def _topk_softmax(
    topk_weights: torch.Tensor,
    topk_ids: torch.Tensor,
    gating_output: torch.Tensor,
    renormalize: bool = False,
    moe_softcapping: float = 0.0,
    correction_bias: torch.Tensor | None = None,
) -> None:
    """Route with the signature of sgl_kernel 0.4.4's topk_softmax."""
    assert (moe_softcapping, correction_bias) == (0.0, None)
    scores = gating_output.float().softmax(dim=1)
    weights, ids = scores.topk(topk_ids.shape[1], dim=1)
    topk_weights.copy_(weights / weights.sum(dim=1, keepdim=True) if renormalize else weights)
    topk_ids.copy_(ids)


def _biased_grouped_topk_impl(
    hidden_states: torch.Tensor,
    gating_output: torch.Tensor,
    correction_bias: torch.Tensor,
    topk: int,
    renormalize: bool,
    num_expert_group: int | None = None,
    topk_group: int | None = None,
    num_fused_shared_experts: int = 0,
    routed_scaling_factor: float | None = None,
    apply_routed_scaling_factor_on_output: bool | None = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Route with the signature of sglang 0.5.15's biased_grouped_topk_impl."""
    assert len(hidden_states) == len(gating_output)
    return _moe_fused_gate(
        gating_output,
        correction_bias,
        topk,
        "sigmoid",
        num_fused_shared_experts,
        renormalize,
        routed_scaling_factor or 1.0,
        bool(apply_routed_scaling_factor_on_output),
        0.0,
        num_expert_group or 1,
        topk_group or 1,
    )


def _fused_topk_torch_native(
    hidden_states: torch.Tensor,
    gating_output: torch.Tensor,
    topk: int,
    renormalize: bool,
    correction_bias: torch.Tensor | None = None,
    scoring_func: str = "softmax",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Route with the signature of sglang 0.5.15's fused_topk_torch_native."""
    assert correction_bias is not None
    assert scoring_func == "sigmoid"
    return _biased_grouped_topk_impl(
        hidden_states, gating_output, correction_bias, topk, renormalize
    )


class _Operators:
    """torch.ops._moe_C with the schemas that vLLM 0.25.1's library registers."""

    @staticmethod
    def topk_sigmoid(
        topk_weights: torch.Tensor,
        topk_indices: torch.Tensor,
        token_expert_indices: torch.Tensor,
        gating_output: torch.Tensor,
        renormalize: bool,
        bias: torch.Tensor | None,
    ) -> None:
        """Route; the third output has the shape of the ids."""
        assert token_expert_indices.shape == topk_indices.shape
        _topk_sigmoid(topk_weights, topk_indices, gating_output, renormalize, bias)

    @staticmethod
    def topk_softmax(
        topk_weights: torch.Tensor,
        topk_indices: torch.Tensor,
        token_expert_indices: torch.Tensor,
        gating_output: torch.Tensor,
        renormalize: bool,
        bias: torch.Tensor | None,
    ) -> None:
        """Route as sgl_kernel's does."""
        assert token_expert_indices.shape == topk_indices.shape
        _topk_softmax(topk_weights, topk_indices, gating_output, renormalize, 0.0, bias)

    @staticmethod
    def grouped_topk(
        scores: torch.Tensor,
        n_group: int,
        topk_group: int,
        topk: int,
        renormalize: bool,
        routed_scaling_factor: float,
        bias: torch.Tensor,
        scoring_func: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Route raw logits: scoring_func 1 is sigmoid."""
        assert scoring_func == 1
        return _moe_fused_gate(
            scores,
            bias,
            topk,
            renormalize=renormalize,
            routed_scaling_factor=routed_scaling_factor,
            apply_routed_scaling_factor_on_output=True,
            num_expert_group=n_group,
            topk_group=topk_group,
        )


def _grouped_topk(
    hidden_states: torch.Tensor,
    gating_output: torch.Tensor,
    topk: int,
    renormalize: bool,
    num_expert_group: int = 0,
    topk_group: int = 0,
    scoring_func: str = "softmax",
    routed_scaling_factor: float = 1.0,
    e_score_correction_bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Route with the signature of vLLM 0.25.1's grouped_topk: without a bias by the maximum."""
    assert len(hidden_states) == len(gating_output)
    weights = torch.empty(len(gating_output), topk)
    ids = torch.empty(len(gating_output), topk, dtype=torch.int32)
    bias = e_score_correction_bias
    route(
        gating_output,
        torch.zeros(gating_output.shape[1]) if bias is None else bias,
        weights,
        ids,
        num_expert_group,
        topk_group,
        renormalize,
        routed_scaling_factor,
        scoring=scoring_func,
        group_score="maximum" if bias is None else "sum of two largest",
    )
    return weights, ids


@pytest.mark.parametrize("spec", [MINIMAX_M2_5, GROUPED, MODELS["DeepSeek-V2"].spec])
def test_vllm_s_torch_router_is_called_as_published(
    spec: RoutingSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told its scoring; groups are ranked by their maximum where it gets no bias."""
    _module(monkeypatch, vllm_torch._MODULE, grouped_topk=_grouped_topk)
    x = torch.randn(8, spec.num_experts)
    found = torch.empty(8, spec.top_k), torch.empty(8, spec.top_k, dtype=torch.int32)
    expected = torch.empty(8, spec.top_k), torch.empty(8, spec.top_k, dtype=torch.int32)
    kernel = _load("vllm-torch-grouped-topk")

    kernel.adapter.call(kernel.route, (x, torch.zeros(spec.num_experts), *found), spec)

    eager = _load("torch-eager")
    eager.adapter.call(eager.route, (x, torch.zeros(spec.num_experts), *expected), spec)
    assert (found[1] == expected[1]).all()
    assert torch.equal(found[0], expected[0])
    if spec.group_score == "maximum":
        with pytest.raises(NotCoveredError, match="only without a bias"):
            kernel.adapter.call(kernel.route, (x, torch.ones(spec.num_experts), *found), spec)


def test_vllm_s_torch_router_is_not_taken_for_its_fused_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On an NVIDIA GPU the function hands its calls on, unless vLLM is told not to."""
    monkeypatch.setattr(vllm_torch, "find_spec", lambda _: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")

    assert "VLLM_USE_FUSED_MOE_GROUPED_TOPK=0" in (vllm_torch.missing() or "")
    monkeypatch.setenv("VLLM_USE_FUSED_MOE_GROUPED_TOPK", "0")
    assert vllm_torch.missing() is None


@pytest.mark.parametrize("place", ["sglang.jit_kernel", "sglang.kernels.ops.moe"])
def test_sglang_jit_topk_sigmoid_is_called_as_published(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The in-package kernel is found where 0.5.15 has it and where later releases have it."""
    _module(monkeypatch, f"{place}.moe_topk_sigmoid", topk_sigmoid=_topk_sigmoid)

    _check(_load("sglang-jit-topk-sigmoid"), MINIMAX_M2_5)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("sglang-biased-grouped-topk", MINIMAX_M2_5),
        ("sglang-biased-grouped-topk", GROUPED),
        ("sglang-torch-native", MINIMAX_M2_5),
    ],
)
def test_sglang_torch_routers_are_called_as_published(
    name: str, spec: RoutingSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hidden states come first, of which the number of rows alone is read."""
    _module(
        monkeypatch,
        "sglang.srt.layers.moe.topk",
        biased_grouped_topk_impl=_biased_grouped_topk_impl,
        fused_topk_torch_native=_fused_topk_torch_native,
    )

    _check(_load(name), spec)


@pytest.mark.parametrize("name", ["sglang-topk-softmax", "vllm-topk-softmax"])
def test_softmax_routers_are_called_without_a_bias_of_zeros(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qwen3-MoE has no bias, and engines pass none; one that is not 0 is passed on."""
    _module(monkeypatch, "sgl_kernel", topk_softmax=_topk_softmax)
    monkeypatch.setattr(vllm, "operators", _Operators)
    x = torch.randn(8, 128)
    weights, ids = torch.empty(8, 8), torch.empty(8, 8, dtype=torch.int32)

    _load(name).route(x, torch.zeros(128), weights, ids, 1, 1, True)

    best = x.softmax(dim=1).topk(8, dim=1)
    assert (ids == best.indices).all()
    torch.testing.assert_close(weights, best.values / best.values.sum(dim=1, keepdim=True))
    with pytest.raises(AssertionError):  # the stub takes no bias
        _load(name).route(x, torch.ones(128), weights, ids, 1, 1, True)


def test_moe_fused_gate_takes_no_bias_into_a_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would add the bias to the logits: engines call it with zeros."""
    _module(monkeypatch, "sglang.jit_kernel.moe_fused_gate", moe_fused_gate=_moe_fused_gate)
    kernel = _load("sglang-moe-fused-gate")
    weights, ids = torch.empty(2, 8), torch.empty(2, 8, dtype=torch.int32)

    with pytest.raises(NotCoveredError, match="into the softmax"):
        kernel.route(
            torch.zeros(2, 128), torch.ones(128), weights, ids, 1, 1, True, scoring="softmax"
        )  # type: ignore[call-arg]  # what its adapter asks for


def test_every_entry_says_whether_it_runs_here() -> None:
    """Each kernel either loads or names what is missing, in one line; none raises."""
    for name, kernel in registry().items():
        why = kernel.missing()

        assert kernel.name == name
        assert kernel.summary
        assert why is None or "\n" not in why


def test_sglang_topk_sigmoid_is_called_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CUDA kernel gets weights first, then ids, logits, renormalise and bias."""
    _module(monkeypatch, "sgl_kernel", topk_sigmoid=_topk_sigmoid)

    _check(_load("sglang-topk-sigmoid"), MINIMAX_M2_5)


@pytest.mark.parametrize("spec", [MINIMAX_M2_5, GROUPED])
def test_sglang_moe_fused_gate_is_called_as_published(
    spec: RoutingSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Triton kernel gets groups by name, and scales where the router has a scale."""
    _module(monkeypatch, "sglang.jit_kernel.moe_fused_gate", moe_fused_gate=_moe_fused_gate)

    _check(_load("sglang-moe-fused-gate"), spec)


@pytest.mark.parametrize("spec", [MINIMAX_M2_5, GROUPED])
def test_vllm_operators_are_called_as_registered(
    spec: RoutingSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One group reaches topk_sigmoid, several grouped_topk, with the library's own schemas."""
    monkeypatch.setattr(vllm, "operators", _Operators)
    name = "vllm-topk-sigmoid" if spec.num_expert_group == 1 else "vllm-grouped-topk"

    _check(_load(name), spec)


def test_flashinfer_is_called_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gets groups, top-k and scale before its outputs."""
    _module(monkeypatch, "flashinfer.fused_moe", fused_topk_deepseek=_fused_topk_deepseek)

    _check(_load("flashinfer-fused-topk-deepseek"), GROUPED)


@pytest.mark.parametrize(
    ("spec", "beyond"),
    [
        (MINIMAX_M2_5, True),  # one kept group times one is below top-8
        (RoutingSpec(384, 8, routed_scaling_factor=2.827), True),
        (GROUPED, False),
        (RoutingSpec(256, 8, num_expert_group=8, topk_group=8), True),  # 256 in kept groups
        (RoutingSpec(512, 8, num_expert_group=8, topk_group=2), True),  # 64 a group
        (RoutingSpec(64, 1), False),
        (RoutingSpec(256, 8, num_expert_group=8, topk_group=4, renormalize=False), True),
    ],
)
def test_flashinfer_refuses_what_the_package_refuses(spec: RoutingSpec, beyond: bool) -> None:
    """Routers that fused_topk_deepseek raises ValueError for are listed as beyond it."""
    assert (flashinfer.supports(spec) is not None) == beyond


@pytest.mark.parametrize("spec", [GROUPED, RoutingSpec(256, 8, routed_scaling_factor=2.5)])
def test_topk_sigmoid_knows_no_groups_and_no_scale(spec: RoutingSpec) -> None:
    """What its signature cannot say is beyond it: groups, a scale, another scoring."""
    assert sglang.one_group_sigmoid(spec)
    assert sglang.one_group_sigmoid(RoutingSpec(128, 8, scoring="softmax"))
    assert sglang.one_group_sigmoid(MINIMAX_M2_5) is None


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("transformers-minimax-m2", MINIMAX_M2_5),
        ("transformers-deepseek-v3", GROUPED),
        ("transformers-deepseek-v3", MINIMAX_M2_5),
        ("torch-eager", GROUPED),
    ],
)
def test_kernels_of_every_machine_pass(name: str, spec: RoutingSpec) -> None:
    """The routers that run on a CPU pass parity on ordinary rows."""
    kernel = registry()[name]

    assert kernel.missing() is None
    assert kernel.supports(spec) is None
    _check(kernel.load(), spec)


def test_transformers_sees_the_recorded_logits() -> None:
    """The gate's product is replaced: infinite logits reach the router and stay in their row."""
    x = torch.zeros(2, 256)
    x[0, 3] = torch.inf
    weights, ids = torch.empty(2, 8), torch.empty(2, 8, dtype=torch.int32)

    registry()["transformers-minimax-m2"].load().route(
        x, torch.zeros(256), weights, ids, 1, 1, True
    )

    assert 3 in ids[0]
    assert weights.isfinite().all()
    torch.testing.assert_close(torch.nn.functional.linear(x[1:], x[1:]), torch.zeros(1, 1))
