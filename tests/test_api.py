"""The public API: each name is there, has its type, and is described on the API page."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import goldgate
from tests import api_page

ROOT = Path(__file__).parents[1]
USES = ROOT / "tests" / "public_api.py"


def mypy(source: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """Check one file from the root of the checkout, with the project's settings."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--follow-imports=silent",
        "--cache-dir",
        cache,
        source,
    ]
    return subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", goldgate.__all__)
def test_each_public_name_is_there(name: str) -> None:
    """A name that is listed is imported when it is used, and `dir` shows it."""
    assert getattr(goldgate, name) is not None
    assert name in dir(goldgate)


def test_another_name_is_an_attribute_error() -> None:
    """A misspelt name fails as that of any module does."""
    with pytest.raises(AttributeError, match="module 'goldgate' has no attribute 'asert_parity'"):
        _ = goldgate.asert_parity  # type: ignore[attr-defined]  # misspelt on purpose


def test_the_public_api_is_typed(tmp_path: Path) -> None:
    """Mypy accepts a file that uses every public name, and refuses a misspelt name in it."""
    tree = ast.parse(USES.read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from goldgate import asert_parity, judge\n\njudge(1)\n", encoding="utf-8")

    right, refused = mypy(USES, tmp_path / "cache"), mypy(wrong, tmp_path / "cache")

    assert set(goldgate.__all__) - {"__version__"} <= used
    assert right.returncode == 0, right.stdout + right.stderr
    assert "[attr-defined]" in refused.stdout
    assert "[call-arg]" in refused.stdout


def test_the_api_page_is_current() -> None:
    """docs/api.md is what the docstrings make it; `python -m tests.api_page` writes it."""
    assert api_page.PAGE.read_text(encoding="utf-8") == api_page.page()


def test_the_api_page_has_every_public_name() -> None:
    """Each name has an entry in a section or among the constants, once."""
    sections = [name for names in api_page.SECTIONS.values() for name in names]

    assert sorted([*sections, *api_page.CONSTANTS]) == sorted(goldgate.__all__)
