"""Launching a kernel: its arguments laid out, registers set as the hardware sets them, batches run.

The initial register state and the kernarg segment are those of LLVM's "User Guide for AMDGPU
Backend" (code object V5 and V6 hidden arguments, initial kernel execution state).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from goldgate.emulator.decode import decode
from goldgate.emulator.errors import EmulationError, NotEmulatedError
from goldgate.emulator.lds import GRANULES, LARGEST, Lds
from goldgate.emulator.machine import execute
from goldgate.emulator.memory import Memory
from goldgate.emulator.rounding import Rounding
from goldgate.emulator.run import Action, Execution
from goldgate.emulator.text import Program
from goldgate.emulator.waves import LANES, Waves

#: Waves of a batch: their registers (some 30 of 256 bytes a wave) stay in a core's cache.
BATCH = 256

_NEEDED_ZERO = (
    "user_sgpr_dispatch_ptr",
    "user_sgpr_queue_ptr",
    "user_sgpr_dispatch_id",
    "user_sgpr_kernarg_preload_length",
    "user_sgpr_private_segment_size",
    "uses_dynamic_stack",
    "enable_private_segment",
    "system_sgpr_workgroup_id_y",
    "system_sgpr_workgroup_id_z",
    "system_sgpr_workgroup_info",
    "system_vgpr_workitem_id",
    "float_round_mode_32",
    "float_round_mode_16_64",
)


@dataclass(frozen=True)
class Prepared:
    """A program ready to be launched."""

    program: Program
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Launched:
    """What a launch did.

    Attributes:
        instructions: executed, a batch's waves counted once.
        findings: accesses that work on hardware by luck (see `emulator.lds`).

    """

    instructions: int
    findings: tuple[str, ...]


def prepare(program: Program) -> Prepared:
    """Decode a program.

    Raises:
        NotEmulatedError: it needs something that is not emulated, by name.

    """
    for name in _NEEDED_ZERO:
        if program.descriptor.get(name):
            raise NotEmulatedError(
                f"{program.name}: .amdhsa_{name} {program.descriptor[name]}: not emulated"
            )
    if program.descriptor.get("float_denorm_mode_16_64") != 3:
        raise NotEmulatedError(f"{program.name}: float_denorm_mode_16_64: expected 3 (kept)")
    if program.target not in GRANULES:
        raise NotEmulatedError(f"target {program.target}: expected {' or '.join(GRANULES)}")
    return Prepared(program, decode(program))


def launch(
    kernel: Prepared,
    memory: Memory,
    arguments: Sequence[int | float | np.generic],
    *,
    grid: int,
    block: int,
    dynamic_lds: int,
    rounding: Rounding,
    workgroups: Sequence[int] | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> Launched:
    """Execute a kernel on a grid of one dimension.

    Args:
        kernel: from `prepare`.
        memory: the buffers that it may touch; outputs are written there.
        arguments: its explicit ones in order: addresses and numbers.
        grid: workgroups.
        block: work items of a workgroup.
        dynamic_lds: bytes of LDS beside the kernel's own.
        rounding: of the instructions whose last bit is not published.
        workgroups: which to execute; None for all.
        advance: called with a number of workgroups whenever so many more are done.

    Raises:
        NotEmulatedError: the kernel needs something that is not emulated, by name.
        EmulationError: the launch does not fit the kernel, or the run cannot go on.

    """
    program = kernel.program
    lds = program.descriptor.get("group_segment_fixed_size", 0) + dynamic_lds
    if lds > LARGEST[program.target]:
        raise EmulationError(
            f"{program.name}: {lds} bytes of LDS a workgroup: {program.target} has "
            f"{LARGEST[program.target]}"
        )
    segment = _kernarg(program, arguments, grid, block, dynamic_lds)
    held = Memory(list(memory.buffers))
    address = held.add("kernel arguments", segment, writable=False)
    chosen = np.arange(grid) if workgroups is None else np.asarray(workgroups, np.int64)
    waves_each = -(-block // LANES)
    each = max(1, BATCH // waves_each)
    executed, findings = 0, dict[str, None]()
    for start in range(0, len(chosen), each):
        part = chosen[start : start + each]
        run = Execution(
            _waves(program, part, waves_each, block, address),
            held,
            Lds(len(part), lds, GRANULES[program.target], waves_each=waves_each),
            rounding,
        )
        executed += execute(kernel.actions, run)
        findings.update(run.lds.findings)
        advance(len(part))
    return Launched(executed, tuple(findings))


def _waves(
    program: Program, groups: np.ndarray, waves_each: int, block: int, address: int
) -> Waves:
    descriptor = program.descriptor
    mode = (
        descriptor.get("float_denorm_mode_32", 0) << 4
        | descriptor.get("float_denorm_mode_16_64", 0) << 6
    )
    registers = max(1, descriptor["next_free_vgpr"])
    waves = Waves(np.repeat(groups, waves_each), registers, mode)
    waves.local = np.repeat(np.arange(len(groups)), waves_each)
    number = np.tile(np.arange(waves_each), len(groups))
    item = number[:, None] * LANES + np.arange(LANES)
    waves.v[0] = item.astype(np.uint32)
    if block % LANES:  # the last wave's lanes past the block are off
        inside = item < block
        words = np.packbits(inside, axis=1, bitorder="little").view(np.uint32)
        waves.s[126], waves.s[127] = words[:, 0], words[:, 1]
        waves.refresh()
    first = 0
    if descriptor.get("user_sgpr_kernarg_segment_ptr"):
        waves.s[0] = np.uint32(address & 0xFFFFFFFF)
        waves.s[1] = np.uint32(address >> 32)
        first = 2
    first = max(first, descriptor.get("user_sgpr_count", first))
    if descriptor.get("system_sgpr_workgroup_id_x", 1):
        waves.s[first] = waves.workgroup.astype(np.uint32)
    return waves


def _kernarg(
    program: Program,
    arguments: Sequence[int | float | np.generic],
    grid: int,
    block: int,
    dynamic_lds: int,
) -> np.ndarray:
    """Return the kernarg segment's bytes."""
    hidden: Mapping[str, int] = {
        "hidden_block_count_x": grid,
        "hidden_block_count_y": 1,
        "hidden_block_count_z": 1,
        "hidden_group_size_x": block,
        "hidden_group_size_y": 1,
        "hidden_group_size_z": 1,
        "hidden_remainder_x": 0,
        "hidden_remainder_y": 0,
        "hidden_remainder_z": 0,
        "hidden_global_offset_x": 0,
        "hidden_global_offset_y": 0,
        "hidden_global_offset_z": 0,
        "hidden_grid_dims": 1,
        "hidden_dynamic_lds_size": dynamic_lds,
    }
    explicit = [one for one in program.arguments if not one.kind.startswith("hidden_")]
    if len(explicit) != len(arguments):
        raise NotEmulatedError(
            f"{program.name}: expected {len(explicit)} arguments, got {len(arguments)}"
        )
    size = program.descriptor["kernarg_size"]
    data = np.zeros(-(-size // 8) * 8, np.uint8)
    given: Iterator[int | float | np.generic] = iter(arguments)
    for one in program.arguments:
        if one.kind in hidden:
            raw = int(hidden[one.kind]).to_bytes(one.size, "little")
        elif one.kind.startswith("hidden_"):
            raise NotEmulatedError(f"{program.name}: argument {one.kind}: not emulated")
        else:
            raw = _bytes(next(given), one.size, program)
        data[one.offset : one.offset + one.size] = np.frombuffer(raw, np.uint8)
    return data


def _bytes(value: float | np.generic, size: int, program: Program) -> bytes:
    if isinstance(value, int):
        raw = value.to_bytes(size, "little")
    else:
        raw = (value if isinstance(value, np.generic) else np.float32(value)).tobytes()
    if len(raw) != size:
        raise NotEmulatedError(f"{program.name}: an argument of {size} bytes, got {len(raw)}")
    return raw
