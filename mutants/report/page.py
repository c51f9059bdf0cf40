"""The pages of the kill matrix in docs/: a summary, every fault, every served fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import unified_diff
from pathlib import Path

from goldgate.mutants.conforming import volume
from goldgate.mutants.matrix import Line
from goldgate.mutants.report import matrix_page, served_page, served_picture, summary_page
from goldgate.mutants.served.end_to_end import read_results
from goldgate.pictures import digest_in
from goldgate.places import CHECKOUT

#: The pages; only a checkout has them.
SUMMARY = (CHECKOUT or Path()) / "docs" / "kill-matrix.md"
FAULTS = SUMMARY.with_name("kill-matrix-faults.md")
SERVED = SUMMARY.with_name("kill-matrix-end-to-end.md")
PICTURE = SUMMARY.with_suffix(".png")
SERVED_PICTURE = SERVED.with_suffix(".png")

#: Differing lines that are shown at the most.
_SHOWN = 6


def halves(summary: str) -> tuple[str, str]:
    """Return the summary's two parts: the matrix, and the served faults from their heading on."""
    first, heading, second = summary.partition(served_page.HEADING + "\n")
    return first, heading + second


def pages(lines: Sequence[Line]) -> dict[Path, str]:
    """Return the text of every page as these lines, the kept long run and results make it."""
    found = read_results()
    return {
        SUMMARY: summary_page.first_part(lines) + served_page.section(found),
        FAULTS: matrix_page.document(lines, volume.kept()),
        SERVED: served_page.document(found),
    }


def stale(lines: Sequence[Line]) -> list[str]:
    """Return where a page or picture is not what was found, shortened; empty if all are current."""
    found = [line for path, text in pages(lines).items() for line in _differences(path, text)]
    reported = found[:_SHOWN]
    if len(found) > _SHOWN:
        reported.append(f"  and {len(found) - _SHOWN} lines more")
    shown = {
        PICTURE: matrix_page.plotted(lines).digest(),
        SERVED_PICTURE: served_picture.digest(read_results()),
    }
    return reported + [
        f"  {path.name} shows something else"
        for path, digest in shown.items()
        if digest_in(path) != digest
    ]


def _differences(path: Path, made: str) -> list[str]:
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    return [
        f"  {path.name}: {line}"
        for line in unified_diff(kept.splitlines(), made.splitlines(), n=0, lineterm="")
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]


def write(lines: Sequence[Line]) -> None:
    """Write every page and picture."""
    _write(pages(lines))
    matrix_page.picture(matrix_page.plotted(lines), PICTURE)


def write_served() -> None:
    """Write what the pages show of the served faults, from what is kept."""
    found = read_results()
    first, _ = halves(SUMMARY.read_text(encoding="utf-8"))
    _write({SUMMARY: first + served_page.section(found), SERVED: served_page.document(found)})


def _write(texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    found = read_results()
    if digest_in(SERVED_PICTURE) != served_picture.digest(found):
        served_picture.picture(found, SERVED_PICTURE)
