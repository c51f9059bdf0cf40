"""Known failures: rows that a kernel is known to get wrong, each with a reason or a link.

They are strict, as pytest's strict xfail is: a row that fails and is not listed fails the verdict,
and so does a listed row that no longer fails, because the list is then out of date.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from goldgate.accuracy.selection import Reason
from goldgate.errors import GoldgateError
from goldgate.fixtures import KernelInfo

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: The known failures of the kernels whose outputs ship with the suite.
SHIPPED = Path(__file__).with_name("known_failures.toml")


class KnownFailureError(GoldgateError):
    """A file of known failures that cannot be used."""


@dataclass(frozen=True)
class KnownFailure:
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


def read_known_failures(path: Path) -> tuple[KnownFailure, ...]:
    """Read a file of known failures: TOML, an array of tables `known_failure`.

    Tables named `deviation`, as 0.1.0 had them, are read too.

    Raises:
        KnownFailureError: the file is not there, is no TOML, or an entry is not complete.

    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KnownFailureError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise KnownFailureError(f"{path}: no TOML ({' '.join(str(error).split())})") from None
    entries = tables.get("known_failure", tables.get("deviation", []))
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KnownFailureError(f"{path}: expected tables [[known_failure]]")
    return tuple(_known_failure(path, number, entry) for number, entry in enumerate(entries, 1))


def _known_failure(path: Path, number: int, entry: dict[str, object]) -> KnownFailure:
    where = f"{path}: known failure {number}"
    texts = ("kernel", "version", "recording", "recording_sha256", "reason", "why")
    for key in texts:
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise KnownFailureError(f"{where} has no {key!r}: expected a text")
    reasons = {reason.text for reason in Reason if reason != Reason.NONE}
    if entry["reason"] not in reasons:
        raise KnownFailureError(f"{where}: reason: expected one of {', '.join(sorted(reasons))}")
    rows = entry.get("rows")
    if not isinstance(rows, list) or not rows or any(type(row) is not int for row in rows):
        raise KnownFailureError(f"{where} has no 'rows': expected a list of row numbers")
    link = entry.get("link", "")
    if unknown := sorted(entry.keys() - {*texts, "rows", "link"}):
        raise KnownFailureError(f"{where} has unknown {', '.join(unknown)}")
    if not isinstance(link, str):
        raise KnownFailureError(f"{where}: link: expected a text")
    values = {key: str(entry[key]) for key in texts}
    return KnownFailure(**values, rows=tuple(rows), link=link)
