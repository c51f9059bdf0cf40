"""`python -m evals`: GSM8K against a running server, and the verdict between two runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

from evals.errors import EvalError

if TYPE_CHECKING:
    from collections.abc import Sequence

REFUSED = 2
INTERRUPTED = 130  # as a shell reports a program that Ctrl-C ended


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what was wrong and where help is."""
        self.exit(REFUSED, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except EvalError as error:
        print(f"{options.prog}: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print(f"{options.prog}: interrupted; every answer so far is kept", file=sys.stderr)
        return INTERRUPTED


def _gsm8k(options: argparse.Namespace) -> int:
    from evals.report import run_report  # noqa: PLC0415 - lm-eval takes a second to import
    from evals.run import Request, run  # noqa: PLC0415 - the same

    request = Request(
        base_url=options.base_url,
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
    facts = run(request, options.out, resume=options.resume, console=Console(stderr=True))
    print(run_report(facts, options.out))
    return 0 if facts["status"] == "complete" else REFUSED


def _replay(options: argparse.Namespace) -> int:
    from evals.replay import read_completions, replay_app, serve  # noqa: PLC0415 - aiohttp

    completions = read_completions(options.completions, options.arm)
    serve(replay_app(completions, model=options.model, delay_s=options.delay), options.port)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m evals", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    asks = commands.add_parser("gsm8k", help="ask a server every question and score the answers")
    asks.add_argument("--base-url", required=True, help="http://HOST:PORT, with or without /v1")
    asks.add_argument("--out", required=True, type=Path, metavar="RUN", help="the run folder")
    asks.add_argument("--resume", action="store_true", help="continue the run that is in RUN")
    add_run_options(asks)
    asks.set_defaults(command=_gsm8k, prog=asks.prog)

    replays = commands.add_parser("replay", help="serve recorded completions on loopback")
    replays.add_argument("completions", type=Path, metavar="FILE")
    replays.add_argument("--arm", required=True, help="which recording in FILE")
    replays.add_argument("--model", default="replay", help="the model id to answer with")
    replays.add_argument("--delay", type=_not_negative, default=0.0, metavar="SECONDS")
    replays.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    replays.set_defaults(command=_replay, prog=replays.prog)
    return parser


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
        type=_not_negative_int,
        metavar="N",
        help="examples before each question; by default the task's own (gsm8k 5, gsm8k_cot 8)",
    )
    add("--max-tokens", type=_positive, default=256, metavar="N", help="default: lm-eval's 256")
    add("--concurrency", type=_positive, default=32, metavar="N", help="requests at a time")
    add("--limit", type=_positive, metavar="N", help="only the first N questions")
    add("--runs", type=_positive, default=1, metavar="R", help="ask every question R times")
    add("--timeout", type=_positive, default=600, metavar="SECONDS", help="for one answer")
    add("--attempts", type=_positive, default=5, metavar="N", help="for one question")
    add(
        "--backoff",
        type=_not_negative,
        default=0.5,
        metavar="SECONDS",
        help="before the second attempt, doubled before each further one",
    )


def _positive(text: str) -> int:
    return _number(text, int, 1, "a whole number from 1 on")


def _not_negative_int(text: str) -> int:
    return _number(text, int, 0, "a whole number from 0 on")


def _not_negative(text: str) -> float:
    return _number(text, float, 0.0, "a number from 0 on")


def _number(text: str, kind: type, least: float, wanted: str) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not value >= least or value == float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value


if __name__ == "__main__":
    sys.exit(main())
