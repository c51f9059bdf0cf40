"""The manifest of an outputs folder: what was asked of the kernel, and what became of it.

Without it a folder cannot tell a kernel that crashed on five recordings of six from one that was
asked one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from goldgate.accuracy.document import write_text
from goldgate.fixtures import FixtureError

NAME = "manifest.json"

#: What may become of a recording: asked and not answered (yet), answered in a file, left out for a
#: reason, or ended by the kernel's failure.
ASKED, WRITTEN, NOT_COVERED, CRASHED = "asked", "written", "not covered", "crashed"
_STATES = (ASKED, WRITTEN, NOT_COVERED, CRASHED)


@dataclass(frozen=True)
class Entry:
    """One recording of a manifest.

    Attributes:
        state: `ASKED`, `WRITTEN`, `NOT_COVERED` or `CRASHED`.
        why: the reason, for the last two.

    """

    state: str
    why: str = ""


def write_manifest(folder: Path, kernel: str, entries: Mapping[str, Entry]) -> None:
    """Write a folder's manifest; entries of an earlier run that are not named again stay.

    Args:
        folder: of one kernel's outputs.
        kernel: its name, as it was asked for.
        entries: by recording.

    Raises:
        OSError: it cannot be written.
        FixtureError: the earlier one is none.

    """
    kept = {**(read_manifest(folder) or {}), **entries}
    recordings = {
        name: {"state": entry.state} | ({"why": entry.why} if entry.why else {})
        for name, entry in sorted(kept.items())
    }
    document = {"schema": 1, "kernel": kernel, "recordings": recordings}
    write_text(folder / NAME, json.dumps(document, indent=1) + "\n")


def read_manifest(folder: Path) -> dict[str, Entry] | None:
    """Read a folder's manifest; None where it has none.

    Raises:
        FixtureError: the file is no manifest.

    """
    path = folder / NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FixtureError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise FixtureError(f"{path}: is no JSON: expected a manifest of outputs") from None
    recordings = document.get("recordings") if isinstance(document, dict) else None
    if not isinstance(recordings, dict) or document.get("schema") != 1:
        raise FixtureError(f"{path}: expected a manifest of schema 1 with 'recordings'")
    entries = {}
    for name, entry in recordings.items():
        state = entry.get("state") if isinstance(entry, dict) else None
        if state not in _STATES:
            raise FixtureError(f"{path}: {name} is {state!r}: expected one of {', '.join(_STATES)}")
        entries[name] = Entry(state, str(entry.get("why", "")))
    return entries
