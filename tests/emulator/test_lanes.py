"""Moves between lanes against tables written out by hand, one row of 16 lanes at a time."""

from __future__ import annotations

import numpy as np
import pytest

from goldgate.emulator import UnknownInstructionError
from tests.emulator.programs import run
from tests.emulator.values import integers

_: int | None = None  # no source

#: Each control's source lane for lanes 0 to 15 of a row, by the CDNA3 ISA's table of DPP controls.
ROW_TABLES: dict[str, list[int | None]] = {
    "quad_perm:[1,0,3,2]": [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14],
    "quad_perm:[2,3,0,1]": [2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13],
    "quad_perm:[3,3,0,0]": [3, 3, 0, 0, 7, 7, 4, 4, 11, 11, 8, 8, 15, 15, 12, 12],
    "row_shl:1": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, _],
    "row_shl:4": [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, _, _, _, _],
    "row_shl:8": [8, 9, 10, 11, 12, 13, 14, 15, _, _, _, _, _, _, _, _],
    "row_shr:1": [_, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
    "row_shr:4": [_, _, _, _, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    "row_shr:8": [_, _, _, _, _, _, _, _, 0, 1, 2, 3, 4, 5, 6, 7],
    "row_ror:4": [12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    "row_ror:8": [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7],
    "row_mirror": [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    "row_half_mirror": [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8],
    "row_newbcast:0": [0] * 16,
    "row_newbcast:7": [7] * 16,
}
#: Controls across rows: the source lane for all 64 lanes.
WAVE_TABLES: dict[str, list[int | None]] = {
    "row_bcast:15": [_] * 16 + [15] * 16 + [31] * 16 + [47] * 16,
    "row_bcast:31": [_] * 32 + [31] * 32,
}
TABLES = WAVE_TABLES | {
    control: [None if lane is None else row + lane for row in (0, 16, 32, 48) for lane in table]
    for control, table in ROW_TABLES.items()
}
X, OLD = integers(64 * 8, 50), integers(64 * 8, 51)


def moved(modifiers: str, *, active: int | None = None) -> list[list[int]]:
    """Run a DPP move of X over OLD; return the lanes of each wave."""
    line = f"v_mov_b32_dpp v9, v1 {modifiers}"
    return run([line], {1: X, 9: OLD}, active=active).v(9).reshape(-1, 64).tolist()


@pytest.mark.parametrize("control", TABLES)
@pytest.mark.parametrize("bound", ["", " bound_ctrl:1"])
def test_dpp_reads_the_lane_of_the_table(control: str, bound: str) -> None:
    """A lane without a source reads 0 with bound_ctrl and keeps its value without."""
    got = moved(f"{control} row_mask:0xf bank_mask:0xf{bound}")

    for wave, before, result in zip(X.reshape(-1, 64), OLD.reshape(-1, 64), got, strict=True):
        missing = np.zeros(64, np.uint32) if bound else before
        expected = [
            int(missing[lane] if source is None else wave[source])
            for lane, source in enumerate(TABLES[control])
        ]
        assert result == expected


def test_dpp_masks_turn_rows_and_banks_off() -> None:
    """Bit r of row_mask enables row r, bit b of bank_mask the lanes 4b to 4b + 3 of each row."""
    got = moved("row_mirror row_mask:0x6 bank_mask:0xa bound_ctrl:1")

    for wave, before, result in zip(X.reshape(-1, 64), OLD.reshape(-1, 64), got, strict=True):
        for lane in range(64):
            row, bank = lane // 16, lane % 16 // 4
            on = row in (1, 2) and bank in (1, 3)
            assert result[lane] == (wave[row * 16 + 15 - lane % 16] if on else before[lane])


@pytest.mark.parametrize("bound", [True, False])
def test_dpp_does_not_read_lanes_that_are_off(bound: bool) -> None:
    """A lane that EXEC turns off is no source, and is not written."""
    modifiers = "quad_perm:[1,0,3,2] row_mask:0xf bank_mask:0xf" + " bound_ctrl:1" * bound
    off = {0, 7, 12, 13}
    active = sum(1 << lane for lane in range(64) if lane not in off)

    got = moved(modifiers, active=active)

    for wave, before, result in zip(X.reshape(-1, 64), OLD.reshape(-1, 64), got, strict=True):
        for lane in range(64):
            source = lane ^ 1
            expected = 0 if bound else before[lane]
            if lane in off:
                expected = before[lane]
            elif source not in off:
                expected = wave[source]
            assert result[lane] == expected


def test_dpp_moves_the_first_operand_alone() -> None:
    """In an operation of two operands the second is the lane's own."""
    line = "v_add_u32_dpp v9, v1, v2 row_shr:1 row_mask:0xf bank_mask:0xf bound_ctrl:1"

    got = run([line], {1: X, 2: OLD}).v(9).reshape(-1, 16)

    shifted = np.pad(X.reshape(-1, 16)[:, :-1], ((0, 0), (1, 0)))
    assert (got == shifted + OLD.reshape(-1, 16)).all()


@pytest.mark.parametrize(
    "modifiers",
    [
        "row_share:1 row_mask:0xf bank_mask:0xf",
        "row_shl:16 row_mask:0xf bank_mask:0xf",
        "row_shr:0 row_mask:0xf bank_mask:0xf",
        "quad_perm:[4,0,0,0] row_mask:0xf bank_mask:0xf",
        "row_mask:0xf bank_mask:0xf",
        "row_mirror row_mask:0xf bank_mask:0xf fi:1",
    ],
)
def test_unknown_dpp_controls_are_refused(modifiers: str) -> None:
    """A control that is not in the table stops the program by name."""
    with pytest.raises(UnknownInstructionError, match="v_mov_b32_dpp"):
        moved(modifiers)


@pytest.mark.parametrize(
    ("selection", "shift", "mask"),
    [
        ("BYTE_0", 0, 0xFF),
        ("BYTE_1", 8, 0xFF),
        ("BYTE_2", 16, 0xFF),
        ("BYTE_3", 24, 0xFF),
        ("WORD_0", 0, 0xFFFF),
        ("WORD_1", 16, 0xFFFF),
        ("DWORD", 0, 0xFFFFFFFF),
    ],
)
def test_sdwa_selects_bytes_and_words(selection: str, shift: int, mask: int) -> None:
    """The selected part, zero-extended, is the operand."""
    line = (
        "v_add_u32_sdwa v9, v1, v2 dst_sel:DWORD dst_unused:UNUSED_PAD "
        f"src0_sel:{selection} src1_sel:DWORD"
    )

    got = run([line], {1: X, 2: OLD}).v(9)

    assert (got == (X >> np.uint32(shift) & np.uint32(mask)) + OLD).all()


def test_sdwa_negates_the_selected_half() -> None:
    """A minus sign before a float16 operand flips the sign of the half that is selected."""
    halves = np.random.default_rng(52).normal(0, 5, (64, 2)).astype(np.float16)
    line = "v_cvt_f32_f16_sdwa v9, -v1 dst_sel:DWORD dst_unused:UNUSED_PAD src0_sel:WORD_1"

    got = run([line], {1: halves.view(np.uint32).reshape(-1)}).v(9, "f4")

    assert (got == -halves[:, 1].astype(np.float32)).all()


@pytest.mark.parametrize("modifier", ["dst_sel:WORD_1", "dst_unused:UNUSED_PRESERVE", "clamp"])
def test_unknown_sdwa_modifiers_are_refused(modifier: str) -> None:
    """A destination part or a clamp is not guessed at."""
    line = f"v_add_u32_sdwa v9, v1, v2 {modifier} src0_sel:WORD_1 src1_sel:DWORD"

    with pytest.raises(UnknownInstructionError, match="v_add_u32_sdwa"):
        run([line], {1: X})


def test_backward_permutation_reads_by_byte_address() -> None:
    """ds_bpermute_b32 reads lane (address + offset) / 4 modulo 64; lanes that are off read 0."""
    address = integers(64 * 8, 53)

    plain = run(["ds_bpermute_b32 v9, v1, v2 offset:12"], {1: address, 2: X})
    partly = run(
        ["ds_bpermute_b32 v9, v1, v2"], {1: address, 2: X, 9: OLD}, active=0x0000FFFFFFFF0000
    )

    values = X.reshape(-1, 64)
    source = (address.astype(np.uint64) + 12 >> 2 & 63).reshape(-1, 64).astype(int)
    assert (plain.v(9).reshape(-1, 64) == np.take_along_axis(values, source, 1)).all()
    source = (address >> 2 & 63).reshape(-1, 64).astype(int)
    on = (np.arange(64) >= 16) & (np.arange(64) < 48)
    read = np.where(on[source], np.take_along_axis(values, source, 1), 0)
    assert (partly.v(9).reshape(-1, 64) == np.where(on, read, OLD.reshape(-1, 64))).all()


def test_forward_permutation_writes_by_byte_address() -> None:
    """ds_permute_b32 sends a lane's value to lane address / 4; lanes without a sender read 0."""
    rng = np.random.default_rng(54)
    to = np.stack([rng.permutation(64) for _wave in range(8)])
    to[:, 5] = to[:, 9]  # two senders: the higher lane's value stays; one lane gets none

    got = run(["ds_permute_b32 v9, v1, v2"], {1: (to * 4).astype(np.uint32), 2: X}).v(9)

    for targets, values, result in zip(to, X.reshape(-1, 64), got.reshape(-1, 64), strict=True):
        expected = [0] * 64
        for lane in range(64):
            expected[targets[lane]] = int(values[lane])
        assert result.tolist() == expected
