"""The JSON of `goldgate dispatch`, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from goldgate.sealed import checked, read_json

KIND = "goldgate dispatch"

#: The version of the JSON's layout.
SCHEMA = 1

_PARTS = {
    "goldgate": dict,
    "model": str,
    "version": str,
    "scenario": dict,
    "simulated": bool,
    "kernel": str,
    "arguments": dict,
    "path": list,
    "time": dict,
}


def read_dispatch(path: Path, document: object | None = None) -> dict[str, Any]:
    """Read what `goldgate dispatch --json` wrote.

    Args:
        path: the file.
        document: its JSON, where it was read already.

    Raises:
        DocumentError: it is no whole result of this schema, or was edited.

    """
    held = read_json(path) if document is None else document
    return checked(path, held, kind=KIND, schema=SCHEMA, parts=_PARTS)
