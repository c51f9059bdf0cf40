"""What a server says about itself: kept where it tells servers apart, left out where it moves."""

from __future__ import annotations

import pytest

from evals import server
from evals.errors import EvalError


class Page:
    """A response of `requests`, as far as it is read."""

    def __init__(self, body: object) -> None:
        """Hold a body, or None for a page that is not there."""
        self.body, self.ok, self.status_code = body, body is not None, 200 if body else 404

    def json(self) -> object:
        """Return the body."""
        return self.body


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Serve pages by path."""
    served: dict[str, object] = {}

    def get(url: str, **_: object) -> Page:
        return Page(served.get(url.removeprefix("http://x")))

    monkeypatch.setattr("requests.get", get)
    return served


def identify() -> server.Identity:
    """Identify the pages' server."""
    return server.identify("http://x", key="", timeout_s=1)


def test_load_and_secrets_are_left_out(pages: dict[str, object]) -> None:
    """Times and load move while the server stays; keys must not reach evidence."""
    pages["/v1/models"] = {"data": [{"id": "m", "created": 17, "max_model_len": 4096}]}
    pages["/get_server_info"] = {
        "version": "0.5.23",
        "api_key": "sesame",
        "admin_api_key": "sesame",
        "internal_states": [{"last_gen_throughput": 3.5}],
    }

    assert identify() == {
        "/v1/models.m.id": "m",
        "/v1/models.m.max_model_len": "4096",
        "/get_server_info.version": "0.5.23",
    }


def test_what_moves_between_two_looks_is_no_identity(
    pages: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that no list knows is watched: what changes at once says nothing later."""
    looks = iter(({"version": "1", "ticks": 1}, {"version": "1", "ticks": 2}))
    pages["/version"] = {}

    def get(url: str, **_: object) -> Page:
        return Page(next(looks) if url.endswith("/version") else None)

    monkeypatch.setattr("requests.get", get)

    assert server.stable_identity("http://x", key="", timeout_s=1) == {"/version.version": "1"}


def test_long_values_are_hashed(pages: dict[str, object]) -> None:
    """A chat template is told by its hash."""
    pages["/props"] = {"chat_template": "x" * 5000}

    assert identify()["/props.chat_template"].startswith("sha256:")


def test_changes_are_named() -> None:
    """What changed and what is gone is said with both values."""
    before = {"version": "1", "model": "m", "same": "s"}

    found = server.changes(before, {"version": "2", "same": "s", "new": "n"})

    assert found == ["model was m, is gone", "version was 1, is 2"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://h:1", "http://h:1"),
        ("http://h:1/", "http://h:1"),
        ("http://h:1/v1", "http://h:1"),
        ("https://h/proxy/v1/", "https://h/proxy"),
    ],
)
def test_address_is_normalised(given: str, expected: str) -> None:
    """With and without /v1 and a slash are one address."""
    assert server.normalise(given) == expected


def test_key_that_is_refused_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP 401 says where the key belongs."""
    page = Page({"error": "no"})
    page.status_code, page.ok = 401, False
    monkeypatch.setattr("requests.get", lambda *_, **__: page)

    with pytest.raises(EvalError, match="OPENAI_API_KEY"):
        server.models("http://x", key="", timeout_s=1)
