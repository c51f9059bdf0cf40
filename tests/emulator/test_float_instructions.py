"""Each floating-point instruction against an independent statement of what it computes."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from goldgate.emulator.instructions import vector_float
from tests.emulator.programs import FLUSH, KEEP, run
from tests.emulator.values import floats, flushed, integers, rounded, same

N = 64 * 40
A, B, C = (floats(N, seed) for seed in (1, 2, 3))
NAN = float("nan")


def exactly(function: Callable[..., Fraction]) -> Callable[..., float]:
    """Round a rational function once; operands that are not finite follow Python's floats."""

    def value(*operands: float) -> float:
        if not all(math.isfinite(x) for x in operands):
            return NAN
        return rounded(function(*(Fraction(x) for x in operands)))

    return value


def number(quiet: Callable[[float, float], float], *operands: float) -> float:
    """Fold operands pairwise, a NaN giving way to the other operand."""
    result = operands[0]
    for x in operands[1:]:
        result = x if math.isnan(result) else result if math.isnan(x) else quiet(result, x)
    return result


def larger(a: float, b: float) -> float:
    """Return the larger, +0 above -0."""
    return max(a, b, key=lambda x: (x, math.copysign(1, x)))


def smaller(a: float, b: float) -> float:
    """Return the smaller, -0 below +0."""
    return min(a, b, key=lambda x: (x, math.copysign(1, x)))


def middle(a: float, b: float, c: float) -> float:
    """Return the median; with a NaN the smallest of the others."""
    if any(math.isnan(x) for x in (a, b, c)):
        return number(smaller, number(smaller, a, b), c)
    return sorted((a, b, c), key=lambda x: (x, math.copysign(1, x)))[1]


def signalling(x: np.float32) -> bool:
    """Say whether a value is a signalling NaN."""
    return bool(np.isnan(x)) and not int(x.view(np.uint32)) & 0x400000


FINITE: dict[str, Callable[..., Fraction]] = {
    "v_add_f32": lambda a, b: a + b,
    "v_sub_f32": lambda a, b: a - b,
    "v_subrev_f32": lambda a, b: b - a,
    "v_mul_f32": lambda a, b: a * b,
    "v_fma_f32": lambda a, b, c: a * b + c,
    "v_fmac_f32": lambda a, b, c: a * b + c,
    "v_fmaak_f32": lambda a, b, c: a * b + c,
    "v_fmamk_f32": lambda a, b, c: a * b + c,
}
CHOOSING: dict[str, Callable[..., float]] = {
    "v_max_f32": lambda a, b: number(larger, a, b),
    "v_min_f32": lambda a, b: number(smaller, a, b),
    "v_max3_f32": lambda a, b, c: number(larger, number(larger, a, b), c),
    "v_min3_f32": lambda a, b, c: number(smaller, number(smaller, a, b), c),
    "v_med3_f32": middle,
}


def computed(name: str, operands: list[Any], denormals: int = KEEP) -> np.ndarray:
    """Run one instruction, its result in v9."""
    sources = [f"v{number + 1}" for number in range(len(operands))]
    vectors = dict(enumerate(operands, 1))
    if name == "v_fmac_f32":
        vectors[9] = operands[2]
        sources = sources[:2]
    lines = [f"{name} {', '.join(['v9', *sources])}"]
    return run(lines, vectors, denormals=denormals).v(9, "f4")


@pytest.mark.parametrize("name", FINITE)
def test_arithmetic_is_rounded_once_from_the_exact_result(name: str) -> None:
    """Sums, products and fused products equal the rational result rounded to nearest even."""
    operands = [A, B, C][: 3 if "fma" in name else 2]
    finite = np.all([np.isfinite(x) for x in operands], axis=0)

    got = computed(name, operands)

    rows = list(zip(*(x[finite].tolist() for x in operands), strict=True))
    expected = np.array([exactly(FINITE[name])(*row) for row in rows], np.float32)
    nonzero = expected != 0
    assert len(rows) > N // 2
    assert same(got[finite][nonzero], expected[nonzero]).all()
    assert (got[finite][~nonzero] == 0).all()


@pytest.mark.parametrize("name", FINITE)
def test_arithmetic_with_infinities_and_nans_follows_ieee(name: str) -> None:
    """An infinity or a NaN among the operands gives what IEEE 754 defines."""
    operands = [A, B, C][: 3 if "fma" in name else 2]
    special = ~np.all([np.isfinite(x) for x in operands], axis=0)
    with np.errstate(all="ignore"):
        wide = [x[special].astype(np.float64) for x in operands]
        a, b, c = [*wide, *wide][:3]
        expected = {
            "v_add_f32": a + b,
            "v_sub_f32": a - b,
            "v_subrev_f32": b - a,
            "v_mul_f32": a * b,
        }.get(name, a * b + c)

    got = computed(name, operands)[special]

    assert special.sum() > 50
    infinite = np.isinf(expected)
    assert (np.isnan(got) == np.isnan(expected)).all()
    assert (got[infinite] == expected[infinite]).all()


def test_fma_does_not_round_twice() -> None:
    """Where the float64 sum is half way between two float32, what float64 dropped decides."""
    a = np.float32(1 + 2**-12)
    half_way = np.array([(a, a, 2.0**-24), (a, a, -(2.0**-60))], np.float32)
    rng = np.random.default_rng(5)
    # 1 + 2^-24 is half way; a tiny product of either sign must decide.
    tiny = np.ldexp(1.0 + rng.random(62), -rng.integers(60, 100, 62)).astype(np.float32)
    sign = np.where(rng.random(62) < 0.5, -1, 1).astype(np.float32)
    addend = np.float32(1.0) + rng.integers(0, 100, 62).astype(np.float32)
    a_, b_, c_ = half_way.T
    one = np.concatenate([a_, tiny * sign]), np.concatenate([b_, np.ones(62, np.float32)])
    three = np.concatenate([c_, addend])

    got = computed("v_fma_f32", [*one, three])

    rows = zip(one[0].tolist(), one[1].tolist(), three.tolist(), strict=True)
    expected = [rounded(Fraction(x) * Fraction(y) + Fraction(z)) for x, y, z in rows]
    assert got.tolist() == expected


def test_fma_rounds_products_near_half_way_once() -> None:
    """Products that end half way, with an addend far below, equal the rational result."""
    rng = np.random.default_rng(6)
    # An odd 13-bit factor times 2^12 + 1 has 25 bits: a tie of float32 exactly.
    a = (2 * rng.integers(2048, 4096, N) + 1).astype(np.float32)
    b = np.full(N, 4097, np.float32)
    c = (rng.choice([-1.0, 0.0, 1.0], N) * np.ldexp(1.0, -rng.integers(20, 100, N))).astype("f4")

    got = computed("v_fma_f32", [a, b, c])

    rows = zip(a.tolist(), b.tolist(), c.tolist(), strict=True)
    expected = [rounded(Fraction(x) * Fraction(y) + Fraction(z)) for x, y, z in rows]
    assert got.tolist() == expected


@pytest.mark.parametrize("name", CHOOSING)
def test_choosing_follows_the_isa(name: str) -> None:
    """Maximum, minimum and median prefer numbers to NaN and order the zeros."""
    operands = [A, B, C][: 2 if name in ("v_max_f32", "v_min_f32") else 3]
    quiet = ~np.any([[signalling(x) for x in column] for column in operands], axis=0)

    got = computed(name, operands)

    rows = zip(*(x.tolist() for x in operands), strict=True)
    expected = np.array([CHOOSING[name](*row) for row in rows], np.float32)
    assert same(got, expected)[quiet].all()
    if len(operands) == 2:  # a signalling NaN wins, quieted
        assert np.isnan(got[~quiet]).all()


@pytest.mark.parametrize("name", [*FINITE, *CHOOSING])
def test_mode_flushes_inputs_and_results(name: str) -> None:
    """With denormal mode 0 an instruction equals itself on flushed inputs, its result flushed."""
    operands = [A, B, C][: 3 if "fma" in name or "3" in name[:6] else 2]

    got = computed(name, operands, FLUSH)

    kept = computed(name, [flushed(x) for x in operands], KEEP)
    assert same(got, flushed(kept)).all()


def test_sign_modifiers_act_before_the_operation() -> None:
    """A minus sign and bars change an operand's sign bit, also of zeros and infinities."""
    after = run(["v_add_f32_e64 v9, -v1, v2", "v_mul_f32_e64 v10, |v1|, -|v2|"], {1: A, 2: B})

    with np.errstate(all="ignore"):
        assert same(after.v(9, "f4"), (B - A)).all()
        assert same(after.v(10, "f4"), np.abs(A) * -np.abs(B)).all()


ROUNDING: dict[str, Callable[[float], float]] = {
    "v_rndne_f32": lambda x: float(round(x)),
    "v_floor_f32": lambda x: float(math.floor(x)),
    "v_ceil_f32": lambda x: float(math.ceil(x)),
    "v_trunc_f32": lambda x: float(math.trunc(x)),
}


@pytest.mark.parametrize("name", ROUNDING)
def test_rounding_to_whole_numbers(name: str) -> None:
    """Each goes to the whole number that Python's own functions give; specials stay."""
    got = computed(name, [A])

    finite = np.isfinite(A)
    assert got[finite].tolist() == [ROUNDING[name](x) for x in A[finite].tolist()]
    assert same(got[~finite], A[~finite]).all()


def test_ldexp_is_exact_or_rounded_once() -> None:
    """X times a power of two is the rational result rounded, for exponents far out too."""
    exponents = integers(N, 4).view(np.int32) % np.int32(400)
    after = run(["v_ldexp_f32 v9, v1, v2"], {1: A, 2: exponents})

    got = after.v(9, "f4")

    finite = np.isfinite(A)
    rows = zip(A[finite].tolist(), exponents[finite].tolist(), strict=True)
    expected = np.array([rounded(Fraction(x) * Fraction(2) ** e) for x, e in rows], np.float32)
    assert (got[finite] == expected).all()
    assert same(got[~finite], A[~finite]).all()


def test_ldexp_takes_any_exponent() -> None:
    """Exponents of 2^31 in size give zeros and infinities, not a wrapped result."""
    x = np.repeat(np.array([1.5, -1.5], np.float32), 32)
    exponent = np.tile(np.array([2**31 - 1, -(2**31)], np.int32), 32)

    got = run(["v_ldexp_f32 v9, v1, v2"], {1: x, 2: exponent}).v(9, "f4")

    expected = np.where(exponent > 0, np.copysign(np.float32(np.inf), x), x * np.float32(0))
    assert same(got, expected).all()


def test_conversions_to_float32() -> None:
    """Integers, float16 and float64 become the nearest float32."""
    whole = integers(N, 7)
    wide = np.concatenate([A[: N // 2].astype(np.float64) * 1.0000000123, np.float64(B[N // 2 :])])
    half = whole.astype(np.uint16)
    lines = [
        "v_cvt_f32_u32_e32 v9, v1",
        "v_cvt_f32_i32_e32 v10, v1",
        "v_cvt_f32_f64_e32 v11, v[2:3]",
        "v_cvt_f32_f16_e32 v12, v1",
    ]

    after = run(lines, {1: whole, 2: wide})

    unsigned = [rounded(Fraction(int(x))) for x in whole]
    signed = [rounded(Fraction(int(x))) for x in whole.view(np.int32)]
    finite = np.isfinite(wide)
    narrowed = [rounded(Fraction(float(x))) for x in wide[finite]]
    halves = np.array([struct.unpack("<e", x.tobytes())[0] for x in half], np.float32)
    assert after.v(9, "f4").tolist() == unsigned
    assert after.v(10, "f4").tolist() == signed
    assert after.v(11, "f4")[finite].tolist() == narrowed
    assert same(after.v(12, "f4"), halves).all()


def test_conversions_from_float32() -> None:
    """Truncation saturates, NaN gives 0; float64 is exact and float16 the nearest."""
    lines = [
        "v_cvt_u32_f32_e32 v9, v1",
        "v_cvt_i32_f32_e32 v10, v1",
        "v_cvt_f64_f32_e32 v[11:12], v1",
        "v_cvt_f16_f32_e32 v13, v1",
    ]

    after = run(lines, {1: A})

    def saturated(low: int, high: int) -> list[int]:
        def one(x: float) -> int:
            if math.isnan(x):
                return 0
            return high if x >= high else low if x <= low else int(x)

        return [one(x) for x in A.tolist()]

    with np.errstate(over="ignore"):
        halves = A.astype(np.float16)
    number = ~np.isnan(A)
    assert after.v(9).tolist() == saturated(0, 2**32 - 1)
    assert after.v(10, "i4").tolist() == saturated(-(2**31), 2**31 - 1)
    assert (after.wide(11, "f8")[number] == A[number]).all()
    assert (after.v(13).astype(np.uint16).view(np.float16)[number] == halves[number]).all()


def test_float64_arithmetic_is_rounded_once() -> None:
    """Products and sums of float64 equal the rational result rounded to 53 bits."""
    x, y = A.astype(np.float64), B.astype(np.float64) * 1.1
    finite = np.isfinite(x) & np.isfinite(y)

    after = run(
        ["v_mul_f64 v[9:10], v[1:2], v[3:4]", "v_add_f64 v[11:12], v[1:2], v[3:4]"],
        {
            1: x,
            3: y,
        },
    )

    rows = list(zip(x[finite].tolist(), y[finite].tolist(), strict=True))
    products = [rounded(Fraction(a) * Fraction(b), 53, -1074) for a, b in rows]
    sums = [rounded(Fraction(a) + Fraction(b), 53, -1074) for a, b in rows]
    assert after.wide(9, "f8")[finite].tolist() == products
    assert after.wide(11, "f8")[finite].tolist() == sums


def test_packed_arithmetic_is_two_operations() -> None:
    """v_pk_* computes on both registers of a pair, halves chosen by op_sel and op_sel_hi."""
    lines = [
        "v_pk_add_f32 v[9:10], v[1:2], v[3:4]",
        "v_pk_mul_f32 v[11:12], v[1:2], v[3:4] op_sel:[0,1] op_sel_hi:[1,0]",
        "v_pk_fma_f32 v[13:14], v[1:2], v[3:4], v[5:6]",
    ]
    d, e, f = (floats(N, seed) for seed in (8, 9, 10))

    after = run(lines, {1: A, 2: B, 3: C, 4: d, 5: e, 6: f})

    with np.errstate(all="ignore"):
        assert same(after.v(9, "f4"), A + C).all()
        assert same(after.v(10, "f4"), B + d).all()
        assert same(after.v(11, "f4"), A * d).all()
        assert same(after.v(12, "f4"), B * C).all()
    assert same(after.v(13, "f4"), computed("v_fma_f32", [A, C, e])).all()
    assert same(after.v(14, "f4"), computed("v_fma_f32", [B, d, f])).all()


def test_mixed_fma_takes_halves_where_told() -> None:
    """v_fma_mix_f32 widens float16 sources exactly, in the half that op_sel names."""
    rng = np.random.default_rng(11)
    halves = rng.normal(0, 3, (N, 2)).astype(np.float16)
    packed = halves.view(np.uint32).reshape(-1)
    k = rng.normal(0, 3, N).astype(np.float32)
    line = "v_fma_mix_f32 v9, -v1, v2, v3 op_sel:[1,0,0] op_sel_hi:[1,0,0]"

    got = run([line], {1: packed, 2: k, 3: C}, denormals=KEEP).v(9, "f4")

    assert same(got, computed("v_fma_f32", [-halves[:, 1].astype(np.float32), k, C])).all()


def test_every_float_instruction_is_tested_here_or_beside() -> None:
    """The table holds no instruction that the tests do not name."""
    beside = {  # test_division.py, test_rounding.py
        *("v_div_scale_f32", "v_div_fmas_f32", "v_div_fixup_f32"),
        *("v_exp_f32", "v_log_f32", "v_rcp_f32", "v_rsq_f32", "v_rcp_iflag_f32"),
    }
    here = {
        *FINITE,
        *CHOOSING,
        *ROUNDING,
        *("v_ldexp_f32", "v_cvt_f32_u32", "v_cvt_f32_i32", "v_cvt_f32_f64", "v_cvt_f32_f16"),
        *("v_cvt_u32_f32", "v_cvt_i32_f32", "v_cvt_f64_f32", "v_cvt_f16_f32"),
        *("v_mul_f64", "v_add_f64"),
    }

    assert {operation.name for operation in vector_float.OPERATIONS} == here | beside
