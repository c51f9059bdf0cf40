"""docs/kill-matrix.md: the matrix of kernels on recordings, then what was found end to end."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from accuracy.mutants import matrix, served_table
from accuracy.mutants.end_to_end import read_results
from accuracy.mutants.matrix import Line

#: What stands in the repository.
DOCUMENT = Path(__file__).parents[2] / "docs" / "kill-matrix.md"
PICTURE = DOCUMENT.with_suffix(".png")
SERVED_PICTURE = DOCUMENT.with_name("kill-matrix-end-to-end.png")


def halves(text: str) -> tuple[str, str]:
    """Return the document's two halves, the second from its heading on."""
    first, heading, second = text.partition(served_table.HEADING + "\n")
    return first, heading + second


def current(lines: Sequence[Line]) -> bool:
    """Whether the document says what was found."""
    text = matrix.document(lines) + "\n" + served_table.section(read_results())
    return DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == text


def write(lines: Sequence[Line]) -> None:
    """Write the document's first half and its picture, and the second half from what is kept."""
    first = matrix.document(lines) + "\n"
    DOCUMENT.write_text(first + served_table.section(read_results()), encoding="utf-8")
    matrix.picture(lines, PICTURE, digest(first))


def write_served() -> None:
    """Write the document's second half and its picture from what is kept."""
    first, _ = halves(DOCUMENT.read_text(encoding="utf-8"))
    second = served_table.section(read_results())
    DOCUMENT.write_text(first + second, encoding="utf-8")
    served_table.picture(read_results(), SERVED_PICTURE, digest(second))


def digest(text: str) -> str:
    """Return what a picture's metadata holds of the half that it shows."""
    return hashlib.sha256(text.encode()).hexdigest()


def picture_digest(path: Path) -> str:
    """Return the digest in a picture's metadata, "" if it has none."""
    data = path.read_bytes()
    key = b"Description\x00"
    at = data.find(key)
    return "" if at < 0 else data[at + len(key) : at + len(key) + 64].decode("ascii", "replace")
