"""What a newcomer relies on: the README's commands, and dependencies that stand once."""

from __future__ import annotations

import argparse
import configparser
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from goldgate import __version__
from goldgate.cli import COMMANDS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]

#: The pages that a reader meets.
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    ROOT / "fixtures" / "standin" / "MODEL_CARD.md",
]


def dependencies() -> dict[str, list[str]]:
    """Return the names of the packages in the project's own list, each extra and each group."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        stated = tomllib.load(file)
    project = stated["project"]
    lists = {
        "": project["dependencies"],
        **project["optional-dependencies"],
        **stated["dependency-groups"],
    }
    return {
        name: [re.split(r"[\[<>=~;! ]", line)[0] for line in lines if isinstance(line, str)]
        for name, lines in lists.items()
    }


def test_ci_runs_exactly_the_test_command_of_the_readme() -> None:
    """The second command of the README's block is the last line of .ci/run."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.split("## Two commands")[1].split("##")[0]
    commands = re.findall(r"^    (tox.*?)\s*#", block, flags=re.MULTILINE)

    last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()[-1]

    assert commands == ["tox -e kernel-parity", "tox"]
    assert last == commands[1]


def test_every_tox_environment_that_the_documents_name_exists() -> None:
    """A command copied from the README or a document runs."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    named = {e for p in PAGES for e in re.findall(r"tox -e ([\w-]+)", p.read_text("utf-8"))}

    assert named >= {"kernel-parity", "gsm8k", "mutants", "bench"}
    assert [e for e in named if f"testenv:{e}" not in tox] == []


def code(page: Path) -> Iterator[str]:
    """Yield a page's code: its spans, and the lines of its blocks."""
    text = page.read_text(encoding="utf-8")
    yield from re.findall(r"^    (?! )(.*)$", text, flags=re.MULTILINE)
    for block in re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    spans = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", spans))


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Return the options of a parser and of its subcommands."""
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {option for sub in action.choices.values() for option in options(sub)}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_document_names_exists(page: Path) -> None:
    """What a reader copies is a command of goldgate, with options that it takes, or a module."""
    wrong = []
    for line in code(page):
        module = re.match(r"python -m ([\w.]+)", line)
        if module and not importlib.util.find_spec(module[1]):
            wrong.append(line)
        found = re.match(r"(?:.*&& )?goldgate ([a-z][\w-]*)(.*)", line)
        if not found:
            continue
        name, rest = found[1], found[2].partition("  #")[0].partition(" -- ")[0].partition("&&")[0]
        parser = argparse.ArgumentParser()
        if name in COMMANDS:
            importlib.import_module(COMMANDS[name][0]).add_arguments(parser)
        given = set(re.findall(r"--[a-z][\w-]*", rest))
        if name not in COMMANDS or given - options(parser):
            wrong.append(line)

    assert wrong == []


def test_every_path_that_a_document_names_exists() -> None:
    """A file or folder of the checkout that a document names in code is there."""
    folders = "|".join(p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] != ".")
    # Capitals stand for a name of the reader's.
    named = re.compile(rf"(?:{folders})/[a-z0-9_./-]+")

    missing = [
        f"{page.name}: {span}"
        for page in PAGES
        for span in code(page)
        if named.fullmatch(span) and not (ROOT / span).exists()
    ]

    assert missing == []


def test_every_link_of_the_documents_leads_somewhere() -> None:
    """A file or picture that a document links to is in the checkout."""
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert broken == []


def test_the_index_lists_every_page_of_the_documentation() -> None:
    """A reader finds each page of docs/ from docs/README.md."""
    docs = ROOT / "docs"
    linked = re.findall(r"\]\(([\w.-]+\.md)\)", (docs / "README.md").read_text(encoding="utf-8"))

    assert sorted(linked) == sorted(p.name for p in docs.glob("*.md") if p.name != "README.md")


def test_each_dependency_is_written_once() -> None:
    """A range is changed in one place; an extra includes another by the project's name."""
    listed = [p for packages in dependencies().values() for p in packages if p != "goldgate"]

    assert sorted(listed) == sorted(set(listed))


def test_kernel_parity_installs_and_pins_nothing_that_a_gpu_host_brings() -> None:
    """Torch and aiter come from the host: neither a dependency of the judge nor constrained."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    parity = tox["testenv:kernel-parity"]

    assert parity["extras"] == parity["dependency_groups"] == ""
    assert {"torch", "aiter", "triton", "transformers"}.isdisjoint(dependencies()[""])
    assert parity["system_site_packages"] == "true"
    assert parity["set_env"] == ""


def test_one_version_is_stated_everywhere() -> None:
    """The package, the citation and the newest entry of the changelog name the same version."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    released = re.findall(
        r"^## \[(\d\S*)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )

    assert cited["version"] == released[0] == __version__


def test_pre_commit_runs_the_pinned_linter() -> None:
    """pre-commit and tox use the same ruff."""
    stated = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    (rev,) = [one["rev"] for one in stated["repos"] if one["repo"].endswith("ruff-pre-commit")]

    assert f"ruff=={rev.removeprefix('v')}" in pins


def test_ci_runs_the_project_s_own_script_on_the_oldest_and_newest_python() -> None:
    """The workflow runs .ci/run, on both ends of the supported range."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["tests"]

    assert job["strategy"]["matrix"]["python"] == ["3.10", "3.13"]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
