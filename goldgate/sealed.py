"""JSON documents sealed with a digest of their own content: written whole, read back.

The digest finds accidents: a file cut short, edited by hand or mangled on its way. It is no
signature: whoever changes the content can compute it again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from goldgate.errors import GoldgateError

#: What the digest leaves out: itself, and what differs between two runs on the same input.
UNDIGESTED = frozenset({"digest", "time"})


class DocumentError(GoldgateError):
    """A file that is no whole document of its kind."""


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return a document's digested content: UTF-8 JSON, keys sorted, no blanks.

    Raises:
        ValueError: it holds a number that JSON has not, such as NaN.

    """
    content = {key: value for key, value in document.items() if key not in UNDIGESTED}
    text = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    # A file's name may hold bytes that are no UTF-8; Python keeps them as lone surrogates.
    return text.encode("utf-8", "surrogatepass")


def digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document's `canonical` content, in hexadecimal."""
    return hashlib.sha256(canonical(document)).hexdigest()


def sealed(document: Mapping[str, Any]) -> str:
    """Return a document as JSON text with its digest.

    Raises:
        ValueError: as in `canonical`.

    """
    whole = {**document, "digest": digest(document)}
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():  # /dev/stdout, a pipe
        path.write_text(text, encoding="utf-8")
        return
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> object:
    """Read a JSON file.

    Raises:
        DocumentError: it cannot be read or is no whole JSON; NaN and infinity are none.

    """
    try:
        document: object = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DocumentError(f"{path}: expected a whole JSON document ({reason})") from None
    return document


def checked(
    path: Path, document: object, *, kind: str, schema: int, parts: Mapping[str, type]
) -> dict[str, Any]:
    """Return a sealed document that was read, as what it has to be.

    Args:
        path: where it was read, for messages.
        document: what was read.
        kind: what its "kind" has to be.
        schema: the version of its layout.
        parts: what it has to have beside "kind", "schema" and "digest", each with its type.

    Raises:
        DocumentError: it is another kind or schema, lacks a part, or its content is not what its
            digest was taken of.

    """
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise DocumentError(f"{path}: expected a {kind}")
    if document.get("schema") != schema:
        raise DocumentError(
            f"{path}: {kind} of schema {document.get('schema')!r}: expected {schema}; make it "
            "again with this version"
        )
    for part, needed in {**parts, "digest": str}.items():
        if not isinstance(document.get(part), needed):
            raise DocumentError(f"{path}: no {part!r}: expected a {kind} of schema {schema}")
    if digest(document) != document["digest"]:
        raise DocumentError(
            f"{path}: its content is not what its digest was taken of: it was edited or damaged; "
            "make it again"
        )
    return document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
