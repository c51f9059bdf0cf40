"""The architecture of a GPU by its name, for evidence that names the device alone."""

from __future__ import annotations

import re

#: What a device's name holds, and its architecture: AMD's "Accelerator and GPU hardware
#: specifications" (LLVM target names), NVIDIA's table of compute capabilities.
_ARCHITECTURES = (
    (r"\bMI3(00|25)[AX]?\b", "gfx942"),
    (r"\bMI35[05]X?\b", "gfx950"),
    (r"\bMI2[15]0X?\b", "gfx90a"),
    (r"\b(H100|H200|H800|H20|GH200)\b", "sm_90"),
    (r"\b(B100|B200|GB200)\b", "sm_100"),
    (r"\b(B300|GB300)\b", "sm_103"),
    (r"\bA100\b", "sm_80"),
    (r"\b(L4|L40S?)\b", "sm_89"),
    (r"\b(gfx\d+[0-9a-f]*)\b", ""),
)

#: A machine of each architecture, as a reader asks for it.
_HOSTS = {
    "gfx942": "an AMD Instinct MI300X or MI325X (gfx942)",
    "gfx950": "an AMD Instinct MI350X or MI355X (gfx950)",
    "sm_90": "an NVIDIA H100 or H200 (sm_90)",
    "sm_100": "an NVIDIA B200 (sm_100)",
    "x86_64": "an x86-64 processor",
}


def architecture_of(device: str) -> str:
    """Return the architecture of a device that is named by its maker; "" for an unknown one."""
    for pattern, architecture in _ARCHITECTURES:
        if found := re.search(pattern, device):
            return architecture or found[1]
    return ""


def host_of(architecture: str) -> str:
    """Return which machine has an architecture, in words."""
    return f"a host with {_HOSTS.get(architecture, f'a device of {architecture}')}"
