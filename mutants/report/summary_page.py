"""The first page of the kill matrix: its totals and what it does not show."""

from __future__ import annotations

from collections.abc import Sequence

from goldgate.mutants.matrix import Line
from goldgate.mutants.report.matrix_page import FAMILIES, HEADINGS, KNOWN, RIGHT, wrapped

_INTRODUCTION = """\
A validation suite is worth what it catches. Here faults are planted in a conforming routing
kernel, in its output file or in what it is judged on; each is small and stands for a real case.
goldgate's judge is asked about each of them, and so are the criteria of other projects' tests,
implemented again from their sources.

The faults are planted in kernels in numpy and numba that run on the CPU; the cases that they
stand for are linked. Some of the outputs that ship were made on a GPU."""

_COLUMNS = """\
*goldgate* judges by the arithmetic of the kernel itself, *unknown arithmetic* by `conservative`,
the widest of those with an exponential, which applies to a kernel of which nothing is known.
Right results are those of conforming kernels and of changes inside rounding. The other checks
compare tensors: they cannot be applied to four damaged files and to the faults of the evidence."""

_DETAILS = """\
- [Every fault](kill-matrix-faults.md): what it stands for, its recording, what each check reports;
  the checks, the recordings, the conforming kernels and the long run.
- [Every served fault](kill-matrix-end-to-end.md): GSM8K's verdict on the model that it runs in."""

_MADE = """\
`goldgate mutants --write` generates these pages; without `--write` it fails where they are not
current. A test renders them again, except the cells of the largest recordings."""

_UNSEEN = """\
Each fault has a recording that shows it. The recordings that ship show most kernel faults but
not all: they have one group, no scale, no large batch and one shape. `goldgate parity --coverage
full` also judges a kernel on constructed recordings, which show nearly all of the others
(`goldgate construct --out DIR` writes them).

An output file states which kernel made it and for which recording. The numbers cannot prove
that: a file that names another kernel, version or device than the one that ran is judged as what
it names, and passes. `goldgate parity` runs the kernel that it names; on a server, look at the
log (sglang 0.5.18 and later route MiniMax-M2.5 with another kernel than the one that pull
request 23611 added)."""


def first_part(lines: Sequence[Line]) -> str:
    """Return the page up to the section on the served faults."""
    faults = [line for line in lines if line.family not in (*RIGHT, KNOWN)]
    right = [line for line in lines if line.family in RIGHT]
    text = [
        "# The kill matrix",
        "",
        *wrapped(_INTRODUCTION),
        "",
        "|  | " + " | ".join(HEADINGS) + " |",
        "|---|" + "---|" * len(HEADINGS),
        _caught(f"of {len(faults)} faults caught", faults),
        f"| of {len(right)} right results called wrong | "
        + " | ".join(str(sum(bool(line.caught[j]) for line in right)) for j in _CHECKS)
        + " |",
        "",
        *wrapped(_COLUMNS),
        "",
        "| faults caught, by kind | " + " | ".join(HEADINGS) + " |",
        "|---|" + "---|" * len(HEADINGS),
        *(
            _caught(family, [line for line in lines if line.family == family])
            for family in FAMILIES
            if family not in RIGHT
        ),
        "",
        *_DETAILS.splitlines(),
        "",
        *wrapped(_MADE),
        "",
        "## What is not seen",
        "",
        *wrapped(_UNSEEN),
        "",
    ]
    return "\n".join(text) + "\n"


_CHECKS = range(len(HEADINGS))


def _caught(name: str, faults: Sequence[Line]) -> str:
    """Return a row: how many of the faults each check catches, of those it can be applied to."""
    cells = (
        f"{sum(bool(line.caught[j]) for line in faults)} of "
        f"{sum(line.caught[j] is not None for line in faults)}"
        for j in _CHECKS
    )
    return f"| {name} | " + " | ".join(cells) + " |"
