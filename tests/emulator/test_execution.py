"""Control flow, launches and what stops a program before it runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from goldgate.emulator import (
    EmulationError,
    Memory,
    Rounding,
    UnknownInstructionError,
    launch,
    machine,
    parse,
    prepare,
)
from goldgate.emulator.decode import decode
from goldgate.emulator.instructions import compare, scalar, vector_float, vector_integer
from goldgate.emulator.waves import UNDEFINED
from tests.emulator.programs import kernel, program, run, text

LANE = np.arange(64, dtype=np.uint32)


def test_waves_that_part_meet_again() -> None:
    """Waves take both sides of a branch, loop as often as each must, and go on together."""
    lines = [
        "s_mov_b32 s6, 0",
        "s_mov_b32 s7, 0",
        "loop:",
        "s_add_i32 s6, s6, s4",
        "s_add_i32 s7, s7, 1",
        "s_cmp_lt_u32 s7, s4",
        "s_cbranch_scc1 loop",
        "s_cmp_eq_u32 s5, 0",
        "s_cbranch_scc1 even",
        "s_add_i32 s6, s6, 1000",
        "s_branch end",
        "even:",
        "s_add_i32 s6, s6, 2000",
        "end:",
        "s_add_i32 s6, s6, 10000",
    ]
    turns = np.array([1, 5, 2, 9, 3, 3, 7], np.uint32)
    parity = np.array([0, 1, 1, 0, 1, 0, 0], np.uint32)

    after = run(lines, scalars={4: turns, 5: parity})

    assert after.s(6).tolist() == (turns**2 + np.where(parity, 1000, 2000) + 10000).tolist()


def test_branches_on_masks() -> None:
    """vccz, vccnz, execz and execnz look at the whole mask of each wave."""
    lines = ["s_mov_b32 s8, 0"]
    for bit, (name, pair) in enumerate(
        [("vccz", "vcc"), ("vccnz", "vcc"), ("execz", "exec"), ("execnz", "exec")]
    ):
        lines += [
            f"s_mov_b64 {pair}, s[4:5]",
            f"s_cbranch_{name} taken{bit}",
            "s_mov_b64 exec, -1",
            f"s_branch next{bit}",
            f"taken{bit}:",
            "s_mov_b64 exec, -1",
            f"s_add_i32 s8, s8, {1 << bit}",
            f"next{bit}:",
        ]
    masks = np.array([0, 1, 1 << 63, 2**64 - 1], np.uint64)

    after = run(lines, scalars={4: masks})

    assert after.s(8).tolist() == [0b0101, 0b1010, 0b1010, 0b1010]


def test_lanes_of_a_loop_stop_one_after_another() -> None:
    """The loop that compilers print for lanes: EXEC loses a lane when it is done."""
    lines = [
        "s_mov_b64 s[6:7], 0",
        "v_mov_b32_e32 v2, 0",
        "loop:",
        "v_add_u32_e32 v2, 3, v2",
        "v_add_u32_e32 v1, -1, v1",
        "v_cmp_eq_u32_e32 vcc, 0, v1",
        "s_or_b64 s[6:7], vcc, s[6:7]",
        "s_andn2_b64 exec, exec, s[6:7]",
        "s_cbranch_execnz loop",
        "s_or_b64 exec, exec, s[6:7]",
        "v_add_u32_e32 v2, 1, v2",
    ]
    turns = np.random.default_rng(6).integers(1, 20, 64 * 3).astype(np.uint32)

    after = run(lines, {1: turns})

    assert (after.v(2) == 3 * turns + 1).all()


def test_waves_that_end_early_leave_the_others_running() -> None:
    """A wave that has ended writes nothing more."""
    lines = [
        "v_mov_b32_e32 v1, 1",
        "s_cmp_eq_u32 s4, 0",
        "s_cbranch_scc1 go",
        "s_endpgm",
        "go:",
        "v_mov_b32_e32 v1, 2",
    ]

    after = run(lines, {5: np.zeros(192, np.uint32)}, {4: np.array([0, 1, 0], np.uint32)})

    assert after.v(1).reshape(3, 64)[:, 0].tolist() == [2, 1, 2]


def test_a_barrier_that_a_wave_never_reaches_lets_the_others_go() -> None:
    """A wave that has ended is not waited for."""
    lines = [
        "s_cmp_eq_u32 s4, 0",
        "s_cbranch_scc1 end",
        "s_barrier",
        "v_mov_b32_e32 v1, 2",
        "end:",
    ]

    after = run(
        lines, {1: np.zeros(128, np.uint32)}, {4: np.array([0, 1], np.uint32)}, waves_each=2
    )

    assert after.v(1).reshape(2, 64)[:, 0].tolist() == [0, 2]


def test_a_program_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a limit of instructions the run ends with where it was."""
    monkeypatch.setattr(machine, "LIMIT", 1000)

    with pytest.raises(EmulationError, match="after 1000 instructions: expected it to end"):
        run(["again:", "s_nop 0", "s_branch again"])


def test_a_program_without_an_end_is_refused() -> None:
    """Running past the last instruction is an error, not an end."""
    assembly = text(["s_nop 0"]).replace("\ts_endpgm\n", "")
    held = prepare(parse(assembly))

    with pytest.raises(EmulationError, match="runs past its last instruction"):
        launch(held, Memory(), [], grid=1, block=64, dynamic_lds=0, rounding=Rounding("nearest"))


def test_mode_changes_apply_from_the_next_instruction() -> None:
    """s_setreg switches float32 subnormals on and off between two instructions."""
    tiny = np.full(64, 1e-40, np.float32)
    lines = [
        "v_mul_f32_e32 v9, 1.0, v1",
        "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 0",
        "v_mul_f32_e32 v10, 1.0, v1",
        "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 3",
        "v_mul_f32_e32 v11, 1.0, v1",
        "v_mov_b32_e32 v12, v1",
    ]

    after = run(lines, {1: tiny})

    assert after.v(9, "f4")[0] == tiny[0]
    assert after.v(10, "f4")[0] == 0
    assert after.v(11, "f4")[0] == tiny[0]
    assert after.v(12, "f4")[0] == tiny[0]


def test_every_instruction_of_the_table_has_a_source() -> None:
    """The ISA, LLVM, an experiment or another instruction; each is there once."""
    tables = (compare, scalar, vector_float, vector_integer)
    entries = [one for table in tables for one in table.OPERATIONS]

    assert len(entries) > 100
    assert all(one.source.startswith(("ISA", "LLVM", "experiment", "as v_")) for one in entries)
    assert len({one.name for one in entries}) == len(entries)


def test_registers_start_undefined() -> None:
    """A register that was never written holds a value that no kernel computes."""
    assert (run(["v_mov_b32_e32 v9, v8"]).v(9) == UNDEFINED).all()


def test_constants_are_numbers_of_the_operands_type() -> None:
    """1.0 is a float, 1 is bits; in a float64 a literal is the upper half."""
    lines = [
        "v_mov_b32_e32 v1, 1.0",
        "v_mov_b32_e32 v2, -16",
        "v_add_f32_e32 v3, 0x3f000000, v1",
        "v_mul_f64 v[4:5], v[6:7], 0.5",
        "v_add_f64 v[8:9], v[6:7], 0x40080000",
        "s_mov_b64 s[4:5], -1",
    ]

    after = run(lines, {6: np.full(64, 3.0)})

    assert after.v(1, "f4")[0] == 1.0
    assert after.v(2, "i4")[0] == -16
    assert after.v(3, "f4")[0] == 1.5
    assert after.wide(4, "f8")[0] == 1.5
    assert after.wide(8, "f8")[0] == 6.0
    assert (after.s(4)[0], after.s(5)[0]) == (0xFFFFFFFF, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("v_frobnicate_f32 v1, v2", "instruction v_frobnicate_f32 is not in the emulator's table"),
        ("s_sleep 1", "instruction s_sleep is not in the emulator's table"),
        ("v_add_f32_e32 v1, v2", "expected 3 operands"),
        ("v_add_f32_e64 v1, v2, v3 clamp", "modifiers .'clamp'. are not known"),
        ("v_add_f32_e64 v1, v2, v3 mul:2", "modifiers .'mul'. are not known"),
        ("v_add_f32_e32 v1, src_lds_direct, v3", "operand src_lds_direct is not known"),
        ("v_add_u32_e64 v1, -v2, v3 clamp", "v_add_u32_e64"),
        ("v_add_f64 v[1:2], v3, v[4:5]", "an operand of 1 registers where 2 are known"),
        ("s_mov_b32 s4, v1", "v1: expected a scalar operand"),
        ("s_mov_b64 s[4:5], 0x80000000", "the literal 0x80000000 as 64 bits"),
        ("s_branch nowhere", "there is no label nowhere"),
        ("s_setreg_imm32_b32 hwreg(HW_REG_STATUS, 0, 1), 1", "register hwreg.HW_REG_STATUS"),
        ("global_load_dword v1, v2, s[4:5] lds", "modifiers .'lds'. are not known"),
        ("ds_read_b32 v1, v2 gds", "modifiers .'gds'. are not known"),
        ("v_pk_add_f32 v[1:2], v[3:4], 1.0", "expected pairs of registers"),
        ("v_fma_mix_f32 v1, v2, v3, v4 op_sel:[1,0,0]", "op_sel of a float32 is not known"),
        ("v_bitop3_b32 v1, v2, v3, v4", "expected bitop3"),
        ("v_readlane_b32 s4", "operands that are not known"),
    ],
)
def test_what_is_not_known_stops_the_program_by_name(line: str, words: str) -> None:
    """Instructions, operands and modifiers outside the table are refused before anything runs."""
    with pytest.raises(UnknownInstructionError, match=words) as raised:
        decode(program([line]))

    assert f"`{line}` (line 3)" in str(raised.value)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("gfx942", "gfx1100", "target gfx1100: expected gfx942 or gfx950"),
        ("workgroup_id_x 1", "workgroup_id_y 1", ".amdhsa_system_sgpr_workgroup_id_y 1: not"),
        ("denorm_mode_16_64 3", "denorm_mode_16_64 0", "float_denorm_mode_16_64: expected 3"),
        (".amdhsa_kernel program", ".amdhsa_other program", "expected one kernel"),
    ],
)
def test_kernels_that_need_more_are_refused(before: str, after: str, words: str) -> None:
    """What the initial state would need and the emulator does not have is named."""
    assembly = text(["s_nop 0"])
    assert before in assembly

    with pytest.raises(EmulationError, match=words):
        prepare(parse(assembly.replace(before, after)))


#: Every workgroup writes its number, its size and the grid's to out[workgroup].
_REPORT = [
    "s_load_dwordx2 s[4:5], s[0:1], 0x0",
    "s_load_dword s6, s[0:1], 0x8",
    "s_load_dword s7, s[0:1], 0xc",
    "s_load_dword s8, s[0:1], 0x10",
    "s_lshl_b32 s9, s2, 4",
    "v_mov_b32_e32 v1, s9",
    "v_mov_b32_e32 v4, s2",
    "v_mov_b32_e32 v5, s6",
    "v_mov_b32_e32 v6, s7",
    "v_mov_b32_e32 v7, s8",
    "global_store_dwordx4 v1, v[4:7], s[4:5]",
]
_ARGUMENTS = [
    (8, "global_buffer"),
    (4, "by_value"),
    (4, "hidden_block_count_x"),
    (2, "hidden_group_size_x"),
    (2, "hidden_remainder_x"),
]


def reported(grid: int, workgroups: Sequence[int] | None) -> tuple[np.ndarray, list[int]]:
    """Launch the kernel above and return what it wrote, and the progress that was reported."""
    out = np.full((grid, 4), 0xFFFFFFFF, np.uint32)
    memory = Memory()
    address = memory.add("out", out, writable=True)
    done: list[int] = []
    launch(
        kernel(_REPORT, _ARGUMENTS),
        memory,
        [address, np.float32(2.5)],
        grid=grid,
        block=64,
        dynamic_lds=0,
        rounding=Rounding("nearest"),
        workgroups=workgroups,
        advance=done.append,
    )
    return out, done


def test_launch_gives_each_workgroup_its_number_and_arguments() -> None:
    """Explicit and hidden arguments are where the metadata puts them; batches do not show."""
    out, done = reported(600, None)

    assert out[:, 0].tolist() == list(range(600))
    assert (out[:, 1].view(np.float32) == 2.5).all()
    assert (out[:, 2] == 600).all()
    assert (out[:, 3] & 0xFFFF == 64).all()
    assert sum(done) == 600


def test_launch_executes_chosen_workgroups_of_the_whole_grid() -> None:
    """A sample runs as part of its grid; the others' outputs stay."""
    chosen = [0, 7, 599]

    out, done = reported(600, chosen)

    ran = np.zeros(600, bool)
    ran[chosen] = True
    assert (out[ran, 0] == chosen).all()
    assert (out[ran, 2] == 600).all()
    assert (out[~ran] == 0xFFFFFFFF).all()
    assert sum(done) == 3


def test_launch_checks_its_arguments() -> None:
    """A missing argument or one of another size is refused."""
    held = kernel(_REPORT, _ARGUMENTS)
    for arguments, words in (
        ([1], "expected 2 arguments, got 1"),
        ([1, np.float64(2.5)], "an argument of 4 bytes, got 8"),
    ):
        with pytest.raises(EmulationError, match=words):
            launch(
                held,
                Memory(),
                arguments,
                grid=1,
                block=64,
                dynamic_lds=0,
                rounding=Rounding("nearest"),
            )


def test_more_lds_than_the_hardware_has_is_refused() -> None:
    """A launch that the hardware would refuse does not run."""
    held = kernel(["s_nop 0"])

    with pytest.raises(EmulationError, match="65540 bytes of LDS a workgroup: gfx942 has 65536"):
        launch(
            held, Memory(), [], grid=1, block=64, dynamic_lds=65540, rounding=Rounding("nearest")
        )


def test_hidden_arguments_that_nobody_fills_are_refused() -> None:
    """A kernel that wants a printf buffer, for instance, is named."""
    held = kernel(["s_nop 0"], [(8, "hidden_printf_buffer")])

    with pytest.raises(EmulationError, match="argument hidden_printf_buffer: not emulated"):
        launch(held, Memory(), [], grid=1, block=64, dynamic_lds=0, rounding=Rounding("nearest"))


def test_lanes_past_the_block_are_off() -> None:
    """A block of 80 work items has 16 lanes in its second wave."""
    lines = [
        "s_load_dwordx2 s[4:5], s[0:1], 0x0",
        "v_lshlrev_b32_e32 v1, 2, v0",
        "global_store_dword v1, v0, s[4:5]",
    ]
    out = np.full(80, 0xFFFFFFFF, np.uint32)
    memory = Memory()
    address = memory.add("out", out, writable=True)

    launch(
        kernel(lines, [(8, "global_buffer")]),
        memory,
        [address],
        grid=1,
        block=80,
        dynamic_lds=0,
        rounding=Rounding("nearest"),
    )

    assert out.tolist() == list(range(80))
