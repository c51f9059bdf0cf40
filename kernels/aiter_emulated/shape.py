"""What the source must look like for a launch to be right: parameters, LDS size, which kernel.

The host code in the second half of aiter's file is not compiled: what it does before the launch is
stated here, and compared with its text, so that a source that launches in another way is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from goldgate.kernels import KernelError
from goldgate.kernels.aiter_emulated.source import Source, normalised

#: Everything before it is device code.
CUT = "#define LAUNCH_KERNEL()"

#: Template parameters of both kernels, in order.
TEMPLATE = (
    "typename DTYPE_I, typename f32vec, int NUM_GRP, bool need_renorm, bool isBiased, "
    "bool isSoftmax"
)
PLAIN, SORTED = "grouped_topk_kernel", "grouped_topk_opt_sort_kernel"

#: Kernel parameters that are known, with their C++ types.
PARAMETERS = {
    "gating_output": "DTYPE_I*",
    "correction_bias": "const DTYPE_I*",
    "topk_weights": "float*",
    "topk_ids": "int*",
    "stride_gating": "const size_t",
    "stride_tk": "const size_t",
    "num_experts": "const int",
    "topk": "const int",
    "topk_group": "const int",
    "num_tokens": "const int",
    "routed_scaling_factor": "const float",
}

#: Host expressions that are known, without spaces: LDS bytes as multiples of the experts.
_LDS = {
    "(num_experts*sizeof(float)+num_expert_group*sizeof(float))": 1,
    "(2*num_experts*sizeof(float)+num_expert_group*sizeof(float))": 2,
}
_SORT_LDS = (
    "!use_opt_sort?0:(num_expert_group*sizeof(int)+topk*sizeof(int)+topk*sizeof(float)"
    "+(topk>topk_grp?topk:topk_grp)*sizeof(int)+(topk>topk_grp?topk:topk_grp)*sizeof(float))"
)
_SORT = "(topk==8)&&(num_expert_group==8)&&(num_experts==256)&&(topk_grp==4)&&(isBiased==true)"
_WAVE = "&&(get_warp_size_func()==64)"
_BLOCKS = ("64", "get_warp_size_func()")


@dataclass(frozen=True)
class Shape:
    """How the source's kernels are declared and launched.

    Attributes:
        device: the source up to the launch macros.
        parameters: each kernel's parameter names, in order.
        score_arrays: arrays of num_experts float32 in LDS.

    """

    device: str
    parameters: dict[str, tuple[str, ...]]
    score_arrays: int

    def lds(self, experts: int, top_k: int, groups: int, kept: int) -> int:
        """Return the bytes of dynamic LDS that biased_grouped_topk asks for."""
        size = 4 * (self.score_arrays * experts + groups)
        if sorts(experts, top_k, groups, kept):
            size += 4 * (groups + 2 * top_k + 2 * max(top_k, kept))
        return size


def sorts(experts: int, top_k: int, groups: int, kept: int) -> bool:
    """Say whether biased_grouped_topk takes the sorting kernel (its `use_opt_sort`)."""
    return (experts, top_k, groups, kept) == (256, 8, 8, 4)


def read_shape(source: Source) -> Shape:
    """Check a source against what is known.

    Raises:
        KernelError: it differs; the message says where and what was expected.

    """
    device, cut, host = source.text.partition(CUT)
    if not cut:
        raise _changed(source, f"there is no `{CUT}`")
    parameters = {name: _parameters(source, device, name) for name in (PLAIN, SORTED)}
    body = re.search(r"void biased_grouped_topk\(.*?\n\}", host, flags=re.DOTALL)
    if body is None:
        raise _changed(source, "there is no host function biased_grouped_topk")
    text = normalised(body[0]).replace(" ", "")
    size = re.search(r"size_tshared_mem_size=(.*?);", text)
    extra = re.search(r"shared_mem_size\+=(.*?);", text)
    sort = re.search(r"booluse_opt_sort=(.*?);", text)
    block = re.search(r"dim3grid\(num_tokens\);dim3block\((.*?)\);", text)
    if size is None or size[1] not in _LDS or extra is None or extra[1] != _SORT_LDS:
        raise _changed(source, "biased_grouped_topk computes shared_mem_size in another way")
    if sort is None or sort[1].removesuffix(_WAVE) != _SORT:
        raise _changed(source, "biased_grouped_topk chooses use_opt_sort in another way")
    if block is None or block[1] not in _BLOCKS:
        raise _changed(source, "biased_grouped_topk launches another grid than (tokens) x 64")
    return Shape(device, parameters, _LDS[size[1]])


def _parameters(source: Source, device: str, kernel: str) -> tuple[str, ...]:
    plain = normalised(device)
    found = re.search(rf"template <([^>]*)> __global__ void {kernel}\((.*?)\) \{{", plain)
    if found is None or found[1] != TEMPLATE:
        raise _changed(source, f"{kernel}: expected template <{TEMPLATE}>")
    names = []
    for declaration in found[2].split(","):
        kind, _, name = declaration.replace("__restrict__", "").strip().rpartition(" ")
        if PARAMETERS.get(name) != kind.strip():
            raise _changed(source, f"{kernel} has a parameter `{declaration.strip()}`")
        names.append(name)
    return tuple(names)


def _changed(source: Source, what: str) -> KernelError:
    return KernelError(
        f"{source.version}: the source has changed its shape: {what}; "
        "expected that of aiter's grouped top-k of 2025-10 to 2026-08"
    )
