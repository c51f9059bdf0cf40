"""An honest float32 kernel, compiled, so that millions of rows can be judged in seconds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

Kernel = Callable[
    [NDArray[np.float32], NDArray[np.float32], int, bool],
    tuple[NDArray[np.int32], NDArray[np.float32]],
]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _route32(
    x: NDArray[np.float32],
    bias: NDArray[np.float32],
    subtract: bool,
    ids: NDArray[np.int32],
    weights: NDArray[np.float32],
) -> None:
    rows, experts = x.shape
    k = ids.shape[1]
    one = np.float32(1)
    best = np.empty(k, np.float32)
    for t in range(rows):
        best[:] = -np.inf
        for e in range(experts):
            s = one / (one + np.float32(math.exp(-x[t, e])))
            c = s + bias[e]
            if c > best[k - 1]:
                j = k - 1
                while j > 0 and c > best[j - 1]:
                    best[j] = best[j - 1]
                    ids[t, j] = ids[t, j - 1]
                    weights[t, j] = weights[t, j - 1]
                    j -= 1
                best[j] = c
                ids[t, j] = e
                weights[t, j] = c - bias[e] if subtract else s
        total = np.float32(0)
        for j in range(k):
            total += weights[t, j]
        for j in range(k):
            weights[t, j] /= total


@pytest.fixture(scope="session")
def honest() -> Kernel:
    """Return a function (logits, bias, k, subtract) -> (ids, weights), all in float32."""

    def run(
        x: NDArray[np.float32], bias: NDArray[np.float32], k: int, subtract: bool = False
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        ids = np.zeros((len(x), k), np.int32)
        weights = np.zeros((len(x), k), np.float32)
        _route32(x, bias, subtract, ids, weights)
        return ids, weights

    return run
