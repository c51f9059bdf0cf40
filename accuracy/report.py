"""The verdicts as a table, and below it what a reader must know of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldgate.accuracy.account import NotRun
from goldgate.accuracy.evidence import Judged, complaints
from goldgate.accuracy.selection import Verdict

_COLOURS = {"PASS": "green", "FAIL": "bold red", "REFUSED": "bold yellow", "NOT COVERED": "yellow"}

#: Columns where the output is no terminal: no table is wider, so nothing is folded in a file.
_PLAIN_WIDTH = 300

#: Columns of numbers. Each row that is not padding is counted once, from exact to known.
_NUMBERS = (
    *("rows", "exact", "reordered", "tie", "admissible", "undefined", "failing", "known"),
    *("weight/bound", "systematic"),
)

#: Rows named of each kind that passes and is listed; the JSON has more.
_NAMED = 10


def console() -> Console:
    """Return a console on standard output, wide enough for the table where it is no terminal."""
    # No emoji: a kernel "module:x: y" is not one.
    found = Console(highlight=False, emoji=False)
    if found.is_terminal:
        return found
    return Console(highlight=False, emoji=False, width=_PLAIN_WIDTH)


def show(to: Console, judged: Sequence[Judged], not_run: Sequence[NotRun]) -> None:
    """Print the table, the first failures, the known failures and the notes."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("kernel", "recording", "execution"):
        table.add_column(heading, overflow="fold")
    for heading in _NUMBERS:
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for one in judged:
        cells = (Text(cell) for cell in _cells(one))  # a name is no markup
        table.add_row(*cells, Text(one.verdict, style=_COLOURS[one.verdict]))
    to.print(table)
    for one in judged:
        for line in complaints(one):
            to.print(f"\n{one.verdict} {_title(one)}: {line}", markup=False)
        for text in one.offences:
            to.print("\n" + _indented(text), markup=False)
    _show_known(to, judged)
    _show_weights(to, judged)
    _show_listed(to, judged)
    _show_inputs(to, judged)
    called = _by_text((note, one.kernel) for one in judged for note in one.notes)
    noted = [f"{kernels}: {note}" for note, kernels in called]
    notes = [*_arithmetic(judged), *noted, *_grouped(not_run)]
    if notes:
        to.print()
    for note in notes:
        to.print(note, markup=False)


def _show_inputs(to: Console, judged: Sequence[Judged]) -> None:
    """Say what is wrong with a recording, once, whichever kernels were judged on it."""
    found = {one.recording: one.inputs for one in judged if one.inputs and one.inputs.text}
    for recording, inputs in found.items():
        what = "INPUT FAIL" if inputs.verdict == "FAIL" else "input"
        to.print(f"\n{what} {recording}: {inputs.text}", markup=False)


def _arithmetic(judged: Sequence[Judged]) -> list[str]:
    """Return a line for each kernel and the arithmetic that its weights were judged by."""
    found = dict.fromkeys((one.kernel, one.profile) for one in judged if one.result)
    return [f"{kernel}: judged by the arithmetic {profile!r}" for kernel, profile in found]


def _grouped(not_run: Sequence[NotRun]) -> list[str]:
    """Return a line for each kernel and reason, with the recordings that it is about."""
    about: dict[tuple[str, str], list[str]] = {}
    for note in not_run:
        about.setdefault((note.kernel, note.why), []).append(note.recording)
    lines = []
    for (kernel, why), recordings in about.items():
        more = len(recordings) - _NAMED
        named = ", ".join(recordings[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        lines.append(str(NotRun(kernel, named, why)))
    return lines


def _cells(one: Judged) -> list[str]:
    if one.result is None or one.output is None:
        return [one.kernel, one.recording, *[""] * (1 + len(_NUMBERS))]
    result, counts = one.result, one.result.counts
    failing = len(result.failing)
    # What the contract does not define fails in some ways: such a row counts as failing or known.
    failing_undefined = failing + result.known - counts[Verdict.WRONG]
    numbers = (
        result.rows,
        *(counts[v] for v in (Verdict.EXACT, Verdict.REORDERED, Verdict.TIE, Verdict.ADMISSIBLE)),
        counts[Verdict.UNDEFINED] - failing_undefined,
        failing,
        result.known,
    )
    return [
        one.kernel,
        one.recording,
        one.output.kernel.execution,
        *map(str, numbers),
        f"{result.unlisted_weight_error_over_bound:.3g}" if result.weight_format else "not judged",
        f"{result.systematic_error.size:.2f} u",
    ]


def _title(one: Judged) -> str:
    """Name what a line is about; "-" stands for a kernel or recording that there is not."""
    return " on ".join(name for name in (one.kernel, one.recording) if name != "-")


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _show_weights(to: Console, judged: Sequence[Judged]) -> None:
    """Say what of the weights was not judged, or not as float32."""
    lines = [
        (f"on {one.recording}: {said}", one.kernel) for one in judged for said in _of_weights(one)
    ]
    for line, kernels in _by_text(lines):
        to.print(f"\n{kernels} {line}", markup=False)


def _of_weights(one: Judged) -> Iterator[str]:
    if one.result is None:
        return
    result = one.result
    if result.weight_format is None:
        yield "weights not judged: the output holds ids alone"
    elif result.weight_format.roundoff:
        yield (
            f"weights in {result.weight_format.name}, judged within its rounding; "
            "no systematic error is measured"
        )
    if result.weights_unbounded:
        yield (
            f"not bounded: {result.weights_unbounded} of {result.weights} weights "
            f"({result.rows_unbounded} rows have no other): rounding may have flushed their "
            "scores to 0; of a renormalised row the sum is judged"
        )


def _show_known(to: Console, judged: Sequence[Judged]) -> None:
    lines = []
    for one in judged:
        for d in one.result.known_failures if one.result else ():
            link = f" {d.link}" if d.link else ""
            rows = f"{d.reason} in {_rows(len(d.rows))}, {d.ceiling}"
            lines.append((f"on {one.recording}: {rows}: {d.why}{link}", one.kernel))
    if lines:
        to.print("\nKnown failures (strict: one that stops happening fails too):")
    for line, kernels in _by_text(lines):
        to.print(f"  {kernels} {line}", markup=False)


def _show_listed(to: Console, judged: Sequence[Judged]) -> None:
    lines = []
    for one in judged:
        if one.result is None:
            continue
        listed = {Verdict.TIE: one.result.ties, Verdict.ADMISSIBLE: one.result.admissible}
        for verdict, rows in listed.items():
            if rows:
                more = one.result.counts[verdict] - len(rows[:_NAMED])
                named = ", ".join(str(row) for row in rows[:_NAMED])
                named += f" and {more} more" if more else ""
                lines.append((f"on {one.recording}: {verdict.name.lower()}: {named}", one.kernel))
    if lines:
        to.print(
            "\nRows that pass with other experts (a tie, or within rounding; --json lists more):"
        )
    for line, kernels in _by_text(lines):
        to.print(f"  {kernels} {line}", markup=False)


def _by_text(lines: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return each text once, with the first kernel that it is about and how many others."""
    about: dict[str, dict[str, None]] = {}
    for text, kernel in lines:
        about.setdefault(text, {})[kernel] = None
    found = []
    for text, kernels in about.items():
        first, more = next(iter(kernels)), len(kernels) - 1
        others = f" and {more} other kernel{'' if more == 1 else 's'}" if more else ""
        found.append((text, first + others))
    return found


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())
