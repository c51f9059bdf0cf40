"""When a failed request is asked again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass

from goldgate.evals.asking.response import RequestError

#: A server that loads its weights again takes minutes.
RETRY_FOR_S = 300.0
BACKOFF_S, BACKOFF_MAX_S = 0.5, 15.0


@dataclass(frozen=True)
class Retrying:
    """How patiently a question is asked.

    Failures that may pass (no connection, 408, 425, 429, 5xx, a timeout, an answer broken off)
    are retried until `retry_for_s` seconds after the first failure, at most `attempts` times
    where that is given. The pause doubles from `backoff_s` up to BACKOFF_MAX_S; a server's
    Retry-After takes its place.
    """

    retry_for_s: float = RETRY_FOR_S
    attempts: int | None = None
    backoff_s: float = BACKOFF_S

    def wait_s(self, error: RequestError, attempts: int, since_s: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        `attempts` counts those that failed, `since_s` is the time since the first failure.
        """
        if not error.retried or (self.attempts is not None and attempts >= self.attempts):
            return None
        wait = error.wait_s
        if wait is None:
            wait = min(self.backoff_s * 2.0 ** min(attempts - 1, 30), BACKOFF_MAX_S)
        return wait if since_s + wait <= self.retry_for_s else None

    def explain(self, error: RequestError, attempts: int, since_s: float) -> str:
        """Say how long was waited and which option waits longer, where that is why."""
        if not error.retried or (self.attempts is not None and attempts >= self.attempts):
            return ""
        words = f" in {since_s:.0f} s"
        if error.wait_s is not None and since_s + error.wait_s > self.retry_for_s:
            words += f" (the server asks for {error.wait_s:g} s more)"
        return f"{words}; --retry-for SECONDS waits longer"
