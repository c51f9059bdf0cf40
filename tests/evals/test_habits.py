"""Servers with bad habits, each as one that was met in the field: none passes by accident."""

from __future__ import annotations

import asyncio
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from goldgate.cli import main
from goldgate.evals.asking.journal_lines import Answer
from goldgate.evals.records.summary import speed
from tests.evals.support import QUESTIONS, Server, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., int]

MARGIN = ("--margin", "14")  # what 40 questions can show


@pytest.fixture
def right(problems: list[dict[str, str]]) -> dict[str, str]:
    """Hold the right answer of every question."""
    return {row["question"]: row["answer"] for row in problems}


@pytest.fixture
def base(right: dict[str, str], ask: Ask, tmp_path: Path) -> str:
    """Hold the run of a server without bad habits."""
    with Server(right) as server:
        assert ask(server.url, tmp_path / "base") == 0
    return str(tmp_path / "base")


def compare(*arguments: str, file: Path) -> tuple[int, dict[str, Any]]:
    """Compare and return the exit status and what --json has."""
    status = main(["compare", *arguments, "--json", str(file)])
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return status, found


def failed(found: dict[str, Any]) -> list[str]:
    """Name the checks that a comparison failed."""
    return [check["name"] for check in found["checks"] if not check["passed"]]


def prose(text: str) -> str:
    """Write an answer that ends in prose, not in `#### N`."""
    return text.replace("#### ", "**Answer:** ")


def test_filter_that_reads_nothing_does_not_decide(
    right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers in prose: the filter that finds their numbers decides, and the loss is seen."""
    worse = {
        question: prose(text) + ("7" if number % 3 == 0 else "")
        for number, (question, text) in enumerate(right.items())
    }
    with Server({question: prose(text) for question, text in right.items()}) as one:
        ask(one.url, tmp_path / "one")
    with Server(worse) as other:
        ask(other.url, tmp_path / "other")

    status, found = compare(
        str(tmp_path / "one"), str(tmp_path / "other"), file=tmp_path / "c.json"
    )

    assert (status, found["verdict"], found["decides"]) == (1, "DEGRADED", "flexible-extract")
    assert found["paired"]["strict-match"]["losses"] == 0
    assert "strict-match does not qualify" in capsys.readouterr().out


def test_no_filter_that_reads_the_baseline_is_a_refusal(
    right: dict[str, str], ask: Ask, tmp_path: Path
) -> None:
    """Where neither filter finds numbers in the baseline's answers nothing can be decided."""
    words = dict.fromkeys(right, "I would rather not say.")
    for name in ("one", "other"):
        with Server(words) as server:
            ask(server.url, tmp_path / name)

    status, found = compare(
        str(tmp_path / "one"), str(tmp_path / "other"), file=tmp_path / "c.json"
    )

    assert (status, found["decides"]) == (2, None)
    detail = next(check["detail"] for check in found["checks"] if not check["passed"])
    assert "strict-match no number in 100.00 %, flexible-extract no number in 100.00 %" in detail


def test_candidate_that_writes_garbage_is_degraded(
    base: str, right: dict[str, str], ask: Ask, tmp_path: Path
) -> None:
    """A broken router's answers have no number: wrong answers, not an excuse."""
    with Server(dict.fromkeys(right, "!!!!!!!!")) as broken:
        ask(broken.url, tmp_path / "broken")

    status, found = compare(base, str(tmp_path / "broken"), file=tmp_path / "c.json")

    assert (status, found["verdict"]) == (1, "DEGRADED")


def test_candidate_that_is_read_worse_is_never_preserved(
    base: str, right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three unreadable answers of 40 that a wide margin would allow: INCONCLUSIVE, and why."""
    some = {q: text if n > 2 else "no number" for n, (q, text) in enumerate(right.items())}
    with Server(some) as server:
        ask(server.url, tmp_path / "some")

    status, found = compare(
        base, str(tmp_path / "some"), "--margin", "30", file=tmp_path / "c.json"
    )

    assert (status, found["verdict"]) == (3, "INCONCLUSIVE")
    assert found["paired"]["strict-match"]["verdict"] == "PRESERVED"
    assert "finds no number in 7.50 % of the candidate's answers" in capsys.readouterr().out


@pytest.mark.parametrize(("garbage", "expected"), [(True, 1), (False, 3)])
def test_candidate_alone_that_runs_into_the_limit_is_judged(
    base: str, right: dict[str, str], ask: Ask, tmp_path: Path, *, garbage: bool, expected: int
) -> None:
    """One-sided truncation reads DEGRADED where the answers are wrong, and never PRESERVED."""

    def cut(number: int, body: dict[str, Any]) -> None:
        if number < 20:
            body["choices"][0]["finish_reason"] = "length"
            if garbage:
                body["choices"][0]["text"] = " and so on" * 20

    with Server(right) as server:
        server.change = cut
        ask(server.url, tmp_path / "cut")

    status, _ = compare(base, str(tmp_path / "cut"), *MARGIN, file=tmp_path / "c.json")

    assert status == expected


def test_filters_that_disagree_keep_a_pass_open(
    base: str, right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """PRESERVED by one qualifying filter and not by the other is INCONCLUSIVE."""
    more = {
        q: text + (" That makes 3 shelves." if n < 12 else "")
        for n, (q, text) in enumerate(right.items())
    }
    with Server(more) as server:
        ask(server.url, tmp_path / "more")

    status, found = compare(base, str(tmp_path / "more"), *MARGIN, file=tmp_path / "c.json")

    assert (status, found["paired"]["strict-match"]["verdict"]) == (3, "PRESERVED")
    assert found["paired"]["flexible-extract"]["verdict"] == "DEGRADED"
    assert (
        "the filters disagree: strict-match PRESERVED, flexible-extract" in capsys.readouterr().out
    )
    assert main(["compare", base, str(tmp_path / "more"), "--filter", "flexible-extract"]) == 1


def test_baseline_at_the_floor_is_refused(right: dict[str, str], ask: Ask, tmp_path: Path) -> None:
    """At the floor nothing can be lost; a small model's floor is lowered knowingly."""
    floor = {q: text if n % 3 == 0 else text + "7" for n, (q, text) in enumerate(right.items())}
    for name in ("one", "other"):
        with Server(floor) as server:
            ask(server.url, tmp_path / name)
    arms = (str(tmp_path / "one"), str(tmp_path / "other"))

    status, found = compare(*arms, *MARGIN, file=tmp_path / "c.json")
    lowered, _ = compare(*arms, *MARGIN, "--min-score", "30", file=tmp_path / "d.json")

    assert (status, failed(found)) == (2, ["the baseline represents the model"])
    assert lowered == 0


def test_thought_that_a_stop_string_cuts_measures_nothing(
    right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thought repeats "Question:", a stop of the task: no answer is left, and that is refused."""
    thinking = {
        q: f" <think>\nThe task is\nQuestion: {q}\n</think>\n{text}" for q, text in right.items()
    }
    for name in ("one", "other"):
        with Server(thinking) as server:
            ask(server.url, tmp_path / name)

    status, found = compare(
        str(tmp_path / "one"), str(tmp_path / "other"), *MARGIN, file=tmp_path / "c.json"
    )

    assert (status, found["verdict"]) == (2, "REFUSED")
    assert facts_of(tmp_path / "one")["totals"]["thoughts"] == {"unfinished": QUESTIONS}
    assert (
        f"{QUESTIONS} of {QUESTIONS} answers begin a <think> thought that never ends"
        in capsys.readouterr().out
    )


def test_thought_in_the_text_is_kept_apart_and_named(
    base: str, right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers in a thought are no answer; the thought stays in the journal."""
    with Server({q: f"<think>12 or 13?</think>{text}" for q, text in right.items()}) as server:
        ask(server.url, tmp_path / "thinks")

    status, _ = compare(base, str(tmp_path / "thinks"), *MARGIN, file=tmp_path / "c.json")

    assert status == 0
    assert "have a <think> thought in their text" in capsys.readouterr().out
    assert "<think>" not in (tmp_path / "thinks" / "samples.jsonl").read_text(encoding="utf-8")
    assert "<think>12 or 13?" in (tmp_path / "thinks" / "journal.jsonl").read_text(encoding="utf-8")


def test_answers_cut_by_the_prompts_own_words_are_named(
    base: str, right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stop string that an answer may contain is named where the server says that it cut."""

    def stop(number: int, body: dict[str, Any]) -> None:
        if number < 4:
            body["choices"][0]["stop_reason"] = "Question:"

    with Server(right) as server:
        server.change = stop
        ask(server.url, tmp_path / "stopped")

    compare(base, str(tmp_path / "stopped"), *MARGIN, file=tmp_path / "c.json")

    assert "4 of 40 answers are cut by 'Question:', words of the prompt" in capsys.readouterr().out


def test_one_backend_behind_two_addresses_is_named(
    base: str, right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Texts that are the same to the letter throughout are said before the verdict."""
    with Server(right) as server:
        ask(server.url, tmp_path / "same")

    status, _ = compare(base, str(tmp_path / "same"), *MARGIN, file=tmp_path / "c.json")

    printed = capsys.readouterr().out
    assert status == 0
    assert "40 texts of 40 are the same in baseline and candidate" in printed
    assert printed.index("40 texts of 40") < printed.index("PRESERVED: the score")


@pytest.mark.parametrize("changed", [0, 4])
def test_two_arms_at_one_address_are_named(
    right: dict[str, str],
    ask: Ask,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changed: int,
) -> None:
    """One server asked twice is a control, whether its texts differ between the arms or not."""
    answers = dict(right)
    with Server(answers) as server:
        ask(server.url, tmp_path / "one")
        for question in list(answers)[:changed]:
            answers[question] += " "
        ask(server.url, tmp_path / "two")

        main(["compare", str(tmp_path / "one"), str(tmp_path / "two"), *MARGIN])

        printed = " ".join(capsys.readouterr().out.split())
        assert f"baseline and candidate were asked at one address, {server.url}" in printed
    assert ("40 texts of 40 are the same in baseline and candidate" in printed) == (not changed)


def test_control_at_the_candidates_address_is_named(
    right: dict[str, str], base: str, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A control that was asked of the candidate's server measures no noise of the baseline."""
    with Server(right) as server:
        ask(server.url, tmp_path / "cand")
        ask(server.url, tmp_path / "control")

    main(["compare", base, str(tmp_path / "cand"), "--control", str(tmp_path / "control"), *MARGIN])

    printed = " ".join(capsys.readouterr().out.split())
    assert f"the control was asked at the candidate's address, {server.url}" in printed
    assert "asked at one address" not in printed


def test_server_that_names_no_build_is_said(
    base: str, right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a page, a fingerprint or a build sameness rests on the model's name, and is said."""

    def fingerprint(_: int, body: dict[str, Any]) -> None:
        body["system_fingerprint"] = "fp_1"

    with Server(right) as server:
        server.change = fingerprint
        ask(server.url, tmp_path / "named")
    printed = capsys.readouterr().out
    compare(base, str(tmp_path / "named"), *MARGIN, file=tmp_path / "c.json")

    compared = capsys.readouterr().out
    assert "fp_1" in printed
    assert "baseline: the server offers nothing that identifies its build" in compared
    assert "candidate: the server offers nothing" not in compared


@pytest.mark.parametrize("names", ["ab", "a-", "-a"])
@pytest.mark.parametrize("what", ["system_fingerprint", "model"])
def test_build_that_changes_within_a_run_ends_it(
    base: str, right: dict[str, str], ask: Ask, tmp_path: Path, what: str, names: str
) -> None:
    """Answers of two builds, or of one and none, are no evidence: the run ends there."""

    def swap(number: int, body: dict[str, Any]) -> None:
        body[what] = {"a": "a", "b": "b", "-": None}[names[number >= 20]]

    with Server(right) as server:
        server.change = swap
        status = ask(server.url, tmp_path / "changed", "--concurrency", "1")
        again = ask(server.url, tmp_path / "changed", "--resume")

    reason = facts_of(tmp_path / "changed")["reasons"][0]
    assert (status, again) == (2, 2)
    assert f"one run needs one {what}" in reason or f"answers of several {what}s" in reason
    assert main(["compare", base, str(tmp_path / "changed")]) == 2


def test_redirect_is_not_followed(
    right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Questions go to no server that the user did not name."""
    with Server(right) as target, Server(right) as server:

        async def redirect(_: int, __: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"{target.url}/v1/completions"})

        server.fault = redirect

        status = ask(server.url, tmp_path, "--concurrency", "1")

        assert status == 2
        assert len(server.asked) == 1
        assert target.asked == []
        assert f"redirects to {target.url}/v1/completions" in capsys.readouterr().err


@pytest.mark.parametrize("compressed", [False, True])
def test_body_has_a_size(
    right: dict[str, str], ask: Ask, tmp_path: Path, *, compressed: bool
) -> None:
    """A huge answer fails the request after 16 MB, also where a few kilobytes unpack to it."""

    async def huge(number: int, _: web.Request) -> web.Response | None:
        if number != 5:
            return None
        body = b" x" * 20_000_000
        if not compressed:
            return web.Response(body=body)
        return web.Response(body=zlib.compress(body), headers={"Content-Encoding": "deflate"})

    with Server(right) as server:
        server.fault = huge
        status = ask(server.url, tmp_path, "--concurrency", "1")

    assert status == 2
    assert "a body of more than 16 MB" in facts_of(tmp_path)["reasons"][0]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) < 100_000


def test_server_that_restarts_loses_no_run(right: dict[str, str], ask: Ask, tmp_path: Path) -> None:
    """503 for a while is waited for, and no answer is lost."""

    async def down(number: int, _: web.Request) -> web.Response | None:
        return web.Response(status=503) if 5 <= number < 20 else None

    with Server(right) as server:
        server.fault = down
        status = ask(server.url, tmp_path, "--concurrency", "4")

    totals = facts_of(tmp_path)["totals"]
    assert status == 0
    assert totals["right"]["strict-match"] == [QUESTIONS]
    assert totals["errors"] == {"HTTP 503": 15}


def test_retry_after_is_waited_for(right: dict[str, str], ask: Ask, tmp_path: Path) -> None:
    """The second request comes no earlier than the gateway asked for."""
    times: list[float] = []

    async def busy(number: int, _: web.Request) -> web.Response | None:
        times.append(asyncio.get_running_loop().time())
        return web.Response(status=429, headers={"Retry-After": "1"}) if number == 0 else None

    with Server(right) as server:
        server.fault = busy
        status = ask(server.url, tmp_path, "--limit", "1")

    assert status == 0
    assert times[1] - times[0] >= 1.0


def test_patience_that_ends_names_its_option(
    right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that stays down ends the run with the time that was waited and what waits longer."""

    async def down(_: int, __: web.Request) -> web.Response:
        return web.Response(status=503)

    with Server(right) as server:
        server.fault = down
        status = ask(server.url, tmp_path, "--retry-for", "0.1", "--concurrency", "1")

    assert status == 2
    assert "--retry-for SECONDS waits longer" in capsys.readouterr().err


def test_negative_token_counts_leave_the_answers_usable(
    base: str, right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A counter that overflows gives no speed; the run says so and can be compared."""

    def overflow(_: int, body: dict[str, Any]) -> None:
        body["usage"]["completion_tokens"] = -5

    with Server(right) as server:
        server.change = overflow
        status = ask(server.url, tmp_path / "negative")

    assert status == 0
    assert facts_of(tmp_path / "negative")["speed"]["tokens_per_s"] is None
    assert "40 answers have token counts that are none" in capsys.readouterr().out
    assert main(["compare", base, str(tmp_path / "negative"), *MARGIN]) == 0


def test_hostile_text_reaches_no_terminal(
    right: dict[str, str], ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape sequences in model ids, answers and errors are never printed, nor put into XML."""
    hostile = {q: f"\x1b]0;owned\x07\x1b[2J\x9b31m{text}" for q, text in right.items()}
    worse = {q: text.replace("####", "") for q, text in hostile.items()}
    for name, completions in (("one", hostile), ("other", worse)):
        with Server(completions, model="\x1b[2J\x1b[31mm") as server:
            ask(server.url, tmp_path / name)
    junit = tmp_path / "c.xml"

    main([
        "compare", str(tmp_path / "one"), str(tmp_path / "other"), "--show", "2",
        "--junit", str(junit), "--json", str(tmp_path / "c.json"),
    ])  # fmt: skip

    printed = capsys.readouterr()
    everything = printed.out + printed.err + junit.read_text(encoding="utf-8")
    everything += (tmp_path / "c.json").read_text(encoding="utf-8")
    assert "[invalid]" in printed.out  # as the title of an answer: no markup that vanishes
    assert not {"\x1b", "\x07", "\x9b"} & set(everything)
    assert "m at http" in printed.out


def test_clock_that_is_set_changes_no_figure(
    right: dict[str, str], ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that jumps back an hour at every look at it leaves speed and latency alone."""
    now = iter(range(10_000_000, 0, -3600))
    monkeypatch.setattr("goldgate.evals.asking.client._unix_time", lambda: float(next(now)))

    with Server(right) as server:
        ask(server.url, tmp_path)

    timed = facts_of(tmp_path)["speed"]
    assert 0 < timed["active_s"] < 60
    assert timed["answers_per_s"] == pytest.approx(QUESTIONS / timed["active_s"], rel=0.1)


def test_sessions_are_timed_by_themselves() -> None:
    """A clock that was set back between two sessions hides no time of either."""
    answers = [
        Answer(
            repeat=0,
            doc_id=number,
            prompt_sha256="p",
            text="1",
            text_missing=False,
            finish_reason="stop",
            stop_reason=None,
            usage={"completion_tokens": 10},
            model="m",
            latency_s=2.0,
            ended=ended,
            session=session,
        )
        for number, (session, ended) in enumerate([(1, 100.0), (1, 102.0), (2, 101.0), (2, 103.0)])
    ]

    assert speed(answers)["active_s"] == 8.0


def test_full_disk_says_what_to_do(
    right: dict[str, str],
    ask: Ask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the device has no space left the error says to make room, not to name another."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with Server(right) as server:
        status = ask(server.url, tmp_path / "run")

    said = capsys.readouterr().err
    assert status == 2
    assert "make room on the disk" in said
    assert "name another" not in said
