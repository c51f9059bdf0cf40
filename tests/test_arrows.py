"""Which package may use which: the arrows go one way, for imports and for subprocesses alike."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from goldgate.cli import COMMANDS

ROOT = Path(__file__).parents[1]

# What the modules of each package may import of ours, beside their own package and the helpers.
IMPORTS = {
    "emulator": set[str](),
    "reference": set[str](),
    "kernels": {"emulator", "reference"},
    "fixtures": {"emulator", "kernels", "reference"},
    "accuracy": {"emulator", "fixtures", "kernels", "reference"},
    "evals": set[str](),
    "mutants": {"accuracy", "emulator", "evals", "fixtures", "kernels", "reference"},
    "signoff": {"accuracy", "emulator", "evals", "fixtures", "kernels", "mutants", "reference"},
}
# The packages whose commands each package may start as `goldgate COMMAND` in another process.
STARTS = {
    "emulator": set[str](),
    "reference": set[str](),
    "kernels": {"kernels"},
    "fixtures": {"fixtures"},
    "accuracy": {"accuracy"},
    "evals": {"evals", "fixtures"},
    "mutants": set[str](),
    "signoff": set[str](),
}
# Modules in goldgate/ that every package may use; the program itself no package may import.
HELPERS = {
    *("bounds_plot", "children", "errors", "junit", "lazy", "options", "page_style", "pictures"),
    *("places", "program", "progress", "provenance", "sealed", "svg", "text", "webpage"),
}


def imported(source: str) -> set[str]:
    """Name the packages and helpers of goldgate that a module imports, wherever in it."""
    names = list[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = str(node.module)
            names += (
                [f"{module}.{a.name}" for a in node.names] if module == "goldgate" else [module]
            )
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            names.append(str(node.args[0].value))
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "goldgate" and len(part) > 1}


def _leading_text(node: ast.expr) -> str:
    """Return a string's text, of an f-string what stands before its first value; "" of others."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    value = node.value if isinstance(node, ast.Constant) else ""
    return value if isinstance(value, str) else ""


def started(source: str) -> set[str]:
    """Name the packages whose commands or modules a module starts in another process."""
    found = set[str]()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call | ast.List | ast.Tuple):
            continue
        inside = node.args if isinstance(node, ast.Call) else node.elts
        words = [word for node in inside if (word := _leading_text(node))]
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if called in ("goldgate", "command") and words[:1] and words[0] in COMMANDS:
            words = ["-m", "goldgate", words[0]]
        for flag, module, *more in zip(words, words[1:], [*words[2:], ""], strict=False):
            if flag == "-m" and module == "goldgate" and more[0] in COMMANDS:
                found.add(COMMANDS[more[0]][0].split(".")[1])
            elif flag == "-m" and module.startswith("goldgate."):
                found.add(module.split(".")[1])
    return found


def modules(package: str) -> list[Path]:
    """Return a package's modules; `__main__`, the old spelling of the program, is above it."""
    return [path for path in sorted((ROOT / package).rglob("*.py")) if path.name != "__main__.py"]


@pytest.mark.parametrize("package", IMPORTS)
def test_package_imports_only_what_is_below_it(package: str) -> None:
    """No module of a package imports a package above or beside it, nor the program."""
    allowed = IMPORTS[package] | HELPERS | {package}

    wrong = {
        str(module.relative_to(ROOT)): sorted(found)
        for module in modules(package)
        if (found := imported(module.read_text(encoding="utf-8")) - allowed)
    }

    assert modules(package)
    assert wrong == {}


@pytest.mark.parametrize("package", STARTS)
def test_package_starts_only_what_is_below_it(package: str) -> None:
    """A subprocess is an arrow too: no module starts a command of a package above its own."""
    wrong = {
        str(module.relative_to(ROOT)): sorted(found)
        for module in modules(package)
        if (found := started(module.read_text(encoding="utf-8")) - STARTS[package])
    }

    assert wrong == {}


def test_helpers_use_no_package() -> None:
    """The helpers in goldgate/ import one another and nothing above them."""
    for name in HELPERS:
        source = (ROOT / "goldgate" / f"{name}.py").read_text(encoding="utf-8")

        assert imported(source) <= HELPERS, name


def test_every_package_has_arrows() -> None:
    """A new top-level package gets a line in both tables and a link in goldgate/."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"goldgate", "tests"}

    assert packages == set(IMPORTS) == set(STARTS)
    assert {path.name for path in (ROOT / "goldgate").iterdir() if path.is_symlink()} == packages


def test_the_readme_draws_these_arrows() -> None:
    """The diagram in the README has the arrows of the table, the indirect ones left out."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    drawn = set(re.findall(r"^ +(\w+)(?:\[.*?\])? --> (\w+)", readme, flags=re.MULTILINE))

    def reach(package: str) -> set[str]:
        return {package}.union(*(reach(below) for one, below in drawn if one == package))

    assert drawn
    assert {name: reach(name) - {name} for name in IMPORTS} == IMPORTS


@pytest.mark.parametrize(
    "source",
    [
        "import goldgate.accuracy",
        "from goldgate import accuracy",
        "import numpy, goldgate.accuracy.evaluate as judge",
        "def f():\n    from goldgate.accuracy.evaluate import judge",
        "if TYPE_CHECKING:\n    from goldgate.accuracy import judge",
        "importlib.import_module('goldgate.accuracy.evaluate')",
    ],
)
def test_every_form_of_import_is_seen(source: str) -> None:
    """An import is found at the top, in a function, for types alone and by its name."""
    assert imported(source) == {"accuracy"}


@pytest.mark.parametrize(
    "source",
    [
        "[sys.executable, '-m', 'goldgate', 'compare', *runs]",
        "goldgate('compare', one, other)",
        "(sys.executable, '-m', 'goldgate.evals.task')",
        "[sys.executable, '-m', f'goldgate.evals.serve_{name}']",
    ],
)
def test_every_form_of_start_is_seen(source: str) -> None:
    """A subprocess is found as a list of words, through the helper, and as a module."""
    assert started(source) == {"evals"}
