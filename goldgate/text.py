"""Text that others wrote, made safe to print.

Answers, model ids, headers and paths come from servers and files. On a terminal their control
characters would move the cursor, change the title or hide what stands there; bidirectional
controls reorder it.
"""

from __future__ import annotations

import unicodedata

_KEPT = {"\n", "\t"}
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(text: str) -> str:
    """Replace every character that steers a terminal by a question mark.

    Controls (C0, C1), format characters (bidirectional marks, zero widths), surrogates and
    unassigned code points go; newlines and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        letter if letter in _KEPT or unicodedata.category(letter) not in _UNSAFE else "?"
        for letter in text
    )


def one_line(text: str, most: int = 200) -> str:
    """Return printable text without line breaks, cut to `most` characters."""
    words = printable(" ".join(text.split()))
    return words if len(words) <= most else f"{words[: most - 3]}..."
