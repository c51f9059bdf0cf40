"""The examples, as a reader copies them: they run, judge, and their workflows name what exists."""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from goldgate.cli import COMMANDS

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
WORKFLOWS = [*(ROOT / ".github" / "workflows").glob("*.yml"), *EXAMPLES.glob("github/*.yml")]


def run(*words: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program from which goldgate can be imported, as where it is installed."""
    return subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Copy the examples to a folder outside the checkout."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))


def test_the_pytest_example_passes(copied: Path) -> None:
    """Somebody's own tests with `assert_parity` pass for a kernel that is right."""
    done = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=copied / "pytest"
    )

    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout


def test_the_pytest_example_fails_for_a_wrong_kernel(copied: Path) -> None:
    """With the bias left out, the same tests fail and print the row."""
    kernel = copied / "pytest" / "my_router.py"
    source = kernel.read_text(encoding="utf-8")
    kernel.write_text(source.replace("scores + correction_bias.float()", "scores"), "utf-8")

    done = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=copied / "pytest"
    )

    assert kernel.read_text(encoding="utf-8") != source
    assert done.returncode == 1
    assert "of which rounding explains at most" in done.stdout


@pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="triton is not installed")
def test_the_triton_example_passes_under_the_interpreter(copied: Path) -> None:
    """The Triton kernel is right, run by Triton's interpreter on the CPU."""
    done = run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        cwd=copied / "triton",
        TRITON_INTERPRET="1",
    )

    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++ here")
@pytest.mark.parametrize("source", ["router.cpp", "router.hip"])
def test_the_cpp_example_is_judged_from_its_files(copied: Path, source: str) -> None:
    """The program's outputs pass; a HIP source is compiled against a stub, for the CPU."""
    folder = copied / "cpp"
    hip = ("-D__HIPCC__", "-I", ROOT / "tests" / "hip_stub") if source.endswith("hip") else ()

    built = run(
        *("g++", "-O2", "-std=c++17", "-Wall", "-Wextra", "-Werror", *hip),
        *("-o", "router", "-x", "c++", source),
        cwd=folder,
    )
    recorded = run(
        *(sys.executable, "record_outputs.py", "./router", "--out", "outputs"),
        *("--device", "a CPU", "--arithmetic", "ieee"),
        cwd=folder,
    )
    judged = run(
        sys.executable, "-m", "goldgate", "judge", "--partial", "--outputs", "outputs", cwd=folder
    )

    assert built.returncode == 0, built.stderr
    assert recorded.returncode == 0, recorded.stderr
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "2 passed, 0 failed, 0 refused" in judged.stdout


def shell_lines(workflow: Path) -> Iterator[str]:
    """Yield each line that a workflow's steps run."""
    parsed = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    for job in parsed["jobs"].values():
        for step in job["steps"]:
            yield from str(step.get("run", "")).splitlines()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_workflow_runs_exists(workflow: Path) -> None:
    """Commands and options of goldgate, tox environments and scripts are the ones there are."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")

    for line in shell_lines(workflow):
        words = shlex.split(line)
        if words[0] == "goldgate":
            helped = run(sys.executable, "-m", "goldgate", words[1], "--help", cwd=ROOT).stdout
            assert words[1] in COMMANDS
            assert [w for w in words if w.startswith("--") and w not in helped] == []
        elif words[0] == "tox":
            assert all(f"testenv:{name}" in tox for name in re.findall(r"-e (\S+)", line))
        elif words[0] in ("bash", "python"):
            assert (ROOT / words[1]).is_file()
        else:
            assert words[:2] in (["pip", "install"], ["gh", "pr"]) or words[0] == "cat"


def test_the_checklist_example_decides_and_writes_what_it_posts(tmp_path: Path) -> None:
    """Without evidence its command exits 1, and the Markdown that the comment has is there."""
    workflow = EXAMPLES / "github" / "signoff.yml"
    lines = list(shell_lines(workflow))
    (decide,) = [line for line in lines if line.startswith("goldgate")]
    (comment,) = [line for line in lines if line.startswith("gh ")]
    shutil.copy(ROOT / "signoff" / "policies" / "nvidia-standin.toml", tmp_path / "signoff.toml")
    (tmp_path / "evidence").mkdir()

    done = run(sys.executable, "-m", *shlex.split(decide), cwd=tmp_path)

    posted = shlex.split(comment)[-1]
    assert done.returncode == 1, done.stderr
    assert (tmp_path / posted).read_text(encoding="utf-8").startswith("## Release sign-off: ")


def test_the_workflow_example_judges_and_keeps_the_evidence(copied: Path, tmp_path: Path) -> None:
    """Its command passes for the kernel of the pytest example and writes what it uploads."""
    workflow = copied / "github" / "kernel-parity.yml"
    shutil.copy(copied / "pytest" / "my_router.py", tmp_path)
    shutil.copy(copied / "github" / "known_failures.toml", tmp_path)
    (line,) = [line for line in shell_lines(workflow) if line.startswith("goldgate")]

    # The shipped recordings alone: the ordinary tier takes a minute.
    done = run(sys.executable, "-m", *shlex.split(line), "--coverage", "shipped", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    steps = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]["parity"]["steps"]
    (kept,) = [step["with"]["path"] for step in steps if "upload-artifact" in step.get("uses", "")]
    written = {path.name for path in (tmp_path / kept).iterdir()}
    assert written == {"parity.json", "parity.xml"}
    evidence = json.loads((tmp_path / kept / "parity.json").read_text(encoding="utf-8"))
    assert {one["verdict"] for one in evidence["results"]} == {"PASS"}
