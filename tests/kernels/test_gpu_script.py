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
  *" kernels --json "*) for last; do :; done; echo '{}' >"$last" ;;
  "- "*) printf 'right\\nwrong\\ncrash\\nhang\\n' ;;
  *"--kernel wrong "*) exit 1 ;;
  *"--kernel crash "*) kill -SEGV $$ ;;
  *"--kernel hang "*) exec sleep 60 ;;
  *"sweep beyond "*) exit 1 ;;
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


@pytest.mark.parametrize(
    ("step", "kernels", "status"),
    [
        ("sweep", "beyond", 1),  # a largest error beyond the bound
        ("shipped", "right hang", 2),
        ("shipped", "right wrong hang", 1),
    ],
)
def test_the_status_is_of_what_this_run_found(
    step: str, kernels: str, status: int, tmp_path: Path
) -> None:
    """A failure is 1, a command that did not end 2; lines of an earlier run do not count."""
    assert _run(tmp_path, step, KERNELS=kernels)[0] == status
    assert _run(tmp_path, "sweep", KERNELS="right")[0] == 0


def test_latency_is_measured_on_two_routers(tmp_path: Path) -> None:
    """One that FlashInfer's kernel takes is among them; softmax routers are left out."""
    _, lines = _run(tmp_path, "latency", KERNELS="right some-softmax")

    assert [line[:2] for line in lines if line[0] == "latency"] == [
        ["latency", "MiniMax-M2.5"],
        ["latency", "DeepSeek-V3"],
    ]
    log = (tmp_path / "out" / "latency-DeepSeek-V3.log").read_text("utf-8")
    assert "latency --model DeepSeek-V3 --kernel right --timeout" in log
    assert "softmax" not in log


def test_the_tests_are_the_checkout_s(tmp_path: Path) -> None:
    """They are found from any folder, and exist."""
    _run(tmp_path, "tests", KERNELS="right")

    log = (tmp_path / "out" / "tests-all.log").read_text("utf-8")
    files = [word for word in log.split() if word.endswith(".py")]
    assert len(files) == 5
    assert all(Path(file).is_file() for file in files)


def test_a_list_that_cannot_be_made_ends_the_script(tmp_path: Path) -> None:
    """Without a list of kernels nothing is run: exit 2, and the log is named."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 2\n", "utf-8")
    python.chmod(0o755)
    environment = os.environ | {"PYTHON": str(python), "KERNELS": ""}

    done = subprocess.run(
        ["bash", str(SCRIPT), str(tmp_path / "out")],  # noqa: S607 - of PATH
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr == f"goldgate kernels failed: {tmp_path}/out/list-all.log\n"


@pytest.mark.parametrize("step", ["fulll", "--help"])
def test_an_unknown_step_is_refused(step: str, tmp_path: Path) -> None:
    """A step that there is not is exit 2, with the steps that there are."""
    assert _run(tmp_path, "list", step, KERNELS="right")[0] == 2
