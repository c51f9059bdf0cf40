"""The JSON of `goldgate compare-kernels`, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from goldgate.sealed import DocumentError, checked, read_json

KIND = "comparison of kernels"

#: The version of the JSON's layout.
SCHEMA = 1

_PARTS = {
    "goldgate": dict,
    "environment": dict,
    "options": dict,
    "results": list,
    "summary": dict,
    "time": dict,
}
_RESULT = {"recording": str, "verdict": str, "sha256": dict}


def read_comparison(path: Path, document: object | None = None) -> dict[str, Any]:
    """Read what `goldgate compare-kernels --json` wrote.

    Args:
        path: the file.
        document: its JSON, where it was read already.

    Raises:
        DocumentError: it is no whole comparison of this schema, or was edited.

    """
    held = read_json(path) if document is None else document
    found = checked(path, held, kind=KIND, schema=SCHEMA, parts=_PARTS)
    for side in ("old", "new"):
        if not isinstance(found["options"].get(side), str):
            raise DocumentError(f"{path}: options lack {side!r}")
    for number, one in enumerate(found["results"]):
        if not isinstance(one, dict) or any(
            not isinstance(one.get(key), kind) for key, kind in _RESULT.items()
        ):
            raise DocumentError(f"{path}: result {number} lacks one of {', '.join(_RESULT)}")
    return found
