"""Tiers of constructed recordings: what fills one, runs that were broken off, calls again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from goldgate.accuracy.live import made
from goldgate.fixtures.constructed import entries
from goldgate.reference.models import MODELS
from goldgate.signoff.checklist import Item, State
from goldgate.signoff.decide import decide
from goldgate.signoff.gathered import Gathered, Parity
from goldgate.signoff.tiers import recordings_of
from tests.signoff.facts import (
    FACTS,
    JUDGE,
    NAMED,
    NOW,
    POLICY,
    a_file,
    a_kernel,
    a_parity,
    decided,
    item_of,
    with_files,
)
from tests.signoff.test_items import every, tier

_NOT_COVERED = {"verdict": "NOT COVERED", "why": "no groups"}


@pytest.mark.parametrize(
    ("tier_name", "item_name", "words"),
    [
        ("pairs", "coverage", "no verdict of 1 of the 2 recordings of the tier pairs (pairs/1)"),
        ("hostile", "hostile", "no verdict of 1 of the 2 recordings of the tier hostile"),
        ("ordinary", "determinism", "no repeated calls of 1 of the 2 recordings of the tier ordi"),
    ],
)
def test_one_recording_alone_fills_no_tier(tier_name: str, item_name: str, words: str) -> None:
    """A tier holds every recording of the router, but those that the run says it could not call."""
    more = f"{tier_name}/1"
    named = {**NAMED, tier_name: (*NAMED[tier_name], more)}
    told = every("covered", unsupported=(more,), not_covered=(f"{more}: no second GPU",))(FACTS)

    def of(facts: Gathered) -> Item:
        items = decide(POLICY, with_files(facts), NOW, judge=JUDGE, named=named)[0].items
        return next(one for one in items if one.name == item_name)

    assert (of(FACTS).state, of(told).state) == (State.MISSING, State.PASS)
    assert (f"not called: {more}" in of(told).found) is (item_name == "coverage")
    assert words in of(FACTS).found
    assert of(FACTS).to_do


def test_hostile_rows_that_are_not_covered_beside_others_are_told() -> None:
    """A recording that the judge calls NOT COVERED is known, beside one that passes."""
    left = a_parity(
        "gfx942", "hostile/1", "8" * 64, live=True, tier="hostile", repeats=30,
        file=FACTS.covered[0].file, **_NOT_COVERED,
    )  # fmt: skip
    also = replace(left, kernel=a_kernel("new.kernel", "gfx950"))
    named = {**NAMED, "hostile": (*NAMED["hostile"], "hostile/1")}

    def of(*more: Parity) -> Item:
        facts = replace(FACTS, parity=(*FACTS.parity, *more))
        items = decide(POLICY, with_files(facts), NOW, judge=JUDGE, named=named)[0].items
        return next(one for one in items if one.name == "hostile")

    assert (of(left).state, of(left, also).state) == (State.MISSING, State.PASS)
    assert "2 verdicts on the 2 recordings of hostile rows pass" in of(left, also).found
    assert any("hostile/1: NOT COVERED: no groups" in line for line in of(left, also).details)


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ((), "with the same bits; other batches were not tried"),
        (("batch-invariant: 9 rows in batches of 1 and 7",), "9 rows in batches of 1 and 7 are al"),
        (
            ("batch-invariant: 9 rows", "not batch-invariant: 2 of 9 rows differ"),
            "is not batch-invariant and does not claim to be: 2 of 9 rows differ",
        ),
    ],
)
def test_determinism_states_what_is_known_of_other_batches(
    notes: tuple[str, ...], words: str
) -> None:
    """Batches that were not tried, or give other bits, are not called alike."""
    found = item_of("determinism", every("parity", call_notes=notes)(FACTS))

    assert found.state is State.PASS
    assert "a call of each of 4 recordings was made 30 more times" in found.found
    assert words in found.found


def test_what_is_no_matter_of_repeats_fails_the_coverage_alone() -> None:
    """A fault of strided tensors is no lack of determinism; its verdict fails the coverage."""
    fault = {"verdict": "FAIL", "why": "x", "call_faults": ("writes memory before topk_ids",)}
    facts = tier("pairs", **fault)(FACTS)

    assert item_of("coverage", facts).state is State.FAIL
    assert item_of("determinism", facts).state is State.MISSING


@pytest.mark.parametrize("router", ["MiniMax-M2.5", "Qwen3-MoE"])
def test_tiers_hold_what_the_coverage_of_a_model_judges(router: str) -> None:
    """The names of a tier are those that `goldgate parity --coverage full --model` gives."""
    entry = next(one for one in entries(MODELS[router]) if one.tier == "hostile")

    [made_one] = made([entry], Path("nowhere"))

    assert recordings_of(router)["hostile"][0] == made_one.title
    assert recordings_of("another") == {}


def test_whole_run_beside_one_that_was_broken_off_counts() -> None:
    """What an interrupted run left is no lack where another run judged it; the run is named."""
    file = a_file("e/gfx942/broken.json", "kernel parity")
    covered = replace(FACTS.covered[0], file=file)
    left = a_parity("gfx942", "pairs/0", "", verdict="REFUSED", why="interrupted", file=file)
    facts = replace(FACTS, parity=(*FACTS.parity, left), covered=(*FACTS.covered, covered))

    found = decided(facts)

    assert found.status == 0
    told = {one.name: one.would_fill for one in found.items}
    line = (
        "e/gfx942/broken.json left 1 recordings unjudged on gfx942 (interrupted), which another "
        "run judged"
    )
    assert told["coverage"] == (line,)
    assert told["parity"] == ()
