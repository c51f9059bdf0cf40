"""What the commands share: a request and the rules of a comparison from options, a console."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from goldgate.evals.asking.run import Request
    from goldgate.evals.comparing.compatibility import Rules

#: Exit status where a run is not complete.
REFUSED = 2


def console(*, stderr: bool = False) -> Console:
    """Return a console for text that may contain a server's words."""
    return Console(stderr=stderr)


def request(options: argparse.Namespace, base_url: str) -> Request:
    """Return how a server is asked, from the options of `add_run_options`."""
    from goldgate.evals.asking.run import Request  # noqa: PLC0415 - lm-eval takes a second to import

    return Request(
        base_url=base_url,
        model=options.model,
        api=options.api,
        task=options.task,
        data=options.data,
        own_data=options.own_data,
        num_fewshot=options.num_fewshot,
        max_tokens=options.max_tokens,
        concurrency=options.concurrency,
        limit=options.limit,
        runs=options.runs,
        timeout_s=options.timeout,
        attempts=options.attempts,
        backoff_s=options.backoff,
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
    )
