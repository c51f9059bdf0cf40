"""The second table: which faults are served, what is kept of them, and that the page says it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from goldgate.cli import main
from goldgate.fixtures import open_recording
from goldgate.kernels import KernelError, load
from goldgate.mutants.report import served_page, served_picture
from goldgate.mutants.report.page import SERVED, SERVED_PICTURE, SUMMARY, halves
from goldgate.mutants.served import asking, end_to_end
from goldgate.mutants.served.asking import Asking, ask_all
from goldgate.mutants.served.end_to_end import Results, questions, read_results, write_results
from goldgate.mutants.served.routers import ARMS, BASELINE, EXPECTED, NOT_SERVED, slug
from goldgate.mutants.trial import FAULTS, FILE_FAULTS
from goldgate.pictures import digest_in
from goldgate.reference import MINIMAX_M2_5, route


@pytest.fixture(scope="module")
def kept() -> Results:
    """What is kept of the faults that were served."""
    return read_results()


def test_every_fault_is_served_or_says_why_not() -> None:
    """No fault is left out of the second table in silence."""
    titles = {fault.name for fault in FAULTS} | {fault.name for fault in FILE_FAULTS}
    served = {arm.title for arm in ARMS.values() if arm.fault}

    assert served | set(NOT_SERVED) == titles
    assert not served & set(NOT_SERVED)
    assert all(NOT_SERVED.values())


def test_names_on_the_command_line_are_distinct() -> None:
    """No two faults or kernels share a name, nor one with a word of the command line."""
    names = [*ARMS, *map(slug, NOT_SERVED), BASELINE, "all", "default", "list", "none"]

    assert len(set(names)) == len(names)
    assert slug("start value -1") != slug("start value 1")


@pytest.mark.parametrize("name", ["no-bias", "writes-its-bias", "numpy", "torch-eager"])
def test_the_server_finds_and_calls_an_arm_by_its_name(name: str) -> None:
    """The server imports a router by its name, and it routes."""
    kernel = load(ARMS[name].router).route
    logits, bias = torch.randn(5, 256), torch.linspace(-0.3, 0.3, 256)
    weights, ids = torch.full((5, 8), torch.nan), torch.full((5, 8), -1, dtype=torch.int32)
    golden = route(logits.numpy(), bias.numpy(), MINIMAX_M2_5).ids

    kernel(logits, bias, weights, ids, 1, 1, True, 1.0)

    assert (ids >= 0).all()
    assert torch.isfinite(weights).all()
    assert bool((ids.numpy() == golden).all()) == (name != "no-bias")


def test_an_unknown_arm_is_no_attribute() -> None:
    """A misspelt name is refused where it is used, and says what lists the names."""
    with pytest.raises(KernelError, match="--end-to-end list"):
        load("goldgate.mutants.served.routers:no-bios")


def test_what_is_kept_is_of_arms_that_exist(kept: Results) -> None:
    """Every kept arm is still served under that name and title, of that family, once."""
    names = [arm.name for arm in kept.arms]

    assert len(set(names)) == len(names)
    for arm in kept.arms:
        assert (arm.title, arm.family) == (ARMS[arm.name].title, ARMS[arm.name].family)


def test_what_is_kept_covers_all_questions_and_both_kinds(kept: Results) -> None:
    """The table is of every question, and has faults that GSM8K sees and ones that it does not."""
    verdicts = {arm.verdict for arm in kept.arms if arm.is_fault}

    assert kept.questions == questions(None) == 1319
    assert {"DEGRADED", "PRESERVED"} <= verdicts
    assert {arm.verdict for arm in kept.arms if not arm.is_fault} == {"PRESERVED"}


def test_kernel_parity_fails_every_fault_kept_and_no_right_result(kept: Results) -> None:
    """What the second table says of kernel parity is what the first one requires."""
    assert all(arm.caught == arm.is_fault for arm in kept.arms)


def test_marks_that_changed_add_up_to_the_score(kept: Results) -> None:
    """The right answers are the baseline's, less those lost, more those gained."""
    compared = [arm for arm in kept.arms if arm.losses is not None and arm.gains is not None]

    assert compared
    for arm in compared:
        assert arm.right == kept.baseline - (arm.losses or 0) + (arm.gains or 0), arm.name


def test_the_default_set_is_what_was_found(kept: Results) -> None:
    """What the default run expects of GSM8K's verdict is what all questions gave."""
    verdicts = {arm.name: arm.verdict for arm in kept.arms}

    assert {name: verdicts[name] for name in EXPECTED} == EXPECTED


def test_the_pages_of_the_served_faults_are_rendered_from_what_is_kept(kept: Results) -> None:
    """The summary's second part, the page and its picture show the kept results alone."""
    _, second = halves(SUMMARY.read_text(encoding="utf-8"))

    assert second == served_page.section(kept)
    assert SERVED.read_text(encoding="utf-8") == served_page.document(kept)
    assert digest_in(SERVED_PICTURE) == served_picture.digest(kept)


def test_the_readme_states_the_second_half(kept: Results) -> None:
    """The README's figures of the served faults are those of the kept results."""
    readme = SUMMARY.parents[1] / "README.md"
    text = " ".join(readme.read_text(encoding="utf-8").split())
    faults = [arm for arm in kept.arms if arm.is_fault]
    passed = sum(arm.verdict == "PRESERVED" for arm in faults)

    assert (
        f"With {len(faults)} of them served in the stand-in model, the GSM8K verdict passes "
        f"{passed} and kernel parity passes none"
    ) in text


def test_the_stand_in_has_no_biased_score_below_0() -> None:
    """Why some faults are not served holds of what the stand-in was recorded routing."""
    for path in sorted((SUMMARY.parents[1] / "fixtures" / "recordings").glob("standin-*")):
        held = open_recording(path)

        assert (held.bias() > 0).all()


def test_an_arm_found_anew_takes_the_place_of_what_was_kept(kept: Results) -> None:
    """Results are merged by name: nothing else that is kept is lost, nor twice there."""
    anew = dataclasses.replace(kept.arms[3], right=7)

    merged = end_to_end.merged(dataclasses.replace(kept, arms=(anew,)), kept)

    assert {arm.name for arm in merged.arms} == {arm.name for arm in kept.arms}
    assert len(merged.arms) == len(kept.arms)
    assert [arm for arm in merged.arms if arm.name == anew.name] == [anew]


def test_arms_that_were_asked_otherwise_are_not_merged(kept: Results) -> None:
    """One table holds no answers of two machines; all arms anew may replace what is kept."""
    elsewhere = dataclasses.replace(kept, made={**kept.made, "torch": "another"})

    with pytest.raises(KernelError, match="differs in made"):
        end_to_end.merged(dataclasses.replace(elsewhere, arms=kept.arms[:1]), kept)

    assert end_to_end.merged(elsewhere, kept) == elsewhere


def test_results_come_back_as_they_were_written(kept: Results, tmp_path: Path) -> None:
    """Writing and reading results changes nothing."""
    write_results(kept, tmp_path / "kept.json")

    assert read_results(tmp_path / "kept.json") == kept
    assert dataclasses.asdict(kept)["arms"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("no-bios", "did you mean no-bias"),
        ("groups-ignored", "cannot be served: needs expert groups"),
    ],
)
def test_a_wrong_name_is_one_line(
    asked: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is unknown, or of a fault that cannot be served, ends with 2 and one line."""
    status = main(["mutants", "--end-to-end", asked])

    stderr = capsys.readouterr().err
    assert status == 2
    assert said in stderr
    assert len(stderr.splitlines()) == 1


def test_an_arm_is_asked_once_and_only_on_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A served arm answers, is not asked again, and is refused beside another machine's."""
    how = Asking(tmp_path, limit=2)
    answers: list[int] = []
    ended: list[str] = []

    ask_all({"arm": BASELINE}, how, answers.append, ended.append)
    facts = asking.outcome(tmp_path, "arm")
    monkeypatch.setattr(asking, "_ask", lambda *_: pytest.fail("asked again"))
    ask_all({"arm": BASELINE}, how, answers.append, ended.append)
    machine = asking.machine(tmp_path) | {"processor": "another"}
    (tmp_path / "machine.json").write_text(json.dumps(machine), encoding="utf-8")
    with pytest.raises(KernelError, match="processor 'another'"):
        ask_all({"arm": BASELINE, "new": BASELINE}, how, answers.append, ended.append)

    assert facts["status"] == "complete"
    assert sum(answers) == facts["totals"]["answers"] == 2
    assert ended == ["arm", "arm"]
