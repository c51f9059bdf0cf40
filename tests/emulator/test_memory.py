"""Loads and stores, and what an access outside a buffer or a race gives."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.emulator import Memory, MemoryFaultError, Rounding, launch
from tests.emulator.programs import kernel, run

_NEAREST = Rounding("nearest")
LANE = np.arange(64, dtype=np.uint32)
#: Each lane's address in v[2:3]: the buffer at s[0:1] plus 4 bytes a lane.
_ADDRESS = [
    "s_load_dwordx2 s[4:5], s[0:1], 0x0",
    "v_lshlrev_b32_e32 v1, 2, v0",
    "v_mov_b32_e32 v2, s4",
    "v_mov_b32_e32 v3, s5",
]


def launched(
    lines: list[str], *buffers: NDArray[np.generic], writable: bool = True, grid: int = 1
) -> None:
    """Launch one wave a workgroup with buffers "first", "second", ... as arguments."""
    memory = Memory()
    names = ("first", "second", "third")
    addresses = [
        memory.add(name, values, writable=writable)
        for name, values in zip(names, buffers, strict=False)
    ]
    launch(
        kernel(lines, [(8, "global_buffer")] * len(buffers)),
        memory,
        addresses,
        grid=grid,
        block=64,
        dynamic_lds=0,
        rounding=_NEAREST,
    )


@pytest.mark.parametrize(("suffix", "words"), [("", 1), ("x2", 2), ("x3", 3), ("x4", 4)])
def test_global_loads_and_stores_move_words(suffix: str, words: int) -> None:
    """Each lane reads its words and writes them at an offset, in order."""
    source = np.random.default_rng(1).integers(0, 1 << 32, 64 * words, dtype=np.uint32)
    target = np.zeros(64 * words + 4, np.uint32)
    span = "v4" if words == 1 else f"v[4:{3 + words}]"
    lines = [
        "s_load_dwordx4 s[4:7], s[0:1], 0x0",
        f"v_mul_lo_u32 v1, v0, {4 * words}",
        f"global_load_dword{suffix} {span}, v1, s[4:5]",
        f"global_store_dword{suffix} v1, {span}, s[6:7] offset:16",
    ]

    launched(lines, source, target)

    assert target[:4].tolist() == [0] * 4
    assert (target[4:] == source).all()


def test_narrow_loads_extend_and_narrow_stores_cut() -> None:
    """Bytes and halves are zero- or sign-extended; a store writes the low part alone."""
    source = np.random.default_rng(2).integers(0, 256, 128, dtype=np.uint8)
    target = np.zeros(64 * 6, np.uint32)
    lines = [
        "s_load_dwordx4 s[4:7], s[0:1], 0x0",
        "v_lshlrev_b32_e32 v1, 1, v0",
        "v_lshlrev_b32_e32 v2, 2, v0",
        "global_load_ubyte v4, v1, s[4:5] offset:1",
        "global_load_sbyte v5, v1, s[4:5]",
        "global_load_ushort v6, v1, s[4:5]",
        "global_load_sshort v7, v1, s[4:5]",
        "global_store_dword v2, v4, s[6:7]",
        "global_store_dword v2, v5, s[6:7] offset:256",
        "global_store_dword v2, v6, s[6:7] offset:512",
        "global_store_dword v2, v7, s[6:7] offset:768",
        "global_store_byte v2, v5, s[6:7] offset:1024",
        "global_store_short v2, v7, s[6:7] offset:1281",
    ]

    launched(lines, source, target)

    got = target.reshape(6, 64)
    half = source.view(np.int16)
    assert (got[0] == source[1::2]).all()
    assert (got[1].view(np.int32) == source[::2].view(np.int8)).all()
    assert (got[2] == half.view(np.uint16)).all()
    assert (got[3].view(np.int32) == half).all()
    assert (got[4] == source[::2]).all()
    assert (got[5] == half.view(np.uint16).astype(np.uint32) << 8).all()


def test_lanes_that_are_off_access_nothing() -> None:
    """A lane that EXEC turns off neither reads nor writes, wherever it points."""
    target = np.zeros(32, np.uint32)
    lines = [
        "s_load_dwordx2 s[4:5], s[0:1], 0x0",
        "v_lshlrev_b32_e32 v1, 2, v0",
        "v_cmp_gt_u32_e32 vcc, 32, v0",
        "s_and_saveexec_b64 s[8:9], vcc",
        "global_store_dword v1, v0, s[4:5]",
    ]

    launched(lines, target)

    assert target.tolist() == list(range(32))


def test_access_behind_a_buffer_names_instruction_lane_and_address() -> None:
    """The message has the instruction, the workgroup, the lane, the address and the buffer."""
    lines = [
        *_ADDRESS,
        "global_load_dword v4, v1, s[4:5] offset:4",
    ]

    with pytest.raises(MemoryFaultError) as raised:
        launched(lines, np.zeros(64, np.uint32))

    message = str(raised.value)
    assert re.search(r"`global_load_dword v4, v1, s\[4:5\] offset:4` \(line \d+\)", message)
    assert "workgroup 0, lane 63 reads 4 bytes at address 0x100000000100" in message
    assert "offset 256 of first, which has 256 bytes" in message


def test_access_that_ends_behind_a_buffer_is_outside() -> None:
    """A load of 16 bytes whose last word is outside is an error, not a partial read."""
    lines = [*_ADDRESS, "v_lshlrev_b32_e32 v1, 4, v0", "global_load_dwordx4 v[4:7], v1, s[4:5]"]

    with pytest.raises(MemoryFaultError, match="lane 63 reads 16 bytes"):
        launched(lines, np.zeros(64 * 4 - 1, np.uint32))


def test_access_in_front_of_a_buffer_is_outside() -> None:
    """A negative offset does not reach the buffer before."""
    lines = [*_ADDRESS, "global_store_dword v1, v0, s[4:5] offset:-4"]

    with pytest.raises(MemoryFaultError, match="lane 0 writes 4 bytes at address 0xffffffffffc"):
        launched(lines, np.zeros(64, np.uint32), np.zeros(64, np.uint32))


def test_scalar_load_outside_is_an_error() -> None:
    """s_load past the kernel's arguments is found too."""
    with pytest.raises(MemoryFaultError, match="kernel arguments, which has 8 bytes"):
        launched(["s_load_dwordx2 s[4:5], s[0:1], 0x8"], np.zeros(4, np.uint32))


def test_inputs_cannot_be_written() -> None:
    """A store to a read-only buffer is an error that names it."""
    with pytest.raises(MemoryFaultError, match="lane 0 writes first, which is an input"):
        launched(
            [*_ADDRESS, "global_store_dword v1, v0, s[4:5]"],
            np.zeros(64, np.uint32),
            writable=False,
        )


def test_two_lanes_with_different_values_in_one_place_race() -> None:
    """A store of different values to one address is an error; equal values are not."""
    lines = [*_ADDRESS, "v_mov_b32_e32 v1, 0"]
    target = np.zeros(4, np.uint32)

    launched([*lines, "v_mov_b32_e32 v4, 9", "global_store_dword v1, v4, s[4:5]"], target)
    with pytest.raises(MemoryFaultError, match="another lane write different values"):
        launched([*lines, "global_store_dword v1, v0, s[4:5]"], np.zeros(4, np.uint32))

    assert target[0] == 9


@pytest.mark.parametrize(
    ("write", "read", "words"),
    [
        ("ds_write_b32 v1, v4", "ds_read_b32 v20, v1", 1),
        ("ds_write_b64 v1, v[4:5]", "ds_read_b64 v[20:21], v1", 2),
        ("ds_write_b96 v1, v[4:6]", "ds_read_b96 v[20:22], v1", 3),
        ("ds_write_b128 v1, v[4:7]", "ds_read_b128 v[20:23], v1", 4),
        ("ds_write2_b32 v1, v4, v5 offset1:1", "ds_read2_b32 v[20:21], v1 offset1:1", 2),
        (
            "ds_write2_b64 v1, v[4:5], v[6:7] offset0:1 offset1:2",
            "ds_read2_b64 v[20:23], v1 offset0:1 offset1:2",
            4,
        ),
        ("ds_write_b128 v1, v[4:7] offset:32", "ds_read_b128 v[20:23], v1 offset:32", 4),
    ],
)
def test_lds_keeps_what_is_written(write: str, read: str, words: int) -> None:
    """A workgroup reads what its lanes wrote, and not another workgroup's words."""
    rng = np.random.default_rng(3)
    vectors = {4 + n: rng.integers(0, 1 << 32, 128, dtype=np.uint32) for n in range(4)}
    vectors[1] = np.tile(LANE * 32, 2)

    after = run([write, "s_barrier", read], vectors, lds=64 * 32 + 48)

    for number in range(words):
        assert (after.v(20 + number) == vectors[4 + number]).all()


def test_narrow_lds_accesses() -> None:
    """Bytes and halves are stored alone and read zero-extended."""
    values = np.random.default_rng(4).integers(0, 1 << 32, 64, dtype=np.uint32)
    lines = [
        "ds_write_b8 v1, v4",
        "ds_write_b16 v1, v4 offset:2",
        "ds_read_u8 v20, v1",
        "ds_read_u16 v21, v1 offset:2",
    ]

    after = run(lines, {1: LANE * 4, 4: values}, lds=256)

    assert (after.v(20) == values & 0xFF).all()
    assert (after.v(21) == values & 0xFFFF).all()


def test_lds_past_what_was_asked_for_is_a_finding() -> None:
    """Inside the hardware's granule the access works and is reported."""
    after = run(["ds_write_b32 v1, v4", "ds_read_b32 v9, v1"], {1: LANE * 4, 4: LANE}, lds=100)

    assert (after.v(9) == LANE).all()
    assert len(after.lds.findings) == 2
    assert "writes LDS past the 100 bytes that the kernel asked for, inside the 512" in next(
        iter(after.lds.findings)
    )


def test_lds_past_the_granule_is_an_error() -> None:
    """Outside what the hardware allocates there is nothing to write to."""
    with pytest.raises(MemoryFaultError, match="lane 63 writes 4 bytes at LDS address 756: the wo"):
        run(["ds_write_b32 v1, v4"], {1: LANE * 12, 4: LANE}, lds=100)


_EXCHANGE = [  # each lane writes its word and reads the other wave's
    "ds_write_b32 v1, v4",
    "{barrier}",
    "ds_read_b32 v9, v2",
]


def test_waves_exchange_values_across_a_barrier() -> None:
    """With a barrier between, each wave of a workgroup reads what the other has written."""
    item = np.tile(np.arange(128, dtype=np.uint32), 3)
    values = np.random.default_rng(5).integers(0, 1 << 32, 384, dtype=np.uint32)
    lines = [line.format(barrier="s_barrier") for line in _EXCHANGE]

    after = run(lines, {1: item * 4, 2: (item ^ 64) * 4, 4: values}, waves_each=2)

    swapped = values.reshape(3, 2, 64)[:, ::-1].reshape(-1)
    assert (after.v(9) == swapped).all()


def test_waves_without_a_barrier_race() -> None:
    """The same without the barrier is a race: the run ends, whichever order it took."""
    item = np.arange(128, dtype=np.uint32)
    lines = [line.format(barrier="s_nop 0") for line in _EXCHANGE]

    with pytest.raises(MemoryFaultError, match="another wave accesses without a barrier between"):
        run(lines, {1: item * 4, 2: (item ^ 64) * 4, 4: item}, waves_each=2)


def test_a_write_after_another_waves_read_races() -> None:
    """Reading first and writing then is a race too; reading alone is none."""
    item = np.arange(128, dtype=np.uint32)
    first = ["ds_write_b32 v1, v4", "s_barrier", "ds_read_b32 v9, v2"]

    run([*first, "ds_read_b32 v9, v1"], {1: item * 4, 2: (item ^ 64) * 4, 4: item}, waves_each=2)
    with pytest.raises(MemoryFaultError, match="a race"):
        run(
            [*first, "ds_write_b32 v1, v4"],
            {1: item * 4, 2: (item ^ 64) * 4, 4: item},
            waves_each=2,
        )


def test_lanes_of_one_wave_do_not_race() -> None:
    """Lanes execute together: a lane reads what another wrote one instruction before."""
    lines = ["ds_write_b32 v1, v4", "ds_read_b32 v9, v2"]

    after = run(lines, {1: LANE * 4, 2: (LANE ^ 1) * 4, 4: LANE})

    assert (after.v(9) == LANE ^ 1).all()
