"""The command: try every fault and honest kernel, and hold the document to what was found."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec

from rich.console import Console
from rich.progress import Progress

from accuracy.kernels import KernelError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `mutants` to the commands of `python -m accuracy`."""
    parser = commands.add_parser(
        "mutants", help="plant faults and require that each is caught and honest kernels never"
    )
    parser.add_argument(
        "--rows",
        type=_rows,
        default=5_000_000,
        help="rows on which honest kernels must pass (default 5000000)",
    )
    parser.add_argument(
        "--write", action="store_true", help="write docs/kill-matrix.md and its picture anew"
    )
    parser.set_defaults(command=mutants)


def mutants(options: argparse.Namespace) -> int:
    """Return 0 if every fault was caught, no honest kernel was and the document is current."""
    if not find_spec("torch"):
        raise KernelError("no torch here: faults are planted in kernels of torch tensors")
    from accuracy.mutants import honest, matrix  # noqa: PLC0415 - need torch, which judging does not
    from accuracy.running import CALL_ROWS  # noqa: PLC0415 - as above

    blocks = -(-options.rows // CALL_ROWS)
    wrong: list[str] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("faults", total=matrix.COUNT)
        lines = matrix.all_lines(
            lambda line: progress.update(bar, advance=1, description=line.name)
        )
        bar = progress.add_task("honest rows", total=blocks)
        judged, worst = 0, 0.0
        for kernel, trial in honest.volume(options.rows):
            judged, worst = judged + trial.rows, max(worst, trial.over_bound)
            progress.advance(bar)
            if trial.seen:
                wrong.append(f"honest kernel called wrong: {kernel.name}: {trial.seen}")
    wrong += [
        f"{line.name} on {line.on}: not as expected: {line.seen}"
        for line in lines
        if not line.expected
    ]
    text = matrix.document(lines)
    if options.write:
        matrix.DOCUMENT.parent.mkdir(parents=True, exist_ok=True)
        matrix.DOCUMENT.write_text(text, encoding="utf-8")
        matrix.picture(lines, matrix.PICTURE, text)
    elif not matrix.DOCUMENT.exists() or matrix.DOCUMENT.read_text(encoding="utf-8") != text:
        wrong.append(f"{matrix.DOCUMENT}: not current; python -m accuracy mutants --write")
    faults = [line for line in lines if line.family not in ("honest", "inside rounding")]
    caught = sum(bool(line.caught[0]) for line in faults)
    print(f"{caught} of {len(faults)} planted faults caught")
    print(f"honest kernels: {judged} rows, the largest weight error {worst:.2f} of its bound")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def _rows(text: str) -> int:
    try:
        rows = int(text)
    except ValueError:
        rows = 0
    if rows < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of rows of at least 1")
    return rows
