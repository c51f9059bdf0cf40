"""Processes that may die: each item has its answer, whatever became of the ones before it."""

from __future__ import annotations

from goldgate.children import each
from tests.children_functions import answer, failed


def test_items_share_a_process_that_lives() -> None:
    """The items are answered in order, by one process."""
    found = list(each(answer, ["a", "b"], "!", limit_s=60, failed=failed))

    assert [text for text, _ in found] == ["a!", "b!"]
    assert len({process for _, process in found}) == 1


def test_an_item_that_crashes_fails_alone() -> None:
    """A signal and an exit status are named; the next item has a new process."""
    found = list(each(answer, ["a", "crash", "exit", "b"], "!", limit_s=60, failed=failed))

    assert [text for text, _ in found] == [
        "a!",
        "crash: its process died (SIGSEGV)",
        "exit: its process died (exit status 3)",
        "b!",
    ]


def test_an_item_that_hangs_fails_alone() -> None:
    """What does not answer within the limit is ended, and the next item is answered."""
    found = list(each(answer, ["hang", "b"], "!", limit_s=15, failed=failed))

    assert [text for text, _ in found] == ["hang: no answer in 15 s", "b!"]
