"""Elementary operations that LLVM vectorises: exponentials, and the 16-bit floats as float32."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from goldgate.accuracy.fast.compiled import compiled

#: Bound on the relative error of `exp64` for |y| <= `EXP_RANGE`: the reduced argument errs by less
#: than u64 / 2 (u64 = 2**-53), the series by 0.35**14 / 14! < 5e-18 and its evaluation by 2 u64.
EXP_ERROR = 4.0 * 2.0**-53

#: Arguments for which `exp64` holds: e**y and its reciprocal are normal numbers.
EXP_RANGE = 700.0

#: Bound on the absolute error of a float32 sigmoid from `exp32`: a quarter of the exponential's
#: error reaches the score, under 2 u for reduction, series and evaluation; 2 u more for the sum and
#: the division. More than doubled; the tests measure 1.7 u.
SIGMOID32_ERROR = 8.0 * 2.0**-24

#: Elements that `reached` compares at a time.
LANES = 16

_LOG2E = 1.0 / math.log(2.0)
# ln 2 in two parts; the first has so few bits that its product with n is exact.
_LN2_HIGH, _LN2_LOW = 2977044471.0 * 2.0**-32, 1.9082149292705877e-10
_HIGH32, _LOW32 = np.float32(0.693359375), np.float32(-2.12194440e-4)
# Adding and subtracting 1.5 * 2**52 rounds to an integer, and leaves it in the low bits.
_ROUND, _ROUND32 = 1.5 * 2.0**52, np.float32(1.5 * 2.0**23)
_LOG2E32, _ONE, _HALF = np.float32(_LOG2E), np.float32(1.0), np.float32(0.5)
_C6, _C5, _C4, _C3 = (np.float32(1.0 / math.factorial(n)) for n in (6, 5, 4, 3))


@numba.njit(inline="always")
def exp64(y: Any) -> Any:  # noqa: ANN401 - a float64, which mypy's numpy widens
    """e**y for |y| <= `EXP_RANGE`: 2**n times the Taylor series of the rest, of degree 13."""
    shifted = y * _LOG2E + _ROUND
    n = shifted - _ROUND
    r = (y - n * _LN2_HIGH) - n * _LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    exponent = np.float64(shifted).view(np.int64) << np.int64(52)
    return np.int64(np.float64(p).view(np.int64) + exponent).view(np.float64)


@numba.njit(inline="always")
def exp32(y: Any) -> Any:  # noqa: ANN401 - a float32, which mypy's numpy widens
    """e**y in float32 for |y| <= 80, likewise, of degree 6."""
    shifted = y * _LOG2E32 + _ROUND32
    n = shifted - _ROUND32
    r = (y - n * _HIGH32) - n * _LOW32
    p = _C6
    p = p * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _HALF
    p = p * r + _ONE
    p = p * r + _ONE
    exponent = np.float32(shifted).view(np.int32) << np.int32(23)
    return np.int32(np.float32(p).view(np.int32) + exponent).view(np.float32)


@intrinsic
def prefetch(_, rows, row, column):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG001
    """In compiled code: ask for the cache line of an array's element, to come to the L2 cache."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        array = context.make_array(signature.args[0])(context, builder, values[0])
        at = cgutils.get_item_pointer(  # type: ignore[no-untyped-call]
            context, builder, signature.args[0], array, list(values[1:]), wraparound=False
        )
        pointer, int32 = builder.bitcast(at, ir.IntType(8).as_pointer()), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, int32, int32, int32])
        name = "llvm.prefetch.p0i8"
        ask = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]
        read, l2_cache, data = (ir.Constant(int32, n) for n in (0, 2, 1))
        builder.call(ask, [pointer, read, l2_cache, data])
        return context.get_dummy_value()

    return types.void(rows, types.intp, types.intp), generate


@intrinsic
def reached(_, row, least, first):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG001
    """In compiled code: which of `LANES` elements from the first on are >= the others, a bit each.

    LLVM makes one vector comparison of it, of the width that the processor has. NaN reaches
    nothing.
    """

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        kind, sides = ir.VectorType(ir.FloatType(), LANES), []
        for array_type, value in zip(signature.args[:2], values[:2], strict=True):
            array = context.make_array(array_type)(context, builder, value)
            at = cgutils.get_item_pointer(  # type: ignore[no-untyped-call]
                context, builder, array_type, array, [values[2]], wraparound=False
            )
            side = builder.load(builder.bitcast(at, kind.as_pointer()))
            side.align = 4
            sides.append(side)
        bits = builder.bitcast(builder.fcmp_ordered(">=", *sides), ir.IntType(LANES))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(row, least, types.intp), generate


@intrinsic
def set_bits(_, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG001
    """In compiled code: how many bits of an int64 are set."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG001
        return builder.ctpop(values[0])

    return types.int64(types.int64), generate


@intrinsic
def lowest_bit(_, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG001
    """In compiled code: the number of the lowest bit set of an int64 that is not 0."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG001
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@intrinsic
def add_terms(_, sums, side, at, terms):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG001
    """In compiled code: add a tuple of n numbers to `sums[side, at]`, [n], four at a time."""

    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        array = context.make_array(signature.args[0])(context, builder, values[0])
        first = ir.Constant(ir.IntType(64), 0)
        at = cgutils.get_item_pointer(  # type: ignore[no-untyped-call]
            context, builder, signature.args[0], array, [*values[1:3], first], wraparound=False
        )
        numbers = cgutils.unpack_tuple(builder, values[3])  # type: ignore[no-untyped-call]
        for start in range(0, len(numbers), 4):
            some = numbers[start : start + 4]
            kind = ir.VectorType(ir.DoubleType(), len(some))
            added = ir.Constant(kind, ir.Undefined)
            for i, value in enumerate(some):
                added = builder.insert_element(added, value, ir.Constant(ir.IntType(32), i))
            offset = builder.gep(at, [ir.Constant(ir.IntType(64), start)])
            place = builder.bitcast(offset, kind.as_pointer())
            held = builder.load(place)
            held.align = 8
            builder.store(builder.fadd(held, added), place).align = 8
        return context.get_dummy_value()

    return types.void(sums, types.intp, types.intp, terms), generate


# numba compares the two signatures, annotations included: there are none.
def widen(x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """In compiled code: a stored logit as float32, exactly.

    float32 as it is; uint16 is bfloat16's bits; int16 is float16's.
    """
    raise NotImplementedError


@overload(widen, inline="always")
def _widen(x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    if x == types.uint16:
        return lambda x: np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)
    if x == types.int16:
        return _half
    return lambda x: x


def _half(x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """float16: its exponent and fraction in float32's place are 2**-112 times the value."""
    h = np.int32(x)
    magnitude = np.int32((h & np.int32(0x7FFF)) << np.int32(13))
    value = np.float32(np.int32(magnitude).view(np.float32) * np.float32(2.0**112))
    if magnitude >= np.int32(0x0F800000):  # infinity or NaN
        value = np.int32(magnitude + np.int32(0x70000000)).view(np.float32)
    sign = np.int32(np.int32(h & np.int32(-0x8000)) << np.int32(16))
    return np.int32(np.float32(value).view(np.int32) | sign).view(np.float32)


@compiled("contract")
def exp_array(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """`exp64` of a one-dimensional array; for the test that measures its error."""
    out = np.empty_like(y)
    for i in range(y.size):
        out[i] = exp64(y[i])
    return out


@compiled("contract")
def sigmoid32_array(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The float32 sigmoid from `exp32`, likewise."""
    out = np.empty_like(x)
    for i in range(x.size):
        out[i] = sigmoid32(x[i])
    return out


@numba.njit(inline="always")
def sigmoid32(x: Any) -> Any:  # noqa: ANN401 - a float32
    """A float32 sigmoid that errs by at most `SIGMOID32_ERROR`; NaN counts as -80."""
    y = np.float32(80) if x < np.float32(-80) else -x
    y = max(y, np.float32(-80))
    return _ONE / (_ONE + exp32(y))


@compiled()
def widen_array(stored: Any) -> NDArray[np.float32]:  # noqa: ANN401
    """`widen` of a one-dimensional array; for the test that compares it."""
    out = np.empty(stored.size, np.float32)
    for i in range(stored.size):
        out[i] = widen(stored[i])  # type: ignore[no-untyped-call]
    return out
