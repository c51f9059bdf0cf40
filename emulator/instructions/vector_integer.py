"""Vector instructions on integers and bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.instructions import Vector
from goldgate.emulator.waves import LANES

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
_LANE = np.arange(LANES, dtype=np.uint32)[None, :]
_BELOW_LOW = ((np.uint64(1) << np.minimum(_LANE, 32).astype(np.uint64)) - np.uint64(1)).astype(
    np.uint32
)
_BELOW_HIGH = (
    (np.uint64(1) << (np.maximum(_LANE, 32) - np.uint32(32)).astype(np.uint64)) - np.uint64(1)
).astype(np.uint32)
_5, _6 = np.uint32(31), np.uint32(63)


def _wide(x: Any) -> U64:  # noqa: ANN401 - any unsigned array
    return np.asarray(x).astype(np.uint64)


def _low(x: U64) -> U32:
    return np.asarray(x & np.uint64(0xFFFFFFFF), np.uint32)


def _ones(x: U32) -> U32:
    """Count the bits that are set (H. S. Warren, "Hacker's Delight", population count)."""
    x = x - ((x >> np.uint32(1)) & np.uint32(0x55555555))
    x = (x & np.uint32(0x33333333)) + ((x >> np.uint32(2)) & np.uint32(0x33333333))
    x = (x + (x >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
    return np.asarray((x * np.uint32(0x01010101)) >> np.uint32(24))


def _carry(a: U32, b: U32, carry: Any = 0) -> tuple[U32, NDArray[np.bool_]]:  # noqa: ANN401
    total = _wide(a) + _wide(b) + _wide(carry)
    return _low(total), total > np.uint64(0xFFFFFFFF)


def _borrow(a: U32, b: U32, borrow: Any = 0) -> tuple[U32, NDArray[np.bool_]]:  # noqa: ANN401
    taken = _wide(b) + _wide(borrow)
    return _low(_wide(a) - taken), taken > _wide(a)


def _field(x: U32, offset: U32, width: U32) -> U32:
    """Extract an unsigned field; a width of 0 gives 0."""
    mask = (np.uint32(1) << (width & _5)) - np.uint32(1)
    return np.asarray((x >> (offset & _5)) & mask)


def _signed_field(x: NDArray[np.int32], offset: U32, width: U32) -> NDArray[np.int32]:
    """Extract a signed field; a width of 0 gives 0, one past bit 31 ends there."""
    offset, width = (offset & _5).astype(np.int32), (width & _5).astype(np.int32)
    width = np.minimum(width, 32 - offset)
    up = np.maximum(32 - offset - width, 0)
    value = (x << up) >> (32 - np.maximum(width, 1))
    return np.where(width == 0, 0, value).astype(np.int32)


def _multiply_add_wide(a: U32, b: U32, c: U64) -> tuple[U64, NDArray[np.bool_]]:
    product = _wide(a) * _wide(b)
    total = product + c
    return total, total < product


def bitop3(a: U32, b: U32, c: U32, table: int) -> U32:
    """Return V_BITOP3_B32: bit 4a + 2b + c of the table, bit by bit (gfx950; LLVM)."""
    result = np.zeros(np.broadcast_shapes(a.shape, b.shape, c.shape), np.uint32)
    for row in range(8):
        if table >> row & 1:
            term = (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
            result = result | term
    return result


OPERATIONS = (
    Vector("v_mov_b32", "u", "u", lambda x: x),
    Vector("v_not_b32", "u", "u", lambda x: ~x),
    Vector("v_and_b32", "uu", "u", lambda a, b: a & b),
    Vector("v_or_b32", "uu", "u", lambda a, b: a | b),
    Vector("v_xor_b32", "uu", "u", lambda a, b: a ^ b),
    Vector("v_add_u32", "uu", "u", lambda a, b: a + b),
    Vector("v_sub_u32", "uu", "u", lambda a, b: a - b),
    Vector("v_subrev_u32", "uu", "u", lambda a, b: b - a),
    Vector("v_add_co_u32", "uu", "um", _carry),
    Vector("v_addc_co_u32", "uum", "um", _carry),
    Vector("v_sub_co_u32", "uu", "um", _borrow),
    Vector("v_subb_co_u32", "uum", "um", _borrow),
    Vector("v_subrev_co_u32", "uu", "um", lambda a, b: _borrow(b, a)),
    Vector("v_mul_lo_u32", "uu", "u", lambda a, b: a * b),
    Vector("v_mul_hi_u32", "uu", "u", lambda a, b: _low((_wide(a) * _wide(b)) >> np.uint64(32))),
    Vector("v_mad_u64_u32", "uuq", "qm", _multiply_add_wide),
    Vector("v_max_i32", "ii", "i", np.maximum),
    Vector("v_min_i32", "ii", "i", np.minimum),
    Vector("v_max_u32", "uu", "u", np.maximum),
    Vector("v_min_u32", "uu", "u", np.minimum),
    Vector("v_lshlrev_b32", "uu", "u", lambda a, b: b << (a & _5)),
    Vector("v_lshrrev_b32", "uu", "u", lambda a, b: b >> (a & _5)),
    Vector("v_ashrrev_i32", "ui", "i", lambda a, b: b >> (a & _5).astype(np.int32)),
    Vector("v_lshlrev_b64", "uq", "q", lambda a, b: b << _wide(a & _6)),
    Vector("v_lshrrev_b64", "uq", "q", lambda a, b: b >> _wide(a & _6)),
    Vector("v_lshl_add_u32", "uuu", "u", lambda a, b, c: (a << (b & _5)) + c),
    Vector("v_lshl_add_u64", "quq", "q", lambda a, b, c: (a << _wide(b & np.uint32(7))) + c),
    Vector("v_lshl_or_b32", "uuu", "u", lambda a, b, c: (a << (b & _5)) | c),
    Vector("v_add_lshl_u32", "uuu", "u", lambda a, b, c: (a + b) << (c & _5)),
    Vector("v_add3_u32", "uuu", "u", lambda a, b, c: a + b + c),
    Vector("v_or3_b32", "uuu", "u", lambda a, b, c: a | b | c),
    Vector("v_and_or_b32", "uuu", "u", lambda a, b, c: (a & b) | c),
    Vector("v_bfi_b32", "uuu", "u", lambda a, b, c: (a & b) | (~a & c)),
    Vector("v_bfe_u32", "uuu", "u", _field),
    Vector("v_bfe_i32", "iuu", "i", _signed_field),
    Vector("v_cndmask_b32", "uum", "u", lambda a, b, m: np.where(m, b, a)),
    Vector("v_mbcnt_lo_u32_b32", "uu", "u", lambda a, b: _ones(a & _BELOW_LOW) + b),
    Vector("v_mbcnt_hi_u32_b32", "uu", "u", lambda a, b: _ones(a & _BELOW_HIGH) + b),
    Vector("v_bcnt_u32_b32", "uu", "u", lambda a, b: _ones(a) + b),
)
