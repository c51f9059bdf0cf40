"""Goldgate's own folders of modules, into which no command writes."""

from __future__ import annotations

import argparse
from pathlib import Path

from goldgate.errors import GoldgateError
from goldgate.places import PACKAGE

#: Options that name a folder to write into.
_WRITTEN = ("out", "save_outputs")


class OwnFolderError(GoldgateError):
    """A folder to write into that is one of goldgate's own."""


def refuse_own_folders(options: argparse.Namespace) -> None:
    """Refuse to write into a folder of goldgate's modules, such as a checkout's signoff/.

    Raises:
        OwnFolderError: an option names one.

    """
    for name in _WRITTEN:
        path = getattr(options, name, None)
        if isinstance(path, Path) and is_own(path):
            raise OwnFolderError(
                f"--{name.replace('_', '-')} {path}: a folder of goldgate's own modules: name "
                "another folder to write into"
            )


def is_own(path: Path) -> bool:
    """Say whether a folder holds modules of goldgate; in a checkout they lie below its root."""
    folder = path.resolve()
    if not (folder / "__init__.py").is_file():
        return False
    own = (PACKAGE.resolve(), *(one.resolve() for one in PACKAGE.iterdir() if one.is_dir()))
    return any(folder.is_relative_to(one) for one in own)
