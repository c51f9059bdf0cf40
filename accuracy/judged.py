"""A verdict with what it is about: what passes, what fails, and of what nothing can be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goldgate.accuracy.evaluate import Result
from goldgate.accuracy.inputs import Inputs
from goldgate.accuracy.selection import Verdict
from goldgate.fixtures import Output

#: The tier of rows that no bound may hold for.
HOSTILE = "hostile"


@dataclass(frozen=True)
class Looked:
    """What one verdict looked at.

    Attributes:
        tier: one of `TIERS`, or `RECORDED`.
        levels: the recording's level of each factor but tokens.
        tokens: rows of each call that was judged.
        not_covered: the calls that were not: their rows and why.

    """

    tier: str
    levels: Mapping[str, object]
    tokens: tuple[int, ...]
    not_covered: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Judged:
    """A verdict with what it is about.

    Attributes:
        kernel: the outputs' folder or the `--kernel` argument.
        recording: the recording's name.
        result: the verdict; None if the input was refused.
        profile: the arithmetic it was judged by.
        output: the outputs that were judged.
        faults: what calls did wrong, for a kernel that was run.
        notes: what its calls did not try.
        offences: text on the first offending rows.
        refusal: why nothing could be judged, or "" where the result says.
        recording_sha256: of the file read, if it could be.
        inputs: what was found of the recording's inputs.
        unsaved: why the outputs are not in the file that was asked for.
        not_covered: why the kernel supports no call of the recording, in its words.
        looked: what the verdict looked at, for a kernel that was run.
        recorded: what the recording says of itself, as JSON has it.

    """

    kernel: str
    recording: str
    result: Result | None = None
    profile: str = ""
    output: Output | None = None
    faults: tuple[str, ...] = ()
    offences: tuple[str, ...] = ()
    refusal: str = ""
    recording_sha256: str | None = None
    notes: tuple[str, ...] = ()
    inputs: Inputs | None = None
    unsaved: str = ""
    not_covered: str = ""
    looked: Looked | None = None
    recorded: Mapping[str, object] | None = None

    @property
    def verdict(self) -> str:
        """PASS, FAIL, REFUSED or NOT COVERED; a result that is right about nothing is no pass."""
        if self.not_covered:
            return "NOT COVERED"
        if self.faults or (self.result is not None and self.result.wrong):
            return "FAIL"
        if self.result is not None and self.result.undeclared:
            return "REFUSED"
        if self.unweighed:
            return "NOT COVERED"
        return "REFUSED" if self.why_refused else "PASS"

    @property
    def unweighed(self) -> str:
        """Why the weights of a hostile recording are not covered, "" where they are.

        Its ids are judged all the same, and a row of weights for its sum and for NaN. Such rows are
        in the hostile tier on purpose; a recording of a server of which nothing is judged is an
        input to look at, and refused.
        """
        hostile = self.looked is not None and self.looked.tier == HOSTILE
        if self.result is None or not hostile or not self.result.nothing:
            return ""
        if self.result.counts[Verdict.PADDING] == self.result.rows:
            return ""
        return f"{self.result.nothing}; its ids are judged, its weights are not"

    @property
    def why_refused(self) -> str:
        """Why this is no verdict, "" where it is one."""
        if self.result is None:
            return self.refusal
        if self.result.undeclared:
            return undeclared_weights(self.result.undeclared)
        return f"nothing was judged: {self.result.nothing}" if self.result.nothing else ""

    @property
    def input_verdict(self) -> str:
        """PASS or FAIL for what the kernel was given; "" where nothing can be said."""
        return self.inputs.verdict if self.inputs else ""


def undeclared_weights(name: str) -> str:
    """Say that weights of that type need a declaration, and which."""
    return (
        f"weights are {name} and nothing declares that, so whether its rounding is by design is "
        f'not known: a kernel that returns them so has WEIGHTS = "{name}" in its module, or is '
        f"judged with --weights-dtype {name}"
    )
