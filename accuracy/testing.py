"""Parity as an assertion, for anyone's pytest."""

from __future__ import annotations

import sys

from goldgate.accuracy.calls import run
from goldgate.accuracy.evaluate import judge
from goldgate.accuracy.evidence import Judged, complaints, offences
from goldgate.accuracy.known_failures import KnownFailure
from goldgate.fixtures import Recording
from goldgate.kernels import Loaded, RoutingKernel, default_device
from goldgate.kernels.adapter import Adapter, adapter_of
from goldgate.reference import PROFILES


def assert_parity(
    kernel: RoutingKernel,
    recording: Recording,
    *,
    profile: str = "conservative",
    device: str | None = None,
    ordered: bool = False,
    known_failures: tuple[KnownFailure, ...] = (),
) -> None:
    """Run a kernel on a recording and fail unless its routing is right.

    Args:
        kernel: a function with aiter's signature, or with what its module declares of its calls
            (`goldgate.kernels.adapter`); where the module has `CONTIGUOUS = True`, it is called on
            contiguous tensors alone.
        recording: for example `open_recording(SHIPPED_RECORDINGS / "normal.safetensors")`.
        profile: the name of the kernel's arithmetic, in `PROFILES`.
        device: the torch device of its tensors; by default the GPU where there is one.
        ordered: whether ids must be in descending order, up to ties and rounding.
        known_failures: rows that may fail; strict: one that no longer fails, fails.

    Raises:
        AdapterError: a declaration in its module cannot be used.
        AssertionError: with the rows that fail, their ids, scores, gaps and bounds.
        KernelError: the kernel raised, or there is no torch.
        ValueError: there is no such profile.

    """
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r}: expected one of {', '.join(PROFILES)}")
    name = f"{kernel.__module__}:{getattr(kernel, '__qualname__', type(kernel).__name__)}"
    module = sys.modules.get(kernel.__module__)
    loaded = Loaded(
        kernel,
        name,
        "unversioned",
        device or default_device(),
        profile,
        contiguous=bool(getattr(module, "CONTIGUOUS", False)),
        adapter=adapter_of(module, kernel) if module else Adapter(),
    )
    ran = run(loaded, recording)
    arithmetic = PROFILES[profile]
    result = judge(
        recording,
        ran.output,
        arithmetic,
        ordered=ordered,
        weights_dtype=loaded.adapter.weights,
        known_failures=known_failures,
    )
    shown = offences(recording, ran.output, arithmetic, result, ordered=ordered)
    one = Judged(name, recording.name, result, profile, ran.output, ran.faults, shown)
    if one.verdict != "PASS":
        lines = [f"{name} on {recording.name} is not at parity:", *complaints(one), *shown]
        raise AssertionError("\n".join(lines))
