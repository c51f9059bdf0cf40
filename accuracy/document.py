"""The evidence as a document: sealed with a digest of its own content, written whole, read back.

The digest finds accidents: a file cut short, edited by hand or mangled on its way. It is no
signature: whoever changes the content can compute it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldgate.errors import GoldgateError
from goldgate.sealed import UNDIGESTED, canonical, digest, sealed, write_text

__all__ = [
    "SCHEMA",
    "SCHEMA_FILE",
    "UNDIGESTED",
    "Evidence",
    "EvidenceError",
    "canonical",
    "digest",
    "read_evidence",
    "sealed",
    "write_text",
]

#: The version of the layout; `evidence.schema.json` describes it.
SCHEMA = 2

#: The layout as JSON Schema, draft 2020-12.
SCHEMA_FILE = Path(__file__).with_name("evidence.schema.json")

#: What every document has, and the type of each.
_PARTS: dict[str, type] = {
    "schema": int,
    "goldgate": dict,
    "environment": dict,
    "options": dict,
    "kernels": list,
    "not_run": list,
    "read": list,
    "results": list,
    "summary": dict,
    "time": dict,
    "digest": str,
}

#: What every result has.
_RESULT = {"kernel": str, "recording": str, "verdict": str, "sha256": dict}


class EvidenceError(GoldgateError):
    """A file that is no whole evidence."""


@dataclass(frozen=True)
class Evidence:
    """Evidence read from a file, its digest checked.

    Attributes:
        path: the file.
        document: all of it, as `evidence.schema.json` describes.

    """

    path: Path
    document: Mapping[str, Any]

    @property
    def results(self) -> tuple[Mapping[str, Any], ...]:
        """One mapping for each kernel and recording."""
        return tuple(self.document["results"])

    @property
    def status(self) -> int:
        """The exit status of the command that wrote it: 0 all pass, 1 a verdict failed, 2 other."""
        return int(self.document["summary"]["exit_status"])


def read_evidence(path: Path | str, document: object | None = None) -> Evidence:
    """Read evidence that `goldgate parity` or `judge` wrote with --json.

    Args:
        path: the file.
        document: its JSON, where it was read already.

    Raises:
        EvidenceError: the file is not there, is no evidence of this schema, lacks a part, or its
            content is not what its digest was taken of.

    """
    path = Path(path)
    if document is None:
        document = _read(path)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else None
        raise EvidenceError(
            f"{path}: schema {found!r}: expected {SCHEMA}; judge again with this version"
        )
    for part, kind in _PARTS.items():
        if not isinstance(document.get(part), kind):
            raise EvidenceError(f"{path}: no {part!r}: expected evidence of schema {SCHEMA}")
    for number, result in enumerate(document["results"]):
        missing = [
            key
            for key, kind in _RESULT.items()
            if not isinstance(result, dict) or not isinstance(result.get(key), kind)
        ]
        if missing:
            raise EvidenceError(f"{path}: result {number} has no {missing[0]!r}")
    if not isinstance(document["summary"].get("exit_status"), int):
        raise EvidenceError(f"{path}: summary has no 'exit_status'")
    if digest(document) != document["digest"]:
        raise EvidenceError(
            f"{path}: its content is not what its digest was taken of: it was edited or damaged; "
            "judge again"
        )
    return Evidence(path, document)


def _read(path: Path) -> object:
    try:
        document: object = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise EvidenceError(f"{path}: expected whole JSON evidence ({reason})") from None
    return document


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")
