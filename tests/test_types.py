"""The types: the packages and the tests pass mypy --strict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_mypy_finds_nothing() -> None:
    """Mypy, strict as pyproject.toml has it, finds no error in goldgate and its tests."""
    command = [sys.executable, "-m", "mypy", "goldgate", "tests"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 0, done.stdout + done.stderr
