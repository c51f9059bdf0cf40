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
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from goldgate.evals.asking.journal_lines import (
    CUT,
    SCHEMA,
    START,
    Answer,
    Contents,
    Failure,
    Sighting,
    read_journal,
)
from goldgate.evals.errors import EvalError
from goldgate.evals.records.differences import differences

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self


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
