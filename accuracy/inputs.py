"""The verdict on a recording: whether its kernel was given what the model means it to be given.

A kernel can be right for a bias that is not the checkpoint's, and for logits that a gate computed
too coarsely. Neither is the kernel's doing; both send tokens to other experts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.evaluate import Result
from goldgate.accuracy.known_failures import KnownInput
from goldgate.fixtures import Recording

#: The types that a bias may be cast to on purpose, and those whose grid logits may lie on.
NARROW = ("bfloat16", "float16")

#: Rows of logits looked at together: 1024 of 896 experts are 3.5 MiB.
_ROWS = 1024

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Inputs:
    """What was found of a recording's inputs.

    Attributes:
        bias: "checkpoint's", "zero", "cast to bfloat16", "cast to float16", either of these with
            "by truncation", "other", or "unknown" where the recording does not hold the
            checkpoint's. A cast rounds to nearest, as torch's does, where it is not by truncation.
        changed: values of the bias that differ from the checkpoint's.
        rerouted: rows that the difference sends to other experts.
        rows: all rows.
        excuse: why a bias that is not the checkpoint's is as intended; "" where it is not.
        grid: the narrow type all of whose logits are float32's, "" where there is none.

    """

    bias: str
    changed: int
    rerouted: int
    rows: int
    excuse: str = ""
    grid: str = ""

    @property
    def verdict(self) -> str:
        """FAIL for a bias that is neither the checkpoint's nor intended; "" where unknown."""
        if self.bias == "unknown":
            return ""
        return "FAIL" if self.changed and not self.excuse else "PASS"

    @property
    def text(self) -> str:
        """What a reader must know, in one line; "" if nothing."""
        parts = []
        if self.changed:
            how = {"zero": "it is 0 throughout", "other": "it is another"}.get(
                self.bias, f"it is that, {self.bias}"
            )
            parts.append(
                f"{self.changed} values of the bias that the kernel consumed are not the "
                f"checkpoint's ({how}): that routes {self.rerouted} of {self.rows} rows to other "
                "experts, an input change, not rounding"
                + (f"; intended: {self.excuse}" if self.excuse else "")
            )
        if self.grid:
            parts.append(
                f"every logit is a {self.grid} value although the logits are float32: the gate "
                "was computed or rounded in that type, which may re-route tokens"
            )
        return "; ".join(parts)

    def as_json(self) -> dict[str, object]:
        """Return it as the evidence has it."""
        return {
            "verdict": self.verdict or None,
            "bias": self.bias,
            "bias_values_changed": self.changed if self.verdict else None,
            "rerouted_rows": self.rerouted if self.verdict else None,
            "intended": self.excuse or None,
            "logits_grid": self.grid or None,
        }


def inputs(
    recording: Recording,
    result: Result,
    *,
    bias_dtype: str | None = None,
    known: tuple[KnownInput, ...] = (),
) -> Inputs:
    """Judge a recording's inputs.

    Args:
        recording: what was routed.
        result: the verdict on a kernel over it, which counts the re-routed rows.
        bias_dtype: a type of `NARROW` to which the bias is cast on purpose.
        known: inputs that are known to differ.

    """
    bias = _bias(recording)
    excuse = ""
    if bias_dtype and bias == f"cast to {bias_dtype}":
        excuse = f"--bias-dtype {bias_dtype}"
    for one in known:
        if one.recording_sha256 == recording.sha256:
            excuse = excuse or f"{one.why} {one.link}"
    return Inputs(
        bias,
        result.bias_changed or 0,
        result.rerouted or 0,
        recording.rows,
        excuse,
        logits_grid(recording),
    )


def _bias(recording: Recording) -> str:
    if recording.checkpoint_bias is None:
        return "unknown"
    consumed = recording.bias()
    meant: Float32 = recording.checkpoint_bias.rows()
    if (consumed == meant).all():
        return "checkpoint's"
    if not consumed.any():
        return "zero"
    for how, narrow in (("", narrowed), (" by truncation", truncated)):
        for name in NARROW:
            if (consumed == narrow(meant, name)).all():
                return f"cast to {name}{how}"
    return "other"


def narrowed(values: Float32, name: str) -> Float32:
    """Return float32 values rounded to the nearest of a narrow type, ties to even."""
    if name == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    even = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + even) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(values), values, rounded.view(np.float32))


def truncated(values: Float32, name: str) -> Float32:
    """Return float32 values rounded towards zero to a narrow type, as dropping low bits does."""
    if name == "float16":
        nearest = narrowed(values, name).astype(np.float16)
        away = np.abs(nearest.astype(np.float32)) > np.abs(values)
        inward = np.nextafter(nearest, np.float16(0))
        return np.where(away, inward, nearest).astype(np.float32)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(values), values, bits.view(np.float32))


def logits_grid(recording: Recording) -> str:
    """Return the narrow type on whose grid all finite logits of a float32 recording lie, or "".

    Logits that a constructor made of few different values (integers, zeros) lie there by design:
    with fewer than 256 different ones nothing is concluded. A float32 product falls on bfloat16's
    grid once in 65,536 times, so that 256 of them do not by chance.
    """
    if recording.gating_output.dtype != "F32":
        return ""
    left = list(NARROW)
    different: NDArray[np.float32] = np.empty(0, np.float32)
    for start in range(0, recording.rows, _ROWS):
        logits = recording.logits(start, start + _ROWS)
        logits = logits[~recording.padding(start, start + _ROWS)]
        finite = logits[np.isfinite(logits)]
        left = [name for name in left if (finite == narrowed(finite, name)).all()]
        if not left:
            return ""
        if len(different) < 256:
            different = np.union1d(different, finite)
    return left[0] if len(different) >= 256 else ""
