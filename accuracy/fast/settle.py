"""Most rows are settled in tiles: nothing is looked at of an expert that cannot matter.

A row is settled here if its ids are the golden ones and its weights within their bounds, both
beyond what float64 can be wrong by. Every other row is only left: nothing fails here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.compiled import compiled
from goldgate.accuracy.fast.lines import (
    line_error,
    reject_rivalled_in,
    sigmoid_lines,
    softmax_error,
    softmax_lines,
    transpose,
)
from goldgate.accuracy.fast.rivals import order_chosen, reject_rivalled, sigmoid_scores
from goldgate.accuracy.fast.thresholds import ERROR64
from goldgate.accuracy.fast.tile import TILE, empty_tile, gather, load, look_ahead
from goldgate.accuracy.fast.weigh import (
    add_rows,
    bound_scores,
    bound_weights,
    compare_weights,
    find_buckets,
)


@compiled()
def settle(
    stored: Any,  # noqa: ANN401 - float32, or 16 bits of a float
    bias: NDArray[np.float64],
    router: tuple[bool, int, int, int],
    base: float,
    least: NDArray[np.float32],
    ids: NDArray[np.int32],
    weights: NDArray[np.float32],
    skip: NDArray[np.bool_],
    ordered: bool,
    figures: tuple[float, ...],
    codes: NDArray[np.uint8],
    over: NDArray[np.float64],
    histogram: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> int:
    """Fill codes, over, histogram and sums; return the rows that the sums hold."""
    softmax, groups, stay, group_terms = router
    rows, experts = stored.shape
    tile = empty_tile(experts, ids.shape[1])
    error = line_error(bias, softmax)
    added = 0
    for start in range(0, rows, TILE):
        stop = min(start + TILE, rows)
        logits = load(stored, start, stop, tile.logits)  # type: ignore[no-untyped-call]
        look_ahead(tile, stored, stop)
        gather(tile, stored, logits, start, bias, ids, weights, skip)
        if softmax:
            transpose(tile, stored, logits)
            softmax_lines(tile, start, stop - start, bias, ids, figures)
            order_chosen(tile, stored, softmax_error(experts))
            reject_rivalled_in(
                tile, tile.lines, start, stop - start, ids, groups, stay, group_terms, error
            )
        else:
            sigmoid_scores(tile, stored)
            order_chosen(tile, stored, ERROR64)
            if stay < groups:
                transpose(tile, stored, logits)
                sigmoid_lines(tile, bias)
                reject_rivalled_in(
                    tile, tile.across, start, stop - start, ids, groups, stay, group_terms, error
                )
            else:
                reject_rivalled(tile, stored, logits, start, bias, base, least, ids)
        bound_scores(tile, stored, softmax, figures)
        bound_weights(tile, stored, figures)
        compare_weights(tile, stored, softmax)
        find_buckets(tile, stored, figures[4] > 0.0, softmax)
        if ordered:
            tile.sound[:] &= tile.descends
        added += add_rows(tile, stored, start, stop - start, codes, over, histogram, sums)
    return added
