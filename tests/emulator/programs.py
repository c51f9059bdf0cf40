"""Small programs for the emulator: a few lines of assembly, registers in and registers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator import Memory, Rounding, parse
from goldgate.emulator.decode import decode
from goldgate.emulator.launch import Prepared, prepare
from goldgate.emulator.lds import Lds
from goldgate.emulator.machine import execute
from goldgate.emulator.run import Execution
from goldgate.emulator.text import Program
from goldgate.emulator.waves import EXEC, LANES, VCC, Waves

KEEP, FLUSH = 3, 0  # float32 denormal modes

_TEXT = """\
\t.amdgcn_target "amdgcn-amd-amdhsa--{target}"
program:
{body}
\ts_endpgm
.Lfunc_end0:
\t.amdhsa_kernel program
\t\t.amdhsa_group_segment_fixed_size 0
\t\t.amdhsa_kernarg_size {size}
\t\t.amdhsa_user_sgpr_count 2
\t\t.amdhsa_user_sgpr_kernarg_segment_ptr 1
\t\t.amdhsa_system_sgpr_workgroup_id_x 1
\t\t.amdhsa_next_free_vgpr 32
\t\t.amdhsa_float_denorm_mode_32 0
\t\t.amdhsa_float_denorm_mode_16_64 3
{extra}\t.end_amdhsa_kernel
\t.amdgpu_metadata
---
amdhsa.kernels:
  - .agpr_count:     0
    .args:
{arguments}    .group_segment_fixed_size: 0
...
"""


def text(
    lines: Sequence[str],
    arguments: Sequence[tuple[int, str]] = (),
    *,
    target: str = "gfx942",
    extra: str = "",
) -> str:
    """Return the assembly text of a kernel with arguments of (size, value_kind)."""
    entries, offset = "", 0
    for size, kind in arguments:
        offset = -(-offset // size) * size
        entries += (
            f"      - .offset:         {offset}\n        .size:           {size}\n"
            f"        .value_kind:     {kind}\n"
        )
        offset += size
    body = "\n".join(line if line.endswith(":") else f"\t{line}" for line in lines)
    return _TEXT.format(target=target, body=body, size=offset, arguments=entries, extra=extra)


def program(lines: Sequence[str]) -> Program:
    """Parse a few lines."""
    return parse(text(lines))


def kernel(
    lines: Sequence[str], arguments: Sequence[tuple[int, str]] = (), target: str = "gfx942"
) -> Prepared:
    """Prepare a kernel of a few lines."""
    return prepare(parse(text(lines, arguments, target=target)))


@dataclass(frozen=True)
class After:
    """Registers after a run."""

    waves: Waves
    lds: Lds

    def v(self, register: int, kind: str = "u4") -> NDArray[Any]:
        """Return a vector register's values, one after another."""
        return np.asarray(self.waves.v[register].view(kind).reshape(-1))

    def wide(self, register: int, kind: str = "u8") -> NDArray[Any]:
        """Return a pair of vector registers as 64-bit values."""
        low, high = (self.waves.v[register + i].astype(np.uint64) for i in (0, 1))
        return np.asarray((low | high << np.uint64(32)).view(kind).reshape(-1))

    def s(self, register: int) -> NDArray[np.uint32]:
        """Return a scalar register [W]."""
        return np.asarray(self.waves.s[register])

    def mask(self, register: int) -> NDArray[np.bool_]:
        """Return a scalar pair as lanes."""
        return self.waves.mask(register).reshape(-1)


def run(
    lines: Sequence[str],
    vectors: Mapping[int, NDArray[Any]] | None = None,
    scalars: Mapping[int, NDArray[Any]] | None = None,
    *,
    denormals: int = KEEP,
    waves_each: int = 1,
    lds: int = 512,
    rounding: str = "nearest",
    memory: Memory | None = None,
    scc: NDArray[np.bool_] | None = None,
    active: int | None = None,
) -> After:
    """Execute a few lines over given registers.

    Args:
        lines: assembly; an s_endpgm is added.
        vectors: register to values [64 W], 32 bits each (64-bit values fill two registers).
        scalars: register to values [W], likewise.
        denormals: the float32 mode.
        waves_each: waves of a workgroup.
        lds: bytes of each workgroup's LDS.
        rounding: a rounding model's name.
        memory: buffers.
        scc: the condition code [W].
        active: EXEC of every wave; None for all lanes.

    """
    vectors, scalars = vectors or {}, scalars or {}
    sizes = [len(values) // LANES for values in vectors.values()]
    sizes += [len(values) for values in scalars.values()]
    count = max([*sizes, waves_each])
    waves = Waves(np.arange(count) // waves_each, 32, denormals << 4 | 3 << 6)
    for register, values in vectors.items():
        raw = np.ascontiguousarray(values).view(np.uint32).reshape(count, LANES, -1)
        for part in range(raw.shape[2]):
            waves.v[register + part] = raw[:, :, part]
    for register, values in scalars.items():
        words = np.ascontiguousarray(values).view(np.uint32).reshape(count, -1)
        for part in range(words.shape[1]):
            waves.s[register + part] = words[:, part]
    if active is not None:
        waves.s[EXEC], waves.s[EXEC + 1] = active & 0xFFFFFFFF, active >> 32
    if scc is not None:
        waves.scc = scc.copy()
    waves.refresh()
    share = Lds(count // waves_each, lds, 512, waves_each=waves_each)
    held = program(lines)
    execute(decode(held), Execution(waves, memory or Memory(), share, Rounding(rounding)))
    return After(waves, share)


__all__ = ["FLUSH", "KEEP", "LANES", "VCC", "After", "kernel", "program", "run", "text"]
