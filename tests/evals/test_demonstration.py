"""`tox -e gsm8k` with nothing set: the stand-in model itself, asked a few questions."""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
from typing import TYPE_CHECKING

import pytest

from goldgate.cli import main
from goldgate.evals.servers import local_servers
from goldgate.evals.servers.local_servers import STANDIN_DATA
from goldgate.evals.swapping import demonstration
from goldgate.fixtures.standin import serve
from goldgate.fixtures.standin.engine import Engine
from goldgate.fixtures.standin.model import load
from goldgate.kernels import load as load_kernel
from tests.evals.support import facts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextlib.contextmanager
def in_this_process(command: Sequence[str]) -> Iterator[str]:
    """Serve what `goldgate serve` would, without importing torch once a server."""
    assert list(command[1:4]) == ["-m", "goldgate", "serve"]
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    wanted = parser.parse_args(command[4:])
    engine = Engine(load(wanted.model, load_kernel(wanted.router).route), wanted.slots, lanes=1)
    server = serve.Server((wanted.host, wanted.port), engine, wanted.router)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{wanted.host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        engine.close()


def test_demonstration_asks_two_kernels_of_the_standin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without servers: golden router, again, and another kernel; every answer is whole and told."""
    for name in ("BASE_URL", "BASELINE_URL", "BASELINE_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(demonstration, "serving", in_this_process)
    assert local_servers.standin_is_here()

    status = main(["swap", "--out", str(tmp_path), "--limit", "3"])

    said = capsys.readouterr().out
    assert status == 0
    assert said.count(demonstration.NO_EVIDENCE) == 2
    assert "INCONCLUSIVE: not decided: " in said
    served = {
        name: facts_of(tmp_path / name)["server"]["at_start"]["/v1/models.goldgate-standin.router"]
        for name in ("baseline", "control", "candidate")
    }
    assert served == {"baseline": "golden", "control": "golden", "candidate": "torch-float32"}
    facts = facts_of(tmp_path / "candidate")
    answers = [
        json.loads(line)["answer"]
        for line in (STANDIN_DATA / "test.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    # Its tokens are letters.
    assert facts["settings"]["generation"]["max_tokens"] >= max(map(len, answers))
    assert facts["settings"]["num_fewshot"] == 0
    assert facts["totals"]["truncated"] == 0
    assert sum(facts["totals"]["right"]["strict-match"]) >= 2
