"""vLLM's router of torch's operations: `grouped_topk`, compiled by torch.

It is what grouped models reach where vLLM has no fused kernel: other platforms, more than 32
groups, no bias, or VLLM_USE_FUSED_MOE_GROUPED_TOPK=0. It needs no GPU, but importing it takes the
whole of vLLM. Read in the wheels of vLLM 0.19.0 to 0.33.0 (grouped_topk_router.py): without a bias
groups are ranked by their maximum.
"""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec

from goldgate.kernels.adapter import Adapter
from goldgate.kernels.call import Call, taking
from goldgate.kernels.hosts import default_device, distribution_version
from goldgate.kernels.kernel import (
    FOREIGN,
    Kernel,
    KernelError,
    Loaded,
    NotCoveredError,
    one_line,
)
from goldgate.kernels.origin import Arithmetic, Origin
from goldgate.reference import RoutingSpec

_MODULE = "vllm.model_executor.layers.fused_moe.router.grouped_topk_router"
_HOST = "a host where vLLM can be imported (for example its container)"
_FUSED = "VLLM_USE_FUSED_MOE_GROUPED_TOPK"

_ORIGIN = Origin(
    f"{_MODULE}:grouped_topk",
    ("vllm",),
    _HOST,
    (Arithmetic(r"0\.(19|2\d|3[0-3])\..*", "conservative", "torch.compile decides"),),
    (f"{_MODULE.replace('.', '/')}.py",),
    ("VLLM_",),
)


def missing() -> str | None:
    """Return why the function cannot run here, or None; vLLM is not imported."""
    for needed in ("vllm", "torch"):
        if not find_spec(needed):
            return f"no {needed} here; {_HOST} runs it"
    import torch  # noqa: PLC0415 - imported only where a kernel may run

    if torch.version.cuda and torch.cuda.is_available() and os.environ.get(_FUSED) != "0":
        return f"hands its calls to vLLM's fused kernel here, unless {_FUSED}=0 is set"
    return None


def supports(spec: RoutingSpec) -> str | None:
    """Refuse the scoring that the function has not."""
    if spec.scoring not in ("sigmoid", "softmax"):
        return f"scores with sigmoid or softmax, not {spec.scoring}"
    return None


def _load() -> Loaded:
    try:
        kernel = importlib.import_module(_MODULE).grouped_topk
    except FOREIGN as error:
        raise KernelError(f"vLLM's grouped_topk cannot be imported ({one_line(error)})") from None

    def call(a: Call) -> None:
        maximum = a.groups > 1 and a.group_score == "maximum"
        if maximum and a.biased():
            raise NotCoveredError("ranks groups by their maximum only without a bias")
        weights, ids = kernel(
            a.logits,  # of the hidden states it reads the number of rows alone
            a.logits,
            a.top_k,
            a.renormalize,
            a.groups,
            a.kept,
            scoring_func=a.scoring,
            routed_scaling_factor=a.scale,
            e_score_correction_bias=None if maximum else a.bias,
        )
        a.write(weights, ids)

    release = distribution_version("vllm")
    profile = _ORIGIN.arithmetic_of(release).profile
    told = Adapter(told=("scoring", "group_score"))
    name = "vLLM torch grouped_topk"
    return Loaded(taking(call), name, release, default_device(), profile, adapter=told)


KERNELS = (
    Kernel(
        name="vllm-torch-grouped-topk",
        summary="vLLM's grouped_topk of torch's operations, compiled by torch",
        missing=missing,
        load=_load,
        supports=supports,
        origin=_ORIGIN,
        by_default=False,  # it compiles each shape for some seconds
    ),
)
