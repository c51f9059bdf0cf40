"""What is installed: a wheel that judges in any folder, beside a checkout, and a light recorder.

Nothing is downloaded: a fresh environment sees links to the packages that it may use, taken from
the environment of the tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]

#: Folders of the checkout that are the distribution's packages.
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"goldgate"}

#: What a recorder finds in a serving engine's Python.
ENGINE = ("numpy", "safetensors", "torch")

#: Megabytes that the wheel may have, with room for more recordings.
WHEEL_MB = 30

#: Modules that `goldgate --help` must not wait for.
HEAVY = ("numpy", "numba", "flint", "rich", "scipy", "torch", "safetensors", "aiohttp", "lm_eval")

_NO_CACHES = shutil.ignore_patterns(
    ".git",
    ".*_cache",
    ".hypothesis",
    "gsm8k-runs",
    ".tox",
    ".venv",
    "__pycache__",
    "build",
    "*.egg-info",
)


@dataclass(frozen=True)
class Environment:
    """A fresh virtual environment."""

    folder: Path

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"

    def run(
        self, *words: str | Path, cwd: Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run its Python in a folder, without what this process's environment adds to the path."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "GOLDGATE"))}
        return subprocess.run(
            [str(self.folder / "bin" / "python"), *map(str, words)],
            cwd=cwd,
            env=clean | environment,
            capture_output=True,
            text=True,
            check=False,
        )


def fresh(folder: Path, *installed: str) -> Environment:
    """Make an environment that sees the named distributions and what they need."""
    venv.create(folder, with_pip=False, symlinks=True)
    made = Environment(folder)
    links = folder / "links"
    links.mkdir()
    for path in {path for name in needed(installed) for path in top_level(name)}:
        (links / path.name).symlink_to(path)
    (made.packages / "links.pth").write_text(f"{links}\n", encoding="utf-8")
    return made


def needed(names: Iterable[str], found: set[str] | None = None) -> set[str]:
    """Return distributions with all that they require, no extras, as they are installed here."""
    found = set() if found is None else found
    for name in names:
        if name not in found:
            found.add(name)
            stated = map(Requirement, metadata.requires(name) or [])
            required = [
                r.name for r in stated if r.marker is None or r.marker.evaluate({"extra": ""})
            ]
            needed(required, found)
    return found


def top_level(name: str) -> Iterator[Path]:
    """Yield the files and folders of a distribution that are at the top of site-packages."""
    distribution = metadata.distribution(name)
    for first in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
        yield Path(str(distribution.locate_file(first)))


def pip_install(into: Environment, *what: str | Path) -> None:
    """Install without looking for anything elsewhere."""
    command = [sys.executable, "-m", "pip", "--python", into.folder / "bin" / "python", "install"]
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run(
        list(map(str, [*command, *options, *what])), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout, so that builds leave nothing in the real one."""
    copy = tmp_path_factory.mktemp("checkout") / "goldgate"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=_NO_CACHES)
    return copy


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the setuptools of the test group."""
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, checkout],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def dependencies(wheel: Path) -> tuple[str, ...]:
    """Return what the wheel itself requires, without extras."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        stated = metadata.PathDistribution(zipfile.Path(wheel, name.removesuffix("METADATA")))
        lines = stated.requires or []
    required = map(Requirement, lines)
    return tuple(r.name for r in required if not r.marker or r.marker.evaluate({"extra": ""}))


@pytest.fixture(scope="session")
def installed(
    wheel: Path, dependencies: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """Install the wheel where its own dependencies are, and no torch."""
    made = fresh(tmp_path_factory.mktemp("installed"), *dependencies)
    pip_install(made, wheel)
    return made


@pytest.fixture(scope="session")
def editable(
    checkout: Path, dependencies: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """Install the copied checkout, editable."""
    made = fresh(tmp_path_factory.mktemp("editable"), *dependencies, "setuptools")
    pip_install(made, "--editable", checkout)
    return made


def test_the_packages_of_the_distribution_are_the_folders() -> None:
    """Each folder with modules is in pyproject's list of packages, and nothing else is."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        stated = tomllib.load(file)["tool"]["setuptools"]
    folders = {
        ".".join(("goldgate", *path.parent.relative_to(ROOT).parts))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }

    assert stated["packages"] == sorted({"goldgate", *folders})
    assert stated["package-dir"] == {"goldgate": "goldgate"} | {
        f"goldgate.{package}": package for package in PACKAGES
    }


def test_the_wheel_is_small_and_puts_one_name_at_the_top(wheel: Path) -> None:
    """Site-packages gets `goldgate`, whole, with every shipped recording and output."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    shipped = [
        path.relative_to(ROOT)
        for folder in ("recordings", "outputs")
        for path in (ROOT / "fixtures" / folder).rglob("*.safetensors")
    ]
    modules = [p.relative_to(ROOT) for package in PACKAGES for p in (ROOT / package).rglob("*.py")]

    assert {name.split("/")[0] for name in names} == {"goldgate"}
    assert {f"goldgate/{path}" for path in [*shipped, *modules]} <= names
    assert "goldgate/py.typed" in names
    assert wheel.stat().st_size < WHEEL_MB * 1e6


def test_an_installation_judges_the_shipped_outputs_from_any_folder(
    installed: Environment, tmp_path: Path
) -> None:
    """The installed judge passes what ships, without torch, in a folder that is no checkout."""
    evidence = tmp_path / "evidence.json"

    done = installed.run("-m", "goldgate", "parity", "--shipped", "--json", evidence, cwd=tmp_path)
    torch = installed.run("-c", "import torch", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    judged = json.loads(evidence.read_text(encoding="utf-8"))["results"]
    outputs = list((ROOT / "fixtures" / "outputs").rglob("*.safetensors"))
    assert len(judged) == len(outputs) > 0
    assert {one["verdict"] for one in judged} == {"PASS"}
    assert "No module named 'torch'" in torch.stderr


@pytest.fixture
def read_only(installed: Environment, tmp_path: Path) -> Iterator[Path]:
    """Copy the installed package to a folder in which nothing can be written."""
    site = tmp_path / "site"
    shutil.copytree(installed.packages / "goldgate", site / "goldgate", ignore=_NO_CACHES)
    folders = [folder for folder in (site, *site.rglob("*")) if folder.is_dir()]
    for folder in folders:
        (folder / "__pycache__").touch()  # a file in its place stops root as well
        folder.chmod(0o555)
    yield site
    for folder in folders:
        folder.chmod(0o755)


def test_a_read_only_installation_judges(
    read_only: Path, installed: Environment, tmp_path: Path
) -> None:
    """Where site-packages cannot be written, compiled code is kept in the user's cache."""
    before = sorted(read_only.rglob("*"))
    fixtures = read_only / "goldgate" / "fixtures"

    done = installed.run(
        *("-m", "goldgate", "judge", "--recordings", fixtures / "recordings"),
        *("--outputs", fixtures / "outputs" / "torch-2.11-eager-h100"),
        cwd=tmp_path,
        PYTHONPATH=str(read_only),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert sorted(read_only.rglob("*")) == before
    assert list((tmp_path / "cache").rglob("*.nbi"))


@pytest.mark.parametrize("name", ["installed", "editable"])
def test_the_program_runs_from_the_root_of_a_checkout(
    name: str, checkout: Path, request: pytest.FixtureRequest
) -> None:
    """The checkout's folder `goldgate/` hides no part of an installation."""
    environment: Environment = request.getfixturevalue(name)

    done = environment.run("-m", "goldgate", "show", "--help", cwd=checkout)
    program = subprocess.run(
        [environment.folder / "bin" / "goldgate", "kernels"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == program.returncode == 0, done.stderr + program.stderr
    assert "torch-eager" in program.stdout


@pytest.mark.parametrize(
    ("name", "inside"), [("installed", True), ("editable", True), ("installed", False)]
)
def test_mypy_finds_the_types(
    name: str, *, inside: bool, checkout: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """An import of a mapped package resolves in a checkout and, installed, in any folder."""
    environment: Environment = request.getfixturevalue(name)
    source = tmp_path / "uses.py"
    source.write_text(
        "from goldgate.accuracy import judge\nreveal_type(judge)\nreveal_type(judge(1))\n",
        encoding="utf-8",
    )

    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"),
            *("--cache-dir", tmp_path / "mypy", "--ignore-missing-imports"),
            *("--python-executable", environment.folder / "bin" / "python", source),
        ],
        cwd=checkout if inside else tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "-> goldgate.accuracy.evaluate.Result" in done.stdout, done.stdout + done.stderr
    assert "[call-arg]" in done.stdout  # judge is no Any


def test_help_imports_no_heavy_module(installed: Environment, tmp_path: Path) -> None:
    """`goldgate --help` imports neither numpy nor what needs it."""
    program = (
        "import sys\n"
        "from goldgate.cli import main\n"
        "try: main(['--help'])\n"
        f"finally: print('imported:', [m for m in {HEAVY} if m in sys.modules])\n"
    )

    done = installed.run("-c", program, cwd=tmp_path)

    assert "imported: []" in done.stdout, done.stdout + done.stderr


def test_a_recorder_needs_numpy_safetensors_and_the_engines_torch(
    wheel: Path, tmp_path: Path
) -> None:
    """`pip install --no-deps` of goldgate records in a serving engine's Python."""
    pytest.importorskip("torch")
    engine = fresh(tmp_path / "engine", *ENGINE)
    pip_install(engine, wheel)
    program = (
        "import importlib, pkgutil\n"
        "import goldgate, goldgate.fixtures\n"
        "from goldgate.fixtures import recorder\n"
        "for module in pkgutil.iter_modules(recorder.__path__):\n"
        "    importlib.import_module(f'{recorder.__name__}.{module.name}')\n"
        "    print(module.name)\n"
    )

    done = engine.run("-c", program, cwd=tmp_path)
    judges = engine.run("-c", "import flint", cwd=tmp_path)
    record = engine.run("-m", "goldgate", "record", "sglang", "--help", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert {"capture", "serve_sglang", "serve_vllm", "recover"} <= set(done.stdout.split())
    assert "No module named 'flint'" in judges.stderr
    assert record.returncode == 0, record.stderr


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a git address needs a clone")
def test_a_git_address_installs(tmp_path: Path) -> None:
    """`pip install git+URL` of a clone gives the program, without anything of the work tree."""
    target = tmp_path / "packages"
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--target", str(target)]

    installed = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, f"git+file://{ROOT}"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert installed.returncode == 0, installed.stderr
    done = subprocess.run(
        [sys.executable, "-m", "goldgate", "--version"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("goldgate ")
    assert (target / "goldgate" / "accuracy" / "evaluate.py").is_file()


def test_somebody_elses_pytest_asserts_parity_with_an_installation(
    wheel: Path, dependencies: tuple[str, ...], tmp_path: Path
) -> None:
    """The pytest example passes in a folder of its own, beside an installed goldgate and torch."""
    pytest.importorskip("torch")
    theirs = fresh(tmp_path / "theirs", *dependencies, "torch", "pytest")
    pip_install(theirs, wheel)
    repository = tmp_path / "repository"
    shutil.copytree(ROOT / "examples" / "pytest", repository)

    done = theirs.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=repository)

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
