"""`goldgate swap --sequential`: the plan comes first, both arms stop where it decides."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from goldgate.cli import main
from goldgate.evals.records.looks import read_looks
from goldgate.evals.stats.sequential import bounds, looks_of
from goldgate.evals.swapping.order import AS_LISTED, asked, name_of, order_of
from tests.evals.support import QUESTIONS, Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    Ask = Callable[..., int]
    Swap = Callable[..., int]

LOOKS = (8, 16, 24, 32, 40)
MARGIN = 0.3  # a fifth of 40 questions can show this much


@pytest.fixture
def right(problems: list[dict[str, str]]) -> dict[str, str]:
    """Hold the right answer of every question."""
    return {row["question"]: row["answer"] for row in problems}


@pytest.fixture
def swap(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swap:
    """Return a function that runs a sequential swap on our own questions."""

    def run(*more: str, **variables: str) -> int:
        for name in ("BASE_URL", "BASELINE_URL", "BASELINE_RUN"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        options = ("--sequential", "--out", str(tmp_path / "out"), "--backoff", "0.01")
        where = ("--data", str(data), "--own-data", "--retry-for", "5")
        margin = () if "--margin" in more else ("--margin", str(100 * MARGIN))
        return main(["swap", *options, *where, *margin, *more])

    return run


def verdict(out: Path) -> dict[str, Any]:
    """Read verdict.json."""
    found: dict[str, Any] = json.loads((out / "verdict.json").read_text(encoding="utf-8"))
    return found


def test_order_is_fixed_by_its_seed() -> None:
    """A seeded order is a permutation, the same for ever, and nested in one of more questions."""
    order = order_of(name_of(17), 40)

    assert sorted(order) == list(range(40))
    assert order[:5] == [37, 17, 34, 0, 29]
    assert [one for one in order_of(name_of(17), 100) if one < 40] == order
    assert order_of(name_of(18), 40) != order
    assert order_of(AS_LISTED, 3) == [0, 1, 2]
    assert asked({"order": name_of(17), "population": 40, "questions": 5}) == sorted(order[:5])
    with pytest.raises(ValueError, match="is no order"):
        order_of("by chance", 3)


def test_equal_arms_stop_early_and_are_preserved(
    right: dict[str, str], swap: Swap, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both arms are asked the same prefix of the seeded order, and no question beyond it."""
    with Server(right) as baseline, Server(right) as candidate:
        status = swap(BASE_URL=candidate.url, BASELINE_URL=baseline.url)

    found = verdict(tmp_path / "out")
    steps = found["sequential"]["steps"]
    questions = steps[-1]["questions"]
    listed = list(right)
    expected = {listed[doc_id] for doc_id in order_of("by seed 17", QUESTIONS)[:questions]}
    assert (status, found["verdict"]) == (0, "PRESERVED")
    assert questions < QUESTIONS
    assert [step["questions"] for step in steps] == list(LOOKS[: len(steps)])
    assert set(baseline.asked) == set(candidate.asked) == expected
    assert len(candidate.asked) == questions
    assert found["throughput"] is None
    page = (tmp_path / "out" / "verdict.html").read_text(encoding="utf-8")
    assert "over all looks the plan errs at most 5 times in 100" in page
    printed = capsys.readouterr().out
    assert "size 0.0" in printed
    assert "PRESERVED: the score is preserved" in printed


def test_broken_candidate_is_degraded_at_an_early_look(
    right: dict[str, str], swap: Swap, tmp_path: Path
) -> None:
    """Garbage is seen before all questions are asked."""
    with Server(right) as baseline, Server(dict.fromkeys(right, "!!!")) as candidate:
        status = swap(BASE_URL=candidate.url, BASELINE_URL=baseline.url)

    found = verdict(tmp_path / "out")
    assert (status, found["verdict"]) == (1, "DEGRADED")
    assert len(candidate.asked) < QUESTIONS


def test_plan_is_written_before_the_first_question(
    right: dict[str, str], swap: Swap, tmp_path: Path
) -> None:
    """When the first question arrives the plan is on disk, with its hash and its sizes."""
    plans: list[dict[str, Any]] = []

    async def look(_: int, __: web.Request) -> None:
        plans.append(json.loads((tmp_path / "out" / "plan.json").read_text(encoding="utf-8")))

    with Server(right) as baseline, Server(right) as candidate:
        baseline.fault = look
        swap(BASE_URL=candidate.url, BASELINE_URL=baseline.url)

    expected = bounds(looks_of(QUESTIONS), MARGIN, 0.05)
    plan = plans[0]
    assert plan["bounds"]["looks"] == list(LOOKS)
    assert plan["bounds"]["preserved"] == expected.preserved
    assert max(plan["bounds"]["size_preserved"], plan["bounds"]["size_degraded"]) <= 0.05
    assert (plan["rules"]["margin"], plan["settings"]["order"]) == (MARGIN, "by seed 17")
    assert verdict(tmp_path / "out")["sequential"]["plan_sha256"] == plan["sha256"]


def test_another_plan_is_refused_in_the_same_folder(
    right: dict[str, str], swap: Swap, capsys: pytest.CaptureFixture[str]
) -> None:
    """A margin cannot change once it is registered; the difference is named."""
    with Server(right) as baseline, Server(right) as candidate:
        arms = {"BASE_URL": candidate.url, "BASELINE_URL": baseline.url}
        swap(**arms)
        asked_before = len(candidate.asked)

        status = swap("--resume", "--margin", "40", **arms)

        assert status == 2
        assert len(candidate.asked) == asked_before
    assert "registers another plan (bounds" in capsys.readouterr().err


def test_killed_swap_goes_on(right: dict[str, str], swap: Swap) -> None:
    """A swap that ended in the middle of a look asks only what is missing, with one result."""

    async def die(number: int, request: web.Request) -> None:
        if number == 11:
            assert request.transport is not None
            request.transport.abort()

    with Server(right) as baseline, Server(right) as candidate:
        arms = {"BASE_URL": candidate.url, "BASELINE_URL": baseline.url}
        candidate.fault = die
        died = swap("--attempts", "1", "--concurrency", "1", **arms)
        candidate.fault = None
        status = swap("--resume", "--concurrency", "1", **arms)

        assert (died, status) == (2, 0)
        assert len(candidate.asked) - len(set(candidate.asked)) == 1  # the one that broke off
        assert len(baseline.asked) == len(set(baseline.asked))


def test_journalled_baseline_needs_no_server(
    right: dict[str, str], ask: Ask, swap: Swap, tmp_path: Path
) -> None:
    """The candidate is held against an earlier run in the same order, look by look."""
    with Server(right) as baseline:
        ask(baseline.url, tmp_path / "earlier", "--order-seed", "17")
    with Server(right) as candidate:
        status = swap(BASE_URL=candidate.url, BASELINE_RUN=str(tmp_path / "earlier"))

    found = verdict(tmp_path / "out")
    assert (status, found["verdict"]) == (0, "PRESERVED")
    assert found["paired"]["strict-match"]["questions"] == len(candidate.asked) < QUESTIONS
    assert found["runs"]["baseline"]["totals"]["right"]["strict-match"] == [len(candidate.asked)]
    assert facts_of(tmp_path / "earlier")["totals"]["answers"] == QUESTIONS


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--order-seed", "18"), "--order-seed 17"),
        ((), "order"),
        (("--order-seed", "17", "--runs", "2"), "has 2 repeats"),
    ],
)
def test_journalled_baseline_in_another_order_is_refused(
    right: dict[str, str],
    ask: Ask,
    swap: Swap,
    tmp_path: Path,
    options: tuple[str, ...],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Looks are at prefixes of one order: a baseline in another is named before asking."""
    with Server(right) as baseline:
        ask(baseline.url, tmp_path / "earlier", *options)
    with Server(right) as candidate:
        status = swap(BASE_URL=candidate.url, BASELINE_RUN=str(tmp_path / "earlier"))

        assert candidate.asked == []
    assert status == 2
    assert named in capsys.readouterr().err


def test_no_other_comparison_decides_on_a_plans_data(
    right: dict[str, str], swap: Swap, tmp_path: Path
) -> None:
    """`goldgate compare` on the arms of a plan repeats its verdict; other data find alpha spent."""
    some = {q: text if n % 20 else "#### 0" for n, (q, text) in enumerate(right.items())}
    with Server(right) as baseline, Server(some) as candidate:
        arms = {"BASE_URL": candidate.url, "BASELINE_URL": baseline.url}
        planned = swap("--margin", "12", **arms)
    out = tmp_path / "out"
    folders = [str(out / name) for name in ("baseline", "candidate")]

    again = main(["compare", *folders, "--margin", "12"])
    turned = main(["compare", *reversed(folders), "--margin", "12"])

    looks = read_looks(out / "candidate")
    assert planned == again == 3
    assert turned == 0  # the other direction is another candidate, with its own looks
    assert looks[0].level == 0.05
    assert sum(look.level for look in looks) == 0.05
    assert {look.decided for look in looks} == {"INCONCLUSIVE"}


def test_plan_takes_no_candidate_that_was_judged_before(
    right: dict[str, str],
    swap: Swap,
    ask: Ask,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All of alpha is the plan's: a candidate that had a look outside it is refused."""
    order = ("--order-seed", "17", "--limit", "8")
    out = tmp_path / "out"
    with Server(right) as baseline, Server(right) as candidate:
        assert ask(baseline.url, tmp_path / "before", *order) == 0
        assert ask(candidate.url, tmp_path / "judged", *order) == 0
        main(["compare", str(tmp_path / "before"), str(tmp_path / "judged")])
        arms = {"BASE_URL": candidate.url, "BASELINE_URL": baseline.url}
        shutil.copytree(tmp_path / "judged" / "looks", out / "candidate" / "looks")
        asked = len(candidate.asked)

        status = swap("--resume", **arms)

        assert (status, len(candidate.asked)) == (2, asked)
    assert "look 1 at this candidate was outside the plan" in capsys.readouterr().err


@pytest.mark.parametrize("options", [("--runs", "2"), ("--control",)])
def test_repeats_and_controls_are_no_part_of_the_plan(
    right: dict[str, str], swap: Swap, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """What the plan does not bound is refused before anything is asked."""
    with Server(right) as baseline, Server(right) as candidate:
        status = swap(*options, BASE_URL=candidate.url, BASELINE_URL=baseline.url)

        assert (candidate.asked, baseline.asked) == ([], [])
    assert status == 2
    assert "asks every question once" in capsys.readouterr().err


def test_sequential_needs_two_arms(swap: Swap, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a candidate or a baseline there is nothing to look at."""
    assert swap() == 2
    assert swap(BASE_URL="http://127.0.0.1:1") == 2
    assert capsys.readouterr().err.count("baseline") == 2


def test_other_model_is_refused_before_the_candidate_is_asked(
    right: dict[str, str], swap: Swap, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Model ids are compared first, with and without a plan of several looks."""
    with Server(right) as baseline, Server(right, model="other") as candidate:
        arms = {"BASE_URL": candidate.url, "BASELINE_URL": baseline.url}
        status = swap(**arms)
        allowed = swap("--models-differ", "--out", str(tmp_path / "two"), **arms)

        assert (status, allowed) == (2, 0)
        assert "the baseline serves m, the candidate other" in capsys.readouterr().err
