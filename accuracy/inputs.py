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

#: Columns that are looked at first.
_FEW_COLUMNS = 4

#: Different values from which a grid is no constructor's choice of a few numbers.
_FEWEST = 256

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
        grid: the narrow type on whose grid float32 logits lie, "" where there is none.
        grid_rows: rows all of whose finite logits lie there.
        about: what the bias of a model's recording leaves open, "" where nothing: there is none
            of the checkpoint's to compare with, or a sigmoid router's is 0 throughout.

    """

    bias: str
    changed: int
    rerouted: int
    rows: int
    excuse: str = ""
    grid: str = ""
    grid_rows: int = 0
    about: str = ""

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
        if self.about:
            parts.append(self.about)
        if self.grid:
            which = "every logit is a"
            if self.grid_rows < self.rows:
                share = 100.0 * self.grid_rows / self.rows
                which = f"in {self.grid_rows} of {self.rows} rows ({share:.3g} %) {which}"
            parts.append(
                f"{which} {self.grid} value although the logits are float32: the gate "
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
            "bias_note": self.about or None,
            "logits_grid": self.grid or None,
            "logits_grid_rows": self.grid_rows,
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
    grid, rows = logits_grid(recording)
    return Inputs(
        bias,
        result.bias_changed or 0,
        result.rerouted or 0,
        recording.rows,
        excuse,
        grid,
        rows,
        _about_bias(recording),
    )


def _about_bias(recording: Recording) -> str:
    """Return what a reader cannot know of the bias of a recording that a model made."""
    if recording.source.get("kind") != "model":
        return ""
    zero = recording.spec.scoring == "sigmoid" and not recording.bias().any()
    held = recording.checkpoint_bias
    if held is None:
        text = (
            "no checkpoint_bias in the recording: whether the bias is the checkpoint's is unknown"
        )
        return f"{text}; it is 0 throughout, as one that was never loaded" if zero else text
    return "the checkpoint's bias is 0 throughout" if zero and not held.rows().any() else ""


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


def logits_grid(recording: Recording) -> tuple[str, int]:
    """Return the narrow type on whose grid rows of float32 logits lie, and how many; "" and 0.

    A row counts where all its finite logits lie there. Logits that a constructor made of few
    different values (integers, zeros) do so by design: with fewer than 256 different ones in all
    nothing is concluded. A float32 product falls on bfloat16's grid once in 65,536 times, so that a
    row of them does not by chance. Of types that hold as many rows the first of `NARROW` is named:
    bfloat16 values of an ordinary size are float16's too.
    """
    if recording.gating_output.dtype != "F32":
        return "", 0
    rows = dict.fromkeys(NARROW, 0)
    different = {name: np.empty(0, np.float32) for name in NARROW}
    for start in range(0, recording.rows, _ROWS):
        logits = recording.logits(start, start + _ROWS)
        logits = logits[~recording.padding(start, start + _ROWS)]
        for name in NARROW:
            # Few columns tell most float32 rows apart.
            found = logits[_on_grid(logits[:, :_FEW_COLUMNS], name)]
            found = found[_on_grid(found, name) & np.isfinite(found).any(axis=1)]
            rows[name] += len(found)
            if len(found) and len(different[name]) < _FEWEST:
                values = found[np.isfinite(found)]
                different[name] = np.union1d(different[name], values)
    usable = [name for name in NARROW if rows[name] and len(different[name]) >= _FEWEST]
    best = max(usable, key=lambda name: rows[name], default="")
    return (best, rows[best]) if best else ("", 0)


def _on_grid(logits: Float32, name: str) -> NDArray[np.bool_]:
    """Return in which rows all logits are values of a narrow type, or not finite."""
    with np.errstate(invalid="ignore"):
        on = (logits == narrowed(logits, name)) | ~np.isfinite(logits)
    return np.asarray(on.all(axis=1))
