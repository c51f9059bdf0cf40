"""The division that compilers expand to v_div_scale, v_rcp, v_fma, v_div_fmas and v_div_fixup."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.emulator import ROUNDINGS
from tests.emulator.programs import FLUSH, KEEP, run
from tests.emulator.values import flushed, same

# What clang 22 prints for a float32 division on gfx942: v1 / v2 in v9. With subnormals flushed it
# keeps them for the steps between.
_STEPS = [
    "v_fma_f32 v6, -v3, v5, 1.0",
    "v_fmac_f32_e32 v5, v6, v5",
    "v_mul_f32_e32 v6, v4, v5",
    "v_fma_f32 v7, -v3, v6, v4",
    "v_fmac_f32_e32 v6, v7, v5",
    "v_fma_f32 v3, -v3, v6, v4",
]
_KEPT = [
    "v_div_scale_f32 v3, s[4:5], v2, v2, v1",
    "v_div_scale_f32 v4, vcc, v1, v2, v1",
    "v_rcp_f32_e32 v5, v3",
    *_STEPS,
    "v_div_fmas_f32 v3, v3, v5, v6",
    "v_div_fixup_f32 v9, v3, v2, v1",
]
_FLUSHED = [
    *_KEPT[:3],
    "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 3",
    *_STEPS,
    "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 0",
    *_KEPT[-2:],
]
_EDGES = np.array(
    [
        *(0x00000000, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0x00000001, 0x80000001),
        *(0x007FFFFF, 0x00800000, 0x00800001, 0x7F7FFFFF, 0xFF7FFFFF, 0x7E800000, 0x7F000000),
        *(0x7E7FFFFF, 0x7E800001, 0x3F800000, 0xBF800000, 0x3F800001, 0x3F7FFFFF, 0x0B800000),
        *(0x0C000000, 0x0BFFFFFF, 0x6F800000, 0x2F800000, 0x4F800000, 0x1F800000, 0x5F800000),
    ],
    np.uint32,
).view(np.float32)


def pairs(kind: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return half a million numerators and denominators of a kind."""
    count, rng = 1 << 19, np.random.default_rng(20)
    if kind == "edges":
        a, b = (x.reshape(-1) for x in np.meshgrid(_EDGES, _EDGES))
        more = -len(a) % 64
        return np.pad(a, (0, more)), np.pad(b, (0, more), constant_values=1)
    bits = rng.integers(0, 1 << 32, (2, count), dtype=np.uint32)
    if kind == "subnormal numerators":
        bits[0] &= 0x807FFFFF
    elif kind == "subnormal denominators":
        bits[1] &= 0x807FFFFF
    elif kind == "subnormal quotients":  # exponents 126 to 150 apart
        low = rng.integers(1, 100, count, dtype=np.uint32)
        apart = rng.integers(124, 152, count, dtype=np.uint32)
        bits[0] = bits[0] & 0x807FFFFF | low << 23
        bits[1] = bits[1] & 0x807FFFFF | np.minimum(low + apart, 254) << 23
    elif kind == "near one":
        bits = (bits & 0x007FFFFF | 0x3F800000).astype(np.uint32)
    return bits[0].view(np.float32), bits[1].view(np.float32)


_KINDS = (
    *("edges", "any bits", "near one", "subnormal numerators", "subnormal denominators"),
    "subnormal quotients",
)


@pytest.mark.parametrize("kind", _KINDS)
def test_division_is_ieee_division(kind: str) -> None:
    """The expansion equals numpy's float32 division bit for bit, subnormals included."""
    a, b = pairs(kind)

    got = run(_KEPT, {1: a, 2: b}, denormals=KEEP).v(9, "f4")

    assert same(got, a / b).all()


@pytest.mark.parametrize("kind", _KINDS)
def test_division_with_flushing_is_ieee_division_of_flushed_numbers(kind: str) -> None:
    """With subnormals flushed it is IEEE division of flushed operands, its result flushed."""
    a, b = pairs(kind)

    got = run(_FLUSHED, {1: a, 2: b}, denormals=FLUSH).v(9, "f4")

    expected = flushed(flushed(a) / flushed(b))
    # Of a numerator just above those that v_div_scale scales, the last remainder is subnormal and
    # v_div_fmas flushes it: one ulp. Whether the hardware does is not published.
    narrow = (a.view(np.uint32) >> 23 & 0xFF) == 24
    ulps = np.abs(got.view(np.int32).astype(np.int64) - expected.view(np.int32))
    assert same(got, expected)[~narrow].all()
    assert (same(got, expected) | (ulps == 1))[narrow].all()


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_division_does_not_depend_on_the_reciprocals_last_bit(rounding: str) -> None:
    """Under each rounding model of v_rcp_f32 the quotient is the same: the steps correct it."""
    a, b = pairs("near one")

    got = run(_KEPT, {1: a, 2: b}, rounding=rounding).v(9, "f4")

    assert same(got, a / b).all()


def test_the_scale_of_div_fmas_is_2_to_the_64() -> None:
    """Scaling back by 2^32, as the manual prints, would not give IEEE division."""
    a = np.full(64, 2.0**-140, np.float32)
    b = np.full(64, 2.0**-4, np.float32)

    after = run(_KEPT, {1: a, 2: b})

    assert (after.v(9, "f4") == np.float32(2.0**-136)).all()
    assert (after.v(4, "f4") == a * np.float32(2.0**64)).all()
