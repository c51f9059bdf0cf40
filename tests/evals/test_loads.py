"""A sweep over loads: a kernel that is wrong at one number of requests at a time is seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from goldgate.cli import main
from goldgate.evals.comparing.loads import main_load, slice_of
from tests.evals.support import QUESTIONS, Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Swap = Callable[..., int]

OPTIONS = ("--margin", "14", "--collapse", "40", "--concurrency", "1,4,8")


@pytest.fixture
def right(problems: list[dict[str, str]]) -> dict[str, str]:
    """Hold the right answer of every question."""
    return {row["question"]: row["answer"] for row in problems}


@pytest.fixture
def swap(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swap:
    """Return a function that swaps on our own questions."""

    def run(candidate: Server, baseline: Server, *more: str) -> int:
        monkeypatch.setenv("BASE_URL", candidate.url)
        monkeypatch.setenv("BASELINE_URL", baseline.url)
        monkeypatch.delenv("BASELINE_RUN", raising=False)
        out = ("--out", str(tmp_path / "out"), "--data", str(data), "--own-data")
        return main(["swap", *out, *OPTIONS, *more])

    return run


def test_slice_is_enough_for_the_loss_and_the_load() -> None:
    """A slice rules the stated loss out, keeps the server at the load and has an end."""
    small = slice_of(1, 1319, 4, collapse=0.2, alpha=0.05)

    assert 30 < small < 80
    assert slice_of(256, 1319, 4, collapse=0.2, alpha=0.05) == 512
    assert slice_of(256, 300, 4, collapse=0.2, alpha=0.05) == 300
    assert slice_of(1, 1319, 4, collapse=0.1, alpha=0.05) > 2 * small
    assert (main_load((1, 4, 32, 256)), main_load((1, 4))) == (32, 4)


def test_arms_that_agree_at_every_load_go_on_to_the_comparison(
    right: dict[str, str], swap: Swap, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each load has runs of its own at that load; the whole comparison follows at the largest."""
    with Server(right) as baseline, Server(right) as candidate:
        status = swap(candidate, baseline)

    out = tmp_path / "out"
    loads = json.loads((out / "loads.json").read_text(encoding="utf-8"))
    assert status == 0
    assert [load["concurrency"] for load in loads] == [1, 4, 8]
    assert all(load["verdict"] == "PRESERVED" for load in loads)
    assert loads[0]["paired"]["strict-match"]["alpha"] == pytest.approx(0.05 / 3)
    for concurrency in (1, 4, 8):
        facts = facts_of(out / f"load-{concurrency}" / "candidate")
        assert facts["settings"]["concurrency"] == concurrency
    assert facts_of(out / "candidate")["settings"]["concurrency"] == 8
    assert "4 at a time" in capsys.readouterr().out


def test_collapse_at_one_load_is_degraded(
    right: dict[str, str], swap: Swap, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A candidate that is wrong with one request at a time fails, whatever the other loads say."""
    alone = slice_of(1, QUESTIONS, 3, collapse=0.4, alpha=0.05)

    def lose(number: int, body: dict[str, Any]) -> None:
        if number < alone:  # the loads are asked in their order
            body["choices"][0]["text"] = "#### 0"

    with Server(right) as baseline, Server(right) as candidate:
        candidate.change = lose
        status = swap(candidate, baseline)

    loads = json.loads((tmp_path / "out" / "loads.json").read_text(encoding="utf-8"))
    assert status == 1
    assert [load["verdict"] for load in loads] == ["DEGRADED", "PRESERVED", "PRESERVED"]
    assert not (tmp_path / "out" / "candidate").exists()
    assert "DEGRADED: at a load of the sweep" in capsys.readouterr().out


def test_small_loss_at_a_load_is_a_caution(
    right: dict[str, str], swap: Swap, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fewer lost answers than a collapse are named and go on to the whole comparison."""
    some = {q: text if n % 7 else "#### 0" for n, (q, text) in enumerate(right.items())}
    with Server(right) as baseline, Server(some) as candidate:
        status = swap(candidate, baseline, "--concurrency", "20,19")

    printed = capsys.readouterr().out
    loads = json.loads((tmp_path / "out" / "loads.json").read_text(encoding="utf-8"))
    assert status == 1  # the whole comparison sees it
    assert [load["lost_beyond_chance"] for load in loads] == [True, True]
    lost = "answers are lost beyond chance, less than a collapse"
    assert lost in printed
    verdict = json.loads((tmp_path / "out" / "verdict.json").read_text(encoding="utf-8"))
    assert sum(lost in caution for caution in verdict["cautions"]) == 2
    assert lost in (tmp_path / "out" / "verdict.html").read_text(encoding="utf-8")


def test_sweep_is_part_of_the_plan_that_comes_first(
    right: dict[str, str], swap: Swap, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan is there before the sweep's first question; another collapse is another plan."""
    plans: list[dict[str, Any]] = []

    async def look(_: int, __: object) -> None:
        plans.append(json.loads((tmp_path / "out" / "plan.json").read_text(encoding="utf-8")))

    with Server(right) as baseline, Server(right) as candidate:
        baseline.fault = look
        first = swap(candidate, baseline)
        asked = len(candidate.asked)
        again = swap(candidate, baseline, "--resume", "--collapse", "90")

        assert (first, again, len(candidate.asked)) == (0, 2, asked)
    assert plans[0]["sweep"] == {"loads": [1, 4, 8], "collapse": 0.4}
    assert plans[0]["rules"]["margin"] == 0.14
    assert "registers another plan (sweep.collapse: 0.4, not 0.9)" in capsys.readouterr().err


def test_sweep_compares_model_ids_before_it_asks(
    right: dict[str, str], swap: Swap, capsys: pytest.CaptureFixture[str]
) -> None:
    """No load is asked of a candidate that serves another model."""
    with Server(right) as baseline, Server(right, model="other") as candidate:
        status = swap(candidate, baseline)

        assert (status, baseline.asked, candidate.asked) == (2, [], [])
    assert "the baseline serves m, the candidate other" in capsys.readouterr().err


def test_several_loads_are_a_sweep_of_swap_alone(
    server: Server, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run has one load, and a sweep needs both servers."""
    where = ("--data", str(data), "--own-data")

    one = main([
        "gsm8k", "--base-url", server.url, "--out", str(tmp_path), *where, "--concurrency", "1,4",
    ])  # fmt: skip

    assert one == 2
    assert "several loads are asked by `goldgate swap`" in capsys.readouterr().err
    assert server.asked == []


@pytest.mark.parametrize("words", ["0", "1,,2", "a", "1,100000", ""])
def test_loads_are_whole_numbers(words: str) -> None:
    """What is no list of whole numbers is refused as an option."""
    with pytest.raises(SystemExit):
        main(["swap", "--concurrency", words])
