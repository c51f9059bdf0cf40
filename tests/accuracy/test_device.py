"""The judge's kernel for a GPU, run by the GPU or, without one, by Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("triton", reason="triton is not installed")

CASES = Path(__file__).with_name("device_cases.py")


def test_the_kernel_screens_as_the_processor_does() -> None:
    """Every test of `device_cases.py` passes, in a process that starts with the right Triton."""
    interpreted = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", CASES],
        capture_output=True,
        text=True,
        check=False,
        cwd=CASES.parents[2],
        env=os.environ | interpreted,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_without_triton_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A device of torch's on which Triton does not run is named with what was expected."""
    from goldgate.cli import main  # noqa: PLC0415 - not before the skips

    status = main(["judge", "--outputs", "fixtures/outputs", "--judge-device", "cpu"])

    assert status == 2
    error = capsys.readouterr().err
    assert error.startswith("goldgate judge: --judge-device cpu: expected a GPU that torch and")
    assert error.count("\n") == 1


def test_a_host_without_triton_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--judge-device` where torch came without Triton names what brings it."""
    from goldgate.cli import main  # noqa: PLC0415 - as above

    for name in ("triton", "goldgate.accuracy.device", "goldgate.accuracy.device_kernel"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)

    status = main(["judge", "--outputs", "fixtures/outputs", "--judge-device", "cuda"])

    assert status == 2
    assert capsys.readouterr().err == (
        "goldgate judge: needs triton, which comes with torch's builds for GPUs\n"
    )


def test_a_device_beside_a_scheduler_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The workers of a cluster would not use the device: the pair is named in one line."""
    from goldgate.cli import main  # noqa: PLC0415 - as above

    status = main(
        [
            *("judge", "--outputs", "fixtures/outputs"),
            *("--judge-device", "cuda", "--scheduler", "tcp://localhost:1"),
        ]
    )

    assert status == 2
    assert capsys.readouterr().err == (
        "goldgate judge: --judge-device screens rows in this process: leave it or --scheduler out\n"
    )
