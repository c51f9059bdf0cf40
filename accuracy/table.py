"""The verdicts as a table, and below it what a reader must know of them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from accuracy.evidence import Judged, complaints
from accuracy.rows import Verdict

_COLOURS = {"PASS": "green", "FAIL": "bold red", "REFUSED": "bold yellow"}

#: Columns for people who pipe the output into a file.
_PLAIN_WIDTH = 150


def console() -> Console:
    """Return a console on standard output, wide enough for the table where it is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def show(to: Console, judged: Sequence[Judged], notes: Sequence[str]) -> None:
    """Print the table, the first failures, the known deviations and the notes."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("kernel", "recording", "execution"):
        table.add_column(heading, overflow="fold")
    numbers = ["rows", "exact", "reordered", "tie", "admissible", "wrong", "undefined", "known"]
    for heading in (*numbers, "weight/bound", "drift"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for one in judged:
        table.add_row(*_cells(one), Text(one.verdict, style=_COLOURS[one.verdict]))
    to.print(table)
    for one in judged:
        for line in complaints(one):
            to.print(f"\n{one.verdict} {one.kernel} on {one.recording}: {line}", markup=False)
        for text in one.offences:
            to.print("\n" + _indented(text), markup=False)
    _show_known(to, judged)
    for one in judged:
        if (result := one.result) and result.bias_changed:
            to.print(
                f"\n{one.recording}: the bias that the kernel consumed is not the checkpoint's: "
                f"{result.bias_changed} of {result.experts} values differ, which routes "
                f"{result.rerouted} of {result.rows} rows to other experts: an input change, not "
                "rounding",
                markup=False,
            )
    if notes:
        to.print()
    for note in notes:
        to.print(note, markup=False)


def _cells(one: Judged) -> list[str]:
    if one.result is None or one.output is None:
        return [one.kernel, one.recording, *[""] * 11]
    result, counts = one.result, one.result.counts
    shown = [verdict for verdict in Verdict if verdict is not Verdict.PADDING]
    return [
        one.kernel,
        one.recording,
        one.output.kernel.execution,
        str(result.rows),
        *(str(counts[verdict]) for verdict in shown),
        str(result.known),
        f"{result.weight_error_over_bound:.3g}",
        f"{result.drift.size:.2f} u",
    ]


def _show_known(to: Console, judged: Sequence[Judged]) -> None:
    met = [(one, d) for one in judged if one.result for d in one.result.deviations]
    if met:
        to.print("\nKnown deviations (strict: one that stops happening fails too):")
    for one, d in met:
        link = f" {d.link}" if d.link else ""
        to.print(
            f"  {one.kernel} on {one.recording}: {d.reason} in {len(d.rows)} rows: {d.why}{link}",
            markup=False,
        )


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())
