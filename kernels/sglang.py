"""sglang's routing kernels that MiniMax-M2.5 reaches: `topk_sigmoid` and `moe_fused_gate`.

In sglang 0.5.15, the release line of pull request 23611, `fused_topk` in
sglang/srt/layers/moe/topk.py calls the first where SGLANG_OPT_USE_JIT_KERNEL_FUSED_TOPK is 0 and
the second where it is 1, its default; 0.5.16 and 0.5.17 have a `topk_sigmoid` of their own. Read in
the wheels of sglang 0.5.15, 0.5.18 and 0.5.23 and of sglang-kernel 0.4.4. `goldgate dispatch` finds
which one an installed release reaches.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from goldgate.kernels import sglang_sites as sites
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
    recorded_only,
    sigmoid_only,
)
from goldgate.kernels.origin import Arithmetic, Origin
from goldgate.reference import RoutingSpec

#: What sgl_kernel's names its distribution; before 0.4 the distribution was named as the module.
PACKAGES = ("sglang-kernel", "sgl-kernel")

NVIDIA = "an NVIDIA host with sglang (for example its container)"
ROCM = "a ROCm host with sglang's build of sgl_kernel (for example sglang's container)"

_TRITON = Arithmetic(
    r"0\.5\.(1[5-9]|2[0-3])(\..*)?",
    "fast_math",
    "a Triton kernel, whose exponential is of __expf's class: 0.5.15 swept over every float32 on "
    "an H100; the source of 0.5.23 is the same",
)

#: 0.4.4 has an arithmetic of its own. Of other releases it is not known how they recover their
#: weights. The build for compute capability 9.0 has fast math, the other has not
#: (sgl_kernel/load_utils.py): the figures of fast math cover both.
TOPK_SIGMOID = Origin(
    "sgl_kernel:topk_sigmoid",
    PACKAGES,
    NVIDIA,
    (
        Arithmetic(
            r"0\.4\.4(\.post\d+)?(\+.*)?",
            "sgl_kernel_0.4.4",
            "csrc/moe/moe_topk_sigmoid_kernels.cu; swept over every float32 on an H100",
        ),
    ),
    ("sgl_kernel/moe.py", "sgl_kernel/*/common_ops*.so", "sgl_kernel/common_ops*.so"),
    ("SGLANG_",),
)
#: The HIP build is compiled from the same source without CUDA's fast math. It has not been run.
TOPK_SIGMOID_HIP = Origin(
    TOPK_SIGMOID.imports,
    PACKAGES,
    ROCM,
    (),
    TOPK_SIGMOID.files,
    TOPK_SIGMOID.environment,
)
#: The in-package kernels, where 0.5.15 to 0.5.17 and where later releases have them.
JIT = ("sglang.jit_kernel", "sglang.kernels.ops.moe")
JIT_TOPK_SIGMOID = Origin(
    "sglang.jit_kernel.moe_topk_sigmoid:topk_sigmoid",
    ("sglang",),
    f"{NVIDIA} and nvcc",
    (
        Arithmetic(
            r"0\.5\.(1[5-9]|2[0-3])(\..*)?",
            "fast_math",
            "built with --use_fast_math, weights gathered: read in 0.5.15 and 0.5.23",
        ),
    ),
    (
        "sglang/jit_kernel/moe_topk_sigmoid.py",
        "sglang/jit_kernel/csrc/moe/moe_topk_sigmoid.cuh",
        "sglang/kernels/ops/moe/moe_topk_sigmoid.py",
        "sglang/kernels/**/moe_topk_sigmoid.cuh",
    ),
    ("SGLANG_", "TVM_FFI_"),
)
MOE_FUSED_GATE = Origin(
    "sglang.jit_kernel.moe_fused_gate:moe_fused_gate",
    ("sglang",),
    NVIDIA,
    (_TRITON,),
    ("sglang/jit_kernel/moe_fused_gate.py", "sglang/kernels/ops/moe/moe_fused_gate.py"),
    ("SGLANG_", "TRITON_"),
)


def missing(package: str) -> str | None:
    """Return why kernels of sglang's for NVIDIA GPUs cannot run here, or None."""
    return no_gpu(package, "cuda", NVIDIA)


def one_group_sigmoid(spec: RoutingSpec) -> str | None:
    """Refuse routers with groups, another scoring or a scale: the kernel has no such arguments."""
    if spec.scoring != "sigmoid":
        return f"scores with sigmoid, not {spec.scoring}"
    if spec.num_expert_group != 1:
        return "knows no expert groups"
    if spec.routed_scaling_factor != 1.0:
        return "applies no scaling factor: sglang scales after the experts"
    return None


def float32_bias(_spec: RoutingSpec, _rows: int, _gate: str, bias: str) -> str | None:
    """Refuse calls with another type of bias, as the launchers of `topk_sigmoid` do."""
    return None if bias == "F32" else f"takes a float32 bias, not {bias}"


def imported(function: str, *modules: str) -> Callable[..., Any]:
    """Import a function from the first module that can be imported.

    Raises:
        KernelError: no module has it; the reason is the first module's.

    """
    reasons = []
    for module in modules:
        try:
            found: Callable[..., Any] = getattr(importlib.import_module(module), function)
        except FOREIGN as error:
            reasons.append(one_line(error))
            continue
        return found
    raise KernelError(f"{modules[0]}.{function} cannot be imported ({reasons[0]})")


def _topk_sigmoid(
    origin: Origin, name: str, distributions: tuple[str, ...], *modules: str
) -> Callable[[], Loaded]:
    def load() -> Loaded:
        kernel = imported("topk_sigmoid", *modules)

        def call(a: Call) -> None:  # `supports` refuses groups and scales
            kernel(a.weights, a.ids, a.logits, a.renormalize, a.bias)

        release = distribution_version(*distributions)
        profile = origin.arithmetic_of(release).profile
        adapter = Adapter(supports=float32_bias)
        return Loaded(
            taking(call), name, release, "cuda", profile, contiguous=True, adapter=adapter
        )

    return load


def _interpreted() -> bool:
    """Say whether Triton's interpreter runs its kernels, on the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _missing_triton() -> str | None:
    if not _interpreted():
        return missing("sglang")
    for needed in ("sglang", "triton", "torch"):
        if not find_spec(needed):
            return f"no {needed} here, which TRITON_INTERPRET=1 needs too"
    return None


def _load_moe_fused_gate() -> Loaded:
    kernel = imported("moe_fused_gate", *(f"{place}.moe_fused_gate" for place in JIT))
    if _interpreted():  # its launch asks for a GPU, and here is none
        vars(sys.modules[kernel.__module__])["is_arch_support_pdl"] = lambda: False

    def call(a: Call) -> None:
        if a.scoring == "softmax" and a.biased():
            raise NotCoveredError("takes a bias into the softmax; engines call it without one")
        weights, ids = kernel(
            a.logits,
            a.bias.float(),  # as its caller in sglang does
            a.top_k,
            scoring_func=a.scoring,
            renormalize=a.renormalize,
            routed_scaling_factor=a.scale,
            apply_routed_scaling_factor_on_output=a.scale != 1.0,
            num_expert_group=a.groups,
            topk_group=a.kept,
        )
        a.write(weights, ids)

    release = distribution_version("sglang")
    profile = MOE_FUSED_GATE.arithmetic_of(release).profile
    name, told = "sglang Triton moe_fused_gate", Adapter(told=("scoring",))
    loaded = Loaded(taking(call), name, release, "cuda", profile, adapter=told)
    if not _interpreted():
        return loaded
    return replace(
        loaded, device="cpu", execution="emulated", processor="Triton's interpreter, on a CPU"
    )


def _any_scoring(spec: RoutingSpec) -> str | None:
    if spec.num_expert_group > 1 and spec.group_terms != 2:
        return f"ranks groups by the sum of their two largest scores, not by the {spec.group_score}"
    if spec.num_expert_group > 1 and spec.scoring == "softmax":
        return "ranks by logits where it scores with softmax, so that its groups are others"
    return None if spec.num_expert_group == 1 else sigmoid_only(spec)


KERNELS = (
    Kernel(
        name="sglang-topk-sigmoid",
        summary="sgl_kernel.topk_sigmoid (CUDA), its baseline on NVIDIA up to 0.5.15",
        missing=lambda: missing("sgl_kernel"),
        load=_topk_sigmoid(TOPK_SIGMOID, "sgl_kernel.topk_sigmoid", PACKAGES, "sgl_kernel"),
        supports=one_group_sigmoid,
        origin=TOPK_SIGMOID,
        call_sites=(sites.TOPK_SIGMOID_AOT,),
    ),
    Kernel(
        name="sglang-topk-sigmoid-hip",
        summary="sgl_kernel.topk_sigmoid (HIP), what pull request 23611 replaced on AMD",
        missing=lambda: no_gpu("sgl_kernel", "hip", ROCM),
        load=_topk_sigmoid(TOPK_SIGMOID_HIP, "sgl_kernel.topk_sigmoid", PACKAGES, "sgl_kernel"),
        supports=one_group_sigmoid,
        origin=TOPK_SIGMOID_HIP,
    ),
    Kernel(
        name="sglang-jit-topk-sigmoid",
        summary="sglang's own topk_sigmoid (CUDA, compiled at its first call)",
        missing=lambda: missing("sglang"),
        load=_topk_sigmoid(
            JIT_TOPK_SIGMOID,
            "sglang JIT topk_sigmoid",
            ("sglang",),
            *(f"{place}.moe_topk_sigmoid" for place in JIT),
        ),
        supports=one_group_sigmoid,
        origin=JIT_TOPK_SIGMOID,
        call_sites=(sites.TOPK_SIGMOID, sites.TOPK_SIGMOID_JIT),
    ),
    Kernel(
        name="sglang-moe-fused-gate",
        summary="sglang's Triton moe_fused_gate, its default on NVIDIA since 0.5.15",
        missing=_missing_triton,
        load=_load_moe_fused_gate,
        supports=_any_scoring,
        origin=MOE_FUSED_GATE,
        call_sites=(sites.MOE_FUSED_GATE, sites.MOE_FUSED_GATE_JIT),
    ),
    recorded_only("sglang-route-radix", "sglang's route_radix", sites.ROUTE_RADIX),
)
