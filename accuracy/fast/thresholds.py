"""Which logits can come near a row's chosen experts: a table, made once for a bias.

An expert i competes with the chosen ones if s_i + b_i reaches their lowest biased score, the row's
cut. Solved for the logit, that is x_i >= logit(cut - b_i): a comparison instead of an exponential.
The cut is rounded down to one of `STEPS` steps, so that all thresholds are a table; what passes is
looked at exactly. Of the right ids, the cut is between the k-th largest bias and 1 more. The steps
are quadratic: finer where scores, and their differences, are small.
"""

from __future__ import annotations

import functools
import math
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Steps of the cut. With 2,048, 96 of 100 rows of N(0, 1) logits over 256 experts have no other
#: expert between their cut and its step.
STEPS = 2048

#: Bound on the float64 error of a biased score, relative to 1 + |b|: 4 u64 for the sigmoid and
#: rounding of the addition, generously.
ERROR64 = 1e-14

#: A threshold is lowered by so much of 1 + its size: float32's rounding, and float64's in the
#: logarithms, many times over.
_LOWERED = 1e-6

#: Steps made at a time: 1 MiB of float64 at E = 256.
_PART = 512

_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Thresholds:
    """The least logits with which experts can reach a cut.

    Attributes:
        base: the k-th largest bias; step i starts at base + (i / STEPS)**2.
        logits: float32 [STEPS, E]; -inf where every logit reaches it, inf where only inf may.

    """

    base: float
    logits: NDArray[np.float32]


def thresholds(bias: NDArray[np.float64], top_k: int) -> Thresholds:
    """Return the table for a bias [E] and k experts a token; the last few are kept."""
    with _one_at_a_time:
        return _thresholds(bias.tobytes(), top_k)


@functools.lru_cache(maxsize=2)
def _thresholds(bias_bytes: bytes, top_k: int) -> Thresholds:
    bias = np.frombuffer(bias_bytes)
    base = float(np.sort(bias)[-top_k])
    table = np.empty((STEPS, len(bias)), np.float32)
    for start in range(0, STEPS, _PART):
        steps = np.arange(start, min(start + _PART, STEPS))
        cuts = base + (steps / STEPS) ** 2
        table[steps] = _least_logits(cuts[:, None] - bias - ERROR64 * (1.0 + np.abs(bias)))
    return Thresholds(base, table)


def _least_logits(bars: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return float32 logits below which no score reaches the bars."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.log(bars) - np.log1p(-bars)
        x -= _LOWERED * (1.0 + np.abs(x))
    x = np.where(bars <= 0.0, -math.inf, np.where(bars >= 1.0, math.inf, x))
    return np.asarray(x, np.float32)
