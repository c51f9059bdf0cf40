"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from goldgate.options import between, not_negative, not_negative_int, positive, share, whole

# goldgate.evals.protocols and goldgate.evals.task, without importing lm-eval.
_MOST_AT_A_TIME = 10_000
PROTOCOLS = ("lm-eval", "sglang", "chat-zero-shot")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a server is asked."""
    add = parser.add_argument
    add("--model", help="model id to ask for; by default the only one that the server lists")
    add(
        "--protocol",
        choices=PROTOCOLS,
        default="lm-eval",
        help="prompt format, stops, limits and answer extraction to use (default: lm-eval)",
    )
    add(
        "--api",
        choices=("completions", "chat"),
        help="the endpoint to ask (default: the protocol's)",
    )
    add(
        "--task",
        default="gsm8k",
        help="gsm8k, gsm8k_cot, gsm8k_cot_zeroshot, or an lm-eval task file (.yaml) that scores "
        "each answer right or wrong (with --own-data)",
    )
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with train.jsonl and test.jsonl; by default openai/gsm8k from the hub",
    )
    add(
        "--own-data",
        action="store_true",
        help="accept questions in DIR that are not GSM8K's: their hash is recorded, not checked",
    )
    add(
        "--num-fewshot",
        type=not_negative_int,
        metavar="N",
        help="examples before each question; by default the task's own (gsm8k 5, gsm8k_cot 8)",
    )
    add(
        "--max-tokens",
        type=positive,
        metavar="N",
        help="token limit of an answer (default: the protocol's: lm-eval 256, sglang 512, "
        "chat-zero-shot 16384)",
    )
    add("--temperature", type=not_negative, help="sampling temperature (default: the protocol's)")
    add(
        "--top-p",
        type=share,
        help="share of probability to sample from (default: the protocol's, else the server's)",
    )
    add(
        "--seed",
        type=not_negative_int,
        metavar="N",
        help="sampling seed of the first repeat; each further repeat takes the next number",
    )
    add(
        "--stop",
        action="append",
        metavar="TEXT",
        help="end an answer at TEXT instead of the task's stops; may be given several times",
    )
    add(
        "--extra-body",
        type=_json_object,
        default={},
        metavar="JSON",
        help='fields to add to each request, such as {"chat_template_kwargs": {"thinking": true}}',
    )
    add(
        "--concurrency",
        type=_loads,
        default=(32,),
        metavar="N[,N...]",
        help="requests at a time (default: 32); `swap` first tests each of several, such as "
        "1,4,32,256, for a collapse",
    )
    add(
        "--order-seed",
        type=not_negative_int,
        metavar="N",
        help="ask in the random order of this seed, as --sequential does",
    )
    add("--limit", type=positive, metavar="N", help="ask only the first N questions")
    add("--runs", type=positive, default=1, metavar="R", help="ask every question R times")
    add(
        "--timeout",
        type=positive,
        default=600,
        metavar="SECONDS",
        help="longest wait for one answer (default: 600)",
    )
    add(
        "--retry-for",
        type=not_negative,
        default=300.0,
        metavar="SECONDS",
        help="how long to repeat a request while the server is down or busy (default: 300)",
    )
    add(
        "--attempts",
        type=positive,
        metavar="N",
        help="most requests for one question (default: no limit)",
    )
    add(
        "--backoff",
        type=not_negative,
        default=0.5,
        metavar="SECONDS",
        help="wait before the second request of a question, doubled before each further one "
        "(default: 0.5)",
    )


def add_verdict_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that are fixed before the runs are looked at."""
    add = parser.add_argument
    add("--margin", type=margin, default=1.5, metavar="POINTS", help="allowed loss (default: 1.5)")
    add("--alpha", type=_alpha, default=0.05, help="one-sided significance level (default: 0.05)")
    add("--filter", metavar="NAME", help="the filter that decides (default: the task's first)")
    add(
        "--min-score",
        type=_percent,
        default=50.0,
        metavar="PERCENT",
        help="refuse a baseline with fewer correct answers (default: 50)",
    )
    add(
        "--single-look",
        action="store_true",
        help="use the whole significance level now: no later comparison of this candidate is valid",
    )
    add(
        "--max-truncated",
        type=not_negative,
        default=5.0,
        metavar="PERCENT",
        help="refuse a run with more answers cut at the token limit (default: 5)",
    )
    add(
        "--models-differ",
        action="store_true",
        help="allow different model ids for the same model",
    )


def _loads(text: str) -> tuple[int, ...]:
    loads = tuple(dict.fromkeys(whole(one, 1) for one in text.split(",")))
    if max(loads) > _MOST_AT_A_TIME:
        raise argparse.ArgumentTypeError(f"{text!r}: expected at most {_MOST_AT_A_TIME} at a time")
    return loads


def _percent(text: str) -> float:
    return between(text, 0.0, 100.0, "a percentage from 0 to below 100", least_is_fine=True)


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object")
    return value


def margin(text: str) -> float:
    """Read a number of points."""
    return between(text, 0.0, 100.0, "a number of points between 0 and 100")


def _alpha(text: str) -> float:
    return between(text, 0.0, 0.5, "a probability between 0 and 0.5")
