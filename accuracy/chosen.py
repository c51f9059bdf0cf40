"""The exact scores at the ids that a kernel chose, with what their weights' bounds are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldgate.accuracy.rows import Contract, Rows
from goldgate.fixtures.tensorfile import float32
from goldgate.reference import score_error
from goldgate.reference.scoring import scores, sensitivity

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Chosen:
    """What n rows have at k ids each, float64 [n, k].

    Attributes:
        x: logits.
        s: exact scores.
        error: the bound on a float32 kernel's error of each score.
        z: the scores' sensitivities (`goldgate.reference.scoring.sensitivity`).
        bias: biases.
        argument: what a softmax kernel exponentiates up to what its row shares: x - max, or the
            logit where it scales first. Rounding depends on it: two scores that differ by their
            rows' sums alone err alike. None: on the score.

    """

    x: Float64
    s: Float64
    error: Float64
    z: Float64
    bias: Float64
    argument: Float64 | None = None


def choose(rows: Rows, at: NDArray[np.integer], contract: Contract) -> Chosen:
    """Return what rows have at the ids `at` [n, k], all of which are in range."""
    spec, logits = contract.spec, rows.logits
    own = spec.scoring == "sigmoid"  # a score is its own logit's: no other column is needed
    if own:
        logits = np.take_along_axis(logits, at, axis=1)
    x = float32(logits).astype(np.float64)
    s = scores(x, spec.scoring)
    error, z = score_error(x, s, spec, contract.profile), sensitivity(x, s, spec.scoring)
    if not own:
        x, s, error, z = (np.take_along_axis(values, at, axis=1) for values in (x, s, error, z))
    argument = None
    if spec.scoring == "softmax":  # its sensitivity is x - max
        argument = x if contract.profile.prescaled else z
    return Chosen(x, s, error, z, rows.bias[at], argument)
