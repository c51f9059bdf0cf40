"""lm-eval's API model, extended in one thing: every request is journaled as it ends.

The payload, the chat messages and the few-shot turns are lm-eval's, with the user's generation
options on top. What is new is how answers come back: each is written to the journal at once,
failures that may pass are retried for minutes, and those that stay end the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import aiohttp
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI

from goldgate.evals.asking.identity import uses_proxy
from goldgate.evals.asking.journal_lines import Answer, Failure
from goldgate.evals.asking.response import MAX_BODY_BYTES, RequestError, check_status, parse
from goldgate.evals.asking.retrying import Retrying
from goldgate.evals.errors import EvalError
from goldgate.evals.hashes import prompt_sha256
from goldgate.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from goldgate.evals.asking.journal import Journal

_CHUNK_BYTES = 2**16
_unix_time = time.time


class _Journaling:
    """What is added to both of lm-eval's API models; mixed in before them."""

    # Attributes of lm-eval's TemplateAPI that are used here.
    base_url: str
    header: dict[str, str]
    timeout: int
    _concurrent: int
    _seed: int
    create_message: Callable[..., Any]
    _create_payload: Callable[..., dict[str, Any]]

    def __init__(
        self,
        *,
        journal: Journal,
        retrying: Retrying,
        overrides: Mapping[str, Any],
        answered: Callable[[Answer], None],
        failed: Callable[[str, str], None],
        **kwargs: Any,  # noqa: ANN401 - lm-eval's own arguments
    ) -> None:
        """Take lm-eval's arguments and the journal.

        `overrides` replace fields of lm-eval's payload. `answered` is told of each new answer,
        `failed` of each attempt that failed: the kind of failure and what was seen.
        """
        super().__init__(**kwargs)
        self.journal = journal
        self.retrying = retrying
        self.overrides = overrides
        self.answered = answered
        self.failed = failed
        self.repeat = 0
        self._broken: EvalError | None = None
        self._stop = asyncio.Event()
        self._remedy = ""
        self._first: dict[str, str | None] = {}
        # Unix time by a clock that no one sets during a session.
        self._epoch = _unix_time() - time.perf_counter()

    def ask(self, instances: Sequence[Any]) -> None:
        """Ask what the journal lacks of these questions, in the current repeat.

        Raises EvalError for a prompt other than the journaled one, for a question that stayed
        unanswered, and where the served model or the server's build changes.
        """
        pending: deque[Any] = deque()
        for instance in instances:
            known = self.journal.answers.get((self.repeat, instance.doc_id))
            if known is None:
                pending.append(instance)
            elif known.prompt_sha256 != prompt_sha256(instance.arguments[0]):
                raise EvalError(
                    f"{self.journal.path}: question {instance.doc_id} had another prompt; "
                    "choose another --out"
                )
        self._check_journal()
        if pending:
            asyncio.run(self._ask_all(pending))

    def _check_journal(self) -> None:
        for what, named in _IDENTITY.items():
            seen = {named(answer) for answer in self.journal.answers.values()} - {_NOT_SEEN}
            if len(seen) > 1:
                raise EvalError(
                    f"{self.journal.path}: holds answers of several {what}s "
                    f"({', '.join(sorted(one or 'none' for one in seen))}); no run can mix them: "
                    "choose another --out"
                )
            self._first.update((what, one) for one in seen)

    async def _ask_all(self, pending: deque[Any]) -> None:
        self._stop = asyncio.Event()
        connector = aiohttp.TCPConnector(limit=self._concurrent)
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, trust_env=uses_proxy(self.base_url)
        ) as session:
            await asyncio.gather(*(self._work(session, pending) for _ in range(self._concurrent)))
        if self._broken is not None:
            # Counted here: answers that were under way have come in since.
            raise EvalError(
                f"{self._broken}; {len(self.journal.answers)} answers are kept, {self._remedy}"
            ) from self._broken

    async def _work(self, session: aiohttp.ClientSession, pending: deque[Any]) -> None:
        # One of `concurrency` workers. After the first failure no question is begun, but those
        # under way are waited for: their answers are paid for.
        while pending and self._broken is None:
            answer = await self._ask(session, pending.popleft())
            if answer is None:
                return
            self.journal.answered(answer)
            self.answered(answer)
            try:
                self._check_identity(answer)
            except EvalError as error:
                self._break(error, "correct the server and start a new run folder")

    def _break(self, error: EvalError, remedy: str) -> None:
        if self._broken is None:
            self._broken, self._remedy = error, remedy
        self._stop.set()  # wakes those that wait before another attempt

    def _check_identity(self, answer: Answer) -> None:
        for what, named in _IDENTITY.items():
            now = named(answer)
            first = self._first.setdefault(what, now)
            if now != first:
                raise EvalError(
                    f"question {answer.doc_id} was answered by {_shown(what, now)}, "
                    f"earlier ones by {_shown(what, first)}: one run needs one {what}"
                )

    async def _ask(self, session: aiohttp.ClientSession, instance: Any) -> Answer | None:  # noqa: ANN401 - lm-eval's Instance
        prompt, gen_kwargs = instance.args
        payload = {
            **self._create_payload(
                self.create_message([prompt]),
                generate=True,
                gen_kwargs=copy.deepcopy(gen_kwargs),
                # Another seed for each repeat: with one seed a sampled answer only comes again.
                seed=self._seed + self.repeat,
            ),
            **self.overrides,
        }
        if not payload.get("stop"):  # a server may refuse an empty list
            payload.pop("stop", None)
        errors: list[str] = []
        began: float | None = None
        while True:
            try:
                return await self._attempt(session, instance, payload, tuple(errors))
            except RequestError as error:
                errors.append(error.name)
                self.failed(error.name, str(error))
                now = time.perf_counter()
                began = now if began is None else began
                wait_s = self.retrying.wait_s(error, len(errors), now - began)
                if wait_s is None or self._broken is not None:
                    self._give_up(instance.doc_id, errors, error, now - began)
                    return None
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), wait_s)
            if self._stop.is_set():
                self._note(instance.doc_id, errors)
                return None

    def _give_up(self, doc_id: int, errors: list[str], error: RequestError, waited: float) -> None:
        self._note(doc_id, errors)
        attempts = f"{len(errors)} attempt{'s' if len(errors) > 1 else ''}"
        self._break(
            EvalError(
                f"question {doc_id} stayed unanswered after {attempts}"
                f"{self.retrying.explain(error, len(errors), waited)}: {error}"
            ),
            "correct the server and continue with --resume",
        )

    def _note(self, doc_id: int, errors: list[str]) -> None:
        self.journal.failed(Failure(self.repeat, doc_id, self._now(3), tuple(errors)))

    def _now(self, digits: int) -> float:
        return round(self._epoch + time.perf_counter(), digits)

    async def _attempt(
        self,
        session: aiohttp.ClientSession,
        instance: Any,  # noqa: ANN401 - lm-eval's Instance
        payload: Mapping[str, Any],
        errors: tuple[str, ...],
    ) -> Answer:
        start = time.perf_counter()
        try:
            async with session.post(
                self.base_url, json=payload, headers=self.header, allow_redirects=False
            ) as response:
                body = await _body(response)
                status, headers = response.status, response.headers
        except asyncio.TimeoutError as error:  # not TimeoutError before Python 3.11
            raise RequestError(
                "timeout", f"no answer within {self.timeout} s", retried=True
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            name = type(error).__name__
            raise RequestError(
                name, printable(f"{_broke(error)} ({name})"), retried=True
            ) from error
        latency_s = time.perf_counter() - start
        check_status(status, headers, body, self.base_url)
        return parse(
            body,
            headers,
            repeat=self.repeat,
            doc_id=instance.doc_id,
            prompt_sha256=prompt_sha256(instance.arguments[0]),
            latency_s=round(latency_s, 6),
            ended=self._now(6),
            errors=errors,
            session=self.journal.session,
        )


_IDENTITY: dict[str, Callable[[Answer], str | None]] = {
    "model": lambda answer: answer.model,
    "system_fingerprint": lambda answer: answer.fingerprint,
    "server build": lambda answer: answer.build,
}


#: What a journal's line of an earlier version has for a name that it did not look for.
_NOT_SEEN = ""


def _shown(what: str, name: str | None) -> str:
    return f"no {what} that it names" if name is None else f"{what} {name!r}"


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Read a body, decompressed, up to MAX_BODY_BYTES; raises RequestError where it is longer."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(_CHUNK_BYTES):
        size += len(part)
        if size > MAX_BODY_BYTES:
            response.close()
            raise RequestError(
                "answer too long", f"a body of more than {MAX_BODY_BYTES // 2**20} MB"
            )
        parts.append(part)
    return b"".join(parts)


class JournaledCompletions(_Journaling, LocalCompletionsAPI):  # type: ignore[misc] # lm-eval is untyped
    """lm-eval's `local-completions` with a journal."""


class JournaledChat(_Journaling, LocalChatCompletion):  # type: ignore[misc] # lm-eval is untyped
    """lm-eval's `local-chat-completions` with a journal."""


MODELS: Mapping[str, Any] = {"completions": JournaledCompletions, "chat": JournaledChat}


def _broke(error: Exception) -> str:
    # aiohttp's own words name sockets and TLS settings.
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection could be made"
    if isinstance(error, aiohttp.ClientResponseError):
        return "what came back is no HTTP"
    return "the connection broke"
