"""FlashInfer's routing methods and TensorRT-LLM's operators, called by their published signatures.

Neither has run for this project: FlashInfer's need an architecture that was not at hand, and
TensorRT-LLM has no wheel on PyPI. The stubs take no other call, and route in float64.
"""

from __future__ import annotations

import enum
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from goldgate.accuracy.calls import run
from goldgate.accuracy.evaluate import judge
from goldgate.fixtures.recording import recording
from goldgate.kernels import KernelError, NotCoveredError, flashinfer_routing, registry
from goldgate.kernels.flashinfer_routing import METHODS
from goldgate.reference import MINIMAX_M2_5, PROFILES, RoutingSpec, route
from goldgate.reference.models import MODELS

GROUPED = MODELS["DeepSeek-V3"].spec
SOFTMAX = RoutingSpec(128, 8, scoring="softmax")
PLAIN = replace(SOFTMAX, renormalize=False)
TOP_1 = RoutingSpec(128, 1, renormalize=False)

#: flashinfer.tllm_enums.RoutingMethodType of 0.7.2.post1.
RoutingMethodType = enum.IntEnum(
    "RoutingMethodType",
    "Default Renormalize DeepSeekV3 Llama4 RenormalizeNaive TopK SigmoidRenorm MiniMax2 Sigmoid "
    "TopKSigmoid Unspecified",
    start=0,
)


class TrtllmGenRoutingResult(NamedTuple):
    """The fields that are read of flashinfer's result."""

    topk_ids: torch.Tensor
    topk_weights: torch.Tensor


def _routed(
    logits: torch.Tensor, bias: torch.Tensor | None, spec: RoutingSpec
) -> tuple[torch.Tensor, torch.Tensor]:
    added = torch.zeros(spec.num_experts) if bias is None else bias
    golden = route(logits.double().numpy(), added.double().numpy(), spec)
    return torch.from_numpy(golden.weights), torch.from_numpy(golden.ids).to(torch.int32)


def _trtllm_gen_routing(
    routing_logits: torch.Tensor,
    routing_bias: torch.Tensor | None,
    routing_method: RoutingMethodType,
    top_k: int,
    *,
    num_fused_shared_experts: int = 0,
    n_group: int = 0,
    topk_group: int = 0,
    local_expert_offset: int = 0,
    local_num_experts: int | None = None,
    routed_scaling_factor: float = 1.0,
    tile_tokens_dim: int = 8,
    norm_topk_prob: bool = True,
    enable_pdl: bool | None = None,
) -> TrtllmGenRoutingResult:
    """Route with the signature of flashinfer 0.7.2.post1's trtllm_gen_routing."""
    assert (num_fused_shared_experts, local_expert_offset, tile_tokens_dim) == (0, 0, 8)
    assert (local_num_experts, enable_pdl) == (None, None)
    name = routing_method.name
    assert name == "DeepSeekV3" or (n_group <= 1 and topk_group <= 1)
    assert (routing_bias is not None) == (name in ("DeepSeekV3", "MiniMax2"))
    renormalizing = ("Renormalize", "RenormalizeNaive", "DeepSeekV3", "MiniMax2", "SigmoidRenorm")
    assert name != "SigmoidRenorm" or norm_topk_prob
    softmax = name in ("Default", "Renormalize", "RenormalizeNaive")
    spec = RoutingSpec(
        routing_logits.shape[1],
        top_k,
        "softmax" if softmax else "sigmoid",
        max(n_group, 1),
        max(topk_group, 1),
        name in renormalizing,
        routed_scaling_factor,
    )
    weights, ids = _routed(routing_logits, routing_bias, spec)
    return TrtllmGenRoutingResult(ids, weights.bfloat16())


@pytest.fixture(autouse=True)
def _flashinfer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put flashinfer's function and methods in place."""
    for name in ("flashinfer", "flashinfer.fused_moe"):
        module = ModuleType(name)
        vars(module).update(
            RoutingMethodType=RoutingMethodType, trtllm_gen_routing=_trtllm_gen_routing
        )
        monkeypatch.setitem(sys.modules, name, module)


class _Trtllm:
    """torch.ops.trtllm with the schemas that TensorRT-LLM registers."""

    @staticmethod
    def noaux_tc_op(
        scores: torch.Tensor,
        bias: torch.Tensor,
        n_group: int,
        topk_group: int,
        topk: int,
        routed_scaling_factor: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return values first, in the type of the scores, then indices."""
        spec = RoutingSpec(
            scores.shape[1], topk, "sigmoid", n_group, topk_group, True, routed_scaling_factor
        )
        weights, ids = _routed(scores, bias, spec)
        return weights.to(scores.dtype), ids

    @staticmethod
    def renorm_moe_routing_op(
        router_logits: torch.Tensor, topk: int, output_dtype: torch.dtype | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return indices first, then values."""
        spec = RoutingSpec(router_logits.shape[1], topk, "softmax")
        weights, ids = _routed(router_logits, None, spec)
        return ids, weights.to(output_dtype or torch.float32)

    @staticmethod
    def default_moe_routing_op(
        router_logits: torch.Tensor, topk: int, output_dtype: torch.dtype | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the softmax's largest values as they are."""
        spec = RoutingSpec(router_logits.shape[1], topk, "softmax", renormalize=False)
        weights, ids = _routed(router_logits, None, spec)
        return ids, weights.to(output_dtype or torch.float32)


@pytest.fixture
def _tensorrt_llm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_llm", ModuleType("tensorrt_llm"))
    monkeypatch.setattr(torch.ops, "trtllm", _Trtllm, raising=False)


def _passes(name: str, spec: RoutingSpec, *, biased: bool) -> tuple[object, bool]:
    rng = np.random.default_rng(4)
    x = rng.normal(0, 1, (32, spec.num_experts)).astype(np.float32)
    bias = rng.random(spec.num_experts).astype(np.float32) * np.float32(biased)
    rows = recording("rows", x, bias, spec)
    kernel = registry()[name]
    assert kernel.supports(spec) is None
    loaded = replace(kernel.load(), device="cpu")
    ran = run(loaded, rows)
    declared = loaded.adapter.weights
    result = judge(rows, ran.output, PROFILES["ieee"], weights_dtype=declared)
    return ran.faults, result.passed


@pytest.mark.parametrize(
    ("name", "spec", "biased"),
    [
        ("flashinfer-routing-default", PLAIN, False),
        ("flashinfer-routing-renormalize", SOFTMAX, False),
        ("flashinfer-routing-renormalize-naive", SOFTMAX, False),
        ("flashinfer-routing-deepseek-v3", GROUPED, True),
        ("flashinfer-routing-deepseek-v3", MINIMAX_M2_5, True),
        ("flashinfer-routing-minimax2", MINIMAX_M2_5, True),
        ("flashinfer-routing-sigmoid-renorm", MINIMAX_M2_5, False),
        ("flashinfer-routing-sigmoid", TOP_1, False),
        ("flashinfer-routing-topk-sigmoid", TOP_1, False),
        ("flashinfer-routing-llama4", TOP_1, False),
    ],
)
def test_each_method_of_the_fused_moe_is_called_as_published(
    name: str, spec: RoutingSpec, biased: bool
) -> None:
    """The call binds, and its bfloat16 weights are declared and pass."""
    assert _passes(name, spec, biased=biased) == ((), True)


def test_every_published_method_but_two_has_an_entry() -> None:
    """TopK returns logits instead of weights, and Unspecified is no method."""
    assert {method.member for method in METHODS} == {
        member.name for member in RoutingMethodType if member.name not in ("TopK", "Unspecified")
    }
    assert {method.name for method in METHODS} <= set(registry())


def test_methods_without_a_bias_are_not_called_with_one() -> None:
    """Such a call is beyond the method, and no failure of it."""
    kernel = registry()["flashinfer-routing-sigmoid-renorm"].load()
    weights, ids = torch.empty(2, 8), torch.empty(2, 8, dtype=torch.int32)

    with pytest.raises(NotCoveredError, match="has no bias"):
        kernel.route(torch.zeros(2, 256), torch.ones(256), weights, ids, 1, 1, True)


@pytest.mark.parametrize(
    ("name", "spec", "why"),
    [
        ("deepseek-v3", replace(GROUPED, topk_group=5), "4 kept groups"),
        ("deepseek-v3", RoutingSpec(256, 9), "top-8 at the most"),
        ("deepseek-v3", RoutingSpec(8, 8), "below the experts"),
        ("deepseek-v3", replace(GROUPED, group_score="maximum"), "two largest"),
        ("deepseek-v3", RoutingSpec(513, 8), "512 experts"),
        ("minimax2", GROUPED, "knows no expert groups"),
        ("default", SOFTMAX, "does not renormalise"),
        ("renormalize", PLAIN, "always renormalises"),
        ("renormalize", MINIMAX_M2_5, "scores with softmax"),
        ("sigmoid", replace(TOP_1, routed_scaling_factor=2.5), "no scaling factor"),
        ("llama4", replace(TOP_1, top_k=8), "top-1 at the most"),
    ],
)
def test_what_the_launchers_refuse_is_beyond_a_method(
    name: str, spec: RoutingSpec, why: str
) -> None:
    """Their checks and instantiations are the entry's limits."""
    assert why in (registry()[f"flashinfer-routing-{name}"].supports(spec) or "")


def test_calls_that_the_binding_refuses_are_beyond_a_method() -> None:
    """It takes a token at least, and no float16."""
    refusal = registry()["flashinfer-routing-minimax2"].load().adapter.refusal

    assert refusal(MINIMAX_M2_5, 4, "BF16", "F32") is None
    assert refusal(MINIMAX_M2_5, 0, "F32", "F32") == "takes at least one token"
    assert "not float16" in (refusal(MINIMAX_M2_5, 4, "F32", "F16") or "")


@pytest.mark.parametrize(
    ("file", "capability", "why"),
    [
        (False, (10, 0), "flashinfer .* routes inside its fused MoE and returns no weights"),
        (True, (9, 0), "10.x and 12.x alone, and this GPU has 9.0"),
        (True, (10, 0), None),
        (True, (12, 1), None),
    ],
)
def test_where_the_methods_cannot_run_says_why(
    file: bool,
    capability: tuple[int, int],
    why: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A release without the function and a GPU of another architecture are each named."""
    (tmp_path / "fused_moe").mkdir()
    if file:
        (tmp_path / "fused_moe" / "trtllm_gen_routing.py").touch()
    found = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(flashinfer_routing, "no_gpu", lambda *_: None)
    monkeypatch.setattr(flashinfer_routing, "find_spec", lambda _: found)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)

    answer = flashinfer_routing.missing()

    assert (answer is None) == (why is None)
    assert why is None or re.search(why, str(answer))


@pytest.mark.usefixtures("_tensorrt_llm")
@pytest.mark.parametrize(
    ("name", "spec", "biased"),
    [
        ("tensorrt-llm-noaux-tc", GROUPED, True),
        ("tensorrt-llm-noaux-tc", MINIMAX_M2_5, True),
        ("tensorrt-llm-renorm", SOFTMAX, False),
        ("tensorrt-llm-default", PLAIN, False),
    ],
)
def test_tensorrt_llm_s_operators_are_called_by_their_schemas(
    name: str, spec: RoutingSpec, biased: bool
) -> None:
    """noaux_tc_op returns values first, the softmax operators ids first."""
    assert _passes(name, spec, biased=biased) == ((), True)


@pytest.mark.usefixtures("_tensorrt_llm")
def test_what_tensorrt_llm_refuses_is_beyond_it() -> None:
    """Logits narrower than float32, a bias into a softmax, and what its launchers check."""
    kernels = registry()
    noaux = kernels["tensorrt-llm-noaux-tc"]
    weights, ids = torch.empty(2, 8), torch.empty(2, 8, dtype=torch.int32)

    assert noaux.load().adapter.refusal(GROUPED, 4, "F32", "BF16") is None
    assert "type of its logits" in (noaux.load().adapter.refusal(GROUPED, 4, "BF16", "F32") or "")
    assert noaux.supports(RoutingSpec(896, 16)) is None
    assert noaux.supports(RoutingSpec(1025, 8))
    assert noaux.supports(RoutingSpec(512, 8, num_expert_group=8, topk_group=4))
    assert noaux.supports(replace(MINIMAX_M2_5, renormalize=False)) == "always renormalises"
    assert kernels["tensorrt-llm-renorm"].supports(RoutingSpec(129, 8, scoring="softmax"))
    assert kernels["tensorrt-llm-renorm"].supports(PLAIN) == "always renormalises"
    assert kernels["tensorrt-llm-default"].supports(SOFTMAX) == "does not renormalise"
    with pytest.raises(NotCoveredError, match="has no bias"):
        kernels["tensorrt-llm-renorm"].load().route(
            torch.zeros(2, 128), torch.ones(128), weights, ids, 1, 1, True
        )


def test_a_package_that_cannot_be_loaded_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever TensorRT-LLM's import raises, and an operator or a method that is not there."""
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(KernelError, match="noaux_tc_op cannot be loaded") as caught:
        registry()["tensorrt-llm-noaux-tc"].load()
    assert "\n" not in str(caught.value)

    fewer = SimpleNamespace(Default=0)
    monkeypatch.setattr(sys.modules["flashinfer.fused_moe"], "RoutingMethodType", fewer)
    with pytest.raises(KernelError, match=r"no RoutingMethodType\.MiniMax2"):
        registry()["flashinfer-routing-minimax2"].load()
