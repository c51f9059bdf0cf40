"""Parity as an assertion, for anyone's pytest."""

from __future__ import annotations

from accuracy.deviations import Deviation
from accuracy.evidence import Judged, complaints, offences
from accuracy.judge import judge
from accuracy.kernels import Loaded, Route, default_device
from accuracy.running import run
from fixtures import Recording
from reference import PROFILES


def assert_parity(
    kernel: Route,
    recording: Recording,
    *,
    profile: str = "conservative",
    device: str | None = None,
    ordered: bool = False,
    deviations: tuple[Deviation, ...] = (),
) -> None:
    """Run a kernel on a recording and fail unless its routing is right.

    Args:
        kernel: a function with aiter's signature (see `accuracy.kernels`).
        recording: for example `fixtures.open_recording(path)`.
        profile: the name of the kernel's arithmetic profile (`reference.PROFILES`).
        device: the torch device of its tensors; by default the GPU where there is one.
        ordered: whether ids must be in descending order, up to ties and rounding.
        deviations: known ones, strict.

    Raises:
        AssertionError: with the rows that fail, their ids, scores, gaps and bounds.
        KernelError: the kernel raised, or there is no torch.
        ValueError: there is no such profile.

    """
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r}: expected one of {', '.join(PROFILES)}")
    name = f"{kernel.__module__}:{getattr(kernel, '__qualname__', type(kernel).__name__)}"
    loaded = Loaded(kernel, name, "unversioned", device or default_device(), profile)
    ran = run(loaded, recording)
    arithmetic = PROFILES[profile]
    result = judge(recording, ran.output, arithmetic, ordered=ordered, deviations=deviations)
    shown = offences(recording, ran.output, arithmetic, result, ordered=ordered)
    one = Judged(name, recording.name, result, profile, ran.output, ran.faults, shown)
    if one.verdict != "PASS":
        lines = [f"{name} on {recording.name} is not at parity:", *complaints(one), *shown]
        raise AssertionError("\n".join(lines))
