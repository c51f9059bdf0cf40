"""Asking the stand-in every question, routed by one kernel after another, through its server.

Each arm has a folder of its own: `run/` as `goldgate gsm8k` writes it, `server.log` and
`client.log`, and `done.json` once it has ended. An arm that has ended is not asked again; one that
was cut off is resumed. Servers are processes, so that a kernel that crashes ends alone; they are
asked from here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from goldgate.accuracy.calls import device_name
from goldgate.kernels import KernelError
from goldgate.places import PACKAGE

QUESTIONS = PACKAGE / "fixtures" / "standin" / "data"

#: How the stand-in is asked: the task as it is, but without examples, which the model card's score
#: is without too and which would take five times as long; its longest answers have some 510 tokens.
SETTINGS: Mapping[str, int] = {"num_fewshot": 0, "max_tokens": 512, "concurrency": 64}

_ATTEMPTS = 5
_DONE, _RUN, _MACHINE = "done.json", "run", "machine.json"
_PACKAGES = ("lm_eval", "numpy", "torch", "transformers")


@dataclass(frozen=True)
class Asking:
    """How arms are asked.

    Attributes:
        out: the folder that holds an arm's folder each.
        limit: only the first questions, or None for all.
        jobs: arms at once, which share the processors.

    """

    out: Path
    limit: int | None
    jobs: int = 1

    @property
    def threads(self) -> int:
        """Threads in which one server answers; two at the most, as it has no use for more."""
        return max(1, min(2, (os.cpu_count() or 1) // self.jobs))


def ask_all(
    routers: Mapping[str, str],
    how: Asking,
    advance: Callable[[int], object],
    ended: Callable[[str], object],
) -> None:
    """Ask every arm that has not ended, in their order; `jobs` at once.

    Args:
        routers: what the server's `--router` is given, by the arm's name.
        how: where, how many questions and how many at once.
        advance: called with a number of answers whenever so many more are there.
        ended: called with the name of an arm that has ended, or had before.

    Raises:
        GoldgateError: a server or client could not do its work; what was answered is kept.

    """
    if any(not (how.out / name / _DONE).exists() for name in routers):
        _same_machine(how)

    def ask(name: str) -> None:
        if not (how.out / name / _DONE).exists():
            _ask(name, routers[name], how, advance)
        ended(name)

    if how.jobs == 1:
        for name in routers:  # in the main thread, which an interrupt reaches
            ask(name)
        return
    with ThreadPoolExecutor(how.jobs) as pool:
        futures = [pool.submit(ask, name) for name in routers]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # those under way end by themselves
            raise


def run_folder(out: Path, name: str) -> Path:
    """Return where an arm's run is."""
    return out / name / _RUN


def machine(out: Path) -> dict[str, Any]:
    """Return what is known of the machine that asked, and how it asked."""
    found: dict[str, Any] = json.loads((out / _MACHINE).read_text(encoding="utf-8"))
    return found


def compare(out: Path, baseline: str, name: str) -> dict[str, Any] | None:
    """Return what `goldgate compare --json` writes of two arms; None where it refuses a run.

    Raises KernelError where a whole run cannot be compared.
    """
    from goldgate.evals.comparing import compare as comparing  # noqa: PLC0415 - scipy, slow
    from goldgate.evals.comparing.compatibility import Rules  # noqa: PLC0415 - as above
    from goldgate.evals.errors import EvalError  # noqa: PLC0415 - as above
    from goldgate.evals.records.folder import write_json  # noqa: PLC0415 - as above

    path = out / name / "verdict.json"
    path.unlink(missing_ok=True)
    try:
        # One look at each arm: all of alpha is its own.
        rules = Rules(single_look=True)
        found = comparing.compare(run_folder(out, baseline), run_folder(out, name), rules=rules)
    except EvalError as error:
        if outcome(out, name).get("status") == "complete":
            raise KernelError(f"{name}: {error}") from None
        return None
    write_json(path, comparing.as_json(found))
    written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return written


def outcome(out: Path, name: str) -> Mapping[str, Any]:
    """Return an arm's run.json; empty where the run never began."""
    path = run_folder(out, name) / "run.json"
    if not path.exists():
        return {}
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def _same_machine(how: Asking) -> None:
    """Note the machine in a new folder; refuse to go on in the folder of another."""
    here = {
        "processor": device_name("cpu"),
        "threads": how.threads,
        "limit": how.limit,
        "settings": " ".join(["--own-data", *_options()]),
        "standin_sha256": _standin(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }
    path = how.out / _MACHINE
    if not path.exists():
        how.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(here, indent=2) + "\n", encoding="utf-8")
        return
    before = machine(how.out)
    differing = [
        f"{key} {before.get(key)!r}, here {here[key]!r}"
        for key in here
        if before.get(key) != here[key]
    ]
    if differing:
        raise KernelError(
            f"{how.out}: its arms were asked with {'; '.join(differing)}: arms are compared only "
            "where all of this is the same; name another folder with --out"
        )


def _standin() -> str:
    """Hash the stand-in's code and weights: with others, answers may change by themselves."""
    digest = hashlib.sha256()
    for path in sorted((PACKAGE / "fixtures" / "standin").rglob("*")):
        if path.suffix in {".py", ".json", ".safetensors"}:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise KernelError(
            f"no {package} here: the end-to-end arms need pyproject's group tests; "
            "--end-to-end none leaves them out"
        ) from None


def _options() -> list[str]:
    """Return SETTINGS as the command line's options, which kept results name them by."""
    return [f"--{name.replace('_', '-')} {value}" for name, value in SETTINGS.items()]


def _ask(name: str, router: str, how: Asking, advance: Callable[[int], object]) -> None:
    from rich.console import Console  # noqa: PLC0415 - with the below

    from goldgate.evals.asking.request import Request  # noqa: PLC0415 - lm-eval, slow
    from goldgate.evals.asking.retrying import Retrying  # noqa: PLC0415 - as above
    from goldgate.evals.asking.run import run  # noqa: PLC0415 - as above
    from goldgate.evals.errors import EvalError  # noqa: PLC0415 - as above
    from goldgate.evals.servers.local_servers import serving, standin_command  # noqa: PLC0415 - as above

    folder = how.out / name
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / _RUN / "journal.jsonl"
    (folder / _RUN / "run.json").unlink(missing_ok=True)  # of a run that was cut off
    threads = str(how.threads)
    command = standin_command(router, _port(journal), "--lanes", threads)
    variables = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
    with (
        serving(command, log=folder / "server.log", variables=variables) as url,
        (folder / "client.log").open("a", encoding="utf-8") as log,
    ):
        request = Request(
            base_url=url,
            data=QUESTIONS,
            own_data=True,
            limit=how.limit,
            num_fewshot=SETTINGS["num_fewshot"],
            max_tokens=SETTINGS["max_tokens"],
            concurrency=SETTINGS["concurrency"],
            # A server on this machine that stays silent has crashed, and stays so.
            retrying=Retrying(attempts=_ATTEMPTS),
        )
        try:
            facts = run(
                request,
                folder / _RUN,
                resume=journal.exists(),
                console=Console(file=log),
                advance=advance,
            )
        except EvalError as error:
            log.write(f"{error}\n")
            facts = dict(outcome(how.out, name))
            if not facts:
                raise KernelError(f"{folder}: {error}") from None
    status = 0 if facts["status"] == "complete" else 2
    done = {"status": status, "router": router}
    (folder / _DONE).write_text(json.dumps(done) + "\n", encoding="utf-8")


_ports = threading.Lock()
_given: set[int] = set()


def _port(journal: Path) -> int:
    """Return the port of a run that was cut off, which goes on only there; else a free one."""
    if journal.exists():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            first = json.loads(journal.read_text(encoding="utf-8").partition("\n")[0])
            return int(first["settings"]["base_url"].rpartition(":")[2])
    with _ports:
        while True:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = int(free.getsockname()[1])
            if port not in _given:
                _given.add(port)
                return port
