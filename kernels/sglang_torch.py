"""sglang's routers of torch's operations: `biased_grouped_topk_impl`, `fused_topk_torch_native`.

They need no GPU, but importing them takes the whole of sglang. Read in the wheel of sglang 0.5.15
(sglang/srt/layers/moe/topk.py): the first is compiled by torch, the second is eager.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from goldgate.kernels import sglang_sites as sites
from goldgate.kernels.adapter import Adapter
from goldgate.kernels.call import Call, taking
from goldgate.kernels.hosts import default_device, distribution_version
from goldgate.kernels.kernel import Kernel, Loaded, sigmoid_only
from goldgate.kernels.origin import Arithmetic, Origin
from goldgate.kernels.sglang import imported
from goldgate.reference import RoutingSpec

_TOPK = "sglang.srt.layers.moe.topk"
_HOST = "a host where sglang can be imported (for example its container)"


def _origin(function: str, profile: str, source: str) -> Origin:
    arithmetic = Arithmetic(r"0\.5\.(1[5-9]|2[0-3])(\..*)?", profile, source)
    files = ("sglang/srt/layers/moe/topk.py",)
    return Origin(f"{_TOPK}:{function}", ("sglang",), _HOST, (arithmetic,), files, ("SGLANG_",))


GROUPED = _origin("biased_grouped_topk_impl", "conservative", "torch.compile decides")
NATIVE = _origin("fused_topk_torch_native", "ieee", "torch eager, in the type of the logits")


def _missing() -> str | None:
    for needed in ("sglang", "torch"):
        if not find_spec(needed):
            return f"no {needed} here; {_HOST} runs it"
    return None


def _loaded(
    origin: Origin, call: Callable[[Callable[..., Any], Call], None], name: str, adapter: Adapter
) -> Callable[[], Loaded]:
    def load() -> Loaded:
        kernel = imported(origin.imports.partition(":")[2], _TOPK)
        release = distribution_version("sglang")
        profile = origin.arithmetic_of(release).profile
        route = taking(lambda a: call(kernel, a))
        return Loaded(route, name, release, default_device(), profile, adapter=adapter)

    return load


def _grouped(kernel: Callable[..., Any], a: Call) -> None:
    weights, ids = kernel(
        a.logits,  # of the hidden states it reads the number of rows alone
        a.logits,
        a.bias,
        a.top_k,
        a.renormalize,
        a.groups,
        a.kept,
        routed_scaling_factor=a.scale,
        apply_routed_scaling_factor_on_output=a.scale != 1.0,
    )
    a.write(weights, ids)


def _native(kernel: Callable[..., Any], a: Call) -> None:
    weights, ids = kernel(
        a.logits, a.logits, a.top_k, a.renormalize, correction_bias=a.bias, scoring_func=a.scoring
    )
    a.write(weights, ids)


def scales_with_renormalising(spec: RoutingSpec) -> str | None:
    """Refuse what `biased_grouped_topk_impl` does not compute: a scale without renormalising."""
    if spec.routed_scaling_factor != 1.0 and not spec.renormalize:
        return "applies a scale only where it renormalises"
    return sigmoid_only(spec)


def ungrouped(spec: RoutingSpec) -> str | None:
    """Refuse groups and scales, which `fused_topk_torch_native` has no arguments for."""
    if spec.num_expert_group != 1:
        return "knows no expert groups"
    if spec.routed_scaling_factor != 1.0:
        return "applies no scaling factor: sglang scales after the experts"
    return None


KERNELS = (
    Kernel(
        name="sglang-biased-grouped-topk",
        summary="sglang's biased_grouped_topk_impl, compiled by torch",
        missing=_missing,
        load=_loaded(GROUPED, _grouped, "sglang.biased_grouped_topk_impl", Adapter()),
        supports=scales_with_renormalising,
        origin=GROUPED,
        call_sites=(sites.BIASED_GROUPED_TOPK,),
        by_default=False,  # it compiles each shape for half a minute
    ),
    Kernel(
        name="sglang-torch-native",
        summary="sglang's eager torch: fused_topk_torch_native",
        missing=_missing,
        load=_loaded(NATIVE, _native, "sglang.fused_topk_torch_native", Adapter(told=("scoring",))),
        supports=ungrouped,
        origin=NATIVE,
        call_sites=sites.TORCH_NATIVE,
        by_default=False,
    ),
)
