"""aiter's entries: each calls its function by the published signature and means what it computes.

`aiter_signatures.json` has the signatures of amd-aiter 0.1.7.post2.dev18 (topk_gating: of a later
commit, which no package has). The functions are stubs that take no other call and route in float32
with torch; where the hash-pinned wheel is, the file is held against it.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from goldgate.accuracy.calls import run
from goldgate.accuracy.evaluate import judge
from goldgate.cli import main
from goldgate.fixtures.recording import recording
from goldgate.kernels import KernelError, registry
from goldgate.kernels.aiter import groups_of_vllm
from goldgate.kernels.aiter_emulated import source
from goldgate.kernels.kernel import NotCoveredError
from goldgate.reference import PROFILES, RoutingSpec, route
from goldgate.reference.models import MODELS

SIGNATURES: dict[str, dict[str, list[str]]] = json.loads(
    Path(__file__).with_name("aiter_signatures.json").read_text("utf-8")
)
FLAT = {name: held for file in SIGNATURES.values() for name, held in file.items()}


def _signature(name: str) -> inspect.Signature:
    found = []
    for word in FLAT[name]:
        parameter, _, default = word.partition("=")
        value = ast.literal_eval(default) if default else inspect.Parameter.empty
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        found.append(inspect.Parameter(parameter, kind, default=value))
    return inspect.Signature(found)


def _spec(name: str, call: Mapping[str, Any], experts: int, top_k: int) -> RoutingSpec:
    """Return the router that a call of a function of aiter's asks for."""
    groups = call.get("num_expert_group", 1)
    softmax = name == "topk_softmax" or call.get("is_softmax") is True
    scoring = "softmax" if softmax else call.get("score_func", "sigmoid")
    return RoutingSpec(
        experts,
        top_k,
        scoring,
        groups,
        call.get("topk_group", call.get("topk_grp", 1)),
        name == "moe_fused_gate" or bool(call.get("need_renorm", False)),
        call.get("routed_scaling_factor", 1.0),
        "maximum" if name == "grouped_topk" else "sum of two largest",
    )


def _stub(name: str, calls: list[str]) -> Callable[..., None]:
    signature = _signature(name)

    def function(*arguments: Any, **named: Any) -> None:  # noqa: ANN401 - as aiter's
        bound = signature.bind(*arguments, **named)
        bound.apply_defaults()
        call: dict[str, Any] = dict(bound.arguments)
        calls.append(name)
        logits = call["gating_output" if "gating_output" in call else "input"]
        ids = call["topk_ids" if "topk_ids" in call else "topk_indices"]
        bias = call.get("correction_bias", call.get("bias"))
        experts, top_k = logits.shape[1], ids.shape[1]
        bias = torch.zeros(experts) if bias is None else bias
        golden = route(
            logits.double().numpy(), bias.double().numpy(), _spec(name, call, experts, top_k)
        )
        call["topk_weights"].copy_(torch.from_numpy(golden.weights))
        ids.copy_(torch.from_numpy(golden.ids))

    return function


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put aiter in place with its published signatures; return what is called."""
    made: list[str] = []
    for name in ("aiter", "aiter.ops", "aiter.ops.topk"):
        module = ModuleType(name)
        vars(module).update({function: _stub(function, made) for function in FLAT})
        monkeypatch.setitem(sys.modules, name, module)
    return made


MODEL_OF = {
    "aiter": ("MiniMax-M2.5", "biased_grouped_topk"),
    "aiter-vllm": ("MiniMax-M2.5", "biased_grouped_topk"),
    "aiter-biased-grouped-topk-hip": ("DeepSeek-V3", "biased_grouped_topk_hip"),
    "aiter-moe-fused-gate": ("DeepSeek-V3", "moe_fused_gate"),
    "aiter-topk-gating": ("DeepSeek-V4-Flash", "topk_gating"),
    "aiter-topk-softmax": ("Qwen3-MoE", "topk_softmax"),
    "aiter-grouped-topk": ("DeepSeek-V2", "grouped_topk"),
}


@pytest.mark.parametrize(("name", "about"), MODEL_OF.items())
def test_each_entry_calls_its_function_by_the_published_signature(
    name: str, about: tuple[str, str], calls: list[str]
) -> None:
    """The call binds, and asks for the router of the model that reaches it."""
    model = MODELS[about[0]]
    kernel = registry()[name]
    rng = np.random.default_rng(4)
    x = rng.normal(0, 1, (32, model.spec.num_experts)).astype(np.float32)
    bias = rng.random(model.spec.num_experts).astype(np.float32) * model.has_bias

    assert kernel.supports(model.spec) is None
    loaded = replace(kernel.load(), device="cpu")
    ran = run(loaded, recording("rows", x, bias.astype(np.float32), model.spec))
    result = judge(
        recording("rows", x, bias.astype(np.float32), model.spec), ran.output, PROFILES["ieee"]
    )

    assert (ran.faults, result.passed) == ((), True)
    assert set(calls) == {about[1]}


def test_topk_sigmoid_neither_renormalises_nor_scales(calls: list[str]) -> None:
    """It is called with weights, ids and logits alone, and with no bias that is not 0."""
    kernel = registry()["aiter-topk-sigmoid"]
    spec = RoutingSpec(128, 1, renormalize=False)
    x, weights = torch.randn(4, 128), torch.empty(4, 1)
    ids = torch.empty(4, 1, dtype=torch.int32)

    kernel.load().route(x, torch.zeros(128), weights, ids, 1, 1, False)

    assert kernel.supports(spec) is None
    assert kernel.supports(RoutingSpec(128, 1)) is not None
    assert calls == ["topk_sigmoid"]
    torch.testing.assert_close(weights[:, 0], x.sigmoid().max(dim=1).values)
    with pytest.raises(NotCoveredError, match="has no bias"):
        kernel.load().route(x, torch.ones(128), weights, ids, 1, 1, False)


@pytest.mark.parametrize(("experts", "groups"), [(256, 8), (128, 4), (384, 12), (160, 5), (32, 1)])
def test_vllm_divides_one_group_into_groups_of_32(experts: int, groups: int) -> None:
    """MiniMax-M2.5's 256 experts become 8 groups; top-k below the groups is beyond the call."""
    assert groups_of_vllm(experts) == groups
    supports = registry()["aiter-vllm"].supports
    assert (supports(RoutingSpec(experts, 8)) is None) == (groups <= 8)


@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError, SystemExit])
def test_an_import_that_fails_is_cannot_run_here(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever aiter's import raises, the list has one line for it and goes on."""

    class Finder:
        """Raises as aiter does on a host without the ROCm toolchain."""

        def find_spec(self, name: str, *_: object) -> None:
            """Refuse aiter."""
            if name.partition(".")[0] == "aiter":
                raise error("no rocminfo\nhere")

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    monkeypatch.setattr("goldgate.kernels.aiter.no_gpu", lambda *_: None)
    # In this process, where the finder is.
    monkeypatch.setattr(
        "goldgate.accuracy.commands.kernels.each", lambda function, names, **_: map(function, names)
    )

    status = main(["kernels"])

    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if error.__name__ in line]
    assert status == 0
    assert len(told) == sum(name.startswith("aiter") for name in registry()) - 1  # not emulated
    assert all(line.startswith("    not here: aiter's") for line in told)
    assert all("no rocminfo here" in line for line in told)
    with pytest.raises(KernelError):
        registry()["aiter"].load()


def test_the_signatures_are_those_of_the_published_package() -> None:
    """Every function but the younger one is in the hash-pinned wheel with these parameters."""
    path = Path(os.environ.get(source.CHECKOUT, source.wheel_path()))
    if path.suffix != ".whl" or not path.exists():
        pytest.skip(f"{source.WHEEL} is not here: `tox -e aiter-emulated` downloads it")
    source.from_wheel(path)  # checks its hash
    with zipfile.ZipFile(path) as wheel:
        for file, functions in SIGNATURES.items():
            if " " in file:
                continue
            tree = ast.parse(wheel.read(file))
            found = {
                node.name: _parameters(node)
                for node in tree.body
                if isinstance(node, ast.FunctionDef)
            }
            assert {name: found.get(name) for name in functions} == functions


def _parameters(node: ast.FunctionDef) -> list[str]:
    names = [argument.arg for argument in node.args.args]
    defaults = [f"={ast.unparse(value)}" for value in node.args.defaults]
    blank = [""] * (len(names) - len(defaults))
    return [name + default for name, default in zip(names, [*blank, *defaults], strict=True)]
