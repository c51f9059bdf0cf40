"""docs/kill-matrix.md: the matrix of kernels on recordings, then what was found end to end."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

from goldgate.mutants.conforming import volume
from goldgate.mutants.matrix import Line
from goldgate.mutants.report import matrix_page as document
from goldgate.mutants.report import served_page as served_table
from goldgate.mutants.served.end_to_end import read_results
from goldgate.places import CHECKOUT

#: The page; only a checkout has it.
DOCUMENT = (CHECKOUT or Path()) / "docs" / "kill-matrix.md"
PICTURE = DOCUMENT.with_suffix(".png")
SERVED_PICTURE = DOCUMENT.with_name("kill-matrix-end-to-end.png")

#: Differing lines that are shown at the most.
_SHOWN = 6


def halves(text: str) -> tuple[str, str]:
    """Return the document's two halves, the second from its heading on."""
    first, heading, second = text.partition(served_table.HEADING + "\n")
    return first, heading + second


def first_half(lines: Sequence[Line]) -> str:
    """Return the first half as these lines and the kept long run make it."""
    return document.document(lines, volume.kept()) + "\n"


def stale(lines: Sequence[Line]) -> list[str]:
    """Say where the document or its picture is not what was found; nothing if they are current."""
    made = first_half(lines) + served_table.section(read_results())
    stands = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    found = [
        line
        for line in unified_diff(stands.splitlines(), made.splitlines(), n=0, lineterm="")
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    said = [f"  {line}" for line in found[:_SHOWN]]
    if len(found) > _SHOWN:
        said.append(f"  and {len(found) - _SHOWN} lines more")
    shown = {
        PICTURE: document.plotted(lines).digest(),
        SERVED_PICTURE: served_table.digest(read_results()),
    }
    said += [
        f"  {path.name} shows something else"
        for path, digest in shown.items()
        if picture_digest(path) != digest
    ]
    return said


def write(lines: Sequence[Line]) -> None:
    """Write the document's first half and its picture, and the second from what is kept."""
    _write(first_half(lines))
    document.picture(document.plotted(lines), PICTURE)


def write_served() -> None:
    """Write the document's second half and its picture from what is kept."""
    first, _ = halves(DOCUMENT.read_text(encoding="utf-8"))
    _write(first)


def _write(first: str) -> None:
    kept = read_results()
    DOCUMENT.write_text(first + served_table.section(kept), encoding="utf-8")
    if picture_digest(SERVED_PICTURE) != served_table.digest(kept):
        served_table.picture(kept, SERVED_PICTURE)


def picture_digest(path: Path) -> str:
    """Return the digest in a picture's metadata, "" if it has none or is not there."""
    data = path.read_bytes() if path.exists() else b""
    key = b"Description\x00"
    at = data.find(key)
    return "" if at < 0 else data[at + len(key) : at + len(key) + 64].decode("ascii", "replace")
