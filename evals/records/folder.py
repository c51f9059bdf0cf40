"""The run folder: run.json, samples.jsonl, journal.jsonl, junit.xml."""

from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldgate.evals.errors import EvalError
from goldgate.evals.records.names import JOURNAL, JUNIT, RUN, SAMPLES
from goldgate.evals.records.schema import check_facts, check_samples, upgraded
from goldgate.sealed import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SCHEMA = 3
_READ = (1, 2, SCHEMA)
_SEALED = 3  # the first whose run.json has a digest

__all__ = [
    "JOURNAL",
    "JUNIT",
    "RUN",
    "SAMPLES",
    "SCHEMA",
    "Run",
    "read_run",
    "sha256",
    "write_json",
    "write_lines",
    "write_text",
]


@dataclass(frozen=True)
class Run:
    """A run folder that was read and whose files are as they were written.

    `facts` is run.json; `samples` has one entry a question and pass, ordered by pass, then
    question.
    """

    path: Path
    facts: Mapping[str, Any]
    samples: tuple[Mapping[str, Any], ...]

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the answers depend on."""
        settings: Mapping[str, Any] = self.facts["settings"]
        return settings

    @property
    def foreign(self) -> str | None:
        """The kind of file that another program wrote, None for a run folder."""
        kind: str | None = self.facts.get("foreign")
        return kind

    @property
    def filters(self) -> tuple[str, ...]:
        """The ways in which each answer was read, the task's own first."""
        return tuple(self.settings["filters"])


def sha256(path: Path) -> str:
    """Hash a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_json(path: Path, value: object) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_lines(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    """Write one JSON object a line, whole or not at all."""
    write_text(path, "".join(json.dumps(record, sort_keys=True) + "\n" for record in records))


def read_run(path: Path) -> Run:
    """Read a run folder and check that it is whole and that its files agree.

    Raises EvalError for a folder that is no run, is incomplete, is damaged or was changed.
    """
    facts = _read_facts(path)
    if facts.get("schema") not in _READ:
        raise EvalError(
            f"{path}: run.json has schema {facts.get('schema')!r}, this version reads "
            f"{', '.join(map(str, _READ))}"
        )
    if facts.get("status") == "incomplete":
        reasons = facts.get("reasons")
        reason = reasons[0] if reasons and isinstance(reasons, list) else "no reason is given"
        raise EvalError(f"{path}: the run did not finish ({reason}); continue it with --resume")
    if facts["schema"] < SCHEMA:
        facts = upgraded(facts)
    if facts["schema"] >= _SEALED and not _is_sealed(facts):
        raise EvalError(
            f"{path}: {RUN} does not have the content that its digest is of; it was changed after "
            "the run"
        )
    check_facts(facts, path)
    try:
        data = (path / SAMPLES).read_bytes()
    except OSError as error:
        raise EvalError(
            f"{path / SAMPLES}: cannot be read ({error.strerror}); the folder is damaged"
        ) from error
    expected, found = facts["hashes"]["samples"], hashlib.sha256(data).hexdigest()
    if found != expected:
        raise EvalError(
            f"{path}: {SAMPLES} has sha256 {found[:12]}..., run.json says {expected[:12]}...; "
            "the folder was changed after the run"
        )
    try:
        # Not splitlines: a text may hold U+2028, which ends no line of JSON.
        samples = [json.loads(line) for line in data.decode("utf-8").split("\n") if line]
    except (ValueError, RecursionError) as error:
        raise EvalError(f"{path / SAMPLES}: holds no JSON lines; the folder is damaged") from error
    return Run(path, facts, check_samples(samples, facts, path / SAMPLES))


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads((path / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        hint = (
            "its run was killed, continue it with --resume"
            if (path / JOURNAL).exists()
            else "expected a folder that `goldgate gsm8k --out` wrote"
        )
        raise EvalError(f"{path}: holds no {RUN}; {hint}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise EvalError(f"{path / RUN}: cannot be read ({error}); the folder is damaged") from error
    if not isinstance(facts, dict):
        raise EvalError(f"{path / RUN}: holds no JSON object; the folder is damaged")
    return facts


def _is_sealed(facts: Mapping[str, Any]) -> bool:
    try:
        return bool(facts.get("digest") == digest(facts))
    except ValueError:  # NaN, which run.json never has
        return False


def write_text(path: Path, text: str) -> None:
    """Write a text so that a reader sees the old file or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise EvalError(f"{path}: cannot be written ({error.strerror}){_remedy(error)}") from error


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "; make room on the disk and run this again, with --resume where it asks"
    return "; name another"
