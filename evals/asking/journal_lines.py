"""What the lines of a journal say, and a journal read from its file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from goldgate.evals.errors import EvalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCHEMA = 3
_READ = (1, 2, SCHEMA)  # 1 had no records of the server


@dataclass(frozen=True)
class Answer:
    """One request that a server answered.

    `repeat` counts the passes over the questions from 0, `text` is None where the server sent
    null or left the field out (`text_missing` tells which), `latency_s` is the time of the
    attempt that succeeded in seconds, `ended` the moment it ended in seconds of Unix time as a
    clock tells it that no one sets while a session lasts, `errors` names the attempts that failed
    before it. `usage_refused` names counts of tokens that were none. `reasoning` is the thought
    that the server sent apart from the text, `fingerprint` its system_fingerprint, `build` the
    headers that name its program: None where it named none, empty in lines of an earlier version
    that did not look; `session` counts from 1.
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
    usage_refused: tuple[str, ...] = ()
    reasoning: str | None = None
    fingerprint: str | None = None
    build: str | None = None
    session: int = 1

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
class Sighting:
    """What the server said about itself.

    `at` is START before the first request of a session, END after its last one, CUT where the
    server was looked at after a session had broken off.
    """

    at: str
    identity: Mapping[str, str]


START, END, CUT = "start", "end", "cut"


@dataclass(frozen=True)
class Contents:
    """What a journal file held when it was read; `good_bytes` ends its last whole line.

    `unseen` counts the answers of a last session after which nobody has looked at the server.
    """

    settings: Mapping[str, Any] | None = None
    answers: Mapping[tuple[int, int], Answer] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    unseen: int = 0
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
    sightings: list[Sighting] = []
    unseen = 0
    for number, line in enumerate(data[:good].splitlines(), start=1):
        record = _parse(line, f"{path}: line {number}")
        if isinstance(record, Failure):
            failures.append(record)
        elif isinstance(record, Sighting):
            sightings.append(record)
            unseen = 0
        elif not isinstance(record, Answer):
            settings = record
        elif record.key in answers:
            raise EvalError(
                f"{path}: line {number} answers question {record.doc_id} again; "
                "the file was edited or joined, start a new run folder"
            )
        else:
            answers[record.key] = record
            unseen += bool(sightings) and sightings[-1].at == START
    if settings is None and (answers or failures or sightings):
        raise EvalError(f"{path}: the first line with the settings is missing; start anew")
    return Contents(
        settings, answers, tuple(failures), tuple(sightings), unseen, good, len(data) - good
    )


def _parse(line: bytes, where: str) -> Answer | Failure | Sighting | Mapping[str, Any]:
    """Read one whole line; the settings come back as the mapping they are."""
    try:
        record = json.loads(line)
        kind = record.pop("kind")
        if kind == "settings":
            schema, settings = record["schema"], dict(record["settings"])
        elif kind == "answer":
            record.pop("attempts")
            tuples = ("errors", "usage_refused")
            listed = {name: tuple(record.get(name, ())) for name in tuples}
            return Answer(**{"fingerprint": "", "build": "", **record, **listed})
        elif kind == "server":
            return Sighting(record["at"], dict(record["identity"]))
        else:
            return Failure(**{**record, "errors": tuple(record["errors"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvalError(
            f"{where} is not a journal's line ({error}); "
            "the file was damaged, start a new run folder"
        ) from error
    if schema not in _READ:
        raise EvalError(
            f"{where} has schema {schema}, this version reads {' and '.join(map(str, _READ))}; "
            "use the version that wrote it"
        )
    return settings
