"""Most rows are settled without the golden router: their ids are certified in one cheap pass.

A row is settled if the ids the kernel chose beat every other expert by more than rounding can move
either (`reference.selection_error_ceiling`); then they are the golden ids, in some order. The pass
takes the chosen experts' scores in float64 and, for the others, only an upper bound of a cheap
float32 sigmoid; an expert that comes near is looked at again in float64. Rows that are not settled
say nothing: the golden router decides them.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from reference import U

#: Codes of `screen`: not settled; settled, in descending order; settled, in another order.
UNSETTLED, DESCENDING, UNORDERED = 0, 1, 2

#: Bound on the absolute error of the cheap sigmoid: the polynomial's remainder and the rounding of
#: its six squarings stay under 4e-6 (the tests measure it over all bfloat16 and random float32
#: logits); doubled and more.
CHEAP_ERROR = 1e-5

#: Bound on the float64 error of a biased score, relative to 1 + |b|: 4 u64 for the sigmoid and
#: rounding of the addition, generously.
_ERROR64 = 1e-14


def screen(
    logits: NDArray[np.float32],
    bias: NDArray[np.float64],
    ceiling: NDArray[np.float64],
    ids: NDArray[np.int32],
) -> NDArray[np.uint8]:
    """Return a code for each row: `UNSETTLED`, `DESCENDING` or `UNORDERED`, uint8 [n].

    For sigmoid scores and one group.

    Args:
        logits: float32 [n, E].
        bias: float64 [E].
        ceiling: a bound on |c' - c| over all logits, float64 [E].
        ids: int32 [n, k], as the kernel returned them, whatever they are.

    """
    top = float(bias.max())
    # Biases relative to the largest keep float32 exact enough; what it still rounds is added.
    spread = float(top - bias.min())
    slack = CHEAP_ERROR + 8 * U * (spread + 2.0)
    raised = (bias - top + ceiling + slack).astype(np.float32)
    codes = np.empty(len(logits), dtype=np.uint8)
    _screen(
        np.ascontiguousarray(logits),
        bias,
        ceiling,
        raised,
        np.float64(top),
        np.ascontiguousarray(ids),
        codes,
    )
    return codes


@numba.njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def _cheap_exp(t: np.float32) -> np.float32:
    """exp(t) for |t| <= 20, in operations that vectorise: a polynomial of t / 64, squared 6 times.

    Outside, t is clamped: the sigmoid is then within 2.1e-9 of its limit. NaN counts as 20.
    """
    t = t if t < np.float32(20) else np.float32(20)  # noqa: PLR1730 - min() treats NaN otherwise
    t = t if t > np.float32(-20) else np.float32(-20)  # noqa: PLR1730 - as above
    y = t * np.float32(1 / 64)
    p = np.float32(1 / 720)
    p = p * y + np.float32(1 / 120)
    p = p * y + np.float32(1 / 24)
    p = p * y + np.float32(1 / 6)
    p = p * y + np.float32(1 / 2)
    p = p * y + np.float32(1)
    p = p * y + np.float32(1)
    p *= p
    p *= p
    p *= p
    p *= p
    p *= p
    p *= p
    return p


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def cheap_sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cheap sigmoid of a one-dimensional array; for the test that measures its error."""
    out = np.empty_like(logits)
    for i in range(logits.size):
        out[i] = np.float32(1) / (np.float32(1) + _cheap_exp(-logits[i]))
    return out


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _biased(x: np.float32, b: np.float64) -> np.float64:
    return 1.0 / (1.0 + math.exp(-np.float64(x))) + b if x > -700 else b + 0.0 * x


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})  # type: ignore[untyped-decorator]
def _screen(
    logits: NDArray[np.float32],
    bias: NDArray[np.float64],
    ceiling: NDArray[np.float64],
    raised: NDArray[np.float32],
    top: np.float64,
    ids: NDArray[np.int32],
    codes: NDArray[np.uint8],
) -> None:
    experts = logits.shape[1]
    k = ids.shape[1]
    chosen = np.zeros(experts, dtype=np.bool_)
    one = np.float32(1)
    for t in range(logits.shape[0]):
        row = logits[t]
        codes[t] = UNSETTLED
        marked = 0
        threshold = np.inf
        before = np.inf
        descending = True
        for j in range(k):
            i = ids[t, j]
            if i < 0 or i >= experts or chosen[i] or np.isnan(row[i]):
                break
            chosen[i] = True
            marked += 1
            error = _ERROR64 * (1.0 + abs(bias[i]))
            c = _biased(row[i], bias[i])
            descending = descending and before - c > error
            before = c - error
            threshold = min(threshold, c - ceiling[i] - error)
        if marked == k:
            cut = np.float32(threshold - top)
            near = np.int32(0)
            for i in range(experts):
                # sigmoid(x) + raised > cut, multiplied out so that nothing is divided.
                near += np.int32(one > (cut - raised[i]) * (one + _cheap_exp(-row[i])))
            if near != k:  # a NaN may count here; not below
                near = k
                for i in range(experts):
                    if not chosen[i] and not np.isnan(row[i]):
                        bar = threshold - bias[i] - ceiling[i] - _ERROR64 * (1.0 + abs(bias[i]))
                        if bar <= 0.0 or _biased(row[i], 0.0) >= bar:
                            near += 1
                            break
            if near == k:
                codes[t] = DESCENDING if descending else UNORDERED
        for j in range(marked):
            chosen[ids[t, j]] = False
