"""Faults of groups: which are scored, how, and what becomes of the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from goldgate.mutants.conforming.steps import (
    Call,
    Float32,
    Steps,
    exclude,
    keep_groups,
    kernel,
    two_largest,
)
from goldgate.mutants.fault import Fault

_NOTHING = np.float32(-np.inf)


def _interleaved(c: Float32, call: Call) -> Float32:
    """Take expert i to be of group i mod G instead of i // (E / G)."""
    order = np.arange(call.experts).reshape(-1, call.groups).T.reshape(-1)
    out = np.empty_like(c)
    out[:, order] = exclude(np.ascontiguousarray(c[:, order]), call)
    return out


def _one_lane(c: Float32, call: Call) -> Float32:
    """Score only the first expert of every four, as a wrong lane count does with few groups."""
    return exclude(np.where(np.arange(call.experts) % 4 == 0, c, _NOTHING), call)


def _grouped(c: Float32, call: Call, masked: float) -> Float32:
    return np.where(keep_groups(c, call, two_largest), c, np.float32(masked))


def _fewer(c: Float32, call: Call) -> Float32:
    return exclude(c, replace(call, topk_group=call.topk_group - 1))


def _by_group_sum(c: Float32, call: Call) -> Float32:
    return np.where(keep_groups(c, call, lambda g: g.sum(axis=-1)), c, _NOTHING)


def _by_group_largest(c: Float32, call: Call) -> Float32:
    return np.where(keep_groups(c, call, lambda g: g.max(axis=-1)), c, _NOTHING)


def _by_two_largest(c: Float32, call: Call) -> Float32:
    return np.where(keep_groups(c, call, two_largest), c, _NOTHING)


def _fault(name: str, on: str, stands_for: str, steps: Steps) -> Fault:
    return Fault(name, "selection", on, "other experts", stands_for, lambda: kernel(steps))


FAULTS = (
    _fault(
        "groups ignored",
        "grouped",
        "num_expert_group not passed on",
        Steps(exclude=lambda c, _: c),
    ),
    _fault(
        "excluded groups masked with 0",
        "grouped-negative",
        "negative biased scores lose to excluded experts: aiter's torch reference, vllm#13474",
        Steps(exclude=lambda c, call: _grouped(c, call, 0.0)),
    ),
    _fault(
        "one group too few stays",
        "grouped",
        "topk_group off by one",
        Steps(exclude=_fewer),
    ),
    _fault(
        "group score is its largest",
        "grouped",
        "the grouped top-k of a router without bias",
        Steps(exclude=_by_group_largest),
    ),
    _fault(
        "group score is the sum of its two largest",
        "softmax-groups",
        "the grouped top-k of a router with a bias, for one without",
        Steps(exclude=_by_two_largest),
    ),
    _fault(
        "excluded groups masked with -10000",
        "grouped-below",
        "a finite number for -inf: biased scores below it lose to excluded experts, and no router "
        "that is in use has them",
        Steps(exclude=lambda c, call: _grouped(c, call, -10000.0)),
    ),
    _fault(
        "group score is its sum",
        "grouped",
        "all members added instead of two",
        Steps(exclude=_by_group_sum),
    ),
    _fault(
        "groups interleaved",
        "grouped",
        "expert i taken to be of group i mod G",
        Steps(exclude=_interleaved),
    ),
    _fault(
        "one lane's experts scored",
        "four-groups",
        "2 or 4 groups: aiter#2153, 25 of 64 rows right under emulation",
        Steps(exclude=_one_lane),
    ),
    _fault(
        "one lane's experts scored, two groups",
        "two-groups",
        "2 or 4 groups: aiter#2153",
        Steps(exclude=_one_lane),
    ),
)
