"""Compilation, cached in the user's cache folder: an installation stays as it was, read-only too.

numba looks at the time stamp of a function's own file alone, so a function that another file
changes would be taken from the cache as it was. The folder is therefore named after all sources
that compiled code is made of.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from goldgate import reference
from goldgate.accuracy import systematic_error

_config: Any = numba.config


def compiled(*fastmath: str) -> Callable[[Any], Any]:
    """Return a decorator that compiles, without the lock and without Python's division errors.

    Args:
        fastmath: LLVM's flags for floating-point operations; none keeps to IEEE 754.

    """
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath) or False}

    def compile_cached(function: Any) -> Any:  # noqa: ANN401
        before = _config.CACHE_DIR
        _config.CACHE_DIR = str(cache_folder())
        try:
            return numba.njit(function, cache=True, **options)
        except RuntimeError:  # no folder can be written
            return numba.njit(function, **options)
        finally:
            _config.CACHE_DIR = before

    return compile_cached


def cache_folder() -> Path:
    """Return where compiled code is kept: NUMBA_CACHE_DIR or the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(_config.CACHE_DIR or Path(home, "goldgate"), f"compiled-{_sources()}")


@functools.cache  # read once: what was imported is what is compiled
def _sources() -> str:
    digest = hashlib.sha256()
    files = [
        *Path(__file__).parent.glob("*.py"),
        *Path(str(reference.__file__)).parent.glob("*.py"),
    ]
    for path in sorted([*files, Path(systematic_error.__file__)]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
