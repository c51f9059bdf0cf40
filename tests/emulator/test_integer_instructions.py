"""Each integer instruction, vector and scalar, against Python's integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.emulator.decode import SCALAR, VECTOR
from goldgate.emulator.instructions import compare, scalar, vector_integer
from tests.emulator.programs import run
from tests.emulator.values import doubles, floats, integers

N = 64 * 32
M32, M64 = (1 << 32) - 1, (1 << 64) - 1
U = [integers(N, seed) for seed in (40, 41, 42)]
Q = [integers(2 * N, seed).view(np.uint64) for seed in (43, 44)]
MASK = np.random.default_rng(45).random(N) < 0.5
#: Small operands in half of the rows, as shifts and field widths have them.
SMALL = [np.where(MASK, x % 40, x).astype(np.uint32) for x in U]


def signed(x: int, bits: int = 32) -> int:
    """Read a bit pattern as two's complement."""
    return x - (1 << bits) if x >> (bits - 1) else x


def field(x: int, offset: int, width: int) -> int:
    """Extract an unsigned field of a width below 32."""
    return (x >> (offset & 31)) & ((1 << (width & 31)) - 1)


def signed_field(x: int, offset: int, width: int) -> int:
    """Extract a field and extend its sign; past bit 31 the sign of x continues."""
    offset, width = offset & 31, width & 31
    if not width:
        return 0
    value = (signed(x) >> offset) & ((1 << width) - 1)
    return signed(value, width) & M32


def from_table(a: int, b: int, c: int, table: int) -> int:
    """Look every bit up in a truth table."""
    bits = ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1) for i in range(32))
    return sum((table >> row & 1) << i for i, row in enumerate(bits))


TWO: dict[str, Callable[[int, int], int]] = {
    "v_and_b32": lambda a, b: a & b,
    "v_or_b32": lambda a, b: a | b,
    "v_xor_b32": lambda a, b: a ^ b,
    "v_add_u32": lambda a, b: a + b,
    "v_sub_u32": lambda a, b: a - b,
    "v_subrev_u32": lambda a, b: b - a,
    "v_mul_lo_u32": lambda a, b: a * b,
    "v_mul_hi_u32": lambda a, b: a * b >> 32,
    "v_max_i32": lambda a, b: max(a, b, key=signed),
    "v_min_i32": lambda a, b: min(a, b, key=signed),
    "v_max_u32": max,
    "v_min_u32": min,
    "v_lshlrev_b32": lambda a, b: b << (a & 31),
    "v_lshrrev_b32": lambda a, b: b >> (a & 31),
    "v_ashrrev_i32": lambda a, b: signed(b) >> (a & 31),
    "v_bcnt_u32_b32": lambda a, b: a.bit_count() + b,
}
ONE: dict[str, Callable[[int], int]] = {"v_mov_b32": lambda a: a, "v_not_b32": lambda a: ~a}
THREE: dict[str, Callable[[int, int, int], int]] = {
    "v_lshl_add_u32": lambda a, b, c: (a << (b & 31)) + c,
    "v_lshl_or_b32": lambda a, b, c: (a << (b & 31)) & M32 | c,
    "v_add_lshl_u32": lambda a, b, c: (a + b & M32) << (c & 31),
    "v_add3_u32": lambda a, b, c: a + b + c,
    "v_or3_b32": lambda a, b, c: a | b | c,
    "v_and_or_b32": lambda a, b, c: a & b | c,
    "v_bfi_b32": lambda a, b, c: a & b | ~a & c,
    "v_bfe_u32": field,
    "v_bfe_i32": signed_field,
}


@pytest.mark.parametrize("name", [*ONE, *TWO, *THREE])
def test_vector_instruction_equals_python(name: str) -> None:
    """The low 32 bits of Python's result, lane by lane."""
    functions: dict[str, Callable[..., int]] = {**ONE, **TWO, **THREE}
    function = functions[name]
    count = 1 if name in ONE else 2 if name in TWO else 3
    operands = SMALL[:count]
    sources = ", ".join(f"v{number + 1}" for number in range(count))

    got = run([f"{name} v9, {sources}"], dict(enumerate(operands, 1))).v(9)

    expected = [function(*row) & M32 for row in zip(*(x.tolist() for x in operands), strict=True)]
    assert got.tolist() == expected


def test_wide_shifts_and_sums() -> None:
    """64-bit shifts take 6 bits of their count; the sum of a shift takes 3."""
    lines = [
        "v_lshlrev_b64 v[9:10], v1, v[2:3]",
        "v_lshrrev_b64 v[11:12], v1, v[2:3]",
        "v_lshl_add_u64 v[13:14], v[2:3], v1, v[4:5]",
    ]

    after = run(lines, {1: SMALL[0], 2: Q[0], 4: Q[1]})

    rows = list(zip(SMALL[0].tolist(), Q[0].tolist(), Q[1].tolist(), strict=True))
    assert after.wide(9).tolist() == [b << (a & 63) & M64 for a, b, _ in rows]
    assert after.wide(11).tolist() == [b >> (a & 63) for a, b, _ in rows]
    assert after.wide(13).tolist() == [(b << (a & 7)) + c & M64 for a, b, c in rows]


CARRIES: dict[str, Callable[[int, int, int], int]] = {
    "v_add_co_u32": lambda a, b, _: a + b,
    "v_addc_co_u32": lambda a, b, c: a + b + c,
    "v_sub_co_u32": lambda a, b, _: a - b,
    "v_subb_co_u32": lambda a, b, c: a - b - c,
    "v_subrev_co_u32": lambda a, b, _: b - a,
}


@pytest.mark.parametrize("name", CARRIES)
def test_carries_and_borrows(name: str) -> None:
    """The sum is taken modulo 2^32; the mask has the carry out or the borrow."""
    lines = ["v_cmp_ne_u32_e32 vcc, 0, v3"]
    carry = ", vcc" if name in ("v_addc_co_u32", "v_subb_co_u32") else ""

    after = run([*lines, f"{name} v9, s[4:5], v1, v2{carry}"], {1: U[0], 2: U[1], 3: MASK * 1})

    exact = [
        CARRIES[name](a, b, int(c))
        for a, b, c in zip(U[0].tolist(), U[1].tolist(), MASK, strict=True)
    ]
    assert after.v(9).tolist() == [x & M32 for x in exact]
    assert after.mask(4).tolist() == [not 0 <= x <= M32 for x in exact]


def test_wide_multiply_add() -> None:
    """A product of 32 bits and a sum of 64, with the carry out."""
    after = run(["v_mad_u64_u32 v[9:10], s[4:5], v1, v2, v[3:4]"], {1: U[0], 2: U[1], 3: Q[0]})

    rows = zip(U[0].tolist(), U[1].tolist(), Q[0].tolist(), strict=True)
    exact = [a * b + c for a, b, c in rows]
    assert after.wide(9).tolist() == [x & M64 for x in exact]
    assert after.mask(4).tolist() == [x > M64 for x in exact]


def test_select_takes_the_second_operand_where_the_mask_is_set() -> None:
    """v_cndmask_b32: the first operand where the bit is 0, the second where it is 1."""
    lines = ["v_cmp_ne_u32_e64 s[4:5], 0, v3", "v_cndmask_b32_e64 v9, v1, v2, s[4:5]"]

    after = run(lines, {1: U[0], 2: U[1], 3: MASK.astype(np.uint32)})

    assert (after.v(9) == np.where(MASK, U[1], U[0])).all()


def test_lane_numbers() -> None:
    """Mbcnt over all ones counts the lanes below: the two halves together give the lane."""
    lines = [
        "v_mbcnt_lo_u32_b32 v9, -1, 0",
        "v_mbcnt_hi_u32_b32 v10, -1, v9",
        "v_mbcnt_lo_u32_b32 v11, v1, 5",
        "v_mbcnt_hi_u32_b32 v12, v1, 7",
    ]

    after = run(lines, {1: U[0]})

    lane = np.arange(N) % 64
    below = [
        (
            (x & ((1 << min(n, 32)) - 1)).bit_count() + 5,
            (x & ((1 << max(n - 32, 0)) - 1)).bit_count() + 7,
        )
        for x, n in zip(U[0].tolist(), lane.tolist(), strict=True)
    ]
    assert after.v(10).tolist() == lane.tolist()
    assert after.v(11).tolist() == [low for low, _ in below]
    assert after.v(12).tolist() == [high for _, high in below]


@pytest.mark.parametrize("table", [0x00, 0xFF, 0x80, 0x96, 0xCA, 0x1B, 0x01])
def test_bitop3_is_a_truth_table(table: int) -> None:
    """Each bit of the result is the table's at 4a + 2b + c."""
    got = run([f"v_bitop3_b32 v9, v1, v2, v3 bitop3:{table:#x}"], dict(enumerate(U, 1))).v(9)

    rows = zip(*(x.tolist() for x in U), strict=True)
    assert got.tolist() == [from_table(a, b, c, table) for a, b, c in rows]


def test_every_vector_integer_instruction_is_tested_here() -> None:
    """The table holds no instruction that the tests do not name."""
    beside = {
        *("v_lshlrev_b64", "v_lshrrev_b64", "v_lshl_add_u64", "v_mad_u64_u32", "v_cndmask_b32"),
        *("v_mbcnt_lo_u32_b32", "v_mbcnt_hi_u32_b32"),
    }

    names = {operation.name for operation in vector_integer.OPERATIONS}

    assert names == {*ONE, *TWO, *THREE, *CARRIES} | beside


ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "eq": lambda a, b: a == b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lg": lambda a, b: a < b or a > b,
    "ne": lambda a, b: a != b,
    "o": lambda a, b: a == a and b == b,  # noqa: PLR0124 - NaN is not equal to itself
}
#: The names of negated comparisons: those that NaN satisfies.
NEGATED = {"nge": "ge", "nlg": "lg", "ngt": "gt", "nle": "le", "neq": "eq", "nlt": "lt", "u": "o"}


_HALVES = [x.astype(np.uint16).astype(np.uint32) for x in U[:2]]
_OPERANDS: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {
    "f32": (floats(N, 46), floats(N, 47)),
    "f64": (doubles(N, 46), doubles(N, 47)),
    "f16": (_HALVES[0], _HALVES[1]),
    "i64": (Q[0], Q[1]),
    "u64": (Q[0], Q[1]),
}
#: How Python reads the operands' bits.
_READ: dict[str, Callable[[NDArray[Any]], list[Any]]] = {
    "f32": lambda x: x.tolist(),
    "f64": lambda x: x.tolist(),
    "f16": lambda x: x.astype(np.uint16).view(np.float16).astype(float).tolist(),
    "i32": lambda x: x.view(np.int32).tolist(),
    "u32": lambda x: x.tolist(),
    "i64": lambda x: x.view(np.int64).tolist(),
    "u64": lambda x: x.tolist(),
}


@pytest.mark.parametrize("operation", compare.OPERATIONS, ids=lambda one: str(one.name))
def test_comparison_equals_python(operation: Any) -> None:  # noqa: ANN401 - of the table
    """Ordered comparisons are false with NaN, their negations true."""
    _, _, name, kind = operation.name.split("_")
    a, b = _OPERANDS.get(kind, (U[0], U[1]))
    b = np.where(np.arange(N) % 5 == 0, a, b)  # equal operands too
    wide = kind in ("f64", "i64", "u64")
    sources = "v[1:2], v[3:4]" if wide else "v1, v3"

    got = run([f"{operation.name}_e64 s[4:5], {sources}"], {1: a, 3: b}).mask(4)

    plain = ORDERED[NEGATED.get(name, name)]
    rows = zip(*(_READ[kind](x) for x in (a, b)), strict=True)
    expected = [plain(x, y) != (name in NEGATED) for x, y in rows]
    assert got.tolist() == expected


def test_comparisons_leave_zero_in_lanes_that_are_off() -> None:
    """A lane that EXEC turns off has a 0 in the result, whatever it holds."""
    after = run(["v_cmp_eq_u32_e64 s[4:5], v1, v1"], {1: U[0]}, active=0xFFFF0000_0000FFFF)

    lanes = after.mask(4).reshape(-1, 64)
    assert lanes[:, :16].all()
    assert lanes[:, 48:].all()
    assert not lanes[:, 16:48].any()


LOGIC: dict[str, Callable[[int, int], int]] = {
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "andn2": lambda a, b: a & ~b,
    "orn2": lambda a, b: a | ~b,
    "nand": lambda a, b: ~(a & b),
    "nor": lambda a, b: ~(a | b),
    "xnor": lambda a, b: ~(a ^ b),
}
_CMP = {
    name: ORDERED["ne" if name == "lg" else name] for name in ("eq", "lg", "gt", "ge", "lt", "le")
}


def whole(function: Callable[..., int], mask: int) -> Callable[..., tuple[int, bool]]:
    """Return a result within bits, and whether it is not 0."""

    def both(*operands: int) -> tuple[int, bool]:
        result = function(*operands) & mask
        return result, result != 0

    return both


def overflowing(exact: int) -> tuple[int, bool]:
    """Return a signed sum's bits and whether it leaves 32 bits."""
    return exact & M32, not -(1 << 31) <= exact < 1 << 31


#: name -> function of the operands (unsigned; "c" last) to the result and the condition code.
#: None stands for a result that is not written or a condition that stays.
SCALARS: dict[str, Callable[..., tuple[int | None, bool | None]]] = {
    "s_mov_b32": lambda a: (a, None),
    "s_mov_b64": lambda a: (a, None),
    "s_movk_i32": lambda a: (a, None),
    "s_not_b32": whole(lambda a: ~a, M32),
    "s_not_b64": whole(lambda a: ~a, M64),
    "s_cselect_b32": lambda a, b, c: (a if c else b, None),
    "s_cselect_b64": lambda a, b, c: (a if c else b, None),
    "s_cmp_eq_u64": lambda a, b: (None, a == b),
    "s_cmp_lg_u64": lambda a, b: (None, a != b),
    "s_bitcmp0_b32": lambda a, b: (None, not a >> (b & 31) & 1),
    "s_bitcmp1_b32": lambda a, b: (None, bool(a >> (b & 31) & 1)),
    "s_add_u32": lambda a, b: (a + b & M32, a + b > M32),
    "s_addc_u32": lambda a, b, c: (a + b + c & M32, a + b + c > M32),
    "s_sub_u32": lambda a, b: (a - b & M32, b > a),
    "s_subb_u32": lambda a, b, c: (a - b - c & M32, b + c > a),
    "s_add_i32": lambda a, b: overflowing(signed(a) + signed(b)),
    "s_sub_i32": lambda a, b: overflowing(signed(a) - signed(b)),
    "s_mul_i32": lambda a, b: (a * b & M32, None),
    "s_mul_hi_u32": lambda a, b: (a * b >> 32, None),
    "s_mul_hi_i32": lambda a, b: (signed(a) * signed(b) >> 32 & M32, None),
    "s_abs_i32": whole(lambda a: abs(signed(a)), M32),
    "s_min_i32": lambda a, b: (min(a, b, key=signed), signed(a) < signed(b)),
    "s_min_u32": lambda a, b: (min(a, b), a < b),
    "s_max_i32": lambda a, b: (max(a, b, key=signed), signed(a) >= signed(b)),
    "s_max_u32": lambda a, b: (max(a, b), a >= b),
    "s_lshl_b32": whole(lambda a, b: a << (b & 31), M32),
    "s_lshr_b32": whole(lambda a, b: a >> (b & 31), M32),
    "s_ashr_i32": whole(lambda a, b: signed(a) >> (b & 31), M32),
    "s_lshl_b64": whole(lambda a, b: a << (b & 63), M64),
    "s_lshr_b64": whole(lambda a, b: a >> (b & 63), M64),
    "s_bfe_u32": whole(lambda a, b: (a >> (b & 31)) & ((1 << min(b >> 16 & 127, 32)) - 1), M32),
    "s_ff1_i32_b64": lambda a: (((a & -a).bit_length() - 1) & M32, None),
    "s_bcnt1_i32_b64": whole(lambda a: a.bit_count(), M32),
    "s_sext_i32_i16": lambda a: (signed(a & 0xFFFF, 16) & M32, None),
    **{f"s_{name}_b32": whole(logic, M32) for name, logic in LOGIC.items()},
    **{f"s_{name}_b64": whole(logic, M64) for name, logic in LOGIC.items()},
    **{
        f"s_cmp{k}_{name}_u32": lambda a, b, order=order: (None, order(a, b))
        for name, order in _CMP.items()
        for k in ("", "k")
    },
    **{
        f"s_cmp{k}_{name}_i32": lambda a, b, order=order: (None, order(signed(a), signed(b)))
        for name, order in _CMP.items()
        for k in ("", "k")
    },
    **{
        f"s_lshl{n}_add_u32": lambda a, b, n=n: ((a << n) + b & M32, (a << n) + b > M32)
        for n in (1, 2, 3, 4)
    },
}


@pytest.mark.parametrize("name", SCALARS)
def test_scalar_instruction_equals_python(name: str) -> None:
    """Result and condition code, wave by wave."""
    operation = SCALAR[name]
    kinds = operation.inputs.replace("c", "")
    rows = 200
    operands = [
        (Q[number] if kind == "q" else SMALL[number])[:rows] for number, kind in enumerate(kinds)
    ]
    condition = MASK[:rows]
    first = [8 + 4 * number for number in range(len(kinds))]
    places = [
        f"s[{at}:{at + 1}]" if kind == "q" else f"s{at}"
        for at, kind in zip(first, kinds, strict=True)
    ]
    result = {"q": ["s[20:21]"], "c": []}.get(operation.outputs[0], ["s20"])

    after = run(
        [f"{name} {', '.join([*result, *places])}"],
        scalars=dict(zip(first, operands, strict=True)),
        scc=condition,
    )

    rows_of = [x.tolist() for x in operands]
    if operation.inputs.endswith("c"):
        rows_of.append([int(c) for c in condition])
    expected = [SCALARS[name](*row) for row in zip(*rows_of, strict=True)]
    if result:
        high = after.s(21).astype(np.uint64) << np.uint64(32) if operation.outputs[0] == "q" else 0
        assert (after.s(20).astype(np.uint64) | high).tolist() == [value for value, _ in expected]
    kept = [c if flag is None else flag for c, (_, flag) in zip(condition, expected, strict=True)]
    assert after.waves.scc.tolist() == kept


def test_every_scalar_instruction_is_tested_here() -> None:
    """The table holds no instruction that the tests do not name."""
    assert {operation.name for operation in scalar.OPERATIONS} == set(SCALARS)


@pytest.mark.parametrize("name", LOGIC)
def test_saveexec_keeps_the_old_mask_and_combines(name: str) -> None:
    """The destination takes EXEC; EXEC becomes the operation on the source and the old EXEC."""
    before = 0x0123456789ABCDEF
    sources = Q[0][:50]

    after = run(
        [f"s_{name}_saveexec_b64 s[20:21], s[8:9]"],
        scalars={8: sources},
        active=before,
    )

    # EXEC is cleared when a wave ends: what it was is seen in the condition code alone.
    saved = after.s(20).astype(np.uint64) | after.s(21).astype(np.uint64) << np.uint64(32)
    assert (saved == before).all()
    combined = [LOGIC[name](x, before) & M64 for x in sources.tolist()]
    assert after.waves.scc.tolist() == [x != 0 for x in combined]


def test_saveexec_turns_lanes_off() -> None:
    """Lanes outside the combined mask keep their registers."""
    lines = ["s_and_saveexec_b64 s[20:21], s[8:9]", "v_mov_b32_e32 v1, 7"]
    mask = np.full(1, 0xF0F0, np.uint64)

    after = run(lines, {1: np.zeros(64, np.uint32)}, {8: mask})

    assert after.v(1).tolist() == [7 if 0xF0F0 >> lane & 1 else 0 for lane in range(64)]


def test_reading_lanes() -> None:
    """v_readlane_b32 ignores EXEC; v_readfirstlane_b32 takes the lowest lane that is on."""
    lines = [
        "v_readlane_b32 s20, v1, 63",
        "v_readlane_b32 s21, v1, s8",
        "v_readfirstlane_b32 s22, v1",
    ]
    lane = np.arange(N // 64, dtype=np.uint32) * 3 + 64  # taken modulo 64

    after = run(lines, {1: U[0]}, {8: lane}, active=0xFF00)

    held = U[0].reshape(-1, 64)
    assert after.s(20).tolist() == held[:, 63].tolist()
    assert after.s(21).tolist() == held[np.arange(len(lane)), lane % 64].tolist()
    assert after.s(22).tolist() == held[:, 8].tolist()


def test_tables_do_not_overlap() -> None:
    """No mnemonic is in two tables."""
    assert not set(VECTOR) & set(SCALAR)
