"""A body is a stranger's data: what counts as an answer, what fails and how it is named."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest

from goldgate.evals.asking.journal_lines import Answer
from goldgate.evals.asking.response import (
    MAX_DEPTH,
    RequestError,
    build_of,
    check_status,
    parse,
    retry_after,
    split_thought,
)


def answer(body: object, headers: dict[str, str] | None = None) -> Answer:
    """Parse a body as that of question 3."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse(
        raw,
        headers or {},
        repeat=0,
        doc_id=3,
        prompt_sha256="p",
        latency_s=0.1,
        ended=1.0,
    )


def body(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a completion
    """Return a completion with one choice."""
    return {"choices": [{"index": 0, "text": "#### 1", "finish_reason": "stop"}], **more}


def test_choice_with_index_0_is_the_answer() -> None:
    """Choices come in any order; the index says which one was asked for."""
    other = {"index": 1, "text": "#### 2"}

    found = answer(body(choices=[other, {"index": 0, "text": "#### 1"}]))

    assert found.text == "#### 1"
    assert answer(body(choices=[{"text": "alone"}])).text == "alone"


@pytest.mark.parametrize(
    "choices",
    [
        [],
        [{"index": 1, "text": "a"}],
        [{"index": False, "text": "a"}],
        [{"index": 0, "text": "a"}, {"index": 0, "text": "b"}],
        [{"text": "a"}, {"text": "b"}],
        [{"index": 0, "message": "a"}],
        [{"index": 0, "text": 7}],
        ["a"],
        "a",
        None,
    ],
)
def test_not_exactly_one_choice_0_is_malformed(choices: object) -> None:
    """No choice, several with one index, or none with index 0: a failed request, not retried."""
    with pytest.raises(RequestError) as caught:
        answer(body(choices=choices))

    assert caught.value.name == "malformed answer"
    assert not caught.value.retried


@pytest.mark.parametrize(
    "error", ["out of memory", {"message": "out of memory", "code": 500}, {"code": 7}]
)
def test_error_in_a_body_fails_the_request(error: object) -> None:
    """An engine's error with status 200 fails the request even beside a choice."""
    with pytest.raises(RequestError, match=r"the server reports an error: (out of memory|\{.code)"):
        answer(body(error=error))

    assert answer(body(error=None)).text == "#### 1"


def test_nesting_has_a_limit() -> None:
    """Deep nesting is a malformed answer; brackets inside a text are no nesting."""
    deep = b"[" * 100_000 + b"]" * 100_000
    text = "[[{" * 1000 + '\\"'

    with pytest.raises(RequestError, match=f"nested deeper than {MAX_DEPTH}"):
        answer(deep)
    assert answer(body(choices=[{"index": 0, "text": text}])).text == text


@pytest.mark.parametrize("number", [-5, 1.5, True, "9", 2**80, [1]])
def test_token_count_that_is_none_is_left_out(number: object) -> None:
    """A negative or otherwise impossible count is named and never becomes a speed."""
    found = answer(body(usage={"prompt_tokens": 9, "completion_tokens": number}))

    assert found.usage == {"prompt_tokens": 9}
    assert found.usage_refused == ("completion_tokens",)


def test_details_of_usage_are_no_fault() -> None:
    """Nested details and null are what servers send beside the counts."""
    usage = {"completion_tokens": 4, "prompt_tokens_details": None, "details": {"cached": 1}}

    found = answer(body(usage=usage))

    assert (found.usage, found.usage_refused) == ({"completion_tokens": 4}, ())


def test_identity_is_kept_with_the_answer() -> None:
    """The fingerprint and headers that name a build are part of an answer; others are not."""
    headers = {"Server": "uvicorn", "X-Engine-Version": "1.2\x1b", "Date": "today"}

    found = answer(body(system_fingerprint="fp_1", model="m"), headers)

    assert (found.fingerprint, found.model) == ("fp_1", "m")
    assert found.build == "server=uvicorn; x-engine-version=1.2?"
    assert build_of({"Date": "today"}) is None


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thought_that_is_sent_apart_is_kept_apart(field: str) -> None:
    """A reasoning parser's thought is no part of the text; null content stays null."""
    message = {"role": "assistant", "content": None, field: "Let me think."}
    choice = {"index": 0, "message": message, "finish_reason": "length"}

    found = answer(body(choices=[choice]))

    assert (found.text, found.reasoning, found.finish_reason) == (None, "Let me think.", "length")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#### 1", ("#### 1", None, True)),
        ("<think>\n7\n</think>\n#### 1", ("\n#### 1", "\n7\n", True)),
        ("7</think>#### 1", ("#### 1", "7", True)),
        (" <think>\n7", ("", "\n7", False)),
        ("The <think> tag", ("The <think> tag", None, True)),
    ],
)
def test_thought_in_the_text_is_split_off(
    text: str, expected: tuple[str, str | None, bool]
) -> None:
    """What stands before `</think>`, or behind a `<think>` that never ends, is no answer."""
    assert split_thought(text) == expected


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_a_failure_that_names_its_target(status: int) -> None:
    """No redirect is followed or asked again; the address it leads to is named, harmless."""
    with pytest.raises(RequestError, match=r"redirects to http://other/\?\[2J") as caught:
        check_status(status, {"Location": "http://other/\x1b[2J"}, b"", "http://x")

    assert not caught.value.retried


@pytest.mark.parametrize(
    ("status", "retried"), [(400, False), (404, False), (408, True), (429, True), (503, True)]
)
def test_status_says_whether_asking_again_can_help(status: int, *, retried: bool) -> None:
    """A busy or failing server is asked again, a request that is wrong is not."""
    with pytest.raises(RequestError) as caught:
        check_status(status, {"Retry-After": "12"}, b"busy", "http://x")

    assert (caught.value.retried, caught.value.wait_s) == (retried, 12.0)
    check_status(200, {}, b"", "http://x")


def test_retry_after_is_seconds_or_a_date() -> None:
    """Both forms of RFC 9110 are read; anything else is as if it were not there."""
    now = float(int(time.time()))

    assert retry_after(" 12 ", now) == 12.0
    assert retry_after(formatdate(now + 30, usegmt=True), now) == pytest.approx(30.0)
    assert retry_after(formatdate(now - 30, usegmt=True), now) == 0.0
    assert [retry_after(words, now) for words in (None, "soon", "-1", "1.5", "")] == [None] * 5
    assert retry_after("9" * 400, now) == 999_999_999.0
