"""Which files are refused under a policy, by name and with the reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from goldgate.signoff.checklist import State
from goldgate.signoff.gathered import KILLS, Gathered
from tests.signoff.facts import (
    CONSTRUCTED,
    FACTS,
    POLICY,
    RECORDINGS,
    a_kernel,
    a_scored,
    decided,
)


def _dated(made: str, path: str = "e/gfx942/parity.json") -> Gathered:
    """Return the facts with another time of one file."""
    held = tuple(
        replace(one, file=replace(one.file, made=made)) if one.file.path == path else one
        for one in FACTS.parity
    )
    return replace(FACTS, parity=held)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ("2026-10-26T12:00:00+00:00", "made 2026-10-26T12:00:00+00:00, 31 days ago: the policy"),
        ("2026-11-28T12:00:01+00:00", "which is in the future: set the clock"),
        ("", "does not state when it was made"),
        ("yesterday", "does not state when it was made"),
    ],
)
def test_file_of_another_time_is_refused(made: str, why: str) -> None:
    """Evidence older than the policy allows, of the future or without a time fills nothing."""
    found = decided(_dated(made))

    assert [one.file.path for one in found.refused] == ["e/gfx942/parity.json"]
    assert why in found.refused[0].why
    assert found.items[1].state is State.MISSING
    assert (found.status, found.unusable) == (1, False)


def test_age_is_counted_to_the_second() -> None:
    """Evidence of exactly the policy's age counts."""
    assert decided(_dated("2026-10-27T12:00:00+00:00")).status == 0
    assert decided(_dated("2026-10-27T11:59:59+00:00")).status == 1


def test_matrix_has_no_age() -> None:
    """A kill matrix is current while the judge's code is: its date does not matter."""
    [one] = FACTS.killed
    old = replace(one, file=replace(one.file, made="2020-01-01T00:00:00+00:00"))

    assert one.file.kind == KILLS
    assert decided(replace(FACTS, killed=(old,))).status == 0


def test_file_about_another_kernel_is_refused() -> None:
    """A whole file about a kernel that is neither the new nor the old one is named."""
    other = tuple(
        replace(one, kernel=a_kernel("third.kernel", "gfx942"))
        for one in FACTS.parity
        if one.file.path == "e/gfx942/coverage.json"
    )
    rest = tuple(one for one in FACTS.parity if one.file.path != "e/gfx942/coverage.json")
    covered = tuple(one for one in FACTS.covered if "gfx942" not in one.file.path)

    found = decided(replace(FACTS, parity=(*rest, *other), covered=covered))

    assert [one.why for one in found.refused] == [
        "about another kernel (third.kernel): the policy is about new.kernel"
    ]
    assert found.status == 1


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ({"model": "org/Other"}, "of another model (org/Other): the policy is about Model"),
        (
            {"server": "vllm 0.25"},
            "of another engine (vllm 0.25): the policy is about sglang 0.5.*",
        ),
    ],
)
def test_recording_of_another_model_or_engine_is_refused(states: dict[str, str], why: str) -> None:
    """A recording of a model or an engine that the policy does not name is refused by name."""
    held = replace(RECORDINGS[0], source={**RECORDINGS[0].source, **states})

    found = decided(replace(FACTS, recordings=(held, *RECORDINGS[1:])))

    assert [one.why for one in found.refused] == [why]
    assert found.status == 1


def test_verdict_of_another_model_is_refused() -> None:
    """A paired verdict on another model is refused."""
    runs = a_scored().document["runs"]
    candidate = {
        **runs["candidate"],
        "settings": {"model": "org/Other", "questions": 1319},
        "totals": {"served_models": {"org/Other": 1319}},
    }

    found = decided(replace(FACTS, scored=(a_scored(runs={**runs, "candidate": candidate}),)))

    assert [one.why for one in found.refused] == [
        "of another model (org/Other): the policy is about Model"
    ]


@pytest.mark.parametrize(
    "rules", [{"margin": 0.02, "alpha": 0.05}, {"margin": 0.015, "alpha": 0.1}]
)
def test_verdict_of_another_policy_is_refused(rules: dict[str, float]) -> None:
    """A verdict at another margin or alpha was made for another policy."""
    found = decided(replace(FACTS, scored=(a_scored(rules=rules),)))

    assert "made for another policy: margin" in found.refused[0].why
    assert found.status == 1


def test_refused_files_are_not_read() -> None:
    """What is refused is not among the files that count."""
    found = decided(_dated(""))

    assert "e/gfx942/parity.json" not in {one.path for one in found.read}
    assert len(CONSTRUCTED) == 2 * 3
    assert POLICY.evidence.most_days == 30


def test_any_age_may_be_allowed() -> None:
    """A policy may allow more days than a calendar has."""
    rule = replace(POLICY.evidence, most_days=9_999_999_999)

    found = decided(_dated("2001-01-01T00:00:00+00:00"), replace(POLICY, evidence=rule))

    assert not found.refused
