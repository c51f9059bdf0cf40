"""A FAIL names what to do, in every output."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from goldgate.signoff.checklist import Checklist
from goldgate.signoff.document import to_json
from goldgate.signoff.gathered import Gathered, Interval
from goldgate.signoff.items.next_steps import NEXT_STEP
from goldgate.signoff.junit import to_junit
from goldgate.signoff.markdown import markdown
from goldgate.signoff.page.document import page
from goldgate.signoff.rules import ITEMS
from goldgate.signoff.terminal import show
from tests.signoff.facts import FACTS, decided
from tests.signoff.test_items import every


def _shown(checklist: Checklist) -> str:
    to = io.StringIO()
    show(Console(file=to, width=200), checklist)
    return to.getvalue()


OUTPUTS = {
    "terminal": _shown,
    "markdown": markdown,
    "page": lambda checklist: page(checklist, Gathered()),
    "json": to_json,
    "junit": to_junit,
}


def test_every_item_has_one() -> None:
    """Each item of the checklist has a sentence for its FAIL, and there is none for another."""
    assert sorted(NEXT_STEP) == sorted(ITEMS)


@pytest.mark.parametrize("output", OUTPUTS)
def test_output_has_the_step_of_what_fails_alone(output: str) -> None:
    """The failing item's step is there; that of an item that passes or is missing is not."""
    checklist = decided(every("timed", ratio=Interval(2.0, 1.9, 2.1))(FACTS))

    text = OUTPUTS[output](checklist)

    assert NEXT_STEP["latency"] in text
    assert sum(step in text for step in NEXT_STEP.values()) == 1
