"""Compilation, cached in the user's cache folder: an installation stays as it was, read-only too.

numba names a cache after the path of a function's file and its time stamp: every clone and every
environment would compile again, and a function that another file changes would be taken as it was.
The folder here is named after all sources that compiled code is made of and the compiler's version.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.options import DefaultOptions

from goldgate import reference
from goldgate.accuracy import systematic_error

_config: Any = numba.config


def compiled(*fastmath: str, borrows: bool = False) -> Callable[[Any], Any]:
    """Return a decorator that compiles, without the lock and without Python's division errors.

    Args:
        fastmath: LLVM's flags for floating-point operations; none keeps to IEEE 754.
        borrows: whether the function makes no array and keeps none, so that it need not count the
            references to those that it is given. Counting is atomic: of a tile's two dozen arrays
            it takes as long as the arithmetic of a loop over them.

    """
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath) or False}
    if borrows and hasattr(DefaultOptions, "_nrt"):  # private; without it loops are slower
        options["_nrt"] = False

    def compile_cached(function: Any) -> Any:  # noqa: ANN401
        found = numba.njit(function, **options)
        with contextlib.suppress(RuntimeError):  # no folder can be written
            # What numba's cache=True sets.
            found._cache = _Cache(function)  # type: ignore[no-untyped-call]  # noqa: SLF001
        return found

    return compile_cached


class _Locator(_CacheLocator):
    """Where a function's compiled code is kept, wherever its source is."""

    def __init__(self, function: Any) -> None:  # noqa: ANN401
        self._function = function

    def get_cache_path(self) -> str:
        return str(cache_folder() / self._function.__module__)

    def get_source_stamp(self) -> str:
        return ""  # the folder's name is that

    def get_disambiguator(self) -> str:
        return str(self._function.__code__.co_firstlineno)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator | None:  # noqa: ANN401, ARG003
        found = cls(py_func)
        try:
            found.ensure_cache_path()  # type: ignore[no-untyped-call]
        except OSError:
            return None
        return found


class _Contents(CompileResultCacheImpl):
    _locator_classes: list[type[object]] = [_Locator]  # noqa: RUF012 - as its base has it


class _Cache(FunctionCache):
    _impl_class = _Contents


def cache_folder() -> Path:
    """Return where compiled code is kept: NUMBA_CACHE_DIR or the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(_config.CACHE_DIR or Path(home, "goldgate"), f"compiled-{_sources()}")


@functools.cache  # read once: what was imported is what is compiled
def _sources() -> str:
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    files = [
        *Path(__file__).parent.glob("*.py"),
        *Path(str(reference.__file__)).parent.glob("*.py"),
    ]
    for path in sorted([*files, Path(systematic_error.__file__)]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
