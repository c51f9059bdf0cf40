"""The program `goldgate`: one table of commands, and one place where errors become exit statuses.

A command is a module with `add_arguments(parser)` and `main(options) -> int`; only the module of
the command that is run is imported.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import goldgate
from goldgate.errors import GoldgateError, how_to_install
from goldgate.own_folders import refuse_own_folders
from goldgate.text import printable

#: name -> module and summary, in the order of the help text.
COMMANDS = {
    "parity": ("goldgate.accuracy.commands.parity", "run routing kernels and judge their outputs"),
    "emulate": (
        "goldgate.accuracy.commands.emulate",
        "execute aiter's kernel without AMD hardware and judge it (emulated)",
    ),
    "judge": ("goldgate.accuracy.commands.judge", "judge recorded outputs of a kernel"),
    "compare-kernels": (
        "goldgate.accuracy.commands.compare_kernels",
        "compare a new routing kernel with the old one, row by row",
    ),
    "kernels": ("goldgate.accuracy.commands.kernels", "list kernels and whether they run here"),
    "dispatch": (
        "goldgate.accuracy.commands.dispatch",
        "say which kernel MiniMax-M2.5 reaches in an engine, and why",
    ),
    "sweep": (
        "goldgate.accuracy.commands.sweep",
        "measure a kernel's scoring on every float32",
    ),
    "latency": ("goldgate.accuracy.commands.latency", "measure microseconds per call on a GPU"),
    "bench": (
        "goldgate.accuracy.commands.bench",
        "measure the speed of the judge and the emulator (for developers)",
    ),
    "mutants": ("goldgate.mutants.command", "plant faults and check that each is caught"),
    "signoff": ("goldgate.signoff.command", "decide a release from its evidence"),
    "construct": ("goldgate.fixtures.construct", "write constructed recordings as files"),
    "record": (
        "goldgate.fixtures.recorder.command",
        "record gating tensors from a model or a server",
    ),
    "recover": ("goldgate.fixtures.recorder.recover", "recover an interrupted recording"),
    "show": ("goldgate.fixtures.show", "describe a recording or an output file"),
    "import": ("goldgate.fixtures.importers.command", "convert dumps of sglang to recordings"),
    "serve": ("goldgate.fixtures.standin.serve", "serve the stand-in model over HTTP"),
    "gsm8k": ("goldgate.evals.commands.gsm8k", "ask a server every GSM8K question"),
    "compare": ("goldgate.evals.commands.compare", "compare two GSM8K runs: the paired verdict"),
    "band": ("goldgate.evals.commands.band", "check a run against a published score, unpaired"),
    "power": ("goldgate.evals.commands.power", "print the power of each GSM8K criterion"),
    "swap": ("goldgate.evals.commands.swap", "ask two servers GSM8K and compare them"),
    "replay": ("goldgate.evals.commands.replay", "serve recorded completions on loopback"),
    "harness-bench": (
        "goldgate.evals.commands.bench",
        "measure the speed of the GSM8K client (for developers)",
    ),
    "llama": ("goldgate.evals.commands.llama", "run GSM8K against llama-cpp-python's server"),
    "transformers": (
        "goldgate.evals.commands.transformers",
        "run GSM8K's path against `transformers serve`",
    ),
}

REFUSED = 2
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended

#: Set to anything, it prints the traceback of a bug.
TRACEBACK = "GOLDGATE_TRACEBACK"

#: Modules of optional dependencies and the extra that installs each.
EXTRAS = {
    "aiohttp": "evals",
    "datasets": "evals",
    "distributed": "distributed",
    "lm_eval": "evals",
    "matplotlib": "plot",
    "requests": "evals",
    "scipy": "evals",
    "torch": "model",
    "transformers": "model",
    "typing_extensions": "evals",
}


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where help is; exit with status 2."""
        self.exit(REFUSED, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:  # noqa: PLR0911 - a cause, a return
    """Run one command.

    Returns:
        The command's exit status: 0 pass, 1 a verdict failed, 2 refused input or nothing judged,
        3 INCONCLUSIVE (GSM8K), 130 interrupted. A bug of goldgate is 2, never a verdict.

    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = f"goldgate {given[0]}" if given[:1] and given[0] in COMMANDS else "goldgate"
    try:
        status = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough; Python must not try to flush the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except GoldgateError as error:
        return _refuse(command, str(error))
    except ModuleNotFoundError as error:
        return _refuse(command, _missing(error))
    except OSError as error:
        # A file or folder that the user named; what a server does is a GoldgateError.
        reason = error.strerror or type(error).__name__
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason += "; make room on the disk and run this again"
        return _refuse(command, f"{error.filename or 'output'}: cannot be used ({reason})")
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - Python's own exit status is 1: "a verdict failed"
        return _refuse(command, _bug(error))
    return status


def _run(given: Sequence[str]) -> int:
    parser = Parser(
        prog="goldgate",
        description="Checks to run before a new MoE routing kernel ships.",
        epilog="Exit status: 0 pass, 1 a verdict failed, 2 refused or nothing judged, "
        "3 inconclusive (GSM8K). `goldgate COMMAND --help` describes a command.",
    )
    parser.add_argument("--version", action="version", version=f"goldgate {goldgate.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module_name, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{_sentence(summary)}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if given[:1] == [name]:
            module = importlib.import_module(module_name)
            command.description = (module.__doc__ or "").strip()
            module.add_arguments(command)
            command.set_defaults(run=module.main)
    # What follows "--" belongs to the program that a command starts.
    cut = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:cut])
    options.server_arguments = list(given[cut + 1 :])
    refuse_own_folders(options)
    return int(options.run(options))


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:]


def _refuse(command: str, message: str) -> int:
    with contextlib.suppress(OSError):  # stderr itself may be closed
        print(printable(f"{command}: {message}"), file=sys.stderr)
    return REFUSED


def _missing(error: ModuleNotFoundError) -> str:
    name = (error.name or "").partition(".")[0]
    if name in EXTRAS:
        return f"needs {name}: {how_to_install(EXTRAS[name])}"
    if name == "triton":
        return "needs triton, which comes with torch's builds for GPUs"
    if name == "goldgate":
        return _bug(error)
    return f"needs {name or error}: install goldgate with its dependencies (without --no-deps)"


def _bug(error: Exception) -> str:
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    message = " ".join(str(error).split())[:200]
    return (
        f"{type(error).__name__}: {message}; no verdict: this is a bug in goldgate, please report "
        f"it with what {TRACEBACK}=1 shows"
    )
