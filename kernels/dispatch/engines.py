"""How each engine's router is imported and called; what of it is executed and what stands in.

Read in sglang 0.5.15 to 0.5.23 and vLLM 0.25.1 and 0.33.0.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from goldgate.kernels.dispatch.model import arguments, tensors
from goldgate.kernels.dispatch.scenario import Scenario
from goldgate.kernels.dispatch.standins import Importer, StandIn

_TOPK = "sglang.srt.layers.moe.topk"
_ROUTER = "vllm.model_executor.layers.fused_moe.router"


def sglang_importer(root: Path, scenario: Scenario) -> Importer:
    """Return what imports sglang's topk.py and environ.py, all else of it as stand-ins."""
    utils = {
        f"is_{scenario.platform}": lambda: True,
        "get_bool_env_var": _function(
            root / "sglang" / "srt" / "utils" / "common.py", "get_bool_env_var"
        ),
        # sglang's engine for CPUs has kernels where there is AMX, and torch elsewhere.
        "cpu_has_amx_support": lambda: scenario.platform == "cpu",
        "get_compiler_backend": lambda *_, **__: "inductor",
    }
    unchanged = {
        "transform_select_experts_inputs": lambda router_logits, correction_bias, **_: (
            router_logits,
            correction_bias,
        )
    }
    return Importer(
        root,
        "sglang",
        real=(_TOPK, "sglang.srt.environ"),
        kernels=(
            *("sgl_kernel", "aiter", "flashinfer", "mate", "triton_kernels"),
            *("sglang.jit_kernel", "sglang.kernels", "sglang.srt.hardware_backend"),
        ),
        others=("triton",),
        held={
            "sglang.srt.utils": utils,
            "sglang.srt.eplb.expert_location_dispatch": unchanged,
        },
    )


def call_sglang(root: Path, scenario: Scenario) -> None:
    """Call the TopK layer that sglang's MiniMax-M2 makes, on a platform.

    A ROCm device takes the layer's method for CUDA (sglang's MultiPlatformOp.forward_hip).
    """
    hidden, logits, bias = tensors(scenario.gate, scenario.bias, scenario.tokens)
    topk = importlib.import_module(_TOPK)
    model = root / "sglang" / "srt" / "models" / "minimax_m2.py"
    layer = topk.TopK(**arguments(model, ("TopK",), bias))
    if hasattr(layer, "bind_runner_backend"):  # from 0.5.22 on MiniMax's MoE block does so
        layer.bind_runner_backend(StandIn("self.experts.runner_backend"))
    method = layer.forward_cpu if scenario.platform == "cpu" else layer.forward_cuda
    method(hidden, logits)


def vllm_importer(root: Path, scenario: Scenario) -> Importer:
    """Return what imports vLLM's routers, envs and _aiter_ops, all else of it as stand-ins."""
    return Importer(
        root,
        "vllm",
        real=(_ROUTER, "vllm.envs", "vllm._aiter_ops"),
        kernels=("aiter", "vllm._custom_ops"),
        others=("triton", "pandas"),
        held={
            "vllm.platforms": {"current_platform": _Platform(scenario.platform)},
            # A ROCm device is taken to be an MI300 or MI355X: CDNA 3 or 4.
            "vllm.platforms.rocm": {
                "on_mi3xx": lambda: scenario.platform == "hip",
                "get_cdna_version": lambda: 3 if scenario.platform == "hip" else 0,
            },
        },
    )


def call_vllm(root: Path, scenario: Scenario) -> None:
    """Make the router that vLLM's MiniMax-M2 asks for and compute a routing with it."""
    hidden, logits, bias = tensors(scenario.gate, scenario.bias, scenario.tokens)
    factory = importlib.import_module(f"{_ROUTER}.router_factory")
    model = root / "vllm" / "model_executor" / "models" / "minimax_m2.py"
    # The layer's bias is a parameter, of which the router takes `.data`.
    asked = arguments(model, ("FusedMoE", "FusedMoEFactory"), bias)
    asked["global_num_experts"] = asked.pop("num_experts")
    taken = inspect.signature(factory.create_fused_moe_router).parameters
    router = factory.create_fused_moe_router(**{k: v for k, v in asked.items() if k in taken})
    router._compute_routing(hidden, logits, None)  # noqa: SLF001 - what its layer calls, past load balancing


#: Of each engine: its importer, its call, and what its environment variables begin with.
ENGINES: dict[
    str, tuple[Callable[[Path, Scenario], Importer], Callable[[Path, Scenario], None], str]
] = {
    "sglang": (sglang_importer, call_sglang, "SGLANG_"),
    "vllm": (vllm_importer, call_vllm, "VLLM_"),
}


class _Platform(StandIn):
    """vLLM's current_platform."""

    def __init__(self, platform: str) -> None:
        super().__init__("vllm.platforms.current_platform")
        self.is_cuda = lambda: platform == "cuda"
        self.is_rocm = lambda: platform == "hip"
        self.is_cuda_alike = lambda: platform in ("cuda", "hip")
        self.is_cpu = lambda: platform == "cpu"
        self.is_xpu = lambda: False

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(f"vllm.platforms.current_platform.{name}")


def _function(file: Path, name: str) -> Callable[..., Any]:
    """Return a function of a module that is not imported, from its source alone."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (node,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    node.decorator_list = []
    space: dict[str, Any] = {"os": os, "logger": StandIn("logger"), "lru_cache": SimpleNamespace}
    module = ast.Module([ast.ImportFrom("__future__", [ast.alias("annotations")], 0), node], [])
    exec(compile(ast.fix_missing_locations(module), str(file), "exec"), space)  # noqa: S102 - the engine's own function
    found: Callable[..., Any] = space[name]
    return found
