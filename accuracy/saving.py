"""The manifests of saved outputs: written before a kernel runs, and again when it has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from goldgate.accuracy.account import NotRun
from goldgate.accuracy.evidence import Judged
from goldgate.accuracy.live import folder_of
from goldgate.accuracy.manifest import (
    ASKED,
    CRASHED,
    NAME,
    NOT_COVERED,
    WRITTEN,
    Entry,
    write_manifest,
)
from goldgate.accuracy.tasks import Task
from goldgate.fixtures import FixtureError


def to_save(folder: Path, tasks: Sequence[Task], not_run: Sequence[NotRun]) -> None:
    """Write what is asked of each kernel, so that a run that is killed shows what it lacks.

    Raises:
        OSError: a manifest cannot be written.

    """
    entries: dict[str, dict[str, Entry]] = defaultdict(dict)
    for task in tasks:
        if task.rows:  # others are refusals
            entries[task.kernel][task.recording] = Entry(ASKED)
    for note in not_run:
        if note.recording:
            entries[note.kernel][note.recording] = Entry(NOT_COVERED, note.why)
    _write(folder, entries)


def saved(folder: Path, judged: Sequence[Judged]) -> list[str]:
    """Write what became of what was asked; return a line for each manifest that failed.

    What was judged is still to be reported: nothing here may lose it.
    """
    entries: dict[str, dict[str, Entry]] = defaultdict(dict)
    for one in judged:
        if one.not_covered:
            entries[one.kernel][one.recording] = Entry(NOT_COVERED, one.not_covered)
        elif one.looked and one.looked.not_covered:
            why = f"in part: {one.looked.not_covered[0][1]}"
            entries[one.kernel][one.recording] = Entry(NOT_COVERED, why)
        elif one.output is not None and not one.unsaved:
            entries[one.kernel][one.recording] = Entry(WRITTEN)
        elif one.output is None and one.faults:
            entries[one.kernel][one.recording] = Entry(CRASHED, one.faults[0])
    failed = []
    for kernel, found in entries.items():
        try:
            _write(folder, {kernel: found})
        except OSError as error:
            path, reason = folder / folder_of(kernel) / NAME, error.strerror or type(error).__name__
            failed.append(f"{path}: the manifest cannot be written ({reason})")
        except FixtureError as error:
            failed.append(str(error))
    return failed


def _write(folder: Path, entries: dict[str, dict[str, Entry]]) -> None:
    for kernel, found in entries.items():
        write_manifest(folder / folder_of(kernel), kernel, found)
