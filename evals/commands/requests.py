"""What the commands share: a request and the rules of a comparison from options, a console."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.console import Console

from goldgate.evals.errors import EvalError

if TYPE_CHECKING:
    from goldgate.evals.asking.request import Request
    from goldgate.evals.comparing.compatibility import Rules

#: Exit status where a run is not complete.
REFUSED = 2


def console(*, stderr: bool = False) -> Console:
    """Return a console for text that may contain a server's words."""
    return Console(stderr=stderr)


def request(options: argparse.Namespace, base_url: str, load: int | None = None) -> Request:
    """Return how a server is asked, from the options of `add_run_options`.

    `load` is the number of requests at a time where the options name several. Raises EvalError
    where they do and it is None.
    """
    if load is None and len(options.concurrency) > 1:
        raise EvalError("--concurrency: several loads are asked by `goldgate swap`; name one")
    from goldgate.evals.asking.request import SEED, Request  # noqa: PLC0415 - lm-eval takes a second
    from goldgate.evals.asking.retrying import Retrying  # noqa: PLC0415 - with it

    return Request(
        base_url=base_url,
        model=options.model,
        protocol=options.protocol,
        api=options.api,
        task=options.task,
        data=options.data,
        own_data=options.own_data,
        num_fewshot=options.num_fewshot,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=SEED if options.seed is None else options.seed,
        stop=None if options.stop is None else tuple(options.stop),
        extra_body=options.extra_body,
        concurrency=load or options.concurrency[0],
        limit=options.limit,
        runs=options.runs,
        order_seed=options.order_seed,
        timeout_s=options.timeout,
        retrying=Retrying(options.retry_for, options.attempts, options.backoff),
    )


def rules(options: argparse.Namespace) -> Rules:
    """Return the rules of a comparison, from the options of `add_verdict_options`."""
    from goldgate.evals.comparing.compatibility import Rules  # noqa: PLC0415 - scipy

    return Rules(
        margin=options.margin / 100,
        alpha=options.alpha,
        max_truncated=options.max_truncated / 100,
        main_filter=options.filter,
        models_differ=options.models_differ,
        min_score=options.min_score / 100,
        single_look=options.single_look,
    )
