"""The verdict on a recording: whether its kernel was given what the model means it to be given.

A kernel can be right for a bias that is not the checkpoint's, and for logits that a gate computed
too coarsely. Neither is the kernel's doing; both send tokens to other experts.
"""

from __future__ import annotations

from dataclasses import dataclass

from goldgate.accuracy.evaluate import Result
from goldgate.accuracy.known_failures import KnownInput
from goldgate.accuracy.narrow import NARROW, Float32, narrowed, truncated
from goldgate.fixtures import Recording


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
        result: the verdict on a kernel over it, which counts the re-routed rows and those on a
            narrow type's grid.
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
    grid, rows = result.grid.found
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
