"""Who may import whom: the packages' folders depend on each other in one direction only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What each package may import of ours, beside itself; tests may import everything.
ALLOWED = {
    "reference": set[str](),
    "fixtures": {"reference"},
    "accuracy": {"fixtures", "reference"},
    "evals": set[str](),
}


def imported(source: str) -> set[str]:
    """Name the top-level packages that a module imports, wherever in it."""
    names = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(str(node.module).partition(".")[0])
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            names.add(str(node.args[0].value).partition(".")[0])
    return names


@pytest.mark.parametrize("package", ALLOWED)
def test_package_imports_only_what_stands_below_it(package: str) -> None:
    """No module of a package imports a package of ours that stands above it or beside it."""
    forbidden = {*ALLOWED, "tests"} - ALLOWED[package] - {package}
    modules = sorted((ROOT / package).rglob("*.py"))

    wrong = {
        str(module.relative_to(ROOT)): sorted(found)
        for module in modules
        if (found := forbidden & imported(module.read_text(encoding="utf-8")))
    }

    assert modules
    assert wrong == {}


@pytest.mark.parametrize(
    "source",
    [
        "import accuracy",
        "import numpy, accuracy.judge as judge",
        "def f():\n    from accuracy.judge import judge",
        "if TYPE_CHECKING:\n    from accuracy import judge",
        "importlib.import_module('accuracy.judge')",
    ],
)
def test_every_form_of_import_is_seen(source: str) -> None:
    """An import is found at the top, in a function, for types alone and by its name."""
    assert "accuracy" in imported(source)


def test_relative_imports_stay_inside() -> None:
    """A relative import names no other package."""
    assert imported("from . import rows\nfrom .accuracy import x") == set()
