"""What `goldgate sweep` measured of released kernels, by entry of the catalogue.

A profile's constants are what vendors guarantee. A sweep shows on one card that they cover a
release over every float32 input, and by how much. Each line is a document of docs/measurements;
tests/kernels/test_swept.py holds it against that document, and the document's errors against the
constants that the release is judged by now.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Swept:
    """A sweep of all 2**32 float32 inputs.

    Attributes:
        kernel: the entry's name.
        release: of its package.
        device: what it ran on.
        over_bound: the largest error, as a part of the bound there of the profile that the release
            is judged by.
        document: the file in docs/measurements.

    """

    kernel: str
    release: str
    device: str
    over_bound: float
    document: str


SWEPT = (
    Swept(
        "sglang-topk-sigmoid",
        "0.4.4",
        "NVIDIA H100 80GB HBM3",
        0.483,
        "sweep-sgl-kernel-0.4.4-topk-sigmoid-h100.json",
    ),
    Swept(
        "sglang-moe-fused-gate",
        "0.5.15",
        "NVIDIA H100 80GB HBM3",
        0.483,
        "sweep-sglang-0.5.15-moe-fused-gate-h100.json",
    ),
    Swept(
        "torch-eager",
        "2.11.0+cu130",
        "NVIDIA H100 80GB HBM3",
        0.749,
        "sweep-torch-2.11-eager-h100.json",
    ),
    Swept(
        "sglang-jit-topk-sigmoid",
        "0.5.15",
        "NVIDIA H200",
        0.483,
        "sweep-sglang-0.5.15-jit-topk-sigmoid-h200.json",
    ),
    Swept(
        "sglang-torch-native",
        "0.5.15",
        "NVIDIA H200",
        0.749,
        "sweep-sglang-0.5.15-torch-native-h200.json",
    ),
    Swept(
        "sglang-biased-grouped-topk",
        "0.5.15",
        "NVIDIA H200",
        0.346,
        "sweep-sglang-0.5.15-biased-grouped-topk-h200.json",
    ),
    Swept(
        "torch-compile",
        "2.11.0+cu130",
        "NVIDIA H200",
        0.483,
        "sweep-torch-2.11-compile-h200.json",
    ),
)


def sweeps_of(kernel: str) -> tuple[Swept, ...]:
    """Return what was swept of an entry, of every release and card."""
    return tuple(one for one in SWEPT if one.kernel == kernel)
