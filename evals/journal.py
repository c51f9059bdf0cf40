"""The journal of a run: one line a request, on disk before the next answer is counted.

The first line holds the settings that the answers depend on. Every further line is one request
that ended: an answer, or a failure for good. A line is written by one `write` call to a file
opened for appending, so a process killed at any moment leaves whole lines and at most one cut
line at the end, which has no newline and is recognised by that.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

from evals.errors import EvalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

SCHEMA = 1
_MISSING = "nothing"


@dataclass(frozen=True)
class Answer:
    """One request that a server answered.

    `repeat` counts the passes over the questions from 0, `text` is None where the server sent
    null or left the field out (`text_missing` tells which), `latency_s` is the time of the
    attempt that succeeded in seconds, `ended` the moment it ended in seconds of Unix time,
    `errors` names the attempts that failed before it.
    """

    repeat: int
    doc_id: int
    prompt_sha256: str
    text: str | None
    text_missing: bool
    finish_reason: str | None
    stop_reason: str | None
    usage: Mapping[str, int]
    model: str | None
    latency_s: float
    ended: float
    errors: tuple[str, ...] = ()

    @property
    def attempts(self) -> int:
        """How often the question was asked until the server answered."""
        return len(self.errors) + 1

    @property
    def key(self) -> tuple[int, int]:
        """Which pass and which question."""
        return self.repeat, self.doc_id


@dataclass(frozen=True)
class Failure:
    """One question that stayed unanswered after every attempt."""

    repeat: int
    doc_id: int
    ended: float
    errors: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """What a journal file held when it was read; `good_bytes` ends its last whole line."""

    settings: Mapping[str, Any] | None = None
    answers: Mapping[tuple[int, int], Answer] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    good_bytes: int = 0
    cut_bytes: int = 0


def read_journal(path: Path) -> Contents:
    """Read a journal without changing it.

    Raises EvalError for a line that is whole but not a journal's, for a question answered twice
    and for another schema.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EvalError(f"{path}: cannot be read ({error.strerror}); expected a journal") from error
    good = data.rfind(b"\n") + 1
    settings: Mapping[str, Any] | None = None
    answers: dict[tuple[int, int], Answer] = {}
    failures: list[Failure] = []
    for number, line in enumerate(data[:good].splitlines(), start=1):
        record = _parse(line, f"{path}: line {number}")
        if isinstance(record, Failure):
            failures.append(record)
        elif not isinstance(record, Answer):
            settings = record
        elif record.key in answers:
            raise EvalError(
                f"{path}: line {number} answers question {record.doc_id} again; "
                "the file was edited or joined, start a new run folder"
            )
        else:
            answers[record.key] = record
    if settings is None and (answers or failures):
        raise EvalError(f"{path}: the first line with the settings is missing; start anew")
    return Contents(settings, answers, tuple(failures), good, len(data) - good)


def _parse(line: bytes, where: str) -> Answer | Failure | Mapping[str, Any]:
    """Read one whole line; the settings come back as the mapping they are."""
    try:
        record = json.loads(line)
        kind = record.pop("kind")
        if kind == "settings":
            schema, settings = record["schema"], dict(record["settings"])
        elif kind == "answer":
            record.pop("attempts")
            return Answer(**{**record, "errors": tuple(record["errors"])})
        else:
            return Failure(**{**record, "errors": tuple(record["errors"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvalError(
            f"{where} is not a journal's line ({error}); "
            "the file was damaged, start a new run folder"
        ) from error
    if schema != SCHEMA:
        raise EvalError(
            f"{where} has schema {schema}, this version reads {SCHEMA}; "
            "use the version that wrote it"
        )
    return settings


def leaves(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield every leaf of nested JSON with its dotted name."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Name every setting in which two nested mappings differ, as `name: theirs, not ours`."""
    left, right = dict(leaves(dict(ours))), dict(leaves(dict(theirs)))
    return [
        f"{name}: {_short(right.get(name, _MISSING))}, not {_short(left.get(name, _MISSING))}"
        for name in sorted(left.keys() | right.keys())
        if left.get(name, _MISSING) != right.get(name, _MISSING)
    ]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


class Journal:
    """A journal opened for one run, locked against a second process.

    `answers` holds every request answered so far. Raises EvalError where the file was written for
    other settings (each named), where it is locked, and where it exists and `resume` is False.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Lock the file, read it, cut a broken last line off and write the settings if new."""
        self.path = path
        # Settings as they look after a trip through the file, so that 1 and 1.0, tuples and
        # lists do not count as differences.
        wanted = cast("dict[str, Any]", json.loads(json.dumps(settings)))
        existed = path.exists() and path.stat().st_size > 0
        if existed and not resume:
            raise EvalError(
                f"{path}: a journal is here already; continue it with --resume "
                "or choose another --out"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        try:
            contents = self._claim(wanted)
        except BaseException:
            self._file.close()
            raise
        self.answers = dict(contents.answers)
        self.failures = list(contents.failures)
        self.resumed = len(self.answers)
        self.cut_bytes = contents.cut_bytes

    def _claim(self, wanted: Mapping[str, Any]) -> Contents:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EvalError(
                f"{self.path}: another process is writing it; wait for that run or stop it"
            ) from error
        contents = read_journal(self.path)
        if contents.settings is None:
            os.ftruncate(self._file.fileno(), 0)
            self._append({"kind": "settings", "schema": SCHEMA, "settings": wanted})
        elif contents.settings != wanted:
            found = "; ".join(differences(wanted, contents.settings))
            raise EvalError(
                f"{self.path}: written for another run ({found}); "
                "repeat that run's settings or choose another --out"
            )
        elif contents.cut_bytes:
            os.ftruncate(self._file.fileno(), contents.good_bytes)
        return contents

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file, which also gives its lock back."""
        self._file.close()

    def answered(self, answer: Answer) -> None:
        """Append one answer; when this returns the operating system has the line."""
        record = asdict(answer)
        self._append({"kind": "answer", **record, "attempts": answer.attempts})
        self.answers[answer.key] = answer

    def failed(self, failure: Failure) -> None:
        """Append one question that stayed unanswered; a resumed run asks it again."""
        self._append({"kind": "failure", **asdict(failure)})
        self.failures.append(failure)

    def _append(self, record: Mapping[str, object]) -> None:
        line = json.dumps(record).encode() + b"\n"
        end = os.fstat(self._file.fileno()).st_size
        try:
            written = self._file.write(line)
        except OSError as error:
            raise EvalError(
                f"{self.path}: cannot be written ({error.strerror}); "
                "make room and continue with --resume"
            ) from error
        if written != len(line):
            # Other answers may still come in: no line may follow half of one.
            os.ftruncate(self._file.fileno(), end)
            raise EvalError(f"{self.path}: disk full; make room and continue with --resume")
