"""Arithmetic profiles: how accurate a kernel's exponential and division are, with the sources.

The figures are worst cases that vendors state or that follow from the source code; u = 2**-24.
"k ulp of the true value" is at most 2k u, "k ulp of the correctly rounded value" (the convention of
CUDA's tables) at most (2k + 1) u, since half an ulp more goes into the rounding. `goldgate sweep`
measures all float32 inputs on a device; kernels/swept.py lists what was measured within them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Profile:
    """Relative errors of a float32 kernel's elementary operations, in units of u = 2**-24.

    Attributes:
        name: what an output file's metadata calls it.
        exponent: alpha, the relative error of the exponential's argument.
        exp: relative error of the exponential.
        exp_per_unit: the same per unit of |argument|.
        divide: relative error of a division or reciprocal.
        log: relative error of a logarithm (sqrtsoftplus only).
        log_absolute: absolute error of a logarithm, beside the relative one.
        recovered: whether weights are computed as (score + bias) - bias instead of gathered.
        source: where the figures come from.
        tanh: relative error of a hyperbolic tangent, for a sigmoid computed as 1/2 + tanh(x/2)/2;
            0 for one computed from an exponential.
        prescaled: relative error of the product x log2(e) where softmax scales its logits before
            it subtracts the largest; 0 where it subtracts first.
        shift: the least and the most that a rounding model (`goldgate emulate`) adds to the mean
            of the weights' error on purpose; no rounding of a kernel, whose mean is about 0.

    """

    name: str
    exponent: float
    exp: float
    exp_per_unit: float
    divide: float
    log: float
    log_absolute: float
    recovered: bool
    source: str
    tanh: float = 0.0
    prescaled: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def slope(self) -> float:
        """The exponential's relative error per unit of |argument|, where that is the logit."""
        return self.exponent + self.exp_per_unit + self.prescaled


_ALL = (
    Profile(
        name="rcp_exp2",
        exponent=1.0,
        exp=2.0,
        exp_per_unit=0.0,
        divide=2.0,
        log=2.0,
        log_absolute=0.0,
        recovered=False,
        source=(
            "aiter csrc/kernels/topk_softmax_kernels_group.cu from 2026-06 on: "
            "rcp(1 + exp2(-log2e x)) with log2e a double, the product rounded once to float32; "
            "v_exp_f32, v_log_f32 and v_rcp_f32 1 ulp (AMD CDNA3 instruction set architecture)"
        ),
    ),
    Profile(
        name="expf_div_subtract",
        exponent=0.0,
        exp=3.0,
        exp_per_unit=0.0,
        divide=3.0,
        log=3.0,
        log_absolute=0.0,
        recovered=True,
        source=(
            "aiter csrc/kernels/topk_softmax_kernels_group.cu before aiter pull request 3466, what "
            "sglang pull request 23611 adopted: 1 / (1 + expf(-x)), the weight recovered as "
            "(score + bias) - bias; expf and division 1 ulp (HIP device library tables)"
        ),
    ),
    Profile(
        name="fast_math",
        exponent=0.0,
        exp=5.0,
        exp_per_unit=2 * 1.173,
        divide=5.0,
        log=7.0,
        log_absolute=2.0**2.59,  # 2**-21.41
        recovered=False,
        source=(
            "CUDA C++ programming guide, intrinsic functions: __expf 2 + floor(1.173 |x|) ulp, "
            "__fdividef 2 ulp, __logf 3 ulp and, between 0.5 and 2, 2**-21.41 absolute; sglang "
            "0.5.23 topk_sigmoid is built with --use_fast_math and gathers its weights; Triton's "
            "exp and division are this class"
        ),
    ),
    Profile(
        name="ieee",
        exponent=0.0,
        exp=6.0,
        exp_per_unit=0.0,
        divide=1.0,
        log=5.0,
        log_absolute=0.0,
        recovered=False,
        source=(
            "float32 libraries with IEEE division: CUDA expf 2 ulp (programming guide, "
            "single-precision table), numpy's vectorised exp 2.52 ulp (its loops' source), SLEEF's "
            "expf 1 ulp as torch uses it on CPUs; logf 2 ulp"
        ),
    ),
)

#: The sigmoid through the hyperbolic tangent has an absolute error, which no figure of the others
#: can express: far below 0 nothing of the score is left.
_TANH = Profile(
    name="tanh",
    exponent=0.0,
    exp=0.0,
    exp_per_unit=0.0,
    divide=1.0,
    log=5.0,
    log_absolute=0.0,
    recovered=False,
    source=(
        "1/2 + tanh(x/2)/2 with IEEE division: CUDA tanhf 2 ulp (programming guide, "
        "single-precision table)"
    ),
    tanh=5.0,
)

#: What sglang called before pull request 23611 on NVIDIA GPUs. Later releases gather their weights:
#: for sglang 0.5.23 "fast_math" holds.
_SGL_KERNEL_0_4_4 = replace(
    next(profile for profile in _ALL if profile.name == "fast_math"),
    name="sgl_kernel_0.4.4",
    recovered=True,
    source=(
        "topk_sigmoid of sgl-kernel 0.4.4 (sglang 0.5.15), csrc/moe/moe_topk_sigmoid_kernels.cu: "
        "1 / (1 + expf(-x)) plus the bias, the weight recovered by subtracting the bias again, "
        "times 1 / sum; built with --use_fast_math, hence the figures of fast_math"
    ),
)

#: Softmax of scaled logits. The error of the product counts |x|, not |x - max|, which no figure of
#: the other profiles can express.
_PRESCALED = Profile(
    name="exp2_prescaled",
    exponent=0.25,
    exp=5.0,
    exp_per_unit=0.0,
    divide=5.0,
    log=7.0,
    log_absolute=2.0**2.59,
    recovered=False,
    source=(
        "exp2(x log2e - max(x log2e)) with log2e and the product in float32, the form of Triton's "
        "tutorial 06-fused-attention: log2e as float32 is off by 0.22 u; exp2f 2 ulp and "
        "__fdividef 2 ulp, __logf as in fast_math (CUDA C++ programming guide)"
    ),
    prescaled=1.0,
)

#: Every profile by name. "conservative", the default for a kernel nothing is known of, takes the
#: largest of each figure of the exponential forms and recovers its weights by subtraction. It does
#: not cover "tanh" and "exp2_prescaled": a kernel with such a form says so.
PROFILES: dict[str, Profile] = {
    profile.name: profile for profile in (*_ALL, _SGL_KERNEL_0_4_4, _TANH, _PRESCALED)
}
PROFILES["conservative"] = Profile(
    name="conservative",
    exponent=max(profile.exponent for profile in _ALL),
    exp=max(profile.exp for profile in _ALL),
    exp_per_unit=max(profile.exp_per_unit for profile in _ALL),
    divide=max(profile.divide for profile in _ALL),
    log=max(profile.log for profile in _ALL),
    log_absolute=max(profile.log_absolute for profile in _ALL),
    recovered=True,
    source="the largest figure of every profile that exponentiates x or x - max",
)
