"""Which files are below the folders of evidence, and what each is called in the checklist."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from goldgate.errors import GoldgateError

#: The endings of files that may be evidence; JSON may be compressed by gzip.
ENDINGS = (".json", ".json.gz", ".safetensors")


class EvidenceFolderError(GoldgateError):
    """A folder of evidence that is not there."""


def walk(folders: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield every file that may be evidence: its name in the checklist and its path.

    The name starts with the folder's own and has forward slashes; the second folder of one name is
    told by a number. The order is that of names, the same on every machine; links to folders are
    not followed.

    Raises:
        EvidenceFolderError: a folder is not there.

    """
    seen: dict[str, int] = {}
    for folder in folders:
        if not folder.exists():
            raise EvidenceFolderError(
                f"--evidence {folder}: no such folder: expected one with what parity, "
                "compare-kernels, latency, swap and mutants wrote"
            )
        name = folder.resolve().name or "evidence"
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name}#{seen[name]}"
        if folder.is_file():
            yield name, folder
            continue
        for path in _files(folder):
            yield f"{name}/{path.relative_to(folder).as_posix()}", path


def _files(folder: Path) -> Iterator[Path]:
    for here, below, names in os.walk(folder):
        below.sort()
        for name in sorted(names):
            # Names with a leading dot are files half written, or another program's.
            if not name.endswith(ENDINGS) or name.startswith("."):
                continue
            path = Path(here) / name
            # Reading a pipe waits for ever. A link to nothing stays: it is told as unreadable.
            if path.is_file() or not path.exists():
                yield path
