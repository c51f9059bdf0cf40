"""Types of option values: each reads text and raises argparse's error for what is out of range."""

from __future__ import annotations

import argparse
import math


def whole(text: str, least: int = 0, most: int | None = None) -> int:
    """Read a whole number in a range, both ends included."""
    if text.isascii() and text.isdigit():
        number = int(text)
        if number >= least and (most is None or number <= most):
            return number
    wanted = f"from {least} on" if most is None else f"from {least} to {most}"
    raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number {wanted}")


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    return whole(text, 1)


def not_negative_int(text: str) -> int:
    """Read a whole number from 0 on."""
    return whole(text)


def port(text: str) -> int:
    """Read a port, or 0 for a free one."""
    return whole(text, 0, 65535)


def between(
    text: str, least: float, most: float, wanted: str, *, least_is_fine: bool = False
) -> float:
    """Read a number above `least` (or from it on) and below `most`; `wanted` describes it."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least < value < most and not (least_is_fine and value == least):
        raise argparse.ArgumentTypeError(f"{text!r}: expected {wanted}")
    return value


def not_negative(text: str) -> float:
    """Read a number from 0 on."""
    return between(text, 0.0, math.inf, "a number from 0 on", least_is_fine=True)


def share(text: str) -> float:
    """Read a number above 0 and at most 1."""
    return between(text, 0.0, math.nextafter(1.0, 2.0), "a number above 0 and at most 1")
