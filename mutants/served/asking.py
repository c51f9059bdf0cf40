"""Asking the stand-in every question, routed by one kernel after another, through its server.

Each arm has a folder of its own: `run/` as `goldgate gsm8k` writes it, `server.log` and
`client.log`, and `done.json` once it has ended. An arm that has ended is not asked again; one that
was cut off goes on where it stood.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from goldgate.accuracy.calls import device_name
from goldgate.kernels import KernelError
from goldgate.places import IMPORTED_FROM, PACKAGE

ROOT = IMPORTED_FROM
QUESTIONS = PACKAGE / "fixtures" / "standin" / "data"

#: How the stand-in is asked: the task as it is, but without examples, which the model card's score
#: is without too and which would take five times as long; its longest answers have some 510 tokens.
SETTINGS = ("--own-data", "--num-fewshot", "0", "--max-tokens", "512", "--concurrency", "64")

_DONE, _RUN, _MACHINE = "done.json", "run", "machine.json"
_INTERRUPTED = 130
_POLL_S = 0.5
_STOP_S = 10.0
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
        KernelError: a server or client could not do its work; what was answered is kept.

    """
    if any(not (how.out / name / _DONE).exists() for name in routers):
        _same_machine(how)

    def ask(name: str) -> None:
        if not (how.out / name / _DONE).exists():
            _ask(name, routers[name], how, advance)
        ended(name)

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
    """Return the comparison that `goldgate compare` makes; None where it refuses a run.

    Raises KernelError where the command fails in another way.
    """
    path = out / name / "verdict.json"
    path.unlink(missing_ok=True)
    runs = (str(run_folder(out, arm)) for arm in (baseline, name))
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "goldgate", "compare", *runs, "--json", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    if done.returncode != 2 or _facts(out, name).get("status") == "complete":
        raise KernelError(f"evals compare {name}: {_last_line(done.stderr)}")
    return None


def outcome(out: Path, name: str) -> Mapping[str, Any]:
    """Return an arm's run.json; empty where the run never began."""
    return _facts(out, name)


def _facts(out: Path, name: str) -> dict[str, Any]:
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
        "settings": " ".join(SETTINGS),
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


def _ask(name: str, router: str, how: Asking, advance: Callable[[int], object]) -> None:
    folder = how.out / name
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / _RUN / "journal.jsonl"
    (folder / _RUN / "run.json").unlink(missing_ok=True)  # of a run that was cut off
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(how.threads),
        "NUMBA_NUM_THREADS": str(how.threads),
    }
    log = folder / "server.log"
    with _serving(router, _port(journal), how.threads, log, environment) as url:
        command = [sys.executable, "-m", "goldgate", "gsm8k", "--base-url", url]
        command += ["--data", str(QUESTIONS), *SETTINGS, "--out", str(folder / _RUN)]
        if how.limit is not None:
            command += ["--limit", str(how.limit)]
        if journal.exists():
            command.append("--resume")
        with (folder / "client.log").open("a", encoding="utf-8") as said_by_client:
            client = subprocess.Popen(  # noqa: S603 - our own command
                command, cwd=ROOT, stdout=said_by_client, stderr=said_by_client, env=environment
            )
            status = _watch(client, journal, advance)
    facts = _facts(how.out, name)
    if status == _INTERRUPTED or not facts:
        said = (folder / "client.log").read_text(encoding="utf-8")
        raise KernelError(f"{folder}: asking ended with status {status}: {_last_line(said)}")
    done = {"status": status, "router": router}
    (folder / _DONE).write_text(json.dumps(done) + "\n", encoding="utf-8")


def _watch(client: subprocess.Popen[bytes], journal: Path, advance: Callable[[int], object]) -> int:
    """Wait for the client, and report the journal's answers as they come."""
    seen = 0
    try:
        while True:
            try:
                status = client.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                status = None
            # Of a whole journal's lines only: the last may be half written.
            whole = journal.read_bytes().rpartition(b"\n")[0] if journal.exists() else b""
            answers = whole.count(b'{"kind": "answer"')
            advance(answers - seen)
            seen = answers
            if status is not None:
                return status
    finally:
        if client.poll() is None:
            client.terminate()
            client.wait()


@contextlib.contextmanager
def _serving(
    router: str, port: int, threads: int, log: Path, environment: Mapping[str, str]
) -> Iterator[str]:
    """Serve the stand-in with a router, yield the URL, stop it."""
    command = [sys.executable, "-m", "goldgate", "serve", "--router", router]
    command += ["--port", str(port), "--lanes", str(threads)]
    with log.open("a", encoding="utf-8") as errors:
        server = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
        try:
            said = server.stdout.readline() if server.stdout else ""
            if not said.startswith("listening on "):
                reason = _last_line(log.read_text(encoding="utf-8"))
                raise KernelError(f"the stand-in's server did not start with {router}: {reason}")
            yield said.removeprefix("listening on ").strip()
        finally:
            server.terminate()
            try:
                server.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            if server.stdout is not None:
                server.stdout.close()


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


def _last_line(text: str) -> str:
    lines: Sequence[str] = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
