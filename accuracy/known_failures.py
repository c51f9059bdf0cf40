"""Known failures: rows that a kernel is known to get wrong, each with a reason and a ceiling.

They are strict, as pytest's strict xfail is: a row that fails and is not listed fails the verdict,
and so does a listed row that no longer fails, because the list is then out of date. A listed row
is excused up to its ceiling: one that gets worse fails as well.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from goldgate.accuracy.selection import Reason
from goldgate.errors import GoldgateError
from goldgate.fixtures import KernelInfo

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: The known failures of the kernels whose outputs ship with the suite.
SHIPPED = Path(__file__).with_name("known_failures.toml")


_CEILINGS = ("largest_error_over_bound", "largest_weight", "largest_other_experts")


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
        largest_error_over_bound: ceiling on the error of a listed row's finite weights over their
            bound; None where the row's weights have none (it is undefined).
        largest_weight: ceiling on the size of a listed row's weights that are not NaN; None where
            the one above bounds them.
        largest_other_experts: ceiling on how many of a listed row's ids are not golden.
        nan: whether a listed row's weights may be NaN, where that is not the reason itself.

    """

    kernel: str
    version: str
    recording: str
    recording_sha256: str
    reason: str
    rows: tuple[int, ...]
    why: str
    link: str = ""
    largest_error_over_bound: float | None = None
    largest_weight: float | None = None
    largest_other_experts: int | None = None
    nan: bool = False

    @property
    def allows_nan(self) -> bool:
        """Whether a listed row's weights may be NaN; not finite means that, inf is never known."""
        return self.nan or self.reason == Reason.NONFINITE_WEIGHT.text

    @property
    def ceiling(self) -> str:
        """The ceilings in one line."""
        parts = []
        if self.largest_error_over_bound is not None:
            parts.append(f"weights off by at most {self.largest_error_over_bound:g} bounds")
        if self.largest_weight is not None:
            parts.append(f"weights of at most {self.largest_weight:g}")
        if self.largest_other_experts is not None:
            parts.append(f"at most {self.largest_other_experts} other experts")
        if self.allows_nan:
            parts.append("or NaN")
        return ", ".join(parts)

    def applies(self, kernel: KernelInfo, recording_sha256: str | None) -> bool:
        """Say whether this is about that kernel on that recording."""
        return (
            fnmatchcase(kernel.name, self.kernel)
            and fnmatchcase(kernel.version, self.version)
            and recording_sha256 == self.recording_sha256
        )


@dataclass(frozen=True)
class KnownInput:
    """A recording whose bias is known not to be the checkpoint's.

    Attributes:
        recording_sha256: its hash.
        why: one sentence.
        link: an issue or a page.

    """

    recording_sha256: str
    why: str
    link: str


def read_known_failures(path: Path) -> tuple[KnownFailure, ...]:
    """Read a file of known failures: TOML, an array of tables `known_failure`.

    Tables named `deviation`, as 0.1.0 had them, are read too.

    Raises:
        KnownFailureError: the file is not there, is no TOML, or an entry is not complete.

    """
    tables = _tables(path)
    entries = tables.get("known_failure", tables.get("deviation", []))
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KnownFailureError(f"{path}: expected tables [[known_failure]]")
    return tuple(_known_failure(path, number, entry) for number, entry in enumerate(entries, 1))


def read_known_inputs(path: Path) -> tuple[KnownInput, ...]:
    """Read the tables `known_input` of a file of known failures.

    Raises:
        KnownFailureError: the file is not there, is no TOML, or an entry is not complete.

    """
    entries = _tables(path).get("known_input", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KnownFailureError(f"{path}: expected tables [[known_input]]")
    known = []
    keys = ("recording_sha256", "why", "link")
    for number, entry in enumerate(entries, 1):
        for key in keys:
            if not isinstance(entry.get(key), str) or not entry[key]:
                raise KnownFailureError(
                    f"{path}: known input {number} has no {key!r}: expected a text"
                )
        if unknown := sorted(entry.keys() - {*keys, "recording"}):
            raise KnownFailureError(f"{path}: known input {number} has unknown {unknown[0]}")
        known.append(KnownInput(*(entry[key] for key in keys)))
    return tuple(known)


def _tables(path: Path) -> dict[str, object]:
    try:
        tables: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KnownFailureError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise KnownFailureError(f"{path}: no TOML ({' '.join(str(error).split())})") from None
    return tables


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
    nan = entry.get("nan", False)
    if not isinstance(nan, bool):
        raise KnownFailureError(f"{where}: nan: expected true or false")
    if unknown := sorted(entry.keys() - {*texts, "rows", "link", "nan", *_CEILINGS}):
        raise KnownFailureError(f"{where} has unknown {', '.join(unknown)}")
    if not isinstance(link, str):
        raise KnownFailureError(f"{where}: link: expected a text")
    values: dict[str, Any] = {key: str(entry[key]) for key in texts}
    ceilings = _ceilings(where, entry)
    return KnownFailure(**values, rows=tuple(rows), link=link, nan=nan, **ceilings)


def _ceilings(where: str, entry: dict[str, object]) -> dict[str, Any]:
    """Return an entry's ceilings; each reason needs the one that bounds what it lets pass."""
    found: dict[str, Any] = {}
    for key in _CEILINGS:
        value = entry.get(key)
        if value is None:
            continue
        if type(value) not in (int, float) or not 0 <= value < math.inf:  # type: ignore[operator]
            raise KnownFailureError(f"{where}: {key}: expected a number of at least 0")
        found[key] = value
    if not found.keys() & {"largest_error_over_bound", "largest_weight"}:
        raise KnownFailureError(
            f"{where} has no ceiling: expected largest_error_over_bound or, for rows that the "
            "contract does not define, largest_weight"
        )
    if entry["reason"] == Reason.OTHER_EXPERTS.text and "largest_other_experts" not in found:
        raise KnownFailureError(
            f"{where} has no ceiling on its ids: expected largest_other_experts"
        )
    return found
