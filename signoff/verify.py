"""Hold the statement of a sign-off against the files at hand.

Files are found by their hash, wherever they are, so that a statement can be checked years later on
another machine. What the evidence names by its hash alone (a recording, a run's samples) is checked
where a file of it is at hand, and named where none is. Exit status: 0 every file that was signed is
at hand, unchanged; 1 one was changed; 2 one is not at hand (--partial allows that), or the
statement cannot be used.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from goldgate.accuracy.report import console
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS
from goldgate.fixtures.tensorfile import sha256
from goldgate.progress import progress
from goldgate.signoff.fit import listed
from goldgate.signoff.policy import POLICIES
from goldgate.signoff.statement import Verified, read_statement, verified
from goldgate.text import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `verify`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="signoff.intoto.json")
    parser.add_argument(
        "--evidence",
        dest="against",
        type=Path,
        action="append",
        metavar="DIR",
        help="folder of the evidence; may be given several times (default: this folder)",
    )
    parser.add_argument(
        "--partial",
        action="store_true",
        help="a file that was signed and is not at hand is no error",
    )


def run(options: argparse.Namespace) -> int:
    """Return 0 where every subject is at hand, 1 where one was changed, 2 where one is absent."""
    statement = read_statement(options.file)
    folders: Sequence[Path] = options.against or [Path()]
    files = [*_files(folders), *_shipped()]
    with progress(Console(stderr=True)) as add_task:
        advance = add_task("files hashed", len(files))
        hashes = []
        for name, path in files:
            hashes.append((name, sha256(path)))
            advance(1)
    found = verified(statement, hashes)
    to = console()
    for one in found:
        if one.found != "same" and not one.by_hash:
            to.print(printable(_line(one)), highlight=False, markup=False, soft_wrap=True)
    for line in _unchecked(found):
        to.print(printable(line), highlight=False, markup=False, soft_wrap=True)
    counts = {
        kind: sum(one.found == kind for one in found) for kind in ("same", "differs", "absent")
    }
    absent = sum(one.found == "absent" and not one.by_hash for one in found)
    predicate = statement["predicate"]
    about = (predicate.get("configuration") or [{}])[0]
    verdict = (about.get("annotations") or {}).get("verdict", predicate["result"])
    to.print(
        printable(
            f"{options.file}: states {predicate['result']}: {verdict}\n"
            f"{len(found)} subjects: {counts['same']} at hand and unchanged, "
            f"{counts['differs']} changed, {counts['absent']} not at hand"
        ),
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if counts["differs"]:
        return 1
    return 2 if absent and not options.partial else 0


def _line(one: Verified) -> str:
    if one.found == "differs":
        now = "" if one.where == one.name else f" (now {one.where})"
        return f"{one.name}{now}: CHANGED: its sha256 is not {one.sha256[:12]}... any more"
    supply = "the policy's file" if one.name.startswith("policy ") else "the folder that holds it"
    return (
        f"{one.name}: not at hand: no file has sha256 {one.sha256[:12]}...; give {supply} as "
        "--evidence, or --partial to check the others"
    )


#: What is known by its hash alone, and where a file of it is found.
_SUPPLIES = (
    ("recording ", "recordings", "what `goldgate record --out` wrote, on the recording host"),
    ("samples of ", "samples", "the runs' folders that `goldgate swap --out` wrote"),
    ("journal of ", "journals", "the runs' folders that `goldgate swap --out` wrote"),
    ("source of ", "kernels' sources", "the file that defines the kernel"),
)


def _unchecked(found: Sequence[Verified]) -> Iterator[str]:
    """Yield a line for each kind of what could not be checked, and how to supply it."""
    for start, kind, supply in _SUPPLIES:
        names = [one.name for one in found if one.found == "absent" and one.name.startswith(start)]
        if names:
            yield (
                f"not checked: {len(names)} {kind} that the evidence names by hash "
                f"({listed(names, 2)}); to check them, give --evidence {supply}"
            )


def _files(folders: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield every file with its name in a checklist; samples and journals among them."""
    for folder in folders:
        if folder.is_file():
            yield folder.name, folder
            continue
        name = folder.resolve().name
        for here, below, names in os.walk(folder):
            below[:] = sorted(one for one in below if not one.startswith("."))
            for each in sorted(names):
                path = Path(here) / each
                if path.is_file():
                    yield f"{name}/{path.relative_to(folder).as_posix()}", path


def _shipped() -> Iterator[tuple[str, Path]]:
    for folder in (SHIPPED_RECORDINGS, SHIPPED_OUTPUTS, POLICIES):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield f"{folder.name}/{path.relative_to(folder).as_posix()}", path
