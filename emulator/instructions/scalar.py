"""Scalar instructions: one value a wave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.instructions import Scalar

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]
_5, _6 = np.uint32(31), np.uint32(63)
_MASK = np.uint64(0xFFFFFFFF)


def _wide(x: Any) -> U64:  # noqa: ANN401 - any unsigned array
    return np.asarray(x).astype(np.uint64)


def _low(x: U64) -> U32:
    return np.asarray(x & _MASK, np.uint32)


def _add(a: U32, b: U32, carry: Any = 0) -> tuple[U32, Bool]:  # noqa: ANN401 - bool or 0
    total = _wide(a) + _wide(b) + _wide(carry)
    return _low(total), total > _MASK


def _subtract(a: U32, b: U32, borrow: Any = 0) -> tuple[U32, Bool]:  # noqa: ANN401 - as above
    taken = _wide(b) + _wide(borrow)
    return _low(_wide(a) - taken), taken > _wide(a)


def _overflowing(total: NDArray[np.int64]) -> tuple[I32, Bool]:
    """Wrap to 32 bits; the condition is signed overflow."""
    wrapped = total.astype(np.int32)
    return wrapped, wrapped != total


def _nonzero(function: Callable[..., Any]) -> Callable[..., tuple[Any, Bool]]:
    """Set the condition where the result is not 0."""

    def both(*operands: Any) -> tuple[Any, Bool]:  # noqa: ANN401 - arrays
        result = function(*operands)
        return result, result != 0

    return both


def _field(x: U32, control: U32) -> U32:
    """Extract the field at bits 4:0 of the control, as wide as bits 22:16 state."""
    width = np.minimum((control >> np.uint32(16)) & np.uint32(0x7F), np.uint32(32))
    mask = _low((np.uint64(1) << _wide(width)) - np.uint64(1))
    return np.asarray((x >> (control & _5)) & mask)


def _shift_add(amount: int) -> Callable[[U32, U32], tuple[U32, Bool]]:
    def both(a: U32, b: U32) -> tuple[U32, Bool]:
        total = (_wide(a) << np.uint64(amount)) + _wide(b)
        return _low(total), total > _MASK

    return both


def _first_one(x: U64) -> I32:
    """Return the lowest set bit's number, -1 for 0."""
    low = x & (~x + np.uint64(1))
    number = np.log2(np.maximum(low, np.uint64(1)).astype(np.float64)).astype(np.int32)
    return np.where(x == 0, -1, number).astype(np.int32)


def _ones(x: U64) -> U32:
    raw = np.ascontiguousarray(x).view(np.uint8).reshape(*x.shape, 8)
    return np.asarray(np.unpackbits(raw, axis=-1).sum(axis=-1), np.uint32)


_LOGIC: dict[str, Callable[[Any, Any], Any]] = {
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "andn2": lambda a, b: a & ~b,
    "orn2": lambda a, b: a | ~b,
    "nand": lambda a, b: ~(a & b),
    "nor": lambda a, b: ~(a | b),
    "xnor": lambda a, b: ~(a ^ b),
}
_COMPARE: dict[str, Callable[[Any, Any], Bool]] = {
    "eq": lambda a, b: a == b,
    "lg": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
}


def _families() -> Iterator[Scalar]:
    for name, logic in _LOGIC.items():
        yield Scalar(f"s_{name}_b32", "uu", "uc", _nonzero(logic))
        yield Scalar(f"s_{name}_b64", "qq", "qc", _nonzero(logic))
    for name, compare in _COMPARE.items():
        yield Scalar(f"s_cmp_{name}_i32", "ii", "c", compare)
        yield Scalar(f"s_cmp_{name}_u32", "uu", "c", compare)
        yield Scalar(f"s_cmpk_{name}_i32", "ii", "c", compare)
        yield Scalar(f"s_cmpk_{name}_u32", "uu", "c", compare)
    for amount in (1, 2, 3, 4):
        yield Scalar(f"s_lshl{amount}_add_u32", "uu", "uc", _shift_add(amount))


OPERATIONS = (
    Scalar("s_mov_b32", "u", "u", lambda x: x),
    Scalar("s_mov_b64", "q", "q", lambda x: x),
    Scalar("s_movk_i32", "i", "i", lambda x: x),
    Scalar("s_not_b32", "u", "uc", _nonzero(lambda x: ~x)),
    Scalar("s_not_b64", "q", "qc", _nonzero(lambda x: ~x)),
    Scalar("s_cselect_b32", "uuc", "u", lambda a, b, c: np.where(c, a, b)),
    Scalar("s_cselect_b64", "qqc", "q", lambda a, b, c: np.where(c, a, b)),
    Scalar("s_cmp_eq_u64", "qq", "c", lambda a, b: a == b),
    Scalar("s_cmp_lg_u64", "qq", "c", lambda a, b: a != b),
    Scalar("s_bitcmp0_b32", "uu", "c", lambda a, b: (a >> (b & _5)) & np.uint32(1) == 0),
    Scalar("s_bitcmp1_b32", "uu", "c", lambda a, b: (a >> (b & _5)) & np.uint32(1) == 1),
    Scalar("s_add_u32", "uu", "uc", _add),
    Scalar("s_addc_u32", "uuc", "uc", _add),
    Scalar("s_sub_u32", "uu", "uc", _subtract),
    Scalar("s_subb_u32", "uuc", "uc", _subtract),
    Scalar("s_add_i32", "ii", "ic", lambda a, b: _overflowing(a.astype(np.int64) + b)),
    Scalar("s_sub_i32", "ii", "ic", lambda a, b: _overflowing(a.astype(np.int64) - b)),
    Scalar("s_mul_i32", "uu", "u", lambda a, b: a * b),
    Scalar("s_mul_hi_u32", "uu", "u", lambda a, b: _low((_wide(a) * _wide(b)) >> np.uint64(32))),
    Scalar(
        "s_mul_hi_i32", "ii", "i", lambda a, b: ((a.astype(np.int64) * b) >> 32).astype(np.int32)
    ),
    Scalar("s_abs_i32", "i", "ic", _nonzero(np.abs)),
    Scalar("s_min_i32", "ii", "ic", lambda a, b: (np.minimum(a, b), a < b)),
    Scalar("s_min_u32", "uu", "uc", lambda a, b: (np.minimum(a, b), a < b)),
    Scalar("s_max_i32", "ii", "ic", lambda a, b: (np.maximum(a, b), a >= b)),
    Scalar("s_max_u32", "uu", "uc", lambda a, b: (np.maximum(a, b), a >= b)),
    Scalar("s_lshl_b32", "uu", "uc", _nonzero(lambda a, b: a << (b & _5))),
    Scalar("s_lshr_b32", "uu", "uc", _nonzero(lambda a, b: a >> (b & _5))),
    Scalar("s_ashr_i32", "iu", "ic", _nonzero(lambda a, b: a >> (b & _5).astype(np.int32))),
    Scalar("s_lshl_b64", "qu", "qc", _nonzero(lambda a, b: a << _wide(b & _6))),
    Scalar("s_lshr_b64", "qu", "qc", _nonzero(lambda a, b: a >> _wide(b & _6))),
    Scalar("s_bfe_u32", "uu", "uc", _nonzero(_field)),
    Scalar("s_ff1_i32_b64", "q", "i", _first_one),
    Scalar("s_bcnt1_i32_b64", "q", "uc", _nonzero(_ones)),
    Scalar("s_sext_i32_i16", "u", "i", lambda x: x.astype(np.uint16).view(np.int16).astype("i4")),
    *_families(),
)

#: s_NAME_saveexec_b64: the destination takes EXEC, and EXEC the function of the operand and EXEC.
SAVEEXEC = {f"s_{name}_saveexec_b64": logic for name, logic in _LOGIC.items()}
