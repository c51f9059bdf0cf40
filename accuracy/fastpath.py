"""Most rows pass without the golden router: in one compiled pass, at the speed of memory.

A row is settled if the ids that the kernel chose beat every other expert for certain, in real
arithmetic: then they are the golden ids, in some order. Its weights are compared with the same
bounds as `goldgate.accuracy.weights` states for arrays (a test keeps the two equal). A row that is
not settled, for whatever reason, is only not settled: the definition in
`goldgate.accuracy.selection` and `goldgate.accuracy.weights` decides it. So nothing fails here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.fast.settle import settle
from goldgate.accuracy.fast.thresholds import Thresholds, thresholds
from goldgate.accuracy.fast.tile import FINE_BUCKETS
from goldgate.accuracy.fast.weigh import MOST_CHOSEN, NARROW
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.systematic_error import BUCKETS, TERMS, ResidualSums
from goldgate.accuracy.weights import ULP_EDGES, expected_weights, sharpness
from goldgate.fixtures.tensorfile import Stored, float32
from goldgate.reference import Profile, RoutingSpec, scale_rounding
from goldgate.reference.scoring import scores

#: Biases beyond this are left to the definition: the bounds of float32 lines would overflow.
LARGEST_BIAS = 2.0**64

_UPPER = np.append(2.0 ** np.arange(-1, FINE_BUCKETS - 2), np.inf)
_COARSE = (np.searchsorted(ULP_EDGES, _UPPER) == np.arange(len(ULP_EDGES))[:, None]).astype(int)


@dataclass(frozen=True)
class Screened:
    """What the pass found in n rows.

    Attributes:
        codes: `UNSETTLED`, `DESCENDING` or `UNORDERED`, uint8 [n].
        narrow: settled rows whose logits a narrower type may hold, by some of the chosen, bool [n].
        over_bound: a settled row's largest weight error over its bound, float64 [n].
        histogram: of the settled rows' weight errors in ulps, by `ULP_EDGES`.
        sums: of the settled rows, for the systematic error.

    """

    codes: NDArray[np.uint8]
    narrow: NDArray[np.bool_]
    over_bound: NDArray[np.float64]
    histogram: NDArray[np.int64]
    sums: ResidualSums


def applies(spec: RoutingSpec) -> bool:
    """Say whether rows of this router can be screened: sigmoid or softmax, few experts a token."""
    return spec.scoring in ("sigmoid", "softmax") and spec.top_k <= MOST_CHOSEN


def screen(rows: Rows, contract: Contract) -> Screened:
    """Screen n rows of a router that `applies`.

    Args:
        rows: the padding is left unsettled. Without weights, rows are settled by their ids and the
            weights' errors say nothing.
        contract: of float32 weights. If it is `ordered`, rows whose ids do not descend are left
            unsettled.

    """
    spec, profile, bias = contract.spec, contract.profile, rows.bias
    logits, weights = rows.logits, weights_to_screen(rows, spec)
    codes, over = np.zeros(len(rows), dtype=np.uint8), np.zeros(len(rows))
    fine = np.zeros(FINE_BUCKETS, dtype=np.int64)
    sums = np.zeros((2, BUCKETS, TERMS))
    counted = 0
    # Softmax of scaled logits errs with |x|, which `fast.lines` does not follow.
    scaled = spec.scoring == "softmax" and profile.prescaled > 0.0
    if float(np.abs(bias).max()) < LARGEST_BIAS and not scaled:
        table = _table(bias, spec)
        counted = settle(
            np.ascontiguousarray(compilable(logits)),
            bias,
            (
                spec.scoring == "softmax",
                spec.num_expert_group,
                spec.topk_group,
                spec.group_terms,
            ),
            table.base,
            table.logits,
            np.ascontiguousarray(rows.ids),
            np.ascontiguousarray(weights),
            rows.padding,
            # The definition finds out which float64 cannot tell from the chosen scores alone.
            contract.ordered or spec.scoring != "sigmoid",
            figures(spec, profile),
            codes,
            over,
            fine,
            sums,
        )
    return screened(codes, over, fine, ResidualSums(int(counted), sums))


def screened(
    codes: NDArray[np.uint8],
    over: NDArray[np.float64],
    fine: NDArray[np.int64],
    sums: ResidualSums,
) -> Screened:
    """Return what a pass wrote, its codes apart and the histogram by `ULP_EDGES`."""
    code = np.bitwise_and(codes, NARROW - 1, dtype=np.uint8)
    return Screened(code, codes >= NARROW, over, whole_histogram(fine), sums)


def compilable(logits: Stored) -> Stored:
    """Return stored logits as compiled code takes them: float16 by its bits, as int16."""
    return logits.view(np.int16) if logits.dtype == np.float16 else logits


def weights_to_screen(rows: Rows, spec: RoutingSpec) -> NDArray[np.float32]:
    """Return the weights; right ones where there are none, which leaves the ids alone to settle."""
    if rows.weights is not None:
        return rows.weights
    at = np.clip(rows.ids, 0, spec.num_experts - 1)
    # Softmax scores of the chosen alone: in proportion to each other as in the whole row.
    x = float32(np.take_along_axis(rows.logits, at, axis=1)).astype(np.float64)
    return expected_weights(scores(x, spec.scoring), spec).astype(np.float32)


def _table(bias: NDArray[np.float64], spec: RoutingSpec) -> Thresholds:
    if spec.scoring == "sigmoid" and spec.topk_group == spec.num_expert_group:
        return thresholds(bias, spec.top_k)
    return Thresholds(0.0, np.zeros((0, spec.num_experts), np.float32))


def figures(spec: RoutingSpec, profile: Profile) -> tuple[float, ...]:
    """Return what the bounds are made of: of the arithmetic in u, of the router its scale."""
    return (
        profile.slope,
        profile.exp,
        profile.divide,
        profile.tanh,
        float(profile.recovered),
        float(spec.renormalize),
        spec.routed_scaling_factor,
        abs(scale_rounding(spec)),
        sharpness(profile),
    )


def whole_histogram(fine: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum up buckets of a factor of two, as `ULP_EDGES` has them."""
    return np.asarray(_COARSE @ fine)
