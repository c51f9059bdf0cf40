"""docs/kill-matrix.md and its pictures: what stands there is what the code finds and says."""

from __future__ import annotations

import dataclasses
import re
from functools import cache

import matplotlib.colors
import matplotlib.image
import numpy as np
import pytest

from goldgate.mutants.conforming import volume
from goldgate.mutants.conforming.volume import VolumeResult
from goldgate.mutants.faults.evidence import FAULTS as FOLDER_FAULTS
from goldgate.mutants.matrix import Line
from goldgate.mutants.report import matrix_page, page, summary_page
from goldgate.mutants.report.matrix_page import FAMILIES, HEADINGS, plotted
from goldgate.mutants.report.page import FAULTS as FAULTS_PAGE
from goldgate.mutants.report.page import PICTURE, SUMMARY, halves
from goldgate.mutants.trial import FAULTS, FILE_FAULTS
from goldgate.pictures import digest_in
from tests.accuracy import matrix_lines as found
from tests.accuracy.matrix_lines import HONEST, LARGE, SHIPPED

_README = SUMMARY.parents[1] / "README.md"


@cache
def _first() -> str:
    first, _ = halves(SUMMARY.read_text(encoding="utf-8"))
    return first


@cache
def _details() -> str:
    return FAULTS_PAGE.read_text(encoding="utf-8")


def _tables(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its head."""
    _, _, after = _details().partition(f"## {heading}\n")
    rows = [line for line in after.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return [_cells(row) for row in rows[1:]]


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row[2:-2].split(" | ")]


@cache
def _lines() -> tuple[Line, ...]:
    """Return every line: found anew, but for what was seen on the largest recordings."""
    stated = {cells[0]: cells for family in FAMILIES for cells in _tables(f"Faults: {family}")}
    marks = {"yes": True, "**no**": False, "n/a": None}
    lines = []
    for fault in FAULTS:
        if fault.on not in LARGE:
            lines.append(found.fault_line(fault))
            continue
        cells = stated[fault.name]
        caught = tuple(marks[cell] for cell in cells[4:])
        lines.append(
            Line(fault.name, fault.family, fault.on, fault.stands_for, True, cells[3], caught)
        )
    lines += [found.file_line(fault) for fault in FILE_FAULTS]
    lines += [found.folder_line(fault) for fault in FOLDER_FAULTS]
    lines += [found.honest_line(*one) for one in HONEST]
    lines += [found.shipped_line(kernel, on) for on, kernel in SHIPPED]
    return tuple(lines)


def test_the_pages_are_what_is_found() -> None:
    """Every word and cell is rendered again, except what is seen on the largest recordings."""
    assert _details().splitlines() == matrix_page.document(_lines(), volume.kept()).splitlines()
    assert _first().splitlines() == summary_page.first_part(_lines()).splitlines()


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.on in LARGE], ids=lambda f: f.name)
def test_faults_on_large_recordings_are_stated_as_caught(fault: object) -> None:
    """What is not made anew at least says that goldgate catches it, for the reason expected."""
    (line,) = [line for line in _lines() if line.name == getattr(fault, "name", None)]

    assert getattr(fault, "seen_as", None) in re.sub(r" \d+", "", line.seen).split(", ")
    assert line.caught[:2] == (True, True)


def test_the_totals_add_up() -> None:
    """The counts at the top are those of the tables below it."""
    faults = [
        cells[4:]
        for family in FAMILIES
        if family != "inside rounding"
        for cells in _tables(f"Faults: {family}")
    ]
    right = [c[4:] for h in ("Faults: inside rounding", "Conforming kernels") for c in _tables(h)]
    rows = [line for line in _first().splitlines() if line.startswith("| of ")]
    stated = [_cells(row) for row in rows]

    assert stated[0] == [
        f"of {len(faults)} faults caught",
        *(
            f"{sum(row[j] == 'yes' for row in faults)} of {sum(row[j] != 'n/a' for row in faults)}"
            for j in range(len(HEADINGS))
        ),
    ]
    assert stated[1] == [
        f"of {len(right)} right results called wrong",
        *(str(sum("alarm" in row[j] for row in right)) for j in range(len(HEADINGS))),
    ]


def test_goldgate_catches_all_and_calls_nothing_right_wrong() -> None:
    """The first column has no miss and no alarm."""
    for line in _lines():
        assert line.caught[0] == (line.family not in (*matrix_page.RIGHT, matrix_page.KNOWN)), (
            line.name
        )


def test_the_picture_shows_the_table_in_its_colours() -> None:
    """The picture was drawn of these names, cells and colours, and has them in these shares."""
    shown = plotted(_lines())
    pixels = np.asarray(matplotlib.image.imread(PICTURE))[:, :, :3]
    counts = np.array(
        [
            (np.abs(pixels - matplotlib.colors.to_rgb(colour)).max(axis=2) < 0.5 / 255).sum()
            for colour in shown.colours
        ]
    )
    cells = np.bincount(np.array(shown.cells).ravel(), minlength=len(shown.colours))

    assert digest_in(PICTURE) == shown.digest()
    assert counts / counts.sum() == pytest.approx(cells / cells.sum(), abs=0.01)


@pytest.mark.parametrize(
    "change", [{"colours": ("#000000",) * 3}, {"rows": ("another",)}, {"cells": ((0,),)}]
)
def test_another_picture_has_another_digest(change: dict[str, tuple[str, ...]]) -> None:
    """Colours, names and cells are all in what the picture's metadata holds."""
    shown = plotted(_lines())

    assert dataclasses.replace(shown, **change).digest() != shown.digest()  # type: ignore[arg-type]  # by field


def test_what_is_not_current_is_shown() -> None:
    """Where the page is not what was found, the first differing lines are shown, cut short."""
    lines = [dataclasses.replace(line, stands_for="another case") for line in _lines()]

    said = page.stale(lines)

    assert page.stale(_lines()) == []
    assert said[0].startswith("  kill-matrix-faults.md: -| ")
    assert "lines more" in said[-1]


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (None, "no long run yet"),
        (VolumeResult(rows=12345678, date="2026-01-02"), "12,345,678 rows, **no alarm**"),
        (VolumeResult(rows=9, alarms=("numpy on rows: weight 1",)), "**alarms: 1**"),
    ],
)
def test_a_long_run_is_stated_as_it_went(run: VolumeResult | None, said: str) -> None:
    """The page says of the long run that there was none, or what it found."""
    assert said in " ".join(matrix_page.document(_lines(), run).split())


def test_the_readme_states_the_matrix() -> None:
    """The figures in the README are those of the matrix."""
    text = " ".join(_README.read_text(encoding="utf-8").split())
    rows = [line for line in _first().splitlines() if line.startswith("| of ")]
    caught = [tuple(map(int, pair)) for pair in re.findall(r"(\d+) of (\d+) \|", rows[0])]
    own, unknown, *others = (count for count, _ in caught)
    asked = caught[-1][1]

    assert own == caught[0][1]
    assert (
        f"{own} faults, planted in conforming kernels, in output files and in what is judged: this "
        f"judge catches all of them, {unknown} without knowing the kernel's arithmetic; the "
        f"criteria that other projects' tests use catch {min(others)} to {max(others)} of the "
        f"{asked}"
    ) in text
