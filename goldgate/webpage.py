"""A page for a browser, whole by itself: no script, no network, every foreign word escaped.

The page's own policy forbids scripts, images and connections, so that markup that slips through
the escaping could still do nothing.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from goldgate.text import printable

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def escaped(value: object) -> str:
    """Return the text of a value for an element or a quoted attribute, control characters as ?."""
    return html.escape(printable(str(value)))


def document(title: str, style: str, body: Iterable[str]) -> str:
    """Return a page as HTML, ending in a newline.

    Args:
        title: plain text.
        style: CSS, the project's own.
        body: HTML, its foreign words escaped; empty strings are left out.

    """
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escaped(title)}</title><style>{style}</style></head><body>",
        *body,
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def table(heads: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Return a table of text; the first row names the columns."""
    first = "".join(f'<th scope="col">{escaped(head)}</th>' for head in heads)
    lines = ["".join(f"<td>{escaped(cell)}</td>" for cell in row) for row in rows]
    return f"<table><tr>{first}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
