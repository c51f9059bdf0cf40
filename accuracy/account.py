"""What a command looked at, beside its verdicts: the document that its evidence is written as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Protocol

from goldgate.accuracy.document import SCHEMA, sealed
from goldgate.accuracy.evidence import Judged, result_json
from goldgate.fixtures import KernelInfo
from goldgate.provenance import environment, goldgate_itself


class Covered(Protocol):
    """What was looked at: the factors and pairs that were met, token counts, tiers."""

    def as_json(self) -> dict[str, object]:
        """Return it as JSON has it."""


@dataclass(frozen=True)
class NotRun:
    """A kernel that did not run, on one recording or (recording "") at all.

    Attributes:
        kernel: its name.
        recording: the recording's, or "".
        why: the reason, with what would help.

    """

    kernel: str
    recording: str
    why: str

    def __str__(self) -> str:
        """Return it as one line for a reader."""
        where = f"not run on {self.recording}" if self.recording else "not run here"
        return f"{self.kernel}: {where}: {self.why}"


@dataclass(frozen=True)
class Account:
    """What a command was asked and what it left out.

    Attributes:
        options: the options that decide what is judged and how, as JSON has them.
        not_run: what did not run, and why.
        required: names that must have run.
        shortfalls: what else was asked for and not judged, a line each: "OPTION NAME: ...".
        read: files that were read beside recordings and outputs: SHA-256 by path.
        coverage: what was looked at, where the command knows.
        started: when the command began.

    """

    options: Mapping[str, object]
    not_run: tuple[NotRun, ...] = ()
    required: tuple[str, ...] = ()
    shortfalls: tuple[str, ...] = ()
    read: Mapping[str, str] = field(default_factory=dict)
    coverage: Covered | None = None
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


def missing(judged: Sequence[Judged], account: Account) -> list[str]:
    """Return what was required and not judged, one line each: "OPTION NAME: ..."."""
    lines = []
    for name in account.required:
        if any(
            name in _names(one) and one.result is not None and one.verdict != "NOT COVERED"
            for one in judged
        ):
            continue
        why = [
            *(note.why for note in account.not_run if note.kernel == name),
            *(
                one.why_refused or one.not_covered or one.faults[0]
                for one in judged
                if name in _names(one)
            ),
        ]
        lines.append(f"--require {name}: it was not run: {why[0] if why else 'no such kernel'}")
    return [*lines, *account.shortfalls]


def exit_status(judged: Sequence[Judged], account: Account) -> int:
    """Return a command's exit status.

    1 where a verdict on a kernel or on an input failed; else 2 where something was refused,
    nothing was judged, something required was not judged or outputs could not be saved; else 0.
    """
    verdicts = [one.verdict for one in judged]
    if "FAIL" in verdicts or any(one.input_verdict == "FAIL" for one in judged):
        return 1
    if "PASS" not in verdicts or "REFUSED" in verdicts or missing(judged, account):
        return 2
    if any(one.unsaved for one in judged):
        return 2
    return 0


def to_json(judged: Sequence[Judged], account: Account) -> str:
    """Return the evidence as JSON; the same input gives the same text but for "time"."""
    finished = datetime.now(timezone.utc)
    verdicts = [one.verdict for one in judged]
    return sealed(
        {
            "schema": SCHEMA,
            "goldgate": goldgate_itself(),
            "environment": environment(),
            "options": dict(account.options),
            "kernels": _kernels(judged),
            "not_run": [vars(note) for note in account.not_run],
            "required": list(account.required),
            "coverage": account.coverage.as_json() if account.coverage else None,
            "read": _read(judged, account),
            "results": [result_json(one) for one in judged],
            "summary": {
                "passed": verdicts.count("PASS"),
                "failed": verdicts.count("FAIL"),
                "refused": verdicts.count("REFUSED"),
                "not_covered": verdicts.count("NOT COVERED"),
                "inputs_failed": sum(one.input_verdict == "FAIL" for one in judged),
                "missing": missing(judged, account),
                "exit_status": exit_status(judged, account),
            },
            "time": {
                "started": account.started.isoformat(timespec="seconds"),
                "finished": finished.isoformat(timespec="seconds"),
            },
        }
    )


def _names(one: Judged) -> set[str]:
    return {one.kernel} | ({one.output.kernel.name} if one.output else set())


def _kernels(judged: Sequence[Judged]) -> list[dict[str, object]]:
    """Describe each kernel that answered, once, in the order of the results."""
    found: dict[tuple[str, KernelInfo], None] = {}
    for one in judged:
        if one.output:
            found[one.kernel, one.output.kernel] = None
    described: list[dict[str, object]] = []
    for kernel, info in found:
        about = {key: value or None for key, value in vars(info).items()}
        described.append({"kernel": kernel, **about})
    return described


def _read(judged: Sequence[Judged], account: Account) -> list[dict[str, str]]:
    """List every file that was read with its SHA-256, by kind and name."""
    found = {("known failures", path): sha for path, sha in account.read.items()}
    for one in judged:
        if one.recording_sha256:
            found["recording", one.recording] = one.recording_sha256
        if one.output and one.output.sha256:
            found["output", f"{one.kernel}/{one.recording}"] = one.output.sha256
    return [
        {"kind": kind, "name": name, "sha256": sha} for (kind, name), sha in sorted(found.items())
    ]
