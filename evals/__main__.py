"""`python -m evals`: GSM8K against a running server, and the verdict between two runs."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from evals.errors import EvalError
from evals.options import (
    FILTERS,
    add_run_options,
    add_verdict_options,
    not_negative,
    port,
    positive,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from evals.comparable import Rules
    from evals.run import Request

REFUSED = 2
# Set to anything, it shows where an error came from that is no one's mistake but ours.
TRACEBACK = "GOLDGATE_TRACEBACK"
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
        status = int(options.command(options))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has enough of it; Python must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except EvalError as error:
        print(f"{options.prog}: {error}", file=sys.stderr)
        return REFUSED
    except OSError as error:
        # A folder or file that the user named; what a server does is an EvalError.
        thing, fault = error.filename or "the output", error.strerror or type(error).__name__
        print(f"{options.prog}: {thing}: {fault}; name another", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print(f"{options.prog}: interrupted; every answer so far is kept", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - Python would exit with 1, which says DEGRADED
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        said = " ".join(str(error).split())[:200]
        print(
            f"{options.prog}: {type(error).__name__}: {said}; no verdict, this is a defect of "
            f"goldgate: please report it with what {TRACEBACK}=1 shows",
            file=sys.stderr,
        )
        return REFUSED
    return status


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console  # noqa: PLC0415 - where it is missing, main says so

    return Console(stderr=stderr)


def _gsm8k(options: argparse.Namespace) -> int:
    from evals.report import run_report  # noqa: PLC0415 - lm-eval takes a second to import
    from evals.run import run  # noqa: PLC0415 - the same

    request = _request(options, options.base_url)
    facts = run(request, options.out, resume=options.resume, console=_console(stderr=True))
    print(run_report(facts, options.out))
    return 0 if facts["status"] == "complete" else REFUSED


def _request(options: argparse.Namespace, base_url: str) -> Request:
    from evals.run import Request  # noqa: PLC0415 - lm-eval takes a second to import

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


def _rules(options: argparse.Namespace) -> Rules:
    from evals.comparable import Rules  # noqa: PLC0415 - scipy

    return Rules(
        margin=options.margin / 100,
        alpha=options.alpha,
        max_truncated=options.max_truncated / 100,
        main_filter=options.filter,
        models_differ=options.models_differ,
    )


def _sign_off(options: argparse.Namespace) -> int:
    from evals.arms import arms_of  # noqa: PLC0415 - with the following
    from evals.signoff import default_out, sign_off  # noqa: PLC0415 - lm-eval and scipy

    if options.resume and options.out is None:
        raise EvalError("--resume needs --out: which folder is to be continued?")
    return sign_off(
        _request(options, base_url=""),
        arms_of(os.environ, control=options.control),
        options.out or default_out(),
        rules=_rules(options),
        published=tuple(options.published),
        resume=options.resume,
        console=_console(stderr=True),
    )


def _llama(options: argparse.Namespace) -> int:
    from evals.llama import serving, weights  # noqa: PLC0415 - only its own environment has both
    from evals.report import run_report  # noqa: PLC0415 - lm-eval takes a second to import
    from evals.run import run  # noqa: PLC0415 - the same

    with serving(weights()) as url:
        facts = run(
            _request(options, url), options.out, resume=False, console=_console(stderr=True)
        )
    print(run_report(facts, options.out))
    return 0 if facts["status"] == "complete" else REFUSED


def _bench(options: argparse.Namespace) -> int:
    from evals.bench import bench  # noqa: PLC0415 - starts servers, so only on demand

    print(bench(options.data, ["--own-data"] if options.own_data else []))
    return 0


def _replay(options: argparse.Namespace) -> int:
    from evals.replay import read_completions, replay_app, serve  # noqa: PLC0415 - aiohttp

    completions = read_completions(options.completions, options.arm)
    serve(replay_app(completions, model=options.model, delay_s=options.delay), options.port)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from evals.compare import as_checks, as_json, compare  # noqa: PLC0415 - scipy
    from evals.comparison_report import comparison_report, side_by_side  # noqa: PLC0415
    from evals.folder import write_json  # noqa: PLC0415 - with the above
    from evals.junit import write_junit  # noqa: PLC0415 - with the above

    found = compare(options.baseline, options.candidate, options.control, _rules(options))
    if options.show and found.paired is not None:
        _console().print(side_by_side(found, options.show))
    print(comparison_report(found))
    if options.json is not None:
        write_json(options.json, as_json(found))
    if options.junit is not None:
        write_junit(options.junit, "goldgate.gsm8k.compare", as_checks(found))
    return found.status


def _band(options: argparse.Namespace) -> int:
    from evals.band import band_report, check_band  # noqa: PLC0415 - scipy

    band = check_band(options.run, tuple(options.published), options.filter)
    print(band_report(band))
    return 0 if band.consistent else 1


def _power(options: argparse.Namespace) -> int:
    from evals.power import plot, study  # noqa: PLC0415 - scipy
    from evals.power_report import power_report  # noqa: PLC0415 - scipy

    if options.plot is not None and not options.plot.parent.is_dir():
        raise EvalError(f"{options.plot}: no such folder {options.plot.parent}; name another")
    print(power_report())
    if options.plot is not None:
        plot(options.plot, study())
        print(f"plot: {options.plot}")
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

    compares = commands.add_parser("compare", help="the paired verdict between two runs")
    compares.add_argument("baseline", type=Path, metavar="BASELINE-RUN")
    compares.add_argument("candidate", type=Path, metavar="CANDIDATE-RUN")
    compares.add_argument(
        "--control", type=Path, metavar="RUN", help="the baseline asked a second time"
    )
    add_verdict_options(compares)
    compares.add_argument("--show", type=positive, metavar="N", help="N changed answers")
    compares.add_argument("--json", type=Path, metavar="FILE", help="everything that was found")
    compares.add_argument("--junit", type=Path, metavar="FILE", help="the checks and the verdict")
    compares.set_defaults(command=_compare, prog=compares.prog)

    bands = commands.add_parser("band", help="unpaired check against a published score")
    bands.add_argument("run", type=Path, metavar="RUN")
    bands.add_argument(
        "--published",
        type=not_negative,
        nargs=2,
        required=True,
        metavar=("LOW", "HIGH"),
        help="the published scores in percent, as 93.3 93.4",
    )
    bands.add_argument("--filter", choices=FILTERS, default=FILTERS[0])
    bands.set_defaults(command=_band, prog=bands.prog)

    powers = commands.add_parser("power", help="what each gate lets through, enumerated exactly")
    powers.add_argument("--plot", type=Path, metavar="FILE", help="draw it as a PNG")
    powers.set_defaults(command=_power, prog=powers.prog)

    signs = commands.add_parser(
        "signoff", help="what `tox -e gsm8k` runs: BASE_URL against BASELINE_URL or BASELINE_RUN"
    )
    signs.add_argument("--out", type=Path, metavar="DIR", help="by default a new gsm8k-runs/TIME")
    signs.add_argument("--resume", action="store_true", help="continue the runs in DIR")
    signs.add_argument(
        "--control", action="store_true", help="ask BASELINE_URL twice: the noise floor"
    )
    signs.add_argument(
        "--published",
        type=not_negative,
        nargs=2,
        default=[93.3, 93.4],
        metavar=("LOW", "HIGH"),
        help="for the unpaired check where there is no baseline; default 93.3 93.4",
    )
    add_run_options(signs)
    add_verdict_options(signs)
    signs.set_defaults(command=_sign_off, prog=signs.prog)

    llamas = commands.add_parser(
        "llama", help="a limited run against llama-cpp-python's server, a real third-party one"
    )
    llamas.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run folder")
    add_run_options(llamas)
    # The server answers one request at a time, in seconds.
    llamas.set_defaults(command=_llama, prog=llamas.prog, limit=20, concurrency=2, max_tokens=128)

    benches = commands.add_parser("bench", help="how fast the harness itself is")
    benches.add_argument("--data", type=Path, required=True, metavar="DIR")
    benches.add_argument("--own-data", action="store_true", help="DIR holds other questions")
    benches.set_defaults(command=_bench, prog=benches.prog)

    replays = commands.add_parser("replay", help="serve recorded completions on loopback")
    replays.add_argument("completions", type=Path, metavar="FILE")
    replays.add_argument("--arm", required=True, help="which recording in FILE")
    replays.add_argument("--model", default="replay", help="the model id to answer with")
    replays.add_argument("--delay", type=not_negative, default=0.0, metavar="SECONDS")
    replays.add_argument("--port", type=port, default=0, help="0 (the default) takes a free one")
    replays.set_defaults(command=_replay, prog=replays.prog)
    return parser


if __name__ == "__main__":
    sys.exit(main())
