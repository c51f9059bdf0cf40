"""The order in which questions are asked: the data set's, or one that a seed fixes for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

AS_LISTED = "as in the data set"
_SEEDED = "by seed "


def name_of(seed: int | None) -> str:
    """Return the name of an order as run.json has it."""
    return AS_LISTED if seed is None else f"{_SEEDED}{seed}"


def order_of(name: str, questions: int) -> list[int]:
    """Return the order with this name of questions 0 to `questions` - 1.

    A seeded order sorts the questions by the SHA-256 of seed and number, so it is the same on
    every machine and in every version, and the order of fewer questions is the same one with the
    others left out. Raises ValueError for a name that is none.
    """
    if name == AS_LISTED:
        return list(range(questions))
    seed = name.removeprefix(_SEEDED)
    if seed == name or not seed.isascii() or not seed.isdigit():
        raise ValueError(f"{name!r} is no order; expected {AS_LISTED!r} or '{_SEEDED}N'")
    return sorted(
        range(questions), key=lambda doc_id: hashlib.sha256(f"{seed}:{doc_id}".encode()).digest()
    )


def asked(settings: Mapping[str, Any]) -> list[int]:
    """Return the questions that a run was asked, ascending: the first of its order."""
    number = settings["questions"]
    if settings["order"] == AS_LISTED:
        return list(range(number))
    return sorted(order_of(settings["order"], settings["population"])[:number])
