"""examples/gpu/kernels.sh: one kernel that fails, crashes or hangs does not end the others."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "gpu" / "kernels.sh"

#: In place of Python: it names four kernels, and each behaves otherwise under parity.
INTERPRETER = """#!/bin/sh
case "$*" in
  "- "*) printf 'right\\nwrong\\ncrash\\nhang\\n' ;;
  *"--kernel wrong "*) exit 1 ;;
  *"--kernel crash "*) kill -SEGV $$ ;;
  *"--kernel hang "*) exec sleep 60 ;;
  *) echo "$@" ;;
esac
"""


def _run(tmp_path: Path, *steps: str, **more: str) -> tuple[int, list[list[str]]]:
    python = tmp_path / "python"
    python.write_text(INTERPRETER, "utf-8")
    python.chmod(0o755)
    environment = os.environ | {"PYTHON": str(python), "LIMIT": "1"} | more
    command = ["bash", str(SCRIPT), str(tmp_path / "out"), *steps]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = (tmp_path / "out" / "steps.tsv").read_text("utf-8").splitlines()
    return done.returncode, [line.split("\t")[:3] for line in lines]


def test_every_kernel_is_run_whatever_the_others_do(tmp_path: Path) -> None:
    """Each kernel has a line with its status; a wrong verdict is the script's status."""
    status, lines = _run(tmp_path, "list", "shipped", "sweep")

    assert status == 1
    assert sorted(line for line in lines if line[0] == "shipped") == [
        ["shipped", "crash", "139"],
        ["shipped", "hang", "124"],
        ["shipped", "right", "0"],
        ["shipped", "wrong", "1"],
    ]
    assert [line[1] for line in lines if line[0] == "sweep"] == ["right", "wrong", "crash", "hang"]


def test_named_kernels_and_steps_alone_are_run(tmp_path: Path) -> None:
    """KERNELS and the steps choose; the log has what the command printed."""
    status, lines = _run(tmp_path, "list", "full", KERNELS="right")

    assert (status, lines) == (0, [["list", "all", "0"], ["full", "right", "0"]])
    log = (tmp_path / "out" / "full-right.log").read_text("utf-8")
    assert "parity --kernel right" in log
    assert "--coverage full" in log


@pytest.mark.parametrize("step", ["fulll", "--help"])
def test_an_unknown_step_is_refused(step: str, tmp_path: Path) -> None:
    """A step that there is not is exit 2, with the steps that there are."""
    assert _run(tmp_path, "list", step, KERNELS="right")[0] == 2
