"""The cache of compiled code: in the user's folder, named after sources and not after paths."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numba
import pytest

from goldgate.accuracy.fast import compiled

_SOURCE = """
from goldgate.accuracy.fast.compiled import compiled

@compiled()
def twice(x):
    return x + x
"""


def _loaded(folder: Path) -> Any:  # noqa: ANN401 - a dispatcher of numba's
    folder.mkdir()
    path = folder / "doubles.py"
    path.write_text(_SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("doubles", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.twice


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep compiled code in an empty folder."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_another_clone_takes_what_one_compiled(tmp_path: Path, cache: Path) -> None:
    """The same source in another folder, with another time stamp, is not compiled again."""
    first, second = _loaded(tmp_path / "one"), _loaded(tmp_path / "two")

    assert first(2) == second(2) == 4

    assert sum(first.stats.cache_misses.values()) == 1
    assert sum(second.stats.cache_hits.values()) == 1
    assert list(cache.rglob("*.nbi"))
    assert list(tmp_path.rglob("one/*.nbi")) == []


def test_other_sources_have_another_folder(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was compiled of other sources is never taken."""
    _loaded(tmp_path / "one")(2)
    monkeypatch.setattr(compiled, "_sources", lambda: "another")

    second = _loaded(tmp_path / "two")
    second(2)

    assert sum(second.stats.cache_misses.values()) == 1
    assert {path.name for path in cache.iterdir()} >= {"compiled-another"}


def test_without_a_folder_it_is_compiled_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no folder can be made, a function is compiled and kept nowhere."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))

    assert _loaded(tmp_path / "one")(2) == 4
