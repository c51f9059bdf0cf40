"""lm-eval's API model, extended in one thing: every request is journaled as it ends.

The payload, the chat messages and the few-shot turns stay lm-eval's. What is new is how answers
come back: each is written to the journal at once, errors are retried with backoff and end the
run when they stay, null answers and missing fields are kept apart from empty text.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import aiohttp
import tenacity
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI

from goldgate.evals.asking.identity import uses_proxy
from goldgate.evals.asking.journal import Answer, Failure
from goldgate.evals.errors import EvalError
from goldgate.evals.records.summary import came_to_its_end
from goldgate.evals.task import prompt_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from goldgate.evals.asking.journal import Journal

# Worth asking again; any other 4xx says that the request itself is wrong.
_RETRIED_STATUS = {408, 409, 425, 429}
_BACKOFF_MAX_S = 30.0


class _RequestError(Exception):
    """One attempt failed; `name` is short enough to be counted."""

    def __init__(self, name: str, detail: str, *, retried: bool = True) -> None:
        super().__init__(detail)
        self.name = name
        self.retried = retried


class _Stopped(tenacity.stop.stop_base):
    """Stops retrying once a condition holds."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self._condition = condition

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:  # noqa: ARG002 - tenacity's signature
        return self._condition()


class _Journaling:
    """What is added to both of lm-eval's API models; mixed in before them."""

    # Attributes of lm-eval's TemplateAPI that are used here.
    base_url: str
    header: dict[str, str]
    timeout: int
    max_retries: int
    _concurrent: int
    _seed: int
    create_message: Callable[..., Any]
    _create_payload: Callable[..., dict[str, Any]]

    def __init__(
        self,
        *,
        journal: Journal,
        backoff_s: float,
        answered: Callable[[Answer], None],
        failed: Callable[[str, str], None],
        **kwargs: Any,  # noqa: ANN401 - lm-eval's own arguments
    ) -> None:
        """Take lm-eval's arguments and the journal.

        `answered` is told of each new answer, `failed` of each attempt that failed: the kind
        of failure and what was seen.
        """
        super().__init__(**kwargs)
        self.journal = journal
        self.backoff_s = backoff_s
        self.answered = answered
        self.failed = failed
        self.repeat = 0
        self._broken: EvalError | None = None

    def generate_until(
        self,
        requests: list[Any],
        disable_tqdm: bool = False,  # noqa: ARG002 - lm-eval's signature
    ) -> list[str]:
        """Return the text of every request in order, asking only what the journal lacks.

        Raises EvalError for a prompt other than the journaled one, for a question that stayed
        unanswered after every attempt, and where the served model id changes.
        """
        pending: deque[Any] = deque()
        for instance in requests:
            known = self.journal.answers.get((self.repeat, instance.doc_id))
            if known is None:
                pending.append(instance)
            elif known.prompt_sha256 != prompt_sha256(instance.arguments[0]):
                raise EvalError(
                    f"{self.journal.path}: question {instance.doc_id} had another prompt; "
                    "choose another --out"
                )
        self._check_models()
        if pending:
            asyncio.run(self._ask_all(pending))
        # As lm-eval does: null is scored as no text. It is counted apart, and no run with one
        # can be compared.
        return [
            self.journal.answers[self.repeat, instance.doc_id].text or "" for instance in requests
        ]

    def _check_models(self) -> None:
        served = {answer.model for answer in self.journal.answers.values()} - {None}
        if len(served) > 1:
            raise EvalError(
                f"{self.journal.path}: holds answers of several models "
                f"({', '.join(sorted(map(str, served)))}); no run can mix them, start anew"
            )

    async def _ask_all(self, pending: deque[Any]) -> None:
        connector = aiohttp.TCPConnector(limit=self._concurrent)
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, trust_env=uses_proxy(self.base_url)
        ) as session:
            await asyncio.gather(*(self._work(session, pending) for _ in range(self._concurrent)))
        if self._broken is not None:
            raise self._broken

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
                self._check_model(answer)
            except EvalError as error:
                self._broken = error

    def _check_model(self, answer: Answer) -> None:
        first = next(
            (known.model for known in self.journal.answers.values() if known.model), answer.model
        )
        if answer.model is not None and answer.model != first:
            raise EvalError(
                f"question {answer.doc_id} was answered by model {answer.model!r}, "
                f"earlier ones by {first!r}: one run needs one model; "
                "mend the server and start a new run folder"
            )

    async def _ask(self, session: aiohttp.ClientSession, instance: Any) -> Answer | None:  # noqa: ANN401 - lm-eval's Instance
        prompt, gen_kwargs = instance.args
        payload = self._create_payload(
            self.create_message([prompt]),
            generate=True,
            gen_kwargs=copy.deepcopy(gen_kwargs),
            seed=self._seed,
        )
        errors: list[str] = []
        try:
            async for attempt in tenacity.AsyncRetrying(
                stop=tenacity.stop_any(
                    tenacity.stop_after_attempt(self.max_retries),
                    _Stopped(lambda: self._broken is not None),
                ),
                wait=tenacity.wait_exponential(multiplier=self.backoff_s, max=_BACKOFF_MAX_S),
                retry=tenacity.retry_if_exception(
                    lambda error: isinstance(error, _RequestError) and error.retried
                ),
                reraise=True,
            ):
                with attempt:
                    try:
                        return await self._attempt(session, instance, payload, tuple(errors))
                    except _RequestError as error:
                        errors.append(error.name)
                        self.failed(error.name, str(error))
                        raise
        except _RequestError as error:
            self.journal.failed(
                Failure(self.repeat, instance.doc_id, round(time.time(), 3), tuple(errors))
            )
            self._broken = self._broken or EvalError(
                f"question {instance.doc_id} stayed unanswered after {len(errors)} "
                f"attempt{'s' if len(errors) > 1 else ''}: {error}; "
                f"{len(self.journal.answers)} answers are kept, "
                "mend the server and continue with --resume"
            )
        return None

    async def _attempt(
        self,
        session: aiohttp.ClientSession,
        instance: Any,  # noqa: ANN401 - lm-eval's Instance
        payload: Mapping[str, Any],
        errors: tuple[str, ...],
    ) -> Answer:
        start = time.perf_counter()
        try:
            async with session.post(self.base_url, json=payload, headers=self.header) as response:
                body = await response.read()
                status = response.status
        except asyncio.TimeoutError as error:  # not TimeoutError before Python 3.11
            raise _RequestError("timeout", f"no answer within {self.timeout} s") from error
        except (aiohttp.ClientError, OSError) as error:
            name = type(error).__name__
            raise _RequestError(name, f"{_broke(error)} ({name})") from error
        latency_s = time.perf_counter() - start
        if status >= 400:
            at = f" at {self.base_url}" if status == 404 else ""  # the address may be what is wrong
            raise _RequestError(
                f"HTTP {status}",
                f"HTTP {status}{at} {_excerpt(body)}".strip(),
                retried=status >= 500 or status in _RETRIED_STATUS,
            )
        return parse(
            body,
            repeat=self.repeat,
            doc_id=instance.doc_id,
            prompt_sha256=prompt_sha256(instance.arguments[0]),
            latency_s=round(latency_s, 6),
            ended=round(time.time(), 6),
            errors=errors,
        )


class JournaledCompletions(_Journaling, LocalCompletionsAPI):  # type: ignore[misc] # lm-eval is untyped
    """lm-eval's `local-completions` with a journal."""


class JournaledChat(_Journaling, LocalChatCompletion):  # type: ignore[misc] # lm-eval is untyped
    """lm-eval's `local-chat-completions` with a journal."""


MODELS: Mapping[str, Any] = {"completions": JournaledCompletions, "chat": JournaledChat}


def parse(body: bytes, **request: Any) -> Answer:  # noqa: ANN401 - the other fields of Answer
    """Turn the body of a 200 response into an answer.

    Raises _RequestError for a body that is not a completion at all, such as a proxy's error page,
    an error object or no choices, and for an answer that did not come to its end.
    """
    try:
        outputs = json.loads(body)
        choice = outputs["choices"][0]
        said = choice.get("message", choice)
        name = "content" if "message" in choice else "text"
        text, missing = said.get(name), name not in said
        usage = outputs.get("usage") or {}
        counts = {key: value for key, value in usage.items() if isinstance(value, int)}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _RequestError("malformed answer", f"malformed answer {_excerpt(body)}") from error
    if text is not None and not isinstance(text, str):
        raise _RequestError("malformed answer", f"text is no string in {_excerpt(body)}")
    reason = choice.get("finish_reason")
    if reason is not None and not isinstance(reason, str):
        raise _RequestError("malformed answer", f"finish_reason is no string in {_excerpt(body)}")
    if reason is not None and not came_to_its_end(reason):
        # The text so far is no answer: an aborted request is a failed one, whatever its status.
        words = f"finish_reason {_excerpt(reason.encode())}"
        raise _RequestError(words, f"the answer was broken off ({words})")
    # vLLM's stop_reason, sglang's matched_stop: the stop string that cut the text, or a token id.
    stop = choice.get("stop_reason", choice.get("matched_stop"))
    return Answer(
        text=text,
        text_missing=missing,
        finish_reason=reason,
        stop_reason=_text(stop),
        usage=counts,
        model=_text(outputs.get("model")),
        **request,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _broke(error: Exception) -> str:
    # aiohttp's own words name sockets and TLS settings.
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection could be made"
    if isinstance(error, aiohttp.ClientResponseError):
        return "what came back is no HTTP"
    return "the connection broke"


def _excerpt(body: bytes) -> str:
    # A server's words end up on a terminal: nothing in them may steer it.
    words = " ".join(body.decode("utf-8", "replace").split())[:200]
    return "".join(letter if letter.isprintable() else "?" for letter in words)
