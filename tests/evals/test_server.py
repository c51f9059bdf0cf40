"""What a server says about itself: kept where it tells servers apart, left out where it moves."""

from __future__ import annotations

import json

import pytest

from goldgate.evals.asking import identity as server
from goldgate.evals.asking.journal_lines import Sighting
from goldgate.evals.errors import EvalError


class Page:
    """A response of `requests`, as far as it is read."""

    def __init__(self, body: object) -> None:
        """Hold a body, or None for a page that is not there."""
        self.body, self.ok, self.status_code = body, body is not None, 200 if body else 404
        self.headers: dict[str, str] = {}

    def iter_content(self, _size: int) -> list[bytes]:
        """Return the body's bytes."""
        return [json.dumps(self.body).encode()]

    def close(self) -> None:
        """Close nothing."""

    def json(self) -> object:
        """Return the body."""
        return self.body


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Serve pages by path."""
    served: dict[str, object] = {}

    def get(_: object, url: str, **__: object) -> Page:
        return Page(served.get(url.removeprefix("http://x")))

    monkeypatch.setattr("requests.Session.get", get)
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

    def get(_: object, url: str, **__: object) -> Page:
        return Page(next(looks) if url.endswith("/version") else None)

    monkeypatch.setattr("requests.Session.get", get)

    assert server.stable_identity("http://x", key="", timeout_s=1) == {"/version.version": "1"}


def test_what_a_start_draws_is_no_other_server_to_a_journal() -> None:
    """A server that was started again is resumed against, but a restart within a run is seen."""
    before = {"/server_info.random_seed": "1", "/server_info.nccl_port": "2", "/version.v": "3"}

    assert server.across_starts(before) == {"/version.v": "3"}
    assert server.changes(before, {**before, "/server_info.random_seed": "4"})


@pytest.mark.parametrize(
    ("url", "proxied"),
    [
        ("http://127.0.0.1:8000", False),
        ("http://localhost", False),
        ("http://[::1]:80", False),
        ("http://gpu-host:8000", True),
        ("http://127host", True),
    ],
)
def test_proxy_is_for_other_machines(url: str, *, proxied: bool) -> None:
    """HTTP_PROXY applies to every server but one on this machine."""
    assert server.uses_proxy(url) is proxied


def test_address_with_a_password_is_refused_without_repeating_it() -> None:
    """A secret in an address would end up in the evidence; the refusal does not show it."""
    with pytest.raises(EvalError, match="OPENAI_API_KEY") as refusal:
        server.normalise("http://user:sesame@h:1")

    assert "sesame" not in str(refusal.value)


def test_long_values_are_hashed(pages: dict[str, object]) -> None:
    """A chat template is told by its hash."""
    pages["/props"] = {"chat_template": "x" * 5000}

    assert identify()["/props.chat_template"].startswith("sha256:")


def test_page_that_cannot_answer_now_is_no_change(
    pages: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is not there any more tells that the server changed; 5xx tells nothing."""
    pages["/version"] = {"version": "1"}
    known = {"/version.version": "1", "/props.model": "m"}
    broken = Page(None)
    broken.status_code = 503

    assert server.look_again(known, "http://x", key="", timeout_s=1) == {"/version.version": "1"}
    monkeypatch.setattr("requests.Session.get", lambda *_, **__: broken)
    assert server.look_again(known, "http://x", key="", timeout_s=1) is None
    assert server.look_again({}, "http://x", key="", timeout_s=1) == {}


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
        ("http://h:1/v1/completions", "http://h:1"),
        ("http://h:1/v1/chat/completions/", "http://h:1"),
        ("http://h:1/V1", "http://h:1/V1"),
    ],
)
def test_address_is_normalised(given: str, expected: str) -> None:
    """With and without /v1, an endpoint behind it and a slash are one address."""
    assert server.normalise(given) == expected


def test_server_that_is_not_ready_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is loading its weights is not taken for one that lists no model."""
    page = Page({"error": "loading"})
    page.status_code, page.ok = 503, False
    monkeypatch.setattr("requests.Session.get", lambda *_, **__: page)

    with pytest.raises(EvalError, match="HTTP 503 at /v1/models; wait until"):
        server.model_to_ask(None, "http://x", key="", timeout_s=1)


def test_key_that_is_refused_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP 401 says where the key belongs."""
    page = Page({"error": "no"})
    page.status_code, page.ok = 401, False
    monkeypatch.setattr("requests.Session.get", lambda *_, **__: page)

    with pytest.raises(EvalError, match="OPENAI_API_KEY"):
        server.model_to_ask(None, "http://x", key="", timeout_s=1)


@pytest.mark.parametrize("wrong", ["/V1", "/v2"])
def test_address_without_a_list_of_models_is_named(pages: dict[str, object], wrong: str) -> None:
    """Where nothing is at URL/v1/models the whole URL is said, unless the model is named."""
    assert "/v1/models" not in pages

    with pytest.raises(EvalError, match=f"http://x{wrong}/v1/models answered HTTP 404; mend"):
        server.model_to_ask(None, f"http://x{wrong}", key="", timeout_s=1)
    assert server.model_to_ask("m", "http://x", key="", timeout_s=1) == "m"


def test_changes_of_all_sessions_are_found() -> None:
    """What another session saw counts as much as what the last one saw; new starts are told apart.

    A start of the server within a session that went to its end is a change, between sessions and
    where a session broke off it is none.
    """
    one, anew, other = ({"v": "1", "random_seed": "1"}, {"v": "1", "random_seed": "2"}, {"v": "2"})

    def found(*seen: tuple[str, dict[str, str]]) -> tuple[list[str], list[str]]:
        return server.changes_within(Sighting(*sighting) for sighting in seen)

    seed, version = "random_seed was 1, is 2", "v was 1, is 2"
    assert found(("start", one), ("end", one), ("start", anew), ("end", anew)) == ([], [seed])
    assert found(("start", one), ("end", anew)) == ([seed], [])
    assert found(("start", one), ("cut", anew)) == ([], [])
    assert found(("start", one), ("cut", other), ("start", one), ("end", one)) == ([version], [])
    assert found(("start", {"v": "1"}), ("end", other), ("start", {"v": "1"})) == ([version], [])
