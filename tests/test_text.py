"""Words of servers and files never steer a terminal."""

from __future__ import annotations

import pytest

from goldgate.text import one_line, printable


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b[2J", "\x07", "\x9b31m", "\u202e", "\u200b", "\u2066", "\ud800", "\u2028", "\x7f",
        "\r",
    ],
)  # fmt: skip
def test_what_steers_a_terminal_is_replaced(hostile: str) -> None:
    """Escape sequences, C1 controls, bidirectional marks and half surrogates become marks."""
    shown = printable(f"a{hostile}b")

    assert shown.startswith("a?")
    assert shown.endswith("b")
    assert shown.replace("?", "").replace("[2J", "").replace("31m", "") == "ab"
    shown.encode("utf-8")


def test_text_stays_as_it_is() -> None:
    """Letters of any language, line breaks, tabs and markup are no controls."""
    text = "Café 数 [invalid]\n\t**18** <b>&amp;"

    assert printable(text) == text


def test_one_line_is_one_line() -> None:
    """Line breaks become spaces and a long text is cut."""
    assert one_line("a\n b\tc") == "a b c"
    assert one_line("x" * 300) == "x" * 197 + "..."
