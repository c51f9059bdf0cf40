"""Vector instructions on floating-point numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.floats import (
    F32,
    F64,
    div_fixup,
    div_fmas,
    div_scale,
    fma,
    maximum,
    median,
    minimum,
)
from goldgate.emulator.instructions import Vector
from goldgate.emulator.rounding import FUNCTIONS, Rounding, evaluate


def _ldexp(x: F32, exponent: NDArray[np.int32]) -> F32:
    # Beyond +-300 the result is 0 or infinite for every x, and numpy's ldexp takes a C int.
    return np.asarray(np.ldexp(x, np.clip(exponent, -300, 300)))


def _unsigned(x: F32) -> NDArray[np.uint32]:
    """Truncate and saturate; NaN gives 0."""
    wide = np.clip(np.trunc(np.nan_to_num(x.astype(np.float64), nan=0.0)), 0, 2.0**32 - 1)
    return wide.astype(np.uint32)


def _signed(x: F32) -> NDArray[np.int32]:
    """Truncate and saturate; NaN gives 0."""
    wide = np.nan_to_num(x.astype(np.float64), nan=0.0, posinf=2.0**31, neginf=-(2.0**31))
    return np.clip(np.trunc(wide), -(2.0**31), 2.0**31 - 1).astype(np.int32)


def _transcendental(name: str) -> Vector:
    def function(x: F32, rounding: Rounding, flushing: bool) -> F32:
        return evaluate(name, np.atleast_1d(x), rounding, flushing=flushing)

    return Vector(name, "f", "f", function, "ISA; last bit by rounding model", rounded=True)


def _reciprocal_flag(x: F32, _rounding: Rounding, flushing: bool) -> F32:
    # Compilers divide integers by it. LLVM's 32-bit division (AMDGPUCodeGenPrepare, expandDivRem32)
    # takes (2^32 - 512) rcp(y) for a lower bound of 2^32 / y. One ulp above the correctly rounded
    # result it is none, and quotients are wrong, as no hardware's are: no model moves it.
    return evaluate("v_rcp_f32", np.atleast_1d(x), Rounding("nearest"), flushing=flushing)


def _double(a: F64, b: F64) -> F64:
    return a * b


OPERATIONS = (
    Vector("v_add_f32", "ff", "f", lambda a, b: a + b),
    Vector("v_sub_f32", "ff", "f", lambda a, b: a - b),
    Vector("v_subrev_f32", "ff", "f", lambda a, b: b - a),
    Vector("v_mul_f32", "ff", "f", lambda a, b: a * b),
    Vector("v_max_f32", "ff", "f", maximum),
    Vector("v_min_f32", "ff", "f", minimum),
    Vector("v_max3_f32", "fff", "f", lambda a, b, c: maximum(maximum(a, b), c)),
    Vector("v_min3_f32", "fff", "f", lambda a, b, c: minimum(minimum(a, b), c)),
    Vector("v_med3_f32", "fff", "f", median),
    Vector("v_fma_f32", "fff", "f", fma),
    Vector("v_fmac_f32", "fff", "f", fma, accumulates=True),
    Vector("v_fmaak_f32", "fff", "f", fma),
    Vector("v_fmamk_f32", "fff", "f", fma),  # operands: factor, constant factor, addend
    Vector("v_rndne_f32", "f", "f", np.rint),
    Vector("v_floor_f32", "f", "f", np.floor),
    Vector("v_ceil_f32", "f", "f", np.ceil),
    Vector("v_trunc_f32", "f", "f", np.trunc),
    Vector("v_ldexp_f32", "fi", "f", _ldexp),
    Vector("v_div_scale_f32", "fff", "fm", div_scale, "ISA; one case by experiment"),
    Vector("v_div_fmas_f32", "fffm", "f", div_fmas, "ISA; the scale by experiment", vcc=True),
    Vector("v_div_fixup_f32", "fff", "f", div_fixup),
    Vector("v_rcp_iflag_f32", "f", "f", _reciprocal_flag, "as v_rcp_f32", rounded=True),
    *(_transcendental(name) for name in FUNCTIONS),
    Vector("v_mul_f64", "dd", "d", _double),
    Vector("v_add_f64", "dd", "d", lambda a, b: a + b),
    Vector("v_cvt_f32_f64", "d", "f", lambda x: x.astype(np.float32)),
    Vector("v_cvt_f64_f32", "f", "d", lambda x: x.astype(np.float64)),
    Vector("v_cvt_f32_f16", "h", "f", lambda x: x.astype(np.float32)),
    Vector("v_cvt_f16_f32", "f", "h", lambda x: x.astype(np.float16)),
    Vector("v_cvt_f32_u32", "u", "f", lambda x: x.astype(np.float32)),
    Vector("v_cvt_f32_i32", "i", "f", lambda x: x.astype(np.float32)),
    Vector("v_cvt_u32_f32", "f", "u", _unsigned),
    Vector("v_cvt_i32_f32", "f", "i", _signed),
)
