"""A third-party server: `transformers serve` with the stand-in model."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from importlib.util import find_spec
from typing import TYPE_CHECKING

from goldgate.evals.errors import EvalError
from goldgate.evals.servers import third_party
from goldgate.evals.servers.local_servers import STANDIN_DATA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEEDED = ("transformers", "torch", "fastapi", "uvicorn", "openai")


def standin() -> Path:
    """Return the folder of the stand-in model.

    Raises EvalError where it or a package of the server is not here.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise EvalError(
            f"{', '.join(missing)}: not installed; run `tox -e gsm8k-transformers`, which "
            "installs what transformers' server needs"
        )
    folder = STANDIN_DATA / "model"
    if not (folder / "model.safetensors").exists():
        raise EvalError(f"{folder}: no weights here; run this in a checkout of goldgate")
    return folder


@contextlib.contextmanager
def serving(model: Path) -> Iterator[str]:
    """Serve a folder in float32 on a free port of loopback and yield the address.

    The id that the server takes is the folder's name: with the path, no run of another machine
    would compare.

    Raises EvalError where the server ends or does not answer in time.
    """

    def command(port: int) -> list[str]:
        return [
            *(sys.executable, "-m", "transformers.cli.transformers", "serve"),
            *("--device", "cpu", "--dtype", "float32"),
            *("--host", "127.0.0.1", "--port", str(port), model.name),
        ]

    # /v1/models lists the hub's cache and fails where there is none: an empty one lists nothing.
    with tempfile.TemporaryDirectory(prefix="goldgate-") as cache:
        offline = {"HF_HUB_CACHE": cache, "HF_HUB_OFFLINE": "1"}
        with third_party.serving(
            "transformers serve", command, "/health", offline, model.parent
        ) as url:
            yield url
