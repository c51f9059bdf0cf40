"""Who is compared with whom: BASE_URL, BASELINE_URL and BASELINE_RUN."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from goldgate.evals.asking.identity import normalise
from goldgate.evals.errors import EvalError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Endpoints:
    """Who is asked: addresses of servers or an earlier run's folder; empty where there is none.

    `control` asks for a second run of the baseline's server, which measures the noise floor.
    """

    candidate_url: str = ""
    baseline_url: str = ""
    baseline_run: str = ""
    control: bool = False


def endpoints_of(environment: Mapping[str, str], *, control: bool) -> Endpoints:
    """Read BASE_URL, BASELINE_URL and BASELINE_RUN.

    Raises EvalError where they do not say who is to be compared with whom.
    """
    names = ("BASE_URL", "BASELINE_URL", "BASELINE_RUN")
    candidate, url, folder = (environment.get(name, "").strip() for name in names)
    if url and folder:
        raise EvalError("BASELINE_URL and BASELINE_RUN are both set; unset the one not meant")
    if not candidate and (url or folder):
        raise EvalError("a baseline is set but no BASE_URL; set it to the candidate's server")
    if url and one_server(candidate, url):
        raise EvalError(
            f"BASE_URL {normalise(candidate)} and BASELINE_URL {normalise(url)} are one address, "
            "so nothing was swapped; set BASELINE_URL to the baseline's server, or BASELINE_RUN "
            "to its earlier run"
        )
    if control and not url:
        raise EvalError(
            "--control asks the baseline's server a second time; set BASELINE_URL to it"
        )
    return Endpoints(candidate, url, folder, control)


def one_server(one: str, other: str) -> bool:
    """Whether two addresses lead to one port of one machine, however they are written.

    Behind one port several servers are told apart by their paths, and by nothing else here: two
    names of one address are one server.
    """
    urls = [normalise(address) for address in (one, other)]
    if urls[0] == urls[1]:
        return True
    ends = [_ends(url) for url in urls]
    return urlsplit(urls[0]).path == urlsplit(urls[1]).path and bool(ends[0] & ends[1])


def _ends(url: str) -> set[tuple[str, int]]:
    """IP addresses and port behind a URL; its own words where the name is not known."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return {(host, port)}
    # 0.0.0.0 and :: listen everywhere; whoever asks them asks this machine.
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound
    return {(here.get(str(end[0]), str(end[0])), port) for *_, end in found}
