"""Hold the statement of a sign-off against the files at hand.

Files are found by their hash, wherever they are, so that a statement can be checked years later on
another machine. Exit status: 0 every subject is at hand, unchanged; 1 a file was changed; 2 the
statement cannot be used, or a subject is not at hand (--partial allows that).
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
        help="a subject that is not at hand is no error",
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
        if one.found != "same":
            to.print(printable(_line(one)), highlight=False, markup=False, soft_wrap=True)
    counts = {
        kind: sum(one.found == kind for one in found) for kind in ("same", "differs", "absent")
    }
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
    return 2 if counts["absent"] and not options.partial else 0


def _line(one: Verified) -> str:
    if one.found == "differs":
        return f"{one.name}: CHANGED: its sha256 is not {one.sha256[:12]}... any more"
    return f"{one.name}: not at hand: no file has sha256 {one.sha256[:12]}..."


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
