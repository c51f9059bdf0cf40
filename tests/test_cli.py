"""The program: its version, its old spellings, what it prints of a missing package or a bug."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import goldgate
from goldgate.cli import COMMANDS, EXTRAS, main
from goldgate.places import PACKAGE

ROOT = Path(__file__).parents[1]


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """`goldgate --version` prints the package's own version."""
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])

    assert capsys.readouterr().out == f"goldgate {goldgate.__version__}\n"


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("accuracy", "judge"), "judge"),
        (("fixtures", "show"), "show"),
        (("evals", "compare"), "compare"),
        (("evals", "signoff"), "swap"),
        (("evals", "bench"), "harness-bench"),
    ],
)
def test_old_spellings_name_the_new_one(words: tuple[str, ...], command: str) -> None:
    """`python -m evals signoff` and its like run the program, and name the command to use."""
    done = subprocess.run(
        [sys.executable, "-m", *words, "--help"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: goldgate {command} ")
    assert done.stderr.startswith(f"python -m {' '.join(words)} is now `goldgate {command}`")


def _command(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let every command's module raise when it runs."""

    def fail(_: object) -> int:
        raise error

    broken = ModuleType("broken", "Fail.")
    vars(broken).update(add_arguments=lambda _: None, main=fail)
    monkeypatch.setattr(importlib, "import_module", lambda _: broken)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_bug_of_ours_is_no_verdict_in_any_command(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a command raises, the status is 2, never 1, and one line calls it a bug."""
    _command(monkeypatch, RuntimeError("two\nlines"))

    assert main([name]) == 2

    printed = capsys.readouterr().err
    assert printed.startswith(
        f"goldgate {name}: RuntimeError: two lines; no verdict: this is a bug"
    )
    assert printed.count("\n") == 1


@pytest.mark.parametrize("module", EXTRAS)
def test_a_missing_package_is_named_with_its_extra(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where an optional dependency is absent, the line has the extra that installs it."""
    _command(monkeypatch, ModuleNotFoundError(f"No module named {module!r}", name=f"{module}.part"))

    assert main(["serve"]) == 2

    printed = capsys.readouterr().err
    assert printed.startswith(f"goldgate serve: needs {module}: ")
    assert (
        f"'goldgate[{EXTRAS[module]}]' (in a clone: pip install '.[{EXTRAS[module]}]')" in printed
    )


def test_every_extra_is_one_of_the_project() -> None:
    """The extras that errors name are declared in pyproject.toml."""
    declared = (
        (ROOT / "pyproject.toml").read_text("utf-8").split("[project.optional-dependencies]")[1]
    )

    for extra in set(EXTRAS.values()):
        assert f"\n{extra} = [" in declared


@pytest.mark.parametrize("command", [["signoff"], ["gsm8k", "--base-url", "http://127.0.0.1:9"]])
@pytest.mark.parametrize("folder", ["signoff", "evals", "goldgate"])
def test_no_command_writes_into_goldgates_own_folders(
    command: list[str], folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of goldgate's modules is refused by name before anything is written."""
    path = PACKAGE if folder == "goldgate" else (PACKAGE / folder).resolve()
    before = sorted(one.name for one in path.iterdir())

    status = main([*command, "--out", str(path)])

    assert status == 2
    assert f"--out {path}: a folder of goldgate's own modules" in capsys.readouterr().err
    assert sorted(one.name for one in path.iterdir()) == before
