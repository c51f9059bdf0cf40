"""The routing methods of FlashInfer's fused MoE, called alone: `trtllm_gen_routing`.

The fused MoE (`trtllm_*_moe`) routes inside its experts' launch, by a `RoutingMethodType`, and
returns no weights. Since 0.7 `flashinfer.fused_moe.trtllm_gen_routing` runs the same kernels alone.
They are compiled for compute capability 10.x and 12.x, so that Hopper has no routing of the fused
MoE at all: there it takes ids (`cutlass_fused_moe`). Weights are bfloat16 for every method.

Read in the wheel of flashinfer-python 0.7.2.post1 (flashinfer/fused_moe/trtllm_gen_routing.py;
flashinfer/data: csrc/trtllm_fused_moe_routing_binding.cu, csrc/fused_moe/trtllm_backend,
include/flashinfer/trtllm/fused_moe/RoutingCustomPolicy.cuh). Wheels of 0.6.12 and 0.6.18 do not
have it. Not run: no such GPU was at hand. The calls are tested around a stub with the published
signature.

`TopK` is left out: it returns logits, which are no weights. `RenormalizeNaive` reaches the same
instantiation as `Renormalize`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from goldgate.kernels.adapter import Adapter
from goldgate.kernels.call import Call, taking
from goldgate.kernels.hosts import distribution_version, no_gpu
from goldgate.kernels.kernel import (
    FOREIGN,
    Kernel,
    KernelError,
    Loaded,
    NotCoveredError,
    one_line,
    sigmoid_only,
)
from goldgate.kernels.origin import Origin
from goldgate.reference import RoutingSpec

_HOST = "an NVIDIA host of compute capability 10.x or 12.x with flashinfer-python 0.7 and nvcc"
_FILE = "fused_moe/trtllm_gen_routing.py"
_ARCHITECTURES = (10, 12)


@dataclass(frozen=True)
class Method:
    """A routing method of the fused MoE.

    Attributes:
        member: its name in `RoutingMethodType`.
        scoring: of the routers that it computes.
        renormalize: whether it divides the selected scores by their sum.
        most: the most experts and the largest top-k that an instantiation takes.
        biased: whether it takes a bias.
        scaled: whether it applies the scaling factor.
        grouped: whether it knows groups of experts.
        top_k: the one top-k that it takes; None: any.

    """

    member: str
    scoring: str
    renormalize: bool
    most: tuple[int, int]
    biased: bool = False
    scaled: bool = False
    grouped: bool = False
    top_k: int | None = None

    @property
    def name(self) -> str:
        """What the catalogue calls it."""
        words = "".join(f"-{c.lower()}" if c.isupper() else c for c in self.member)
        return "flashinfer-routing" + _NAMES.get(self.member, words)

    def supports(self, spec: RoutingSpec) -> str | None:
        """Return why a router is beyond the method, or None; limits are the launchers' own."""
        if why := self._other_weights(spec):
            return why
        experts, top_k = self.most
        if spec.num_experts > experts or spec.top_k > top_k:
            return f"takes {experts} experts and top-{top_k} at the most"
        if self.top_k not in (None, spec.top_k):
            return f"takes top-{self.top_k} alone"
        if spec.num_expert_group > 1 and not self.grouped:
            return "knows no expert groups"
        return _deepseek(spec) if self.grouped else None

    def _other_weights(self, spec: RoutingSpec) -> str | None:
        if spec.scoring != self.scoring:
            return f"scores with {self.scoring}, not {spec.scoring}"
        if spec.renormalize != self.renormalize:
            return "always renormalises" if self.renormalize else "does not renormalise"
        scales = spec.routed_scaling_factor != 1.0
        return "applies no scaling factor" if scales and not self.scaled else None


#: Whose member does not split into words at its capitals.
_NAMES = {"DeepSeekV3": "-deepseek-v3", "MiniMax2": "-minimax2", "TopKSigmoid": "-topk-sigmoid"}


def _deepseek(spec: RoutingSpec) -> str | None:
    """Refuse what the binding or the launcher of DeepSeekV3 checks against."""
    groups, kept, experts = spec.num_expert_group, spec.topk_group, spec.num_experts
    if why := sigmoid_only(spec):
        return why
    if experts <= 384 and spec.top_k > 8:
        return "takes top-8 at the most of up to 384 experts"
    if spec.top_k >= kept * experts // groups:
        return "takes a top-k below the experts in kept groups"
    if groups > 1 and (groups > 8 or kept > 4 or experts // groups > 32 or experts % 4):
        return "takes 8 groups, 4 kept groups and 32 experts a group at the most"
    return None


#: Most experts and top-k: the largest tier of each policy (RoutingCustomPolicy.cuh), for Llama4 of
#: its own file, for DeepSeekV3 of the binding.
METHODS = (
    Method("Default", "softmax", renormalize=False, most=(256, 8)),
    Method("Renormalize", "softmax", renormalize=True, most=(2048, 32)),
    Method("RenormalizeNaive", "softmax", renormalize=True, most=(2048, 32)),
    Method(
        "DeepSeekV3",
        "sigmoid",
        renormalize=True,
        most=(512, 22),
        biased=True,
        scaled=True,
        grouped=True,
    ),
    Method("MiniMax2", "sigmoid", renormalize=True, most=(1024, 32), biased=True, scaled=True),
    Method("SigmoidRenorm", "sigmoid", renormalize=True, most=(256, 8)),
    Method("Sigmoid", "sigmoid", renormalize=False, most=(256, 8)),
    Method("TopKSigmoid", "sigmoid", renormalize=False, most=(256, 8)),
    Method("Llama4", "sigmoid", renormalize=False, most=(128, 1), top_k=1),
)


def missing() -> str | None:
    """Return why the routing methods cannot run here, or None; FlashInfer is not imported."""
    if why := no_gpu("flashinfer", "cuda", _HOST):
        return why
    found = find_spec("flashinfer")
    folders = found.submodule_search_locations if found else None
    if not any((Path(folder) / _FILE).is_file() for folder in folders or ()):
        release = distribution_version("flashinfer-python")
        return (
            f"flashinfer {release} routes inside its fused MoE and returns no weights; "
            "0.7 has trtllm_gen_routing"
        )
    import torch  # noqa: PLC0415 - imported only where a kernel may run

    major, minor = torch.cuda.get_device_capability()
    if major not in _ARCHITECTURES:
        return (
            f"compiled for compute capability 10.x and 12.x alone, and this GPU has {major}.{minor}"
        )
    return None


def call_types(_spec: RoutingSpec, rows: int, gate: str, bias: str) -> str | None:
    """Refuse what the binding checks against: no tokens, float16."""
    if rows == 0:
        return "takes at least one token"
    if "F16" in (gate, bias):
        return "takes float32 or bfloat16 logits and bias, not float16"
    return None


def _route(kernel: Callable[..., Any], member: object, method: Method, a: Call) -> None:
    if not method.biased and a.biased():
        raise NotCoveredError("has no bias")
    found = kernel(
        a.logits,
        a.bias if method.biased else None,
        member,
        a.top_k,
        n_group=a.groups,
        topk_group=a.kept,
        routed_scaling_factor=a.scale,
        norm_topk_prob=a.renormalize,
    )
    a.write(found.topk_weights, found.topk_ids)


def _loader(method: Method) -> Callable[[], Loaded]:
    def load() -> Loaded:
        try:
            from flashinfer.fused_moe import (  # noqa: PLC0415 - present on GPU hosts alone
                RoutingMethodType,
                trtllm_gen_routing,
            )
        except FOREIGN as error:
            why = one_line(error)
            raise KernelError(
                f"flashinfer's trtllm_gen_routing cannot be imported ({why})"
            ) from None
        member = getattr(RoutingMethodType, method.member, None)
        if member is None:
            raise KernelError(f"flashinfer has no RoutingMethodType.{method.member}")
        route = taking(lambda a: _route(trtllm_gen_routing, member, method, a))
        release = distribution_version("flashinfer-python")
        name = f"flashinfer trtllm_gen_routing {method.member}"
        loaded = Loaded(route, name, release, "cuda", "conservative", contiguous=True)
        told = Adapter(weights="bfloat16", scorings=(method.scoring,), supports=call_types)
        return replace(loaded, adapter=told)

    return load


def _entry(method: Method) -> Kernel:
    return Kernel(
        name=method.name,
        summary=f"FlashInfer's fused MoE, RoutingMethodType.{method.member} (CUDA, compiled at its "
        "first call)",
        missing=missing,
        load=_loader(method),
        supports=method.supports,
        origin=Origin(
            "flashinfer.fused_moe:trtllm_gen_routing",
            ("flashinfer-python",),
            _HOST,
            files=(
                f"flashinfer/{_FILE}",
                "flashinfer/data/csrc/fused_moe/trtllm_backend/trtllm_fused_moe_routing_*",
            ),
            environment=("FLASHINFER_",),
        ),
    )


KERNELS = tuple(_entry(method) for method in METHODS)
