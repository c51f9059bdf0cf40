"""Known deviations: failures of a kernel that someone looked at, each with a reason or a link.

They are strict. A row that fails and is not listed fails the verdict; so does a row that is listed
and no longer fails, because then the list says of the kernel what is not true.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from accuracy.rows import Reason
from fixtures import KernelInfo

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: The deviations of the kernels whose outputs ship with the suite.
SHIPPED = Path(__file__).with_name("deviations.toml")


class DeviationError(Exception):
    """A deviations file that cannot be used: one line that names it and what was expected."""


@dataclass(frozen=True)
class Deviation:
    """Rows of a recording that a kernel is known to get wrong.

    Attributes:
        kernel: a pattern (as file names have) for the kernel's name.
        version: a pattern for its version.
        recording: the recording's name.
        recording_sha256: its hash: rows are meaningless for another file.
        reason: what fails, in `Reason.text`'s words.
        rows: the rows that fail.
        why: one sentence.
        link: an issue or a page, where there is one.

    """

    kernel: str
    version: str
    recording: str
    recording_sha256: str
    reason: str
    rows: tuple[int, ...]
    why: str
    link: str = ""

    def applies(self, kernel: KernelInfo, recording_sha256: str | None) -> bool:
        """Say whether this is about that kernel on that recording."""
        return (
            fnmatchcase(kernel.name, self.kernel)
            and fnmatchcase(kernel.version, self.version)
            and recording_sha256 == self.recording_sha256
        )


def read_deviations(path: Path) -> tuple[Deviation, ...]:
    """Read a deviations file (TOML, an array of tables named `deviation`).

    Raises:
        DeviationError: the file is not there, is no TOML, or an entry is not complete.

    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("deviation", [])
    except OSError as error:
        raise DeviationError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise DeviationError(f"{path}: no TOML ({' '.join(str(error).split())})") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DeviationError(f"{path}: expected tables [[deviation]]")
    return tuple(_deviation(path, number, entry) for number, entry in enumerate(entries, 1))


def _deviation(path: Path, number: int, entry: dict[str, object]) -> Deviation:
    where = f"{path}: deviation {number}"
    texts = ("kernel", "version", "recording", "recording_sha256", "reason", "why")
    for key in texts:
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise DeviationError(f"{where} has no {key!r}: expected a text")
    reasons = {reason.text for reason in Reason if reason != Reason.NONE}
    if entry["reason"] not in reasons:
        raise DeviationError(f"{where}: reason: expected one of {', '.join(sorted(reasons))}")
    rows = entry.get("rows")
    if not isinstance(rows, list) or not rows or any(type(row) is not int for row in rows):
        raise DeviationError(f"{where} has no 'rows': expected a list of row numbers")
    link = entry.get("link", "")
    if unknown := sorted(entry.keys() - {*texts, "rows", "link"}):
        raise DeviationError(f"{where} has unknown {', '.join(unknown)}")
    if not isinstance(link, str):
        raise DeviationError(f"{where}: link: expected a text")
    values = {key: str(entry[key]) for key in texts}
    return Deviation(**values, rows=tuple(rows), link=link)
