"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

FILTERS = (
    "strict-match",
    "flexible-extract",
)  # goldgate.evals.task.FILTERS, without importing lm-eval


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a server is asked."""
    add = parser.add_argument
    add("--model", help="model id to ask for; by default the only one that the server lists")
    add("--api", choices=("completions", "chat"), default="completions")
    add("--task", choices=("gsm8k", "gsm8k_cot"), default="gsm8k")
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
    add("--max-tokens", type=positive, default=256, metavar="N", help="default: lm-eval's 256")
    add("--concurrency", type=positive, default=32, metavar="N", help="requests at a time")
    add("--limit", type=positive, metavar="N", help="only the first N questions")
    add("--runs", type=positive, default=1, metavar="R", help="ask every question R times")
    add("--timeout", type=positive, default=600, metavar="SECONDS", help="for one answer")
    add("--attempts", type=positive, default=5, metavar="N", help="for one question")
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
    add("--margin", type=_margin, default=1.5, metavar="POINTS", help="allowed loss; default 1.5")
    add("--alpha", type=_alpha, default=0.05, help="one-sided; default 0.05")
    add("--filter", choices=FILTERS, default=FILTERS[0], help="which filter decides")
    add(
        "--max-truncated",
        type=not_negative,
        default=5.0,
        metavar="PERCENT",
        help="more answers cut at the token limit than this are refused; default 5",
    )
    add("--models-differ", action="store_true", help="the arms name one model differently")


def positive(text: str) -> int:
    """Read a whole number from 1 on."""
    return _whole(text, 1)


def not_negative_int(text: str) -> int:
    """Read a whole number from 0 on."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
    return int(text)


def port(text: str) -> int:
    """Read a port, or 0 for a free one."""
    number = _whole(text, 0)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected 0 to 65535")
    return number


def not_negative(text: str) -> float:
    """Read a number from 0 on."""
    return _between(text, 0.0, math.inf, "a number from 0 on", least_is_fine=True)


def _margin(text: str) -> float:
    return _between(text, 0.0, 100.0, "a number of points between 0 and 100")


def _alpha(text: str) -> float:
    return _between(text, 0.0, 0.5, "a probability between 0 and 0.5")


def _between(
    text: str, least: float, most: float, wanted: str, *, least_is_fine: bool = False
) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least < value < most and not (least_is_fine and value == least):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value
