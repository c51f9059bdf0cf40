"""How long a failed request is asked again."""

from __future__ import annotations

import pytest

from goldgate.evals.asking.response import RequestError
from goldgate.evals.asking.retrying import BACKOFF_MAX_S, Retrying

BUSY = RequestError("HTTP 503", "busy", retried=True)


def test_pauses_double_up_to_a_limit() -> None:
    """The pause doubles from the first one and stops growing."""
    patient = Retrying(retry_for_s=1e9, backoff_s=0.5)

    waits = [patient.wait_s(BUSY, attempts, 0.0) for attempts in (1, 2, 3, 20, 5000)]

    assert waits == [0.5, 1.0, 2.0, BACKOFF_MAX_S, BACKOFF_MAX_S]


def test_default_waits_for_minutes() -> None:
    """A server that restarts for four minutes loses no run."""
    default = Retrying()

    assert default.wait_s(BUSY, 30, 240.0) is not None
    assert default.wait_s(BUSY, 30, 299.0) is None


def test_server_says_when_to_ask_again() -> None:
    """Retry-After takes the pause's place; beyond the patience the request is given up."""
    error = RequestError("HTTP 429", "busy", retried=True, wait_s=12.0)
    patience = Retrying(retry_for_s=20.0, backoff_s=0.01)

    assert patience.wait_s(error, 1, 0.0) == 12.0
    assert patience.wait_s(error, 2, 12.0) is None
    assert "the server asks for 12 s more" in patience.explain(error, 2, 12.0)
    assert "--retry-for SECONDS waits longer" in patience.explain(error, 2, 12.0)


@pytest.mark.parametrize("attempts", [1, 2])
def test_attempts_can_be_limited(attempts: int) -> None:
    """A stated number of attempts ends the patience, and no option is proposed for it."""
    limited = Retrying(attempts=2)

    assert (limited.wait_s(BUSY, attempts, 0.0) is None) == (attempts == 2)
    assert (limited.explain(BUSY, attempts, 0.0) == "") == (attempts == 2)


def test_failure_that_stays_is_not_asked_again() -> None:
    """A malformed body or a wrong request fails at once."""
    assert Retrying().wait_s(RequestError("malformed answer", "x"), 1, 0.0) is None
