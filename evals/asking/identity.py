"""Who answers: the address of an OpenAI-compatible server and what it says about itself."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from goldgate.evals.asking.journal_lines import END, START
from goldgate.evals.errors import EvalError
from goldgate.evals.records.differences import leaves
from goldgate.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from goldgate.evals.asking.journal_lines import Sighting

# sglang (new names, then old), vLLM and llama.cpp; a server that lacks one answers 404.
INFO_PATHS = (
    "/server_info", "/model_info", "/get_server_info", "/get_model_info", "/version", "/props",
)  # fmt: skip

# Parts that change while a server stays the same: vLLM stamps models with the time of the
# request, sglang reports its load.
_VOLATILE = {
    "created", "internal_states", "last_gen_throughput", "load", "permission", "slots", "uptime",
}  # fmt: skip
# What sglang draws anew at every start: a server that was started again is still the same one to a
# journal, while a restart in the middle of a run is told by it.
_OF_THIS_START = {"random_seed", "nccl_port", "dist_init_addr"}
_SECRET = ("api_key", "password", "secret", "hf_token", "auth_token", "ssl_keyfile_password")

MAX_PAGE_BYTES = 2**22

ENDPOINTS = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}

Identity = dict[str, str]


def normalise(base_url: str) -> str:
    """Return `http://host:port[/path]` without /v1, an endpoint behind it and a slash at the end.

    Raises EvalError for anything that is not an http or https address.
    """
    address = base_url.strip()
    try:
        parts = urlsplit(address)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise EvalError(
            f"{base_url!r} is no address; expected http://HOST:PORT, with or without /v1"
        )
    if parts.username is not None or parts.password is not None:
        # Not repeated here: the address holds a secret, and a run folder would too.
        raise EvalError(
            "the address holds a user name or password; expected http://HOST:PORT, "
            "with the server's key in OPENAI_API_KEY"
        )
    if parts.query or parts.fragment:
        raise EvalError(f"{base_url!r} has a query or fragment; expected http://HOST:PORT")
    path = parts.path.rstrip("/")
    for endpoint in ENDPOINTS.values():
        path = path.removesuffix(endpoint)
    path = path.removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def uses_proxy(base_url: str) -> bool:
    """Whether HTTP_PROXY and its kin apply: to every address but this machine's own."""
    host = urlsplit(base_url).hostname or ""
    return host != "localhost" and not host.startswith("127.") and host != "::1"


def model_to_ask(named: str | None, base_url: str, *, key: str, timeout_s: float) -> str:
    """Return `named`, or the only model that /v1/models lists, once a server answered there.

    Raises EvalError where nothing answers at the address, or with an error of its own, and where
    no model is named and not exactly one is listed.
    """
    try:
        response = _get(f"{base_url}/v1/models", key, timeout_s)
    except requests.RequestException as error:
        raise EvalError(
            f"{base_url}: no server answers ({type(error).__name__}); start it, or mend --base-url"
        ) from error
    if 300 <= response.status_code < 400:
        target = one_line(response.headers.get("Location", "an unnamed address"))
        raise EvalError(
            f"{base_url}: HTTP {response.status_code}, redirects to {target}; if that is the "
            "server to ask, name it as the address"
        )
    if response.status_code in (401, 403):
        raise EvalError(
            f"{base_url}: HTTP {response.status_code}; put the server's key into OPENAI_API_KEY"
        )
    if response.status_code >= 500:
        raise EvalError(
            f"{base_url}: HTTP {response.status_code} at /v1/models; wait until the server is "
            "ready, or mend it"
        )
    if named is not None:
        return named
    if not response.ok:
        raise EvalError(
            f"{base_url}/v1/models answered HTTP {response.status_code}; mend --base-url "
            "(http://HOST:PORT, with or without /v1), or name the model with --model"
        )
    listed = _json(response)
    entries = listed.get("data") if isinstance(listed, dict) else None
    ids = sorted(
        str(entry["id"])
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and "id" in entry
    )
    if len(ids) != 1:
        found = ", ".join(ids) if ids else "none"
        raise EvalError(f"{base_url}: lists {found} as its models; name one with --model")
    return ids[0]


def identify(base_url: str, *, key: str, timeout_s: float) -> Identity:
    """Return what the server says about itself: dotted name to value, without load and secrets.

    Covers the list of models and the pages in INFO_PATHS that the server offers.
    """
    return _identity(_pages(base_url, key, timeout_s)[0])


def look_again(
    known: Mapping[str, str], base_url: str, *, key: str, timeout_s: float
) -> Identity | None:
    """Identify a server anew, or return None where it does not answer as far as `known` goes.

    A page that is not there any more (404) is a change; one that times out or answers 5xx says
    nothing about who serves.
    """
    said, silent = _pages(base_url, key, timeout_s)
    if silent.intersection(name.partition(".")[0] for name in known):
        return None
    return _identity(said)


def _pages(base_url: str, key: str, timeout_s: float) -> tuple[dict[str, Any], set[str]]:
    # The pages that the server offers, and the paths at which it cannot answer now.
    said: dict[str, Any] = {}
    silent: set[str] = set()
    for path in ("/v1/models", *INFO_PATHS):
        try:
            response = _get(f"{base_url}{path}", key, timeout_s)
        except requests.RequestException:
            silent.add(path)
            continue
        if response.status_code >= 500:
            silent.add(path)
        found = _json(response)
        if found is None:
            continue
        if path == "/v1/models" and isinstance(found, dict):
            entries = found.get("data") or []
            found = {str(entry.get("id")): entry for entry in entries if isinstance(entry, dict)}
        said[path] = found
    return said, silent


def _identity(said: Mapping[str, Any]) -> Identity:
    return {
        name: _value(value) for name, value in leaves(_listed(dict(said))) if not _left_out(name)
    }


def stable_identity(base_url: str, *, key: str, timeout_s: float) -> Identity:
    """Identify a server twice and keep what did not change in between."""
    first = identify(base_url, key=key, timeout_s=timeout_s)
    second = identify(base_url, key=key, timeout_s=timeout_s)
    return {name: value for name, value in first.items() if second.get(name) == value}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Name what a server said at the start and no longer says."""
    return [
        f"{name} was {value}, is {after.get(name, 'gone')}"
        for name, value in sorted(before.items())
        if after.get(name) != value
    ]


def changes_within(sightings: Iterable[Sighting]) -> tuple[list[str], list[str]]:
    """Name what changed while a run was asked, and what only a start of the server draws anew.

    A run is refused for the first. Within a session that was asked to its end a new start counts
    as a change; between sessions, and where one broke off, it is expected.
    """
    changed: list[str] = []
    started: list[str] = []
    start: Mapping[str, str] | None = None
    for sighting in sightings:
        now = sighting.identity
        if start is None:
            start = now
        elif sighting.at == END:
            changed += changes(start, now)
        else:
            lasting = changes(across_starts(start), across_starts(now))
            changed += lasting
            if sighting.at == START:
                started += [change for change in changes(start, now) if change not in lasting]
        if sighting.at == START:
            start = now
    return list(dict.fromkeys(changed)), list(dict.fromkeys(started))


def sameness_rests_on_the_name(facts: Mapping[str, Any]) -> bool:
    """Whether a run's server named nothing but its model: no page, fingerprint or build.

    `facts` is run.json. A `Server` header names the kind of program, not the build.
    """
    pages = [name for name in facts["server"]["at_start"] if not name.startswith("/v1/models")]
    builds = [
        part
        for build in facts["totals"]["builds"]
        for part in build.split("; ")
        if not part.startswith(("server=", "x-powered-by="))
    ]
    return not (pages or builds or facts["totals"]["fingerprints"])


def across_starts(identity: Mapping[str, str]) -> Identity:
    """Leave out what a server draws anew when it is started again."""
    return {
        name: value
        for name, value in identity.items()
        if not _OF_THIS_START.intersection(name.split("."))
    }


def _get(url: str, key: str, timeout_s: float) -> requests.Response:
    """Get a page without following redirects; a body beyond MAX_PAGE_BYTES is cut off."""
    with requests.Session() as session:
        session.trust_env = uses_proxy(url)
        response = session.get(
            url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=timeout_s,
            allow_redirects=False,
            stream=True,
        )
        body = b""
        for part in response.iter_content(2**16):
            body += part
            if len(body) > MAX_PAGE_BYTES:
                body = b""  # no page of a server about itself
                break
        response._content = body  # noqa: SLF001 - what `response.content` returns from now on
        response.close()
        return response


def _json(response: requests.Response) -> Any:  # noqa: ANN401 - whatever the server sent
    if not 200 <= response.status_code < 300:
        return None
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _listed(value: Any) -> Any:  # noqa: ANN401 - nested JSON
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    if isinstance(value, list):
        return {str(index): _listed(item) for index, item in enumerate(value)}
    return value


def _left_out(name: str) -> bool:
    parts = name.lower().split(".")
    return any(part in _VOLATILE or part.endswith(_SECRET) for part in parts)


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    # A chat template is pages long; its hash tells as well whether it changed.
    return text if len(text) <= 200 else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
