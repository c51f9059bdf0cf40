"""The page of every fault and its picture, rendered from the matrix's lines."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from goldgate.mutants.conforming.volume import DEFAULT, KINDS, LONG, Found
from goldgate.mutants.matrix import Line
from goldgate.mutants.other_suites import CHECKS
from goldgate.mutants.recordings import DESCRIPTIONS

FAMILIES = ("arithmetic", "selection", "memory", "rare", "drift", "file", "inside rounding")

#: Families of right results, and of wrong ones that are known and listed.
RIGHT, KNOWN = ("honest", "inside rounding"), "known"

HEADINGS = ("goldgate", "unknown arithmetic", *(check.name for check in CHECKS))

#: What a cell is: missed, nothing to look at, caught.
_COLOURS = ("#d1495b", "#dddddd", "#2e7d5b")

_INTRODUCTION = """\
Every fault of [the kill matrix](kill-matrix.md), before every check. *goldgate* judges by the
arithmetic of the kernel itself; *unknown arithmetic* by `conservative`. *The judge* is what
goldgate reports, by the kernel's own arithmetic: numbers beside a reason are rows that fail;
*drift* is the systematic error in u = 2**-24; *grid*, *scatter* and *group* are random errors
inside the bound (weights of fewer mantissa bits, a mean square beyond that of roundings, an expert,
a slot or a position that leans); *call* is a check on the call itself (inputs written, memory
behind the outputs, slots not written, two calls that differ, strided tensors, a crash). Generated
by `goldgate mutants --write`."""

_CHECKS = """\
Every check is given the recording on which the fault shows and zeroed buffers, whether or not
its own test runs such a shape, and rows of padding are kept from it; what is compared here is
the criterion alone."""

_ROUNDING = """\
These change bits and still are what a correct kernel may return: the judge passes them and
reports how far inside the bound they are."""

_HONEST = """\
Different orders of evaluation, rounding at the limit of what a vendor states, outputs in another
order, ties broken by lanes, padding marked in three ways, and what real kernels returned (the
shipped outputs; those of aiter emulated, those of the stand-in from a CPU, the others from an
H100): all are right. **alarm** marks a check that fails one."""

_DEVIATING = """\
What the same real kernels returned for the recording `edge`, on which each of them is wrong
somewhere: every row that fails is listed in `accuracy/known_failures.toml` with its reason, and
no other row fails. The totals do not count them. **no** marks a check that passes the outputs."""


def row(line: Line) -> str:
    """Return a line as a row of its table."""
    marks = {True: "yes", False: "**no**", None: "n/a"}
    if line.family in RIGHT:
        marks = {True: "**alarm**", False: "", None: ""}
    cells = [marks[one] for one in line.caught]
    if line.family == KNOWN:
        cells[0] = "**unlisted**" if line.caught[0] else "listed"
    return "| " + " | ".join([line.name, line.on, line.stands_for, line.seen, *cells]) + " |"


def document(lines: Sequence[Line], long_run: Found | None) -> str:
    """Return the page; `long_run` is what a long run on conforming kernels found."""
    text = [
        "# The kill matrix: every fault",
        "",
        *wrapped(_INTRODUCTION),
        "",
        "![Which check catches which fault](kill-matrix.png)",
        "",
        "## The checks",
        "",
        *wrapped(_CHECKS),
        "",
        *(f"- **[{check.name}]({check.source})**: {check.does}." for check in CHECKS),
        "",
        "## The recordings",
        "",
        *(f"- *{name}*: {description}." for name, description in DESCRIPTIONS.items()),
        "",
    ]
    for family in FAMILIES:
        text += [f"## Faults: {family}", ""]
        if family == "inside rounding":
            text += [*wrapped(_ROUNDING), ""]
        text += [*_table(lines, family, "fault", "stands for"), ""]
    text += ["## Conforming kernels", "", *wrapped(_HONEST), ""]
    text += [*_table(lines, "honest", "kernel", "arithmetic"), ""]
    text += ["## Known failures", "", *wrapped(_DEVIATING), ""]
    text += [*_table(lines, KNOWN, "kernel", "arithmetic"), ""]
    text += ["## Conforming kernels on many rows", "", *_many(long_run)]
    return "\n".join(text) + "\n"


def _table(lines: Sequence[Line], family: str, name: str, about: str) -> list[str]:
    return [
        "| " + " | ".join([name, "on", about, "the judge", *HEADINGS]) + " |",
        "|" + "---|" * (4 + len(HEADINGS)),
        *(row(line) for line in lines if line.family == family),
    ]


def _many(found: Found | None) -> list[str]:
    text = wrapped(
        f"Every run of `tox -e mutants` also judges the compiled kernels on {DEFAULT:,} fresh rows "
        f"or more, each on every one of {len(KINDS)} distributions (the logits' mean from -40 to "
        "14, the biases' from -1.8 to 35), and fails if a row is wrong or a systematic error is "
        "found. The long run:"
    )
    text += ["", f"    tox -e mutants -- --rows {LONG} --end-to-end none --write", ""]
    if found is None:
        return [*text, "This version has no long run yet."]
    alarms = f"alarms: {len(found.alarms)}" if found.alarms else "no alarm"
    text += wrapped(
        f"On {found.date}: {found.rows:,} rows, **{alarms}**; the largest weight error "
        f"{found.over_bound:.2f} of its bound ({found.over_bound_of}). Processor: "
        f"{found.processor}. Kept in [volume.json](../mutants/conforming/volume.json)."
    )
    return text + [f"- {alarm}" for alarm in found.alarms]


def wrapped(text: str) -> list[str]:
    """Return paragraphs as lines of at most 99 characters."""
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        lines += textwrap.wrap(paragraph, 99, break_long_words=False, break_on_hyphens=False)
        lines.append("")
    return lines[:-1]


@dataclass(frozen=True)
class Plotted:
    """What the picture shows: names, cells (indices of colours) and colours."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[int, ...], ...]
    colours: tuple[str, ...]

    def digest(self) -> str:
        """Return a hash of all of it, which the picture's metadata holds."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()


def plotted(lines: Sequence[Line]) -> Plotted:
    """Return what the picture of these lines shows."""
    shown = sorted(
        (line for line in lines if line.family not in (*RIGHT, KNOWN)),
        key=lambda line: FAMILIES.index(line.family),
    )
    return Plotted(
        tuple(line.name for line in shown),
        ("goldgate", "goldgate,\nunknown arithmetic", *HEADINGS[2:]),
        tuple(tuple(1 if one is None else 2 * int(one) for one in line.caught) for line in shown),
        _COLOURS,
    )


def picture(shown: Plotted, path: Path) -> None:
    """Draw the matrix, rows faults, columns checks."""
    import matplotlib as mpl  # noqa: PLC0415 - slow, and only --write draws

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 - as above

    count = len(shown.rows)
    figure, axes = plt.subplots(figsize=(9, 0.17 * count + 1.6), layout="constrained")
    colours = mpl.colors.ListedColormap(list(shown.colours))
    axes.imshow(
        np.array(shown.cells), cmap=colours, vmin=0, vmax=2, aspect="auto", interpolation="nearest"
    )
    axes.set_xticks(range(len(shown.columns)), shown.columns, rotation=35, ha="left", fontsize=8)
    axes.xaxis.tick_top()
    axes.set_yticks(range(count), shown.rows, fontsize=6)
    axes.set_xticks(np.arange(len(shown.columns)) - 0.5, minor=True)
    axes.set_yticks(np.arange(count) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("green: caught   red: missed   grey: nothing to look at", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None, "Description": shown.digest()})
    plt.close(figure)
