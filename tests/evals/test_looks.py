"""Alpha over the looks at one candidate: counted in its folder, spent, never spent twice."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from goldgate.cli import main
from goldgate.evals.errors import EvalError
from goldgate.evals.records.folder import sha256
from goldgate.evals.records.looks import Look, read_looks, record
from goldgate.evals.stats import criteria
from goldgate.evals.stats.paired import DEFAULT_ALPHA, DEFAULT_MARGIN
from goldgate.evals.stats.power import paired_power
from goldgate.evals.stats.spending import level
from goldgate.evals.stats.tango import tango_score
from tests.evals.folders import write_facts
from tests.evals.support import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., int]

MARGIN = ("--margin", "14")


@pytest.fixture(scope="module")
def asked(
    problems: list[dict[str, str]], ask: Ask, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Hold two runs of a server that answers everything right: baseline and candidate."""
    folder = tmp_path_factory.mktemp("looks")
    with Server({row["question"]: row["answer"] for row in problems}) as right:
        for name in ("baseline", "candidate"):
            assert ask(right.url, folder / name) == 0
    return folder


@pytest.fixture
def arms(asked: Path, tmp_path: Path) -> Path:
    """Hold copies of the two runs, which a test may change."""
    for name in ("baseline", "candidate"):
        shutil.copytree(asked / name, tmp_path / name)
    return tmp_path


def compare(arms: Path, *more: str, baseline: str = "baseline") -> tuple[int, dict[str, Any]]:
    """Compare the arms; return the status and what --json has."""
    file = arms / "found.json"
    status = main(
        ["compare", str(arms / baseline), str(arms / "candidate"), "--json", str(file), *more]
    )
    return status, json.loads(file.read_text(encoding="utf-8"))


def hashes(folder: Path) -> dict[str, str]:
    """Hash every file of a run folder."""
    return {
        str(path.relative_to(folder)): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def another_baseline(arms: Path, name: str) -> None:
    """Copy the baseline as other data: one answer's text differs, which no filter reads."""
    copy = shutil.copytree(arms / "baseline", arms / name)
    samples = (copy / "samples.jsonl").read_text(encoding="utf-8")
    (copy / "samples.jsonl").write_text(
        samples.replace('"text": "There', f'"text": "{name} There', 1)
    )
    facts = json.loads((copy / "run.json").read_text(encoding="utf-8"))
    facts["hashes"]["samples"] = sha256(copy / "samples.jsonl")
    write_facts(copy, facts)


def test_levels_never_add_up_to_more_than_alpha() -> None:
    """Each look spends four fifths of what is left, a single look everything."""
    spent: list[float] = []
    for _ in range(40):
        spent.append(level(0.05, spent))

    assert spent[:3] == pytest.approx([0.04, 0.008, 0.0016])
    assert sum(spent) <= 0.05
    assert level(0.05, [], single=True) == 0.05
    assert level(0.05, [0.05]) == level(0.05, [0.05], single=True) == 0.0
    with pytest.raises(ValueError, match="none below 0"):
        level(0.05, [-0.01])


@pytest.mark.parametrize("noisy", [80, 200, 400])
def test_size_over_looks_at_repeats_is_at_most_alpha(noisy: int) -> None:
    """A true loss of the default margin passes any of eight looks at 1 to 8 repeats below 5 %.

    Simulated: `noisy` questions change by themselves and carry the loss. The same looks at the
    full alpha pass it far more often, so the test would see a level that is not spent.
    """
    questions, sets, runs = 1319, 4000, 8
    random = np.random.default_rng(20261126)
    shift = DEFAULT_MARGIN * questions / noisy / 2
    base = random.random((runs, sets, noisy)) < 0.5 + shift
    cand = random.random((runs, sets, noisy)) < 0.5 - shift
    passed = {"spent": np.zeros(sets, bool), "full": np.zeros(sets, bool)}
    spent: list[float] = []
    for repeats in range(1, runs + 1):
        difference = cand[:repeats].mean(axis=0) - base[:repeats].mean(axis=0)
        total, squares = difference.sum(axis=1), (difference**2).sum(axis=1)
        squares = np.maximum(squares, abs(total))
        score = tango_score(
            (squares - total) / 2, (squares + total) / 2, questions, -DEFAULT_MARGIN
        )
        spent.append(level(DEFAULT_ALPHA, spent))
        passed["spent"] |= score > stats.norm.isf(spent[-1])
        passed["full"] |= score > stats.norm.isf(DEFAULT_ALPHA)

    error = float(np.sqrt(DEFAULT_ALPHA * (1 - DEFAULT_ALPHA) / sets))
    assert passed["spent"].mean() <= DEFAULT_ALPHA + 2 * error
    assert passed["full"].mean() > DEFAULT_ALPHA + 2 * error


def test_exact_sizes_of_the_looks_add_up_to_at_most_alpha() -> None:
    """At every discordance the enumerated sizes of all looks together are below 5 %."""
    spent: list[float] = []
    for _ in range(4):
        spent.append(level(DEFAULT_ALPHA, spent))
    further = DEFAULT_ALPHA - sum(spent)  # what all later looks have together
    grid = [0.015, 0.0155, 0.016, 0.018, 0.02, 0.025, 0.03, 0.04, 0.05, 0.08, 0.1, 0.12, 0.14]

    sizes = [
        sum(
            paired_power(
                partial(criteria.preserved, margin=DEFAULT_MARGIN, alpha=one),
                DEFAULT_MARGIN,
                discordance,
            )
            for one in spent
        )
        + further
        for discordance in grid
    ]

    assert max(sizes) < DEFAULT_ALPHA


def test_a_comparison_is_recorded_beside_what_it_reads(arms: Path) -> None:
    """The first look spends 0.04 of 0.05; no file that was there is changed."""
    before = {name: hashes(arms / name) for name in ("baseline", "candidate")}

    status, found = compare(arms, *MARGIN)

    after = {name: hashes(arms / name) for name in ("baseline", "candidate")}
    assert status == 0
    assert found["look"] | {"data": ""} == {
        "number": 1,
        "data": "",
        "level": pytest.approx(0.04),
        "margin": 0.14,
        "decided": None,
        "recorded": True,
        "alpha": 0.05,
    }
    assert after["baseline"] == before["baseline"]
    assert {name: after["candidate"][name] for name in before["candidate"]} == before["candidate"]
    assert after["candidate"].keys() - before["candidate"].keys() == {"looks/0001.json"}


def test_comparing_the_same_data_again_is_no_look(arms: Path) -> None:
    """The second comparison of the same data finds the same, at the same level."""
    first = compare(arms, *MARGIN)

    second = compare(arms, *MARGIN)

    assert second == first
    assert len(read_looks(arms / "candidate")) == 1


def test_other_data_are_another_look(arms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another baseline or more repeats spend from what is left, and the report says so."""
    compare(arms, *MARGIN)
    another_baseline(arms, "second")
    capsys.readouterr()

    _, found = compare(arms, *MARGIN, baseline="second")

    assert (found["look"]["number"], found["look"]["level"]) == (2, pytest.approx(0.008))
    assert "this is look 2 at this candidate" in capsys.readouterr().out


def test_more_repeats_of_a_candidate_are_another_look(
    problems: list[dict[str, str]], ask: Ask, tmp_path: Path
) -> None:
    """What an undecided comparison proposes, `--resume --runs 2`, is counted as a second look."""
    with Server({row["question"]: row["answer"] for row in problems}) as server:
        for runs in ("1", "2"):
            for name in ("baseline", "candidate"):
                ask(server.url, tmp_path / name, "--resume", "--runs", runs)
            _, found = compare(tmp_path, *MARGIN)

    assert found["look"]["number"] == 2
    assert found["look"]["level"] == pytest.approx(0.008)


def test_single_look_leaves_nothing(arms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After a look that spent all of alpha no other data decide."""
    status, found = compare(arms, *MARGIN, "--single-look")
    another_baseline(arms, "second")

    later, second = compare(arms, *MARGIN, baseline="second")

    assert (status, found["look"]["level"]) == (0, 0.05)
    assert (later, second["verdict"]) == (3, "INCONCLUSIVE")
    assert "alpha is spent" in capsys.readouterr().out


def test_a_refusal_is_no_look(arms: Path) -> None:
    """Runs that cannot be compared spend nothing; the counts are shown as information."""
    facts = json.loads((arms / "candidate" / "run.json").read_text(encoding="utf-8"))
    facts["settings"]["concurrency"] = 3
    write_facts(arms / "candidate", facts)

    status, found = compare(arms)

    assert (status, found["verdict"], found["look"]) == (2, "REFUSED", None)
    assert found["paired"]["strict-match"]["questions"] == 40
    assert not (arms / "candidate" / "looks").exists()


def test_another_margin_for_the_same_data_is_named(
    arms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wider margin after a look is said, with the exact size of a look, and passes nothing."""
    compare(arms, *MARGIN)
    capsys.readouterr()

    status, found = compare(arms, "--margin", "20")

    printed = capsys.readouterr().out
    assert (status, found["verdict"]) == (3, "INCONCLUSIVE")
    assert "judged before at a margin of 14 points, and a wider one, 20, decides nothing" in printed
    assert "judged before at a margin of 14 points, now at 20" in printed
    assert "one look passes a true loss of the margin with probability 0.0" in printed


def test_margin_of_any_earlier_look_binds(arms: Path) -> None:
    """Other data of the same candidate take no wider margin either; a narrower one may pass."""
    compare(arms, "--margin", "30")
    another_baseline(arms, "second")
    another_baseline(arms, "third")

    wider, _ = compare(arms, "--margin", "40", baseline="second")
    narrower, _ = compare(arms, "--margin", "20", "--single-look", baseline="third")

    assert (wider, narrower) == (3, 0)


def test_alpha_that_grows_after_a_look_passes_nothing(
    arms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What all looks may spend is fixed by the first."""
    compare(arms, "--margin", "20")
    another_baseline(arms, "second")

    status, found = compare(arms, "--margin", "20", "--alpha", "0.3", baseline="second")

    assert (status, found["verdict"]) == (3, "INCONCLUSIVE")
    assert "judged before at alpha 0.05, and a larger one, 0.3" in capsys.readouterr().out


def test_look_at_a_larger_alpha_spends_no_more_than_the_rules_have(arms: Path) -> None:
    """Data that were judged at a larger alpha are judged again within the smaller one."""
    compare(arms, "--alpha", "0.3", *MARGIN)

    _, found = compare(arms, *MARGIN)

    assert found["look"]["level"] == 0.05
    assert found["next_level"] == 0.0
    assert found["paired"]["strict-match"]["alpha"] == 0.05


@pytest.mark.parametrize("level", [0.04, 0.99])
def test_recorded_pass_makes_no_candidate_preserved(
    problems: list[dict[str, str]], ask: Ask, arms: Path, level: float
) -> None:
    """A record that claims a plan's PRESERVED, or more alpha than there is, turns no verdict."""
    shutil.rmtree(arms / "candidate")
    with Server({row["question"]: "#### 0" for row in problems}) as wrong:
        assert ask(wrong.url, arms / "candidate") == 0
    assert compare(arms, *MARGIN)[1]["verdict"] == "DEGRADED"
    path = arms / "candidate" / "looks" / "0001.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**held, "decided": "PRESERVED", "level": level}))

    status, found = compare(arms, *MARGIN)

    assert (status, found["verdict"]) == (3, "INCONCLUSIVE")
    assert found["look"]["level"] <= 0.05
    assert "these counts do not bear out" in found["withheld"][0]


def test_plan_decides_at_its_own_margin_alone(arms: Path) -> None:
    """PRESERVED of a sequential plan is none at a margin that the plan did not have."""
    compare(arms, "--margin", "20")
    path = arms / "candidate" / "looks" / "0001.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**held, "decided": "PRESERVED", "level": 0.05}))

    narrower, found = compare(arms, *MARGIN)
    same, _ = compare(arms, "--margin", "20")

    assert (narrower, same) == (3, 0)
    assert "with a margin of 20 points" in found["withheld"][0]


def test_folder_that_cannot_be_written_to_is_named(
    arms: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Archived evidence can be compared; that the look is not counted is said."""
    monkeypatch.setattr("goldgate.evals.comparing.compare.record", lambda *_: False)

    status, found = compare(arms, *MARGIN)

    assert (status, found["look"]["recorded"]) == (0, False)
    assert "could not be recorded" in capsys.readouterr().out


def test_looks_that_were_removed_are_noticed(tmp_path: Path) -> None:
    """A gap in the numbers, a damaged file and a number that is taken are errors."""
    for number in (1, 2):
        assert record(tmp_path, Look(number, "d", 0.04, 0.015), {})
    with pytest.raises(EvalError, match="another comparison is recording"):
        record(tmp_path, Look(2, "d", 0.04, 0.015), {})

    (tmp_path / "looks" / "0001.json").unlink()
    with pytest.raises(EvalError, match="looks are missing"):
        read_looks(tmp_path)

    text = (tmp_path / "looks" / "0002.json").read_text(encoding="utf-8")
    for wrong in ("{}", "[]", text.replace("0.015", "NaN"), text.replace("0.04", "-1")):
        (tmp_path / "looks" / "0001.json").write_text(wrong)
        with pytest.raises(EvalError, match="is no record of a look"):
            read_looks(tmp_path)
