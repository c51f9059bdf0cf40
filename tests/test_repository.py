"""What a newcomer relies on: the README's commands, and dependencies that stand once."""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


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
    texts = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

    named = {e for p in texts for e in re.findall(r"tox -e ([\w-]+)", p.read_text("utf-8"))}

    assert named >= {"kernel-parity", "gsm8k", "mutants", "bench"}
    assert [e for e in named if f"testenv:{e}" not in tox] == []


def test_every_link_of_the_documents_leads_somewhere() -> None:
    """A file or picture that a document links to is in the checkout."""
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert broken == []


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
