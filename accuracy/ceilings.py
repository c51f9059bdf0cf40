"""Which failing rows a known failure excuses: those that it lists, up to its ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.known_failures import KnownFailure
from goldgate.accuracy.selection import Reason
from goldgate.fixtures import Output, Recording
from goldgate.reference import route

#: Known failures, each with rows of it.
Rows = tuple[tuple[KnownFailure, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Excused:
    """What known failures say of the failing rows.

    Attributes:
        rows: whether each failing row is excused, bool, as long as the failing rows.
        stale: known failures with the rows that they list and that do not fail so.
        beyond: known failures with the rows that they list and that fail by more than the ceiling.

    """

    rows: NDArray[np.bool_]
    stale: Rows
    beyond: Rows


def excuse(
    failing: NDArray[np.int64],
    reasons: NDArray[np.int8],
    over_bound: NDArray[np.float64],
    met: Sequence[KnownFailure],
    recording: Recording,
    output: Output,
) -> Excused:
    """Hold failing rows against the known failures that are about their kernel and recording.

    Args:
        failing: rows, ascending, int64 [n].
        reasons: why each fails, `Reason` codes, int8 [n].
        over_bound: the largest error of the finite weights of each over their bound, float64 [n].
        met: the known failures.
        recording: what was routed.
        output: what the kernel returned.

    """
    excused = np.zeros(len(failing), dtype=bool)
    stale, beyond = [], []
    names = np.array([reason.text for reason in Reason])
    for known in met:
        listed = (names[reasons] == known.reason) & np.isin(failing, known.rows)
        at = np.flatnonzero(listed)
        worse = _exceeds(known, failing[at], over_bound[at], recording, output)
        excused[at[~worse]] = True
        if worse.any():
            beyond.append((known, tuple(failing[at[worse]].tolist())))
        gone = tuple(sorted(set(known.rows) - set(failing[at].tolist())))
        if gone:
            stale.append((known, gone))
    return Excused(excused, tuple(stale), tuple(beyond))


def _exceeds(
    known: KnownFailure,
    rows: NDArray[np.int64],
    over_bound: NDArray[np.float64],
    recording: Recording,
    output: Output,
) -> NDArray[np.bool_]:
    """Say which of n listed rows fail by more than the ceiling.

    An infinite weight always does, and NaN where the failure is not known to be NaN.
    """
    worse = np.zeros(len(rows), dtype=bool)
    if known.largest_error_over_bound is not None:
        worse |= over_bound > known.largest_error_over_bound
    most = np.inf if known.largest_weight is None else known.largest_weight
    for i, row in enumerate(rows.tolist()):
        if output.topk_weights is not None:
            sizes = np.abs(output.weights(row, row + 1))
            worse[i] |= bool(np.isnan(sizes).any()) and not known.allows_nan
            worse[i] |= bool((np.isinf(sizes) | (sizes > most)).any())
        if known.largest_other_experts is not None:
            golden = route(recording.logits(row, row + 1), recording.bias(), recording.spec)
            others = ~np.isin(output.ids(row, row + 1), golden.ids)
            worse[i] |= int(others.sum()) > known.largest_other_experts
    return worse
