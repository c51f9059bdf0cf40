"""How an item is put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from goldgate.signoff.checklist import EvidenceFile, Item, State, ToDo
from goldgate.signoff.fit import Miss, not_passing, would_fill
from goldgate.signoff.items.next_steps import NEXT_STEP
from goldgate.signoff.view import View


def across(found: Iterable[tuple[str, str]]) -> list[str]:
    """Return clauses on architectures, those that are alike as one: "gfx942, gfx950: ..."."""
    texts: dict[str, dict[str, None]] = {}
    for architecture, text in found:
        texts.setdefault(text, {})[architecture] = None
    return [f"{', '.join(names)}: {text}" for text, names in texts.items()]


def item(
    view: View,
    name: str,
    title: str,
    *,
    good: str,
    wrong: Sequence[str] = (),
    missing: Sequence[str] = (),
    evidence: Iterable[EvidenceFile] = (),
    to_do: Sequence[ToDo] = (),
    misses: Sequence[Miss] = (),
    details: Sequence[str] = (),
    told: Sequence[str] = (),
) -> Item:
    """Return an item: FAIL where something is wrong, else MISSING where something is, else PASS.

    Args:
        view: whose policy says whether it is required.
        name: its identifier.
        title: what has to hold.
        good: what was found where all of it holds.
        wrong: what does not hold, a clause each.
        missing: what there is no evidence for, a clause each.
        evidence: the files that decide.
        to_do: what is to be run where something is missing or wrong.
        misses: what does not count. Where the item passes, those on a FAIL or REFUSED alone are
            told.
        details: further lines.
        told: sentences for a reader of an item that passes, beside these.

    """
    state = State.FAIL if wrong else State.MISSING if missing else State.PASS
    clauses = {State.FAIL: wrong, State.MISSING: missing, State.PASS: [good]}[state]
    found = "; ".join(clauses[:3]) + (f"; and {len(clauses) - 3} more" if len(clauses) > 3 else "")
    if state is State.FAIL and missing:
        details = [*details, *(f"missing as well: {line}" for line in missing)]
    extra = clauses[3:] if len(clauses) > 3 else []
    return Item(
        name,
        title,
        name not in view.policy.advisory,
        state,
        found,
        tuple(dict.fromkeys(evidence)),
        () if state is State.PASS else tuple(to_do),
        (*not_passing(misses), *told) if state is State.PASS else would_fill(misses),
        (*extra, *details),
        NEXT_STEP[name] if state is State.FAIL else "",
    )
