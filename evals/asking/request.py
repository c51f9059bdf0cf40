"""What a user asks for, and the settings of a run that follow from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lm_eval.models.api_models import JsonChatStr

from goldgate.evals.asking.retrying import Retrying
from goldgate.evals.errors import EvalError
from goldgate.evals.protocols import PROTOCOLS, Protocol
from goldgate.evals.swapping.order import name_of
from goldgate.evals.task import LoadedTask, load_task

# lm-eval's API models send this seed with every request (TemplateAPI's default).
SEED = 1234
# Fields of a request that options of their own, or the suite, set.
_OWN_FIELDS = {
    "model", "messages", "prompt", "max_tokens", "temperature", "top_p", "seed", "stop", "stream",
    "n", "best_of", "echo",
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """How a server is asked; the fields are the options of `goldgate gsm8k`.

    None stands for the protocol's own. `timeout_s` is seconds, `limit` counts questions of the
    data set, `runs` repeats, `prefix` questions of the order. `seed` is that of the first repeat;
    each further one takes the next number.
    """

    base_url: str
    model: str | None = None
    protocol: str = "lm-eval"
    api: str | None = None
    task: str = "gsm8k"
    data: Path | None = None
    own_data: bool = False
    num_fewshot: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int = SEED
    stop: tuple[str, ...] | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 32
    limit: int | None = None
    runs: int = 1
    order_seed: int | None = None
    prefix: int | None = None
    timeout_s: int = 600
    retrying: Retrying = field(default_factory=Retrying)

    @property
    def known(self) -> Protocol:
        """The protocol."""
        return PROTOCOLS[self.protocol]

    @property
    def endpoint(self) -> str:
        """The kind of API: `completions` or `chat`."""
        return self.api or self.known.api


def task_of(request: Request) -> LoadedTask:
    """Load the questions that a request asks, with its examples and in its form.

    Raises EvalError as load_task does, and for options that the protocol does not have.
    """
    if request.known.api == "chat" and request.endpoint != "chat":
        raise EvalError(f"--protocol {request.protocol} asks through the chat API; drop --api")
    if request.known.task is None and request.task != "gsm8k":
        raise EvalError(
            f"--protocol {request.protocol} has a task of its own; drop --task {request.task}"
        )
    taken = sorted(_OWN_FIELDS & request.extra_body.keys())
    if taken:
        raise EvalError(
            f"--extra-body: {', '.join(taken)} cannot be set there; use the option of that name"
        )
    return load_task(
        request.task,
        protocol=request.protocol,
        data=request.data,
        own_data=request.own_data,
        num_fewshot=request.num_fewshot,
        limit=request.limit,
        chat_template=_chat_template if request.endpoint == "chat" else None,
    )


def max_tokens_of(request: Request, task: LoadedTask) -> int:
    """Return the token limit: the user's, else the task's, else the protocol's."""
    named = task.generation.get("max_gen_toks", task.generation.get("max_tokens"))
    return request.max_tokens or named or request.known.max_tokens


def overrides_of(request: Request, task: LoadedTask) -> dict[str, Any]:
    """Return the fields of a request's body that replace those of the task."""
    chosen = {"temperature": request.temperature, "top_p": request.top_p}
    return {
        **request.known.generation,
        **{name: value for name, value in chosen.items() if value is not None},
        **({"stop": list(request.stop)} if request.stop is not None else {}),
        "max_tokens": max_tokens_of(request, task),
        **request.extra_body,
    }


def settings_of(request: Request, base_url: str, model: str, task: LoadedTask) -> dict[str, Any]:
    """Everything that the answers depend on, as far as a client can say it.

    "questions" is the number that is asked, "population" the number that the order is over.
    """
    overrides = overrides_of(request, task)
    stops = overrides.pop("stop", None)
    generation = {**task.generation, **overrides, "seed": request.seed}
    if stops is not None:
        generation["until"] = stops
    generation.pop("max_gen_toks", None)
    return {
        "base_url": base_url,
        "model": model,
        "api": request.endpoint,
        "protocol": request.protocol,
        "task": task.name,
        "task_hash": task.task_hash,
        "prompts_hash": task.prompts_hash,
        "extractor_hash": task.extractor_hash,
        "filters": list(task.filters),
        "questions": min(request.prefix or task.questions, task.questions),
        "population": task.questions,
        "limit": request.limit,
        "num_fewshot": task.num_fewshot,
        "generation": generation,
        "concurrency": request.concurrency,
        "order": name_of(request.order_seed),
        "runs": request.runs,
        "lm_eval": version("lm_eval"),
    }


def _chat_template(history: list[dict[str, str]], *, add_generation_prompt: bool = True) -> Any:  # noqa: ANN401, ARG001 - lm-eval's signature
    # What lm-eval's TemplateAPI.apply_chat_template does without a tokenizer: the server applies
    # the template.
    return JsonChatStr(json.dumps(history, ensure_ascii=False))
