"""`tox -e gsm8k`: which servers are asked, and what is said where there are none."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from goldgate.cli import main
from goldgate.evals import gsm8k
from goldgate.evals.errors import EvalError
from goldgate.evals.servers import local_servers
from goldgate.evals.swapping import demonstration
from goldgate.evals.swapping.endpoints import one_server
from goldgate.evals.task import FILTERS
from tests.evals.folders import write_facts
from tests.evals.support import Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Swap = Callable[..., int]


@pytest.fixture
def baseline(answers: dict[str, str]) -> Iterator[Server]:
    """Serve the same answers at another address."""
    with Server(answers) as running:
        yield running


@pytest.fixture
def swap(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swap:
    """Return a function that signs off with these variables on our own questions."""
    monkeypatch.setattr(demonstration, "standin_is_here", lambda: False)

    def run(*more: str, **variables: str) -> int:
        for name in ("BASE_URL", "BASELINE_URL", "BASELINE_RUN"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        where = () if "--data" in more else ("--data", str(data), "--own-data")
        return main(["swap", "--out", str(tmp_path / "out"), "--margin", "10", *where, *more])

    return run


@pytest.mark.parametrize("control", [(), ("--control",)])
def test_candidate_against_baseline(
    server: Server,
    baseline: Server,
    swap: Swap,
    tmp_path: Path,
    control: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two servers: both are asked, on demand the baseline twice; the verdict is the status."""
    status = swap(*control, BASE_URL=server.url, BASELINE_URL=baseline.url)

    verdict = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert (status, verdict["verdict"], verdict["note"]) == (0, "PRESERVED", None)
    assert (len(server.asked), len(baseline.asked)) == (40, 80 if control else 40)
    assert (verdict["noise_floor"] is not None) == bool(control)
    assert "PRESERVED: the score is preserved" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["", "/v1", "/v1/"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "LocalHost"])  # noqa: S104 - asked, not bound
def test_one_server_as_both_arms_is_refused(
    server: Server, swap: Swap, host: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server is not compared with itself, however its address is written."""
    other = server.url.replace("127.0.0.1", host) + path

    status = swap(BASE_URL=server.url, BASELINE_URL=other)

    assert status == 2
    assert "nothing was swapped" in capsys.readouterr().err
    assert server.asked == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://127.0.0.1:8000", "http://localhost:8001", False),
        ("http://127.0.0.1:80", "http://localhost", True),
        ("http://127.0.0.1:8000/a", "http://localhost:8000/b", False),
        ("http://host.invalid:8000", "http://host.invalid:8000/v1", True),
        ("http://host.invalid:8000", "http://other.invalid:8000", False),
    ],
)
def test_addresses_are_compared_by_where_they_lead(one: str, other: str, *, same: bool) -> None:
    """Ports and paths tell servers apart; names that nobody knows are compared as text."""
    assert one_server(one, other) == same


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (("--max-tokens", "300"), "generation.max_tokens 300, not 256"),
        (("--concurrency", "3"), "concurrency 3, not 32"),
        (("--limit", "39"), "limit 39, not null"),
        (("--num-fewshot", "2"), "num_fewshot 2, not 5"),
        (("--task", "gsm8k_cot"), 'task "gsm8k_cot", not "gsm8k"'),
        (("--api", "chat"), 'api "chat", not "completions"'),
    ],
)
def test_earlier_run_that_was_asked_otherwise_is_named_before_asking(
    server: Server, swap: Swap, ask: Callable[..., int], tmp_path: Path,
    asked: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """No hour is spent on a candidate run that no comparison would take."""
    ask(server.url, tmp_path / "earlier", *asked)
    server.asked.clear()

    status = swap(BASE_URL=server.url, BASELINE_RUN=str(tmp_path / "earlier"))

    said = capsys.readouterr().err
    assert status == 2
    assert named in said
    assert "_hash" not in said  # which follows from it
    assert server.asked == []


@pytest.mark.parametrize("setting", ["task_hash", "prompts_hash", "extractor_hash", "lm_eval"])
def test_earlier_run_of_another_task_is_named_before_asking(
    server: Server, swap: Swap, ask: Callable[..., int], tmp_path: Path,
    setting: str, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Other questions, prompts, filters or another lm-eval are found before the candidate's run."""
    ask(server.url, tmp_path / "earlier")
    facts = facts_of(tmp_path / "earlier")
    facts["settings"][setting] = "another"
    write_facts(tmp_path / "earlier", facts)
    server.asked.clear()

    status = swap(BASE_URL=server.url, BASELINE_RUN=str(tmp_path / "earlier"))

    assert status == 2
    assert f'{setting} "another", not ' in capsys.readouterr().err
    assert server.asked == []


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("text", None, "answered, 40 null"),
        ("finish_reason", "length", "100.00 % truncated, limit 5 % (--max-truncated)"),
        ("finish_reason", None, "truncation is unknown for 40 answers"),
    ],
)
@pytest.mark.parametrize("earlier", [True, False])
def test_baseline_that_is_no_evidence_costs_no_candidate_run(
    server: Server, baseline: Server, swap: Swap, ask: Callable[..., int], tmp_path: Path,
    field: str, value: object, named: str, capsys: pytest.CaptureFixture[str], *, earlier: bool,
) -> None:  # fmt: skip
    """Null or truncated answers of the baseline end the sign-off before the candidate is asked."""

    def spoil(_: int, body: dict[str, Any]) -> None:
        body["choices"][0][field] = value
        del body["usage"]

    baseline.change = spoil
    if earlier:
        ask(baseline.url, tmp_path / "earlier")
        arm = {"BASELINE_RUN": str(tmp_path / "earlier")}
    else:
        arm = {"BASELINE_URL": baseline.url}

    assert swap(BASE_URL=server.url, **arm) == 2
    assert named in capsys.readouterr().err
    assert server.asked == []


@pytest.mark.parametrize("more", [(), ("--control",)])
def test_earlier_run_that_is_none_is_named_before_asking(
    server: Server,
    swap: Swap,
    tmp_path: Path,
    more: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A mistyped BASELINE_RUN costs nothing, and a folder cannot be asked a second time."""
    status = swap(*more, BASE_URL=server.url, BASELINE_RUN=str(tmp_path / "typo"))

    assert status == 2
    assert ("set BASELINE_URL" if more else "typo: holds no run.json") in capsys.readouterr().err
    assert server.asked == []


def test_candidate_against_an_earlier_run(
    server: Server, swap: Swap, ask: Callable[..., int], tmp_path: Path,
    problems: list[dict[str, str]],
) -> None:  # fmt: skip
    """BASELINE_RUN takes the place of the baseline's server; a loss is exit status 1."""
    with Server({row["question"]: row["answer"] for row in problems}) as better:
        ask(better.url, tmp_path / "earlier")

    assert swap(BASE_URL=server.url, BASELINE_RUN=str(tmp_path / "earlier")) == 1


def test_both_baselines_are_refused(swap: Swap, capsys: pytest.CaptureFixture[str]) -> None:
    """Which of two baselines is meant is not guessed."""
    assert swap(BASE_URL="http://x", BASELINE_URL="http://y", BASELINE_RUN="z") == 2
    assert "both set" in capsys.readouterr().err


def test_baseline_without_candidate_is_refused(
    swap: Swap, capsys: pytest.CaptureFixture[str]
) -> None:
    """A forgotten BASE_URL does not turn into a demonstration."""
    assert swap(BASELINE_URL="http://y") == 2
    assert "no BASE_URL" in capsys.readouterr().err


@pytest.mark.parametrize("earlier", [True, False])
def test_other_model_is_named_before_the_candidate_is_asked(
    baseline: Server,
    answers: dict[str, str],
    ask: Callable[..., int],
    swap: Swap,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    earlier: bool,
) -> None:
    """No candidate is asked 1319 questions that another model id would refuse."""
    arm = {"BASELINE_URL": baseline.url}
    if earlier:
        ask(baseline.url, tmp_path / "earlier")
        arm = {"BASELINE_RUN": str(tmp_path / "earlier")}

    with Server(answers, model="other") as candidate:
        status = swap(BASE_URL=candidate.url, **arm)

        assert candidate.asked == []
    assert status == 2
    assert "the baseline serves m, the candidate other" in capsys.readouterr().err


def test_plan_is_registered_before_the_first_question(
    server: Server, baseline: Server, swap: Swap, tmp_path: Path
) -> None:
    """The plan of one look is written first; the same folder takes no other margin."""
    plans: list[dict[str, Any]] = []

    async def look(_: int, __: object) -> None:
        plans.append(json.loads((tmp_path / "out" / "plan.json").read_text(encoding="utf-8")))

    baseline.fault = look
    arms = {"BASE_URL": server.url, "BASELINE_URL": baseline.url}

    swap(**arms)
    again = swap("--resume", "--margin", "20", **arms)

    assert plans[0]["kind"] == "all questions"
    assert plans[0]["rules"]["margin"] == 0.1
    assert len(plans[0]["sha256"]) == 64
    assert again == 2


def test_plan_is_not_written_after_the_candidate_was_asked(
    server: Server, baseline: Server, swap: Swap, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan that was removed to choose another margin is missed, and nothing is asked."""
    arms = {"BASE_URL": server.url, "BASELINE_URL": baseline.url}
    swap(**arms)
    (tmp_path / "out" / "plan.json").unlink()
    asked = len(server.asked)

    status = swap("--resume", "--margin", "20", **arms)

    assert (status, len(server.asked)) == (2, asked)
    assert "a plan comes before the first question" in capsys.readouterr().err


def test_candidate_with_null_answers_has_no_verdict(
    server: Server, baseline: Server, swap: Swap, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refused run ends the sign-off with status 2."""
    server.change = lambda _, body: body["choices"][0].update(text=None)

    assert swap(BASE_URL=server.url, BASELINE_URL=baseline.url) == 2
    assert "no verdict can be drawn" in capsys.readouterr().err


@pytest.mark.parametrize(("published", "expected"), [(("93.3", "93.4"), 1), (("56.2", "56.3"), 3)])
def test_without_baseline_only_the_unpaired_check(
    gsm8k: Path,
    swap: Swap,
    tmp_path: Path,
    published: tuple[str, str],
    expected: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A candidate alone is compared with the published score, labelled, and never passes."""
    with local_servers.serving(
        local_servers.replay_command(gsm8k / "completions.jsonl", "175b_verification")
    ) as url:
        status = swap(
            *("--data", str(gsm8k), "--published", *published, "--published-protocol", "lm-eval"),
            BASE_URL=url,
        )

    said = capsys.readouterr().out
    assert status == expected
    assert (tmp_path / "out" / "unpaired.json").exists()
    assert "UNPAIRED CHECK, no verdict" in said
    assert "PRESERVED" not in said


def test_unpaired_check_follows_the_rules(swap: Swap, monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter and the limit that the user states decide the unpaired check too."""
    asked: list[tuple[object, ...]] = []

    def check(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise EvalError("seen")

    monkeypatch.setattr(gsm8k, "run", lambda *_, **__: {"status": "complete"})
    monkeypatch.setattr(gsm8k, "run_report", lambda *_: "")
    monkeypatch.setattr(gsm8k, "check_band", check)

    swap("--data", "d", "--filter", FILTERS[1], "--max-truncated", "7", BASE_URL="http://x")

    assert [arguments[1:] for arguments in asked] == [((93.3, 93.4), FILTERS[1], 0.07)]


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--data", "d", "--published", "0.933", "0.934"), "expected percent, not fractions"),
        ((), "--own-data without a baseline"),
    ],
)
def test_unpaired_check_that_cannot_be_made_is_named_before_asking(
    server: Server,
    swap: Swap,
    more: tuple[str, ...],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No hour is spent where there is no score to compare with."""
    assert swap(*more, BASE_URL=server.url) == 2
    assert named in capsys.readouterr().err
    assert server.asked == []


def test_demonstration_says_that_it_is_no_evidence(
    data: Path, problems: list[dict[str, str]], swap: Swap, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Without servers recorded completions are replayed: the swap is seen, the same arm is not."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    for name in ("train.jsonl", "test.jsonl"):
        (folder / name).write_bytes((data / name).read_bytes())
    rows = [
        {
            "question": row["question"],
            "175b_verification": {"text": row["answer"]},
            "6b_verification": {"text": "#### 0"},
        }
        for row in problems
    ]
    (folder / "completions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    status = swap("--data", str(folder), "--own-data")

    said = capsys.readouterr().out
    assert status == 0
    assert said.count(demonstration.NO_EVIDENCE) == 2
    assert said.index("PRESERVED: ") < said.index("DEGRADED: ")
    verdict = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert verdict["note"] == demonstration.NO_EVIDENCE


def test_nothing_to_demonstrate_with(swap: Swap, capsys: pytest.CaptureFixture[str]) -> None:
    """Without servers, stand-in and recordings the way out is named."""
    assert swap() == 2
    assert "set BASE_URL" in capsys.readouterr().err


def test_standin_arms_are_two_routers() -> None:
    """The stand-in is served through its own command, which tells the router."""
    assert local_servers.standin_command("golden")[1:] == [
        "-m", "goldgate", "serve", "--router", "golden", "--port", "0"
    ]  # fmt: skip


def test_server_that_does_not_start_is_named() -> None:
    """A local server that ends at once is an error, not a wait."""
    command = [sys.executable, "-c", "print('no')"]

    with pytest.raises(EvalError, match="did not start"), local_servers.serving(command):
        pass


def test_resume_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """Which runs to continue is not guessed."""
    assert main(["swap", "--resume"]) == 2
    assert "--resume needs --out" in capsys.readouterr().err
