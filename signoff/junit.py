"""The checklist as JUnit XML, for a CI: a test case an item, and one for each broken file."""

from __future__ import annotations

from goldgate.junit import JUnitCase, junit
from goldgate.signoff.checklist import Checklist, Item, State


def to_junit(checklist: Checklist) -> str:
    """Return the items: FAIL is a failure, MISSING an error, an advisory one of them skipped."""
    suite = "goldgate.signoff" + (".DEMONSTRATION" if checklist.demonstration else "")
    cases = [_case(suite, one) for one in checklist.items]
    cases += [
        JUnitCase(f"{suite}.evidence", one.file.path, "error", one.why)
        for one in checklist.refused
        if one.unusable
    ]
    return junit(suite, cases)


def _case(suite: str, one: Item) -> JUnitCase:
    lines = [one.found, *filter(None, [one.next_step]), *one.details, *one.would_fill]
    lines += [f"{step.command}  (on {step.where})" for step in one.to_do]
    text = "\n".join(lines)
    if one.state is State.PASS:
        return JUnitCase(suite, one.name, "passed", text=text)
    if not one.required:
        return JUnitCase(suite, one.name, "skipped", f"{one.state.value}: {one.found}", text)
    message = f"{one.state.value}: {one.found}"
    if one.state is State.FAIL:
        return JUnitCase(suite, one.name, "failure", message, text)
    return JUnitCase(suite, one.name, "error", message, text)
