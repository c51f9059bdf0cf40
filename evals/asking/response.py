"""What a server answered: one completion, or the reason why it is none.

Nothing here asks a server. A body is data of a stranger: its size, its nesting and every field are
checked before they are used.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from goldgate.evals.asking.journal_lines import Answer
from goldgate.evals.records.truncation import came_to_its_end
from goldgate.text import one_line

#: A completion of 100,000 tokens with its thought is below 1 MB.
MAX_BODY_BYTES = 16 * 2**20
#: An OpenAI-compatible answer nests 5 deep; Python's own parser gives up near 1,000.
MAX_DEPTH = 64

# Worth asking again; any other 4xx means that the request itself is wrong.
_RETRIED_STATUS = {408, 409, 425, 429}
# Headers that name the program behind an address, by name or by the end of a name.
_BUILD_HEADERS = ("server", "x-powered-by")
_BUILD_ENDS = ("-version", "-build", "-revision", "-commit")
_JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_THINK, _THINK_END = "<think>", "</think>"


class RequestError(Exception):
    """One attempt failed; `name` is short enough to be counted.

    `retried` is whether asking again can help, `wait_s` how long the server asks to wait.
    """

    def __init__(
        self, name: str, detail: str, *, retried: bool = False, wait_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.name = name
        self.retried = retried
        self.wait_s = wait_s


def check_status(status: int, headers: Mapping[str, str], body: bytes, url: str) -> None:
    """Raise RequestError for every HTTP status but success, and name a redirect's target.

    A redirect is never followed: it would send the questions to a server that nobody named.
    """
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        target = one_line(headers.get("Location", "an unnamed address"))
        raise RequestError(
            f"redirect {status}",
            f"HTTP {status}: the server redirects to {target}; if that is the server to ask, "
            "name it as the address",
        )
    at = f" at {url}" if status == 404 else ""  # the address may be what is wrong
    raise RequestError(
        f"HTTP {status}",
        f"HTTP {status}{at} {excerpt(body)}".strip(),
        retried=status >= 500 or status in _RETRIED_STATUS,
        wait_s=retry_after(headers.get("Retry-After"), time.time()),
    )


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3), else None.

    `now` is Unix time, which a date is counted from.
    """
    if value is None:
        return None
    words = value.strip()
    if words.isascii() and words.isdigit():
        return float(words[:9])  # a longer wait than any run
    try:
        return max(email.utils.parsedate_to_datetime(words).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def build_of(headers: Mapping[str, str]) -> str | None:
    """Return the headers that name the server's program or build, as `name=value; ...`."""
    named = {
        name.lower(): value
        for name, value in headers.items()
        if name.lower() in _BUILD_HEADERS or name.lower().endswith(_BUILD_ENDS)
    }
    return "; ".join(f"{name}={one_line(value)}" for name, value in sorted(named.items())) or None


def parse(body: bytes, headers: Mapping[str, str], **request: Any) -> Answer:  # noqa: ANN401 - the other fields of Answer
    """Turn the body of a successful response into an answer.

    Raises RequestError for a body that is not a completion at all, such as a proxy's error page,
    an error object or no choice with index 0, and for an answer that did not come to its end.
    """
    outputs = _read(body)
    error = outputs.get("error")
    if error:
        words = error.get("message", error) if isinstance(error, dict) else error
        raise RequestError("error in the body", f"the server reports an error: {_words(words)}")
    choice = _choice(outputs, body)
    message = choice.get("message", choice)
    if not isinstance(message, dict):
        raise _malformed(f"message is no object in {excerpt(body)}")
    name = "content" if "message" in choice else "text"
    text, missing = message.get(name), name not in message
    if text is not None and not isinstance(text, str):
        raise _malformed(f"text is no string in {excerpt(body)}")
    reason = choice.get("finish_reason")
    if reason is not None and not isinstance(reason, str):
        raise _malformed(f"finish_reason is no string in {excerpt(body)}")
    if reason is not None and not came_to_its_end(reason):
        # The text so far is no answer: an aborted request is a failed one, whatever its status.
        words = f"finish_reason {one_line(reason)}"
        raise RequestError(words, f"the answer was broken off ({words})", retried=True)
    usage, refused = _usage(outputs.get("usage"))
    thought = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
    # vLLM's stop_reason, sglang's matched_stop: the stop string that cut the text, or a token id.
    stop = choice.get("stop_reason", choice.get("matched_stop"))
    return Answer(
        text=text,
        text_missing=missing,
        finish_reason=reason,
        stop_reason=_text(stop),
        usage=usage,
        usage_refused=refused,
        model=_text(outputs.get("model")),
        reasoning=thought,
        fingerprint=_text(outputs.get("system_fingerprint")),
        build=build_of(headers),
        **request,
    )


def split_thought(text: str) -> tuple[str, str | None, bool]:
    """Split a text into the answer, the thought before it and whether the thought ended.

    A thought is what precedes the last `</think>`, or everything behind a `<think>` that is never
    closed, which leaves no answer. None where there is no thought.
    """
    if _THINK_END in text:
        thought, _, answer = text.rpartition(_THINK_END)
        return answer, thought.replace(_THINK, "", 1), True
    if text.lstrip().startswith(_THINK):
        return "", text.lstrip().removeprefix(_THINK), False
    return text, None, True


def excerpt(body: bytes) -> str:
    """Return the start of a body as one printable line."""
    return one_line(body[:2000].decode("utf-8", "replace"))


def _read(body: bytes) -> dict[str, Any]:
    if _depth(body) > MAX_DEPTH:
        raise _malformed(f"nested deeper than {MAX_DEPTH} in {excerpt(body)[:80]}")
    try:
        outputs = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _malformed(excerpt(body)) from error
    if not isinstance(outputs, dict):
        raise _malformed(excerpt(body))
    return outputs


def _depth(body: bytes) -> int:
    """How deep brackets nest outside strings, at least; brackets are counted first, being few."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for byte in _JSON_STRING.sub(b"", body):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _choice(outputs: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    choices = outputs.get("choices")
    if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
        raise _malformed(excerpt(body))
    # A lone choice without an index is the one that was asked for; false is no number.
    numbers = [one.get("index", 0 if len(choices) == 1 else None) for one in choices]
    first = [
        one for one, n in zip(choices, numbers, strict=True) if n == 0 and not isinstance(n, bool)
    ]
    if len(first) != 1:
        raise _malformed(f"{len(first)} choices with index 0 in {excerpt(body)}")
    found: dict[str, Any] = first[0]
    return found


def _usage(value: object) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the token counts, and the names of those that are no counts."""
    if not isinstance(value, dict):
        return {}, () if value is None else ("usage",)
    counts, refused = {}, []
    for key, number in value.items():
        if number is None or isinstance(number, dict):  # details, which nothing here reads
            continue
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**53:
            counts[str(key)] = number
        elif str(key).endswith("tokens"):
            refused.append(str(key))
    return counts, tuple(sorted(refused))


def _malformed(detail: str) -> RequestError:
    return RequestError("malformed answer", f"malformed answer: {detail}")


def _words(value: object) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
