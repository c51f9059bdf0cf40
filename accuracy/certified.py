"""Which rows a kernel's arithmetic cannot route otherwise, whatever its last bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goldgate.fixtures import Recording
from goldgate.reference import Profile, group_error, route, selection_error
from goldgate.reference.router import group_scores

_BLOCK_LOGITS = 1 << 20


def uncertified(recording: Recording, profile: Profile) -> int:
    """Return how many defined rows are not certified (docs/routing-contract.md, section 4).

    A row is certified if every selected expert is apart from every rejected one by more than the
    error bounds of both, and every group that stays likewise from every group that does not.

    Args:
        recording: the inputs; padding counts as not defined.
        profile: the kernel's arithmetic.

    """
    size = max(1, _BLOCK_LOGITS // recording.spec.num_experts)
    return sum(
        int((~_certified(recording, profile, start, start + size)).sum())
        for start in range(0, recording.rows, size)
    )


def _certified(recording: Recording, profile: Profile, start: int, stop: int) -> NDArray[np.bool_]:
    """Return which of rows start to stop are certified or not defined, bool [n]."""
    spec, logits = recording.spec, recording.logits(start, stop).astype(np.float64)
    bias = recording.bias().astype(np.float64)
    golden = route(logits, bias, spec)
    errors = selection_error(logits, golden.scores, bias, spec, profile)
    inside = np.repeat(golden.groups, spec.group_size, axis=1)
    chosen = np.zeros(inside.shape, bool)
    np.put_along_axis(chosen, golden.ids, values=True, axis=1)
    apart = _apart(golden.biased, errors, chosen, inside & ~chosen)
    if spec.num_expert_group > spec.topk_group:
        scores = group_scores(golden.biased, spec)
        moved = group_error(golden.biased, errors, spec)
        apart &= _apart(scores, moved, golden.groups, ~golden.groups)
    return apart | ~golden.defined | recording.padding(start, stop)


def _apart(
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    chosen: NDArray[np.bool_],
    rejected: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Say in which rows the lowest chosen value is above the highest rejected one."""
    low = np.where(chosen, values - errors, np.inf).min(axis=1)
    high = np.where(rejected, values + errors, -np.inf).max(axis=1)
    return np.asarray(low > high)
