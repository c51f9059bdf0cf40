"""Which constructed recordings the emulator executes, and why not the others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from goldgate.accuracy.account import NotRun
from goldgate.fixtures.constructed import (
    DEFAULT_MODEL,
    Entry,
    calls,
    hard,
    ladder,
    named,
    routers,
    scorings,
)

#: Tokens of a call up to which the ladder of token counts is executed; single calls go further.
LADDER_TOKENS = 4097

#: What of the other calls of one router a launch of the emulator does not have.
_NOT_LAUNCHED = {
    "layout": "has a layout: the emulator's tensors are contiguous",
    "state": "has a state of its calls: no launch of the emulator sees another",
}


def constructed() -> Iterator[Entry]:
    """Yield what is executed: the ordinary tier but `not_launched`, hard rows, single calls.

    The hostile rows are those of the default model.
    """
    for entry in _default_model():
        if why_not(entry) is None:
            yield entry
    yield from routers()
    yield from hard()
    yield from (entry for entry in scorings() if entry.tier == "ordinary")
    yield from named()


def not_launched() -> Iterator[NotRun]:
    """Yield the ordinary recordings that are not executed, with the reason."""
    for entry in _default_model():
        if why := why_not(entry):
            yield NotRun("aiter-emulated", entry.name, f"it {why}")


def why_not(entry: Entry) -> str | None:
    """Return why one of the default model's recordings is not executed; None where it is."""
    kind = entry.name.removeprefix(f"{DEFAULT_MODEL.name}/").partition("_")[0]
    if kind == "tokens" and max(entry.tokens) > LADDER_TOKENS:
        return f"has calls of more than {LADDER_TOKENS} tokens"
    return _NOT_LAUNCHED.get(kind)


def _default_model() -> Iterator[Entry]:
    return chain(ladder(DEFAULT_MODEL), calls(DEFAULT_MODEL))
