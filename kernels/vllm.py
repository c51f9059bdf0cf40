"""vLLM's routing kernels on NVIDIA GPUs: `topk_sigmoid` and the fused `grouped_topk`.

Their operators are called as vllm/_custom_ops.py calls them, from the library alone, so that no
other part of vLLM has to be importable. Read in the wheel of vLLM 0.25.1: one group and a bias
reach `topk_sigmoid` (fused_topk_bias_router.py), several groups `grouped_topk`
(grouped_topk_router.py).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from goldgate.kernels import vllm_sites as sites
from goldgate.kernels.adapter import Adapter
from goldgate.kernels.call import Call, taking
from goldgate.kernels.hosts import distribution_version, no_gpu
from goldgate.kernels.kernel import (
    FOREIGN,
    Kernel,
    KernelError,
    Loaded,
    one_line,
    recorded_only,
    sigmoid_only,
)
from goldgate.kernels.origin import Origin
from goldgate.kernels.sglang import float32_bias, one_group_sigmoid
from goldgate.reference import RoutingSpec

_HOST = "an NVIDIA host with vLLM (such as its container)"

#: What `grouped_topk` takes at the most (grouped_topk_router.py).
_MOST_GROUPS, _MOST_TOP_K = 32, 32


def origin(function: str) -> Origin:
    """Return the origin of an operator of vLLM's library; no release's arithmetic was measured."""
    files = ("vllm/_moe_C*.so", "vllm/_custom_ops.py")
    return Origin(f"torch.ops._moe_C:{function}", ("vllm",), _HOST, (), files, ("VLLM_",))


def libraries() -> list[Path]:
    """Return vLLM's libraries of MoE operators; none where it is not installed."""
    found = find_spec("vllm")
    folders = found.submodule_search_locations if found else None
    return sorted(path for folder in folders or () for path in Path(folder).glob("_moe_C*.so"))


def missing() -> str | None:
    """Return why vLLM's operators cannot run here, or None."""
    if why := no_gpu("vllm", "cuda", _HOST):
        return why
    return None if libraries() else "vllm is here without its library _moe_C"


def operators() -> Any:  # noqa: ANN401 - torch's namespace of operators
    """Load vLLM's library and return its operators.

    Raises:
        KernelError: the library cannot be loaded.

    """
    import torch  # noqa: PLC0415 - imported only where a kernel runs

    try:
        for library in libraries():
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]  # torch's own
    except FOREIGN as error:
        raise KernelError(f"vLLM's _moe_C cannot be loaded ({one_line(error)})") from None
    return torch.ops._moe_C  # noqa: SLF001 - the namespace's name


def _load_topk_sigmoid() -> Loaded:
    held = operators()

    def call(a: Call) -> None:  # `supports` refuses groups and scales
        import torch  # noqa: PLC0415 - imported only where a kernel runs

        rows = torch.empty_like(a.ids)  # token_expert_indices, which routing does not use
        held.topk_sigmoid(a.weights, a.ids, rows, a.logits, a.renormalize, a.bias)

    return _loaded(call, "vLLM topk_sigmoid", Adapter(supports=float32_bias))


def _load_grouped_topk() -> Loaded:
    held = operators()

    def call(a: Call) -> None:
        sigmoid = 1
        a.write(
            *held.grouped_topk(
                *(a.logits, a.groups, a.kept, a.top_k, a.renormalize, a.scale, a.bias, sigmoid)
            )
        )

    return _loaded(call, "vLLM grouped_topk")


def _loaded(call: Callable[[Call], None], name: str, adapter: Adapter | None = None) -> Loaded:
    release, held = distribution_version("vllm"), adapter or Adapter()
    return Loaded(
        taking(call), name, release, "cuda", "conservative", contiguous=True, adapter=held
    )


def _grouped(spec: RoutingSpec) -> str | None:
    if spec.scoring != "sigmoid":
        return f"fuses sigmoid alone, not {spec.scoring}"
    if why := sigmoid_only(spec):  # which looks at the groups' rule too
        return why
    if spec.num_expert_group > _MOST_GROUPS or spec.top_k > _MOST_TOP_K:
        return f"takes at most {_MOST_GROUPS} groups and top-{_MOST_TOP_K}"
    return None


KERNELS = (
    Kernel(
        name="vllm-topk-sigmoid",
        summary="vLLM's topk_sigmoid (CUDA), what MiniMax-M2 reaches there",
        missing=missing,
        load=_load_topk_sigmoid,
        supports=one_group_sigmoid,
        origin=origin("topk_sigmoid"),
        call_sites=(sites.TOPK_SIGMOID,),
    ),
    Kernel(
        name="vllm-grouped-topk",
        summary="vLLM's fused grouped_topk (CUDA), what DeepSeek-V3 reaches there",
        missing=missing,
        load=_load_grouped_topk,
        supports=_grouped,
        origin=origin("grouped_topk"),
    ),
    recorded_only(
        "vllm-fused-topk-bias", "vLLM's fused_topk_bias, torch's operations", sites.FUSED_TOPK_BIAS
    ),
)
