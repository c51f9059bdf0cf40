"""The comparison: what may be compared, the verdict with its exit status, what a person reads."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web

from goldgate.cli import main
from goldgate.evals.records.folder import sha256
from goldgate.evals.task import FILTERS
from tests.evals.folders import write_facts, write_samples
from tests.evals.support import Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ask = Callable[..., int]


@pytest.fixture
def better(problems: list[dict[str, str]]) -> Iterator[Server]:
    """Serve right answers only: 40 of 40."""
    with Server({row["question"]: row["answer"] for row in problems}) as running:
        yield running


@pytest.fixture(scope="module")
def arms(
    problems: list[dict[str, str]],
    answers: dict[str, str],
    ask: Ask,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Hold three finished runs: 40 of 40 right, the same once more, 30 of 40."""
    folder = tmp_path_factory.mktemp("arms")
    with Server({row["question"]: row["answer"] for row in problems}) as better:
        assert ask(better.url, folder / "good") == 0
        assert ask(better.url, folder / "again") == 0
    with Server(answers) as server:
        assert ask(server.url, folder / "bad") == 0
    return folder


@pytest.fixture
def runs(arms: Path, tmp_path: Path) -> tuple[str, str]:
    """Hold copies of two runs, 40 and 30 of 40 right; a test may change them."""
    for name in ("good", "again", "bad"):
        shutil.copytree(arms / name, tmp_path / name)
    return str(tmp_path / "good"), str(tmp_path / "bad")


@pytest.fixture
def again(runs: tuple[str, str], tmp_path: Path) -> str:
    """Hold the better server's second run."""
    assert runs
    return str(tmp_path / "again")


def compare(*arguments: str, file: Path) -> tuple[int, dict[str, Any]]:
    """Compare and return the exit status and what --json says."""
    status = main(["compare", *arguments, "--json", str(file)])
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return status, found


def edit_settings(run: Path, **settings: object) -> None:
    """Let a run claim other settings."""
    facts = facts_of(run)
    facts["settings"].update(settings)
    write_facts(run, facts)


def edit_samples(run: Path, changes: list[dict[str, object]]) -> None:
    """Change the first samples of a run, the marks that are counted and the hash."""
    samples = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    for sample, change in zip(samples, changes, strict=False):
        sample.update(change)
    facts = facts_of(run)
    for name in FILTERS:
        facts["totals"]["right"][name] = [sum(sample["right"][name] for sample in samples)]
    write_facts(run, facts)
    write_samples(run, samples)


def failed(found: dict[str, Any]) -> list[str]:
    """Name the checks that did not hold."""
    return [check["name"] for check in found["checks"] if not check["passed"]]


def test_worse_is_degraded(
    runs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten of forty answers lost: exit status 1 and a sentence that says so."""
    status, found = compare(*runs, file=tmp_path / "c.json")

    said = capsys.readouterr().out
    paired = found["paired"]["strict-match"]
    assert (status, found["verdict"]) == (1, "DEGRADED")
    assert (paired["losses"], paired["gains"], paired["discordance"]) == (10, 0, 0.25)
    assert said.rstrip().splitlines()[-1].startswith("DEGRADED: the candidate is worse: 10 answers")
    assert "40 of 40 right, 100.00 %" in said
    assert "30 of 40 right, 75.00 %" in said


def test_better_is_preserved(
    runs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten answers gained: exit status 0."""
    status, found = compare(runs[1], runs[0], file=tmp_path / "c.json")

    assert (status, found["verdict"]) == (0, "PRESERVED")
    assert "PRESERVED: the score is preserved" in capsys.readouterr().out


def test_too_few_questions_are_inconclusive_and_say_how_many_more(
    runs: tuple[str, str], again: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Forty questions without a change cannot rule out 1.5 points: exit status 3."""
    wide = shutil.copytree(again, tmp_path / "wide", ignore=shutil.ignore_patterns("looks"))

    status, found = compare(runs[0], again, file=tmp_path / "c.json")

    assert (status, found["verdict"]) == (3, "INCONCLUSIVE")
    said = capsys.readouterr().out
    assert "INCONCLUSIVE: not decided" in said
    assert "needs at least 382 questions" in said
    assert main(["compare", runs[0], str(wide), "--margin", "10"]) == 0


@pytest.mark.parametrize(
    ("limit", "proposed"),
    [
        (40, "questions would decide 90 times in 100"),
        (None, "of each arm (--resume --runs "),
    ],
)
def test_undecided_run_proposes_what_would_decide(
    runs: tuple[str, str],
    again: str,
    limit: int | None,
    proposed: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What was asked in part is to be asked in full, what was asked in full more often."""
    for run in (runs[0], again):
        edit_settings(Path(run), limit=limit)
    edit_samples(Path(again), [{"right": dict.fromkeys(FILTERS, False)}] * 2)

    status = main(["compare", runs[0], again, "--margin", "14"])

    assert status == 3
    assert proposed in capsys.readouterr().out.rstrip().splitlines()[-1]


@pytest.mark.parametrize("control", [False, True])
def test_run_is_not_compared_with_itself(
    runs: tuple[str, str], tmp_path: Path, *, control: bool
) -> None:
    """A copy of a run is no second run: neither an arm nor a control that agrees with itself."""
    copy = str(shutil.copytree(runs[0], tmp_path / "copy"))
    asked = (*runs, "--control", copy) if control else (runs[0], copy)

    status, found = compare(*asked, file=tmp_path / "c.json")

    assert status == 2
    assert failed(found) == [f"baseline and {'control' if control else 'candidate'} are two runs"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("task_hash", "0" * 64),
        ("extractor_hash", "0" * 64),
        ("order", "by seed 3"),
        ("lm_eval", "0.4.12"),
        ("generation", {"max_tokens": 256, "temperature": 0.7, "until": []}),
    ],
)
def test_setting_that_no_option_changes_is_compared_too(
    runs: tuple[str, str], tmp_path: Path, setting: str, value: object
) -> None:
    """Another task, extractor, order, release of lm-eval or sampling is refused by its name."""
    edit_settings(tmp_path / "bad", **{setting: value})

    status, found = compare(*runs, file=tmp_path / "c.json")

    assert status == 2
    assert failed(found) == ["baseline and candidate were asked alike"]
    assert setting in next(c["detail"] for c in found["checks"] if not c["passed"])


def test_single_prompt_that_differs_is_refused(runs: tuple[str, str], tmp_path: Path) -> None:
    """Prompts are compared question by question, whatever the settings say."""
    edit_samples(tmp_path / "bad", [{"prompt_hash": "0" * 64}])

    status, found = compare(*runs, file=tmp_path / "c.json")

    assert status == 2
    assert failed(found) == ["baseline and candidate had the same prompts"]


def test_unfinished_run_is_refused(
    runs: tuple[str, str], better: Server, ask: Ask, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A run that a dead server ended scores nothing and is compared with nothing."""

    async def dead(number: int, _: web.Request) -> web.Response | None:
        return web.Response(status=503) if number >= 20 else None

    better.fault = dead
    assert ask(better.url, tmp_path / "part", "--attempts", "1") == 2
    capsys.readouterr()

    status = main(["compare", runs[0], str(tmp_path / "part")])

    said = capsys.readouterr().err
    assert status == 2
    assert "the run did not finish (question" in said
    assert "continue it with --resume" in said


def test_control_gives_the_noise_floor(runs: tuple[str, str], again: str, tmp_path: Path) -> None:
    """The swap's discordance is reported in excess of the baseline's own."""
    status, found = compare(*runs, "--control", again, file=tmp_path / "c.json")

    assert status == 1
    assert found["noise_floor"]["discordance"] == 0
    assert found["noise_floor"]["excess"] == pytest.approx(0.25)


def test_control_that_scores_otherwise_is_named(
    runs: tuple[str, str], again: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A control that lost ten of forty answers is not the baseline asked twice."""
    main(["compare", runs[0], again, "--control", runs[1]])

    assert "the control scores -25.00 points beside the baseline" in capsys.readouterr().out


def test_control_that_cannot_be_compared_is_refused(
    runs: tuple[str, str], better: Server, ask: Ask, tmp_path: Path
) -> None:
    """A control with other settings measures no noise floor."""
    ask(better.url, tmp_path / "control", "--concurrency", "3")

    status, found = compare(*runs, "--control", str(tmp_path / "control"), file=tmp_path / "c.json")

    assert status == 2
    assert failed(found) == ["baseline and control were asked alike"]


@pytest.mark.parametrize(
    "changed",
    [
        ["--num-fewshot", "2"],
        ["--max-tokens", "300"],
        ["--concurrency", "3"],
        ["--limit", "39"],
        ["--task", "gsm8k_cot"],
        ["--api", "chat"],
    ],
)
def test_arms_that_were_asked_otherwise_are_refused(
    runs: tuple[str, str],
    better: Server,
    ask: Ask,
    tmp_path: Path,
    changed: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another prompt, limit, concurrency, task or endpoint is no swap of a kernel."""
    ask(better.url, tmp_path / "other", *changed)

    status, found = compare(runs[0], str(tmp_path / "other"), file=tmp_path / "c.json")

    assert (status, found["verdict"]) == (2, "REFUSED")
    assert "baseline and candidate were asked alike" in failed(found)
    assert "this is not a pass" in capsys.readouterr().out


def test_other_model_id_is_refused_unless_it_is_the_same_model(
    runs: tuple[str, str], problems: list[dict[str, str]], ask: Ask, tmp_path: Path
) -> None:
    """Two model ids are two models until the user says otherwise."""
    completions = {row["question"]: row["answer"] for row in problems}
    with Server(completions, model="other") as second:
        ask(second.url, tmp_path / "other")
    other = str(tmp_path / "other")

    status, found = compare(runs[0], other, file=tmp_path / "c.json")
    allowed = main(["compare", runs[0], other, "--models-differ", "--margin", "10"])

    assert status == 2
    assert failed(found) == ["baseline and candidate serve one model id"]
    assert allowed == 0


def test_truncation_beyond_the_limit_and_in_one_arm_is_refused(
    runs: tuple[str, str], better: Server, ask: Ask, tmp_path: Path
) -> None:
    """An arm that the token limit cut is not compared; the limit can be stated otherwise."""

    def cut(number: int, body: dict[str, Any]) -> None:
        body["choices"][0]["finish_reason"] = "length" if number < 2 else "stop"

    better.asked.clear()
    better.change = cut
    ask(better.url, tmp_path / "cut")
    arms = (runs[0], str(tmp_path / "cut"))

    status, found = compare(*arms, "--max-truncated", "4", file=tmp_path / "c.json")
    stated = compare(*arms, file=tmp_path / "c.json")

    assert status == 2
    assert failed(found) == [
        "truncations of baseline and candidate are within the limit",
        "baseline and candidate are truncated alike",
    ]
    assert failed(stated[1]) == ["baseline and candidate are truncated alike"]


def test_unknown_truncation_is_refused(
    runs: tuple[str, str], better: Server, ask: Ask, tmp_path: Path
) -> None:
    """Without finish_reason and usage nobody knows what was cut."""

    def bare(_: int, body: dict[str, Any]) -> None:
        del body["choices"][0]["finish_reason"], body["usage"]

    better.change = bare
    ask(better.url, tmp_path / "bare")

    status, found = compare(runs[0], str(tmp_path / "bare"), file=tmp_path / "c.json")

    assert status == 2
    assert failed(found) == ["truncations of baseline and candidate are known"]


def test_refused_run_is_never_compared(
    runs: tuple[str, str], better: Server, ask: Ask, tmp_path: Path
) -> None:
    """A run with null answers stays refused in every comparison."""

    def null(number: int, body: dict[str, Any]) -> None:
        body["choices"][0]["text"] = None if number % 2 else "#### 1"

    better.change = null
    assert ask(better.url, tmp_path / "null") == 2

    status, found = compare(runs[0], str(tmp_path / "null"), file=tmp_path / "c.json")

    assert status == 2
    assert "baseline and candidate are whole runs" in failed(found)


def test_format_drift_is_named(
    runs: tuple[str, str], better: Server, ask: Ask, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Right numbers in another format look like lost accuracy to one filter, and that is said."""

    def drift(_: int, body: dict[str, Any]) -> None:
        body["choices"][0]["text"] = body["choices"][0]["text"].replace("#### ", "Answer: ")

    better.change = drift
    ask(better.url, tmp_path / "drift")

    status = main(["compare", runs[0], str(tmp_path / "drift")])

    said = capsys.readouterr().out
    assert status == 1
    assert "format drift: strict-match finds no number in 0.00 % and 100.00 %" in said
    assert "the filters disagree" in said
    assert main(["compare", runs[0], str(tmp_path / "drift"), "--filter", "flexible-extract"]) == 3


def test_changed_answers_are_shown_side_by_side(
    runs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """--show puts both texts of a lost question beside each other."""
    main(["compare", *runs, "--show", "1"])

    said = capsys.readouterr().out
    assert "10 turned wrong, 0 turned right" in said
    assert "question 0: right to wrong" in said
    assert "baseline: 6" in said
    assert "candidate: 69" in said


def test_junit_fails_where_the_verdict_does(runs: tuple[str, str], tmp_path: Path) -> None:
    """A CI that reads JUnit sees the verdict as a failed case."""
    main(["compare", *runs, "--junit", str(tmp_path / "junit.xml")])

    suite = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 - our own file
    assert suite.get("failures") == "1"
    assert [case.get("name") for case in suite if case.find("failure") is not None] == [
        "the score is preserved"
    ]


def test_output_into_a_closed_pipe_is_quiet(runs: tuple[str, str]) -> None:
    """`goldgate compare ... | head` ends without a traceback."""
    command = shlex.join([sys.executable, "-m", "goldgate", "compare", *runs])

    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} | true"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )

    assert done.stderr == b""


def test_folder_that_was_changed_is_refused(
    runs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """samples.jsonl has to be what run.json says it was."""
    samples = tmp_path / "bad" / "samples.jsonl"
    samples.write_text(samples.read_text().replace('"strict-match": false', '"strict-match": true'))

    status = main(["compare", *runs])

    assert status == 2
    assert "the folder was changed after the run" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "nonsense", "[]", '{"schema": 9}', '{"schema": 1}'])
def test_folder_that_is_no_run_is_one_line(
    runs: tuple[str, str], tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the folder holds, the error is one line and exit status 2."""
    folder = tmp_path / "empty"
    folder.mkdir()
    if content is not None:
        (folder / "run.json").write_text(content)
    capsys.readouterr()

    status = main(["compare", runs[0], str(folder)])

    said = capsys.readouterr().err
    assert status == 2
    assert said.count("\n") == 1
    assert str(folder) in said


def test_comparison_needs_no_journal(runs: tuple[str, str], tmp_path: Path) -> None:
    """Years later, without the journals, the verdict is the same and only the speed is missing."""
    for name in ("good", "bad"):
        (tmp_path / name / "journal.jsonl").unlink()

    status, found = compare(*runs, file=tmp_path / "c.json")

    assert (status, found["throughput"]) == (1, None)


def test_repeated_runs_are_clustered(
    server: Server, better: Server, ask: Ask, tmp_path: Path
) -> None:
    """Three passes with the same answers give the bound of one."""
    for name, url in (("good", better.url), ("bad", server.url)):
        ask(url, tmp_path / f"{name}1")
        ask(url, tmp_path / f"{name}3", "--runs", "3")

    _, once = compare(str(tmp_path / "good1"), str(tmp_path / "bad1"), file=tmp_path / "c.json")
    _, thrice = compare(str(tmp_path / "good3"), str(tmp_path / "bad3"), file=tmp_path / "c.json")

    bounds = [found["paired"]["strict-match"]["lower"] for found in (once, thrice)]
    assert bounds[0] == pytest.approx(bounds[1])


def test_answers_of_another_model_are_named(
    runs: tuple[str, str],
    problems: list[dict[str, str]],
    ask: Ask,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who answered where another model was asked for is in the report and in the JUnit file."""
    with Server({row["question"]: row["answer"] for row in problems}, model="other") as second:
        ask(second.url, tmp_path / "other", "--model", "wanted")
    asked = (runs[0], str(tmp_path / "other"), "--margin", "10", "--models-differ")

    status = main(["compare", *asked, "--junit", str(tmp_path / "junit.xml")])

    said = capsys.readouterr().out
    assert status == 0
    assert "candidate other (asked for wanted) at http" in said
    assert "caution           candidate: 40 answers are by other (asked for wanted)" in said
    case = ET.parse(tmp_path / "junit.xml").find(  # noqa: S314 - our own file
        "testcase[@name='baseline and candidate serve one model id']/system-out"
    )
    assert case is not None
    assert str(case.text).startswith("m and other (asked for wanted)")


@pytest.mark.parametrize(
    ("theirs", "named"),
    [
        ({"random_seed": "81", "nccl_port": "29", "version": "5"}, True),
        ({"random_seed": "81", "nccl_port": "30", "version": "5"}, False),
        ({"version": "5"}, False),
    ],
)
def test_arms_of_one_server_start_are_named(
    runs: tuple[str, str],
    theirs: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    *,
    named: bool,
) -> None:
    """A kernel is swapped by a new start; what both arms drew alike says that there was none."""
    ours = {"random_seed": "81", "nccl_port": "29", "version": "5"} if len(theirs) > 1 else theirs
    for run, said in zip(runs, (ours, theirs), strict=True):
        facts = facts_of(Path(run))
        identity = {f"/server_info.{name}": value for name, value in said.items()}
        facts["server"] = {"at_start": identity, "at_end": identity}
        write_facts(Path(run), facts)

    main(["compare", *runs])

    printed = capsys.readouterr().out
    caution = "both arms say /server_info.nccl_port 29, /server_info.random_seed 81, which"
    assert (caution in printed) == ("both arms say" in printed) == named


def test_control_says_what_is_noise_for_each_filter(
    runs: tuple[str, str], again: str, tmp_path: Path
) -> None:
    """Where the control changes nothing no repeats are proposed; where it does they are."""
    control = str(shutil.copytree(runs[1], tmp_path / "control"))
    edit_samples(Path(again), [{"right": dict.fromkeys(FILTERS, False)}] * 2)
    edit_samples(
        Path(control),
        [{"right": {FILTERS[0]: True, FILTERS[1]: number > 1}} for number in range(40)],
    )
    margin = ("--margin", "14")

    status, alone = compare(runs[0], again, *margin, file=tmp_path / "c.json")
    _, found = compare(runs[0], again, "--control", control, *margin, file=tmp_path / "c.json")

    assert status == 3
    assert [alone["paired"][name]["repeats_needed"] is None for name in FILTERS] == [False, False]
    assert [found["paired"][name]["repeats_needed"] is None for name in FILTERS] == [True, False]


def test_candidate_is_not_its_own_control(runs: tuple[str, str], tmp_path: Path) -> None:
    """A control that is a copy of the candidate measures no noise of the baseline."""
    copy = str(shutil.copytree(runs[1], tmp_path / "copy"))

    status, found = compare(*runs, "--control", copy, file=tmp_path / "c.json")

    assert status == 2
    assert failed(found) == ["candidate and control are two runs"]


def pace(run: Path, seconds: float, *, hashed: bool = True, drift: float = 0) -> None:
    """Let a run's journal say that every token took this long, the last `drift` longer."""
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    answers = [line for line in lines if line["kind"] == "answer"]
    for index, line in enumerate(answers):
        slower = 1 + drift * index / len(answers)
        line["latency_s"] = seconds * slower * line["usage"]["completion_tokens"]
    (run / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if hashed:
        facts = facts_of(run)
        facts["hashes"]["journal"] = sha256(run / "journal.jsonl")
        write_facts(run, facts)


def test_throughput_is_the_candidates_over_the_baselines(
    better: Server, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice as fast is a ratio of 2, the control stands beside it; a changed journal gives none."""
    for name, seconds in (("base", 0.02), ("control", 0.016), ("cand", 0.01)):
        ask(better.url, tmp_path / name, "--runs", "5")
        pace(tmp_path / name, seconds)
    asked = [str(tmp_path / name) for name in ("base", "cand")]
    asked += ["--control", str(tmp_path / "control")]
    capsys.readouterr()

    _, found = compare(*asked, file=tmp_path / "c.json")
    said = capsys.readouterr().out
    pace(tmp_path / "cand", 0.001, hashed=False)
    _, changed = compare(*asked, file=tmp_path / "c.json")
    pace(tmp_path / "cand", 0.01, drift=0.5)
    pace(tmp_path / "control", 0.01, drift=0.5)
    capsys.readouterr()
    compare(*asked, file=tmp_path / "c.json")
    drifting = capsys.readouterr().out

    assert found["throughput"]["ratio"] == pytest.approx(2)
    assert found["control_throughput"]["ratio"] == pytest.approx(1.25)
    assert "throughput        candidate/baseline 2.0000" in said
    assert "throughput A/A    control/baseline 1.2500" in said
    assert changed["throughput"] is None
    assert "caution           throughput: the speed drifts within a run" in drifting
    assert "caution           throughput A/A: the speed drifts within a run" in drifting


def test_question_with_another_prompt_in_a_later_pass_is_refused(
    better: Server, ask: Ask, tmp_path: Path
) -> None:
    """Passes are averaged question by question, which needs one prompt in all of them."""
    for name in ("one", "other"):
        ask(better.url, tmp_path / name, "--limit", "2", "--runs", "2")
        samples = [*({} for _ in range(3)), {"prompt_hash": "0" * 64}]
        lines = (tmp_path / name / "samples.jsonl").read_text().splitlines()
        rows = [{**json.loads(line), **new} for line, new in zip(lines, samples, strict=True)]
        write_samples(tmp_path / name, rows)

    status, found = compare(*(str(tmp_path / n) for n in ("one", "other")), file=tmp_path / "c")

    assert status == 2
    assert failed(found) == ["baseline and candidate had the same prompts"]
