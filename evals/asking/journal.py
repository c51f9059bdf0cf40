"""The journal of a run: one line a request, on disk before the next answer is counted.

The first line holds the settings that the answers depend on. Every further line is one request
that ended, an answer or a failure for good, or what the server said about itself when a session
began and ended: a run is made of one session, and of one more each time it is resumed. A line is
written by one `write` call to a file opened for appending, so a process killed at any moment
leaves whole lines and at most one cut line at the end, which has no newline and is recognised by
that.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

from goldgate.evals.errors import EvalError
from goldgate.evals.records.differences import differences

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

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
    headers that name its program; `session` counts from 1.
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
            return Answer(**{**record, **listed})
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


def _grown(contents: Contents, wanted: Mapping[str, Any]) -> dict[str, Any]:
    # Repeats and questions can be added: every answer names both, and its prompt. What was asked
    # or begun cannot be taken away.
    held = dict(contents.settings or {})
    if held.get("population", 0) < wanted.get("population", 0):
        held |= {name: wanted[name] for name in ("limit", "questions", "population")}
        held["prompts_hash"] = wanted["prompts_hash"]  # over all prompts of a run
    if "runs" in held and "runs" in wanted:
        passes = max([held["runs"], *(repeat + 1 for repeat, _ in contents.answers)])
        held["runs"] = max(passes, wanted["runs"])
    return held


def _another_server(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether something else answers at the same address."""
    same_address = held.get("base_url") == wanted.get("base_url")
    return same_address and held.get("server") != wanted.get("server")


class Journal:
    """A journal opened for one run, locked against a second process.

    `answers` holds every request answered so far, `unseen` counts those of them that no look at
    the server has followed. Raises EvalError where the file was written for other settings (each
    named; only `runs` may have grown), where it is locked, and where it exists and `resume` is
    False.
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
        self.sightings = list(contents.sightings)
        self.unseen = contents.unseen
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
            return contents
        held = _grown(contents, wanted)
        if held != wanted:
            found = "; ".join(differences(wanted, held))
            if contents.unseen and _another_server(held, wanted):
                os.ftruncate(self._file.fileno(), contents.good_bytes)
                self._append_sighting(Sighting(CUT, wanted["server"]))
                raise EvalError(
                    f"{self.path}: the server became another one ({found}) after a session that "
                    f"broke off: its {contents.unseen} answers may be of either; "
                    "choose another --out"
                )
            raise EvalError(
                f"{self.path}: written for another run ({found}); "
                "repeat that run's settings or choose another --out"
            )
        if contents.cut_bytes:
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

    @property
    def session(self) -> int:
        """Which session this is, from 1; a run has one more each time it is resumed."""
        return max(sum(sighting.at == START for sighting in self.sightings), 1)

    def answered(self, answer: Answer) -> None:
        """Append one answer; when this returns the operating system has the line."""
        record = asdict(answer)
        self._append({"kind": "answer", **record, "attempts": answer.attempts})
        self.answers[answer.key] = answer
        self.unseen += bool(self.sightings) and self.sightings[-1].at == START

    def failed(self, failure: Failure) -> None:
        """Append one question that stayed unanswered; a resumed run asks it again."""
        self._append({"kind": "failure", **asdict(failure)})
        self.failures.append(failure)

    def saw(self, sighting: Sighting) -> None:
        """Append what the server said about itself."""
        self._append_sighting(sighting)
        self.sightings.append(sighting)
        self.unseen = 0

    def _append_sighting(self, sighting: Sighting) -> None:
        self._append({"kind": "server", **asdict(sighting)})

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
