"""The commands that run aiter's kernel, executed: needs ziglang and aiter's package.

`tox -e aiter-emulated-tests` has both; elsewhere these tests are skipped by name.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

from goldgate.cli import main
from goldgate.fixtures import open_recording, write_recording
from goldgate.fixtures.constructed import construct
from goldgate.kernels.aiter_emulated import NAME, source

pytestmark = [
    pytest.mark.skipif(find_spec("ziglang") is None, reason="ziglang is not here"),
    pytest.mark.skipif(source.missing() is not None, reason="aiter's package is not here"),
]

ROOT = Path(__file__).parents[2]


def test_bench_prints_the_emulators_speed_as_a_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    """The line has tokens a second of both routers, the kernel's version and their ratio."""
    assert main(["bench", "--rows", "4096", "--threads", "1"]) == 0

    printed = capsys.readouterr().out
    (mine,) = re.findall(
        r"^emulated aiter, one core +(\d+) tokens/s \((.*)\)$", printed, re.MULTILINE
    )
    (theirs,) = re.findall(r"^golden router, one core +(\d+) tokens/s$", printed, re.MULTILINE)
    (ratio,) = re.findall(r"^emulated / golden +(\d+\.\d+) times$", printed, re.MULTILINE)
    assert source.find().version == mine[1]
    # Medians of both sides, and the median of their ratios: near to each other, not equal.
    assert float(ratio) == pytest.approx(int(mine[0]) / int(theirs), rel=0.5)
    assert "not measured" not in printed


def test_parity_runs_the_kernel(tmp_path: Path) -> None:
    """`goldgate parity --kernel aiter-emulated` passes; its evidence has the model and version."""
    recording = tmp_path / "in" / "tokens_33.safetensors"
    recording.parent.mkdir()
    write_recording(recording, construct("tokens_33"))

    status = main(
        [
            *("parity", "--kernel", "aiter-emulated", "--recordings", str(recording.parent)),
            *("--json", str(tmp_path / "evidence.json")),
        ]
    )

    held = json.loads((tmp_path / "evidence.json").read_text(encoding="utf-8"))
    ((one,), (kernel,)) = held["results"], held["kernels"]
    assert status == 0
    assert (one["verdict"], one["rounding"], one["execution"]) == ("PASS", "nearest", "emulated")
    assert one["sha256"]["recording"] == open_recording(recording).sha256
    assert kernel["name"] == NAME
    assert kernel["architecture"] == "gfx942"
    assert kernel["device"] == "gfx942, emulated"
    assert kernel["version"] == source.find().version


def test_parity_refuses_a_source_that_does_not_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is an error of the source, exit status 2, and no failure of the kernel."""
    folder = tmp_path / "aiter" / "csrc" / "kernels"
    folder.mkdir(parents=True)
    text = source.find().text.replace("__syncthreads();", "goldgate_has_no_such_name();", 1)
    (folder / "topk_softmax_kernels_group.cu").write_text(text, encoding="utf-8")
    for name, data in source.find().headers.items():
        path = tmp_path / "aiter" / "csrc" / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    monkeypatch.setenv(source.CHECKOUT, str(tmp_path / "aiter"))
    write_recording(tmp_path / "tokens_3.safetensors", construct("tokens_3"))

    status = main(
        [
            *("parity", "--kernel", "aiter-emulated"),
            *("--recordings", str(tmp_path / "tokens_3.safetensors")),
        ]
    )

    seen = capsys.readouterr()
    assert status == 2
    assert "goldgate_has_no_such_name" in seen.out + seen.err
    assert "FAIL" not in seen.out


def test_serve_routes_the_stand_in_with_the_kernel() -> None:
    """An answer over HTTP is the one that the golden router gives."""
    answers = [_answer(router) for router in ("aiter-emulated", "golden")]

    assert answers[0] == answers[1]
    assert answers[0].strip()


def _answer(router: str) -> str:
    """Return what a server of the stand-in answers with a router; it is ended after."""
    command = (sys.executable, "-m", "goldgate", "serve", "--router", router, "--port", "0")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().removeprefix("listening on ").strip()
            body = {"prompt": "Question: What is 2 + 3?\nAnswer:", "max_tokens": 4}
            asked = urllib.request.Request(  # noqa: S310 - loopback
                f"{address}/v1/completions",
                json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(asked, timeout=240) as response:  # noqa: S310 - loopback
                found: str = json.load(response)["choices"][0]["text"]
                return found
        finally:
            server.terminate()
            server.wait()
