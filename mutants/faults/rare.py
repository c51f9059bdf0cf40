"""Faults that show rarely: at one size, in one row of a million, on one call."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

from goldgate.mutants.conforming.compiled import compiled
from goldgate.mutants.conforming.steps import kernel
from goldgate.mutants.fault import CALL, Fault, PlantedKernel

Tensor = torch.Tensor

#: What a fault does after an honest kernel: to (logits, weights, ids).
Edit = Callable[[Tensor, Tensor, Tensor], None]


def after(edit: Edit, honest: Callable[[], PlantedKernel] = kernel) -> Callable[[], PlantedKernel]:
    """Make a kernel that edits what an honest one wrote."""

    def make() -> PlantedKernel:
        right = honest()

        @wraps(right)  # its signature: what it is told reaches the honest kernel
        def route(
            logits: Tensor,
            bias: Tensor,
            weights: Tensor,
            ids: Tensor,
            *rest: Any,  # noqa: ANN401 - aiter's signature
            **how: Any,  # noqa: ANN401 - what it is told
        ) -> None:
            right(logits, bias, weights, ids, *rest, **how)
            edit(logits, weights, ids)

        return route

    return make


def _one_in_a_million(logits: Tensor) -> Tensor:
    """Return the rows whose first two logits' bits, hashed, are 0 of 2**18: a few."""
    bits = logits[:, :2].contiguous().view(torch.int32).long()
    return torch.nonzero((bits[:, 0] * 2654435761 + bits[:, 1] * 40503) % 2**18 == 0)[:, 0]


def _rare_id(logits: Tensor, _: Tensor, ids: Tensor) -> None:
    at = _one_in_a_million(logits)
    unused = torch.arange(logits.shape[1])
    for t in at.tolist():
        ids[t, -1] = next(i for i in unused.tolist() if i not in ids[t].tolist())


def _rare_weight(logits: Tensor, weights: Tensor, _: Tensor) -> None:
    weights[_one_in_a_million(logits), 0] *= 1 + 2.0**-17


def _rare_pair(logits: Tensor, weights: Tensor, _: Tensor) -> None:
    at = _one_in_a_million(logits)
    weights[at] = weights[at].flip(1)


def _above(rows: int, edit: Edit) -> Edit:
    return lambda logits, weights, ids: edit(logits, weights, ids) if len(ids) > rows else None


def _at(shape: tuple[int, int], edit: Edit) -> Edit:
    """Edit at one pair of experts and k."""

    def only(logits: Tensor, weights: Tensor, ids: Tensor) -> None:
        if (logits.shape[1], ids.shape[1]) == shape:
            edit(logits, weights, ids)

    return only


def _unscaled(_: Tensor, weights: Tensor, __: Tensor) -> None:
    weights /= 2.5


def _crash(*_: Tensor) -> None:
    raise RuntimeError("invalid configuration argument")


def _tail(_: Tensor, weights: Tensor, ids: Tensor) -> None:
    weights[54272:] = 0.0
    ids[54272:] = 0


def _wrong_weights(_: Tensor, weights: Tensor, __: Tensor) -> None:
    weights *= 1 + 2.0**-13


def _dead(logits: Tensor, weights: Tensor, _: Tensor) -> None:
    groups = logits.float().reshape(len(logits), 8, -1)
    weights[((groups == -torch.inf) | groups.isnan()).all(dim=2).any(dim=1)] = torch.nan


def _five_arguments() -> PlantedKernel:
    """Return a kernel of an older signature."""

    def route(
        logits: Tensor, bias: Tensor, weights: Tensor, ids: Tensor, need_renorm: bool
    ) -> None:
        kernel()(logits, bias, weights, ids, 1, 1, need_renorm)

    return route


def _right_calls(count: int) -> Callable[[], PlantedKernel]:
    """Make a kernel that is right on its first calls only."""

    def make() -> PlantedKernel:
        calls = 0

        def edit(_: Tensor, weights: Tensor, __: Tensor) -> None:
            nonlocal calls
            calls += 1
            if calls > count:
                weights[:, 0] *= 1 + 2.0**-10

        return after(edit)()

    return make


def _race() -> PlantedKernel:
    """Return a kernel whose last bit depends on the call, as an unordered reduction's does."""
    calls = 0

    def edit(_: Tensor, weights: Tensor, __: Tensor) -> None:
        nonlocal calls
        calls += 1
        if calls % 2 == 0:
            weights[::97] *= 1 + 2.0**-23

    return after(edit)()


def captured() -> PlantedKernel:
    """Return a kernel that, as a captured graph, reads its first call's inputs ever after."""
    honest = kernel()
    captured: dict[torch.Size, Tensor] = {}

    def route(logits: Tensor, *rest: Any) -> None:  # noqa: ANN401 - aiter's signature
        captured.setdefault(logits.shape, logits.clone())
        honest(captured[logits.shape], *rest)

    return route


def _fault(
    name: str, on: str, seen_as: str, stands_for: str, make: Callable[[], PlantedKernel]
) -> Fault:
    return Fault(name, "rare", on, seen_as, stands_for, make)


_OTHER, _WEIGHT = "other experts", "weight"

FAULTS = (
    _fault(
        "one id in a million rows",
        "million",
        _OTHER,
        "a race, a rare branch",
        after(_rare_id, compiled),
    ),
    _fault(
        "one weight in a million rows, by 2**-17",
        "million",
        _WEIGHT,
        "a race, a rare branch",
        after(_rare_weight, compiled),
    ),
    _fault(
        "weights in reverse in one of a million rows",
        "million",
        _WEIGHT,
        "a race, a rare branch",
        after(_rare_pair, compiled),
    ),
    _fault(
        "scale missing above 54,272 tokens",
        "many",
        _WEIGHT,
        "a second kernel chosen by token count: aiter moe_fused_gate",
        after(_above(54272, _unscaled)),
    ),
    _fault(
        "weights wrong above 65,536 tokens",
        "many",
        _WEIGHT,
        "an index of sixteen bits",
        after(_above(65536, _wrong_weights)),
    ),
    _fault(
        "crash above 54,272 tokens",
        "many",
        CALL,
        "aiter#2359, aiter#2369, aiter#2604",
        after(_above(54272, _crash)),
    ),
    _fault(
        "rows above 54,272 zero",
        "many",
        "duplicate id",
        "a grid's limit",
        after(_above(54272, _tail)),
    ),
    _fault(
        "weights wrong at 128 experts, top-8 only",
        "128-experts",
        _WEIGHT,
        "vLLM-metax#270",
        after(_at((128, 8), _wrong_weights)),
    ),
    _fault(
        "wrong for a single token",
        "one-row",
        _WEIGHT,
        "a kernel for decoding, chosen at one row",
        after(lambda x, w, _: w.mul_(1.01) if len(x) == 1 else None),  # type: ignore[arg-type]  # a statement
    ),
    _fault(
        "row NaN where a group is -inf",
        "dead-group",
        "nonfinite weight",
        "a whole group -inf with 8 of 8 groups kept (aiter, emulated; there it also writes "
        "out of bounds)",
        after(_dead),
    ),
    _fault(
        "row NaN where a group is NaN",
        "dead-group-nan",
        "nonfinite weight",
        "a whole group NaN with 8 of 8 groups kept (aiter, emulated)",
        after(_dead),
    ),
    _fault(
        "takes five arguments",
        "normal",
        CALL,
        "the signature grew from five to seven: vllm#43873",
        _five_arguments,
    ),
    _fault(
        "wrong on every call but the first",
        "normal",
        _WEIGHT,
        "a workspace not cleared",
        _right_calls(1),
    ),
    _fault(
        "wrong from the third call on",
        "normal",
        CALL,
        "a ring of two buffers, a warm-up that is not what is timed or served",
        _right_calls(2),
    ),
    _fault(
        "last bit differs from call to call",
        "normal",
        CALL,
        "an unordered reduction",
        _race,
    ),
    _fault(
        "graph replay reads the capture's inputs",
        "normal",
        _OTHER,
        "pointers frozen at capture; emulated on the CPU, no graph is captured here",
        captured,
    ),
)
