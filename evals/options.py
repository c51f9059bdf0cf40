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
        help="whose prompts, stops, limits and extraction (default: lm-eval)",
    )
    add("--api", choices=("completions", "chat"), help="default: the protocol's")
    add(
        "--task",
        default="gsm8k",
        help="gsm8k, gsm8k_cot, gsm8k_cot_zeroshot or a task file of lm-eval (.yaml) whose answers "
        "are right or wrong (with --own-data)",
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
        help="the questions in DIR are not GSM8K's: record their task hash, assert none",
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
        help="default: the protocol's (lm-eval 256, sglang 512, chat-zero-shot 16384)",
    )
    add("--temperature", type=not_negative, help="default: the protocol's")
    add("--top-p", type=share, help="default: the protocol's, else the server's")
    add(
        "--seed", type=not_negative_int, help="of the first repeat; each further one takes the next"
    )
    add("--stop", action="append", metavar="TEXT", help="in place of the task's; may be repeated")
    add(
        "--extra-body",
        type=_json_object,
        default={},
        metavar="JSON",
        help='more fields of each request, as {"chat_template_kwargs": {"thinking": true}}',
    )
    add(
        "--concurrency",
        type=_loads,
        default=(32,),
        metavar="N[,N...]",
        help="requests at a time (default: 32); several, as 1,4,32,256, are a sweep of `swap`",
    )
    add(
        "--order-seed",
        type=not_negative_int,
        metavar="N",
        help="ask in the order that a seed fixes, as --sequential does",
    )
    add("--limit", type=positive, metavar="N", help="only the first N questions")
    add("--runs", type=positive, default=1, metavar="R", help="ask every question R times")
    add("--timeout", type=positive, default=600, metavar="SECONDS", help="for one answer")
    add(
        "--retry-for",
        type=not_negative,
        default=300.0,
        metavar="SECONDS",
        help="ask a question again for so long while the server is down or busy (default: 300)",
    )
    add("--attempts", type=positive, metavar="N", help="for one question; default: no limit")
    add(
        "--backoff",
        type=not_negative,
        default=0.5,
        metavar="SECONDS",
        help="before the second attempt, doubled before each further one",
    )


def add_verdict_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that are fixed before the runs are looked at."""
    add = parser.add_argument
    add("--margin", type=margin, default=1.5, metavar="POINTS", help="allowed loss; default 1.5")
    add("--alpha", type=_alpha, default=0.05, help="one-sided; default 0.05")
    add("--filter", metavar="NAME", help="which filter decides; default: the task's first")
    add(
        "--min-score",
        type=_percent,
        default=50.0,
        metavar="PERCENT",
        help="a baseline with fewer right answers is refused (default: 50)",
    )
    add(
        "--single-look",
        action="store_true",
        help="spend all of alpha now: no later look at this candidate can decide",
    )
    add(
        "--max-truncated",
        type=not_negative,
        default=5.0,
        metavar="PERCENT",
        help="more answers cut at the token limit than this are refused; default 5",
    )
    add("--models-differ", action="store_true", help="the arms name one model differently")


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
