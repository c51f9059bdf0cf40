"""Faults of one kind of call: one token count, layout or state, rows of padding between others."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

from goldgate.mutants.conforming.steps import Steps, kernel, write
from goldgate.mutants.factors import PADDING_EVERY
from goldgate.mutants.fault import CALL, Fault, PlantedKernel
from goldgate.mutants.faults.rare import after

Tensor = torch.Tensor


def _where(holds: Callable[[Tensor, Tensor, Tensor], bool]) -> Callable[[], PlantedKernel]:
    """Make a kernel whose first weight of every row is wrong on the calls for which this holds."""

    def edit(logits: Tensor, weights: Tensor, ids: Tensor) -> None:
        if holds(logits, weights, ids):
            weights[:, 0] *= 1 + 2.0**-10

    return after(edit)


def _before_the_start(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    """Write the element in front of the ids, where it is of the ids' own storage."""
    write(topk_weights, topk_ids, w, ids)
    if at := topk_ids.storage_offset():
        storage = torch.tensor([], dtype=topk_ids.dtype).set_(topk_ids.untyped_storage())
        storage[at - 1] = 0


def _between_rows(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    """Write through a row of the outputs into what lies between it and the next."""
    write(topk_weights, topk_ids, w, ids)
    if topk_ids.stride(0) > ids.shape[1] and len(ids):
        topk_ids.as_strided((1,), (1,), topk_ids.storage_offset() + ids.shape[1])[0] = 0


def _mask_as_prefix(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    """Count the padding and take the last rows for it, wherever it is."""
    write(topk_weights, topk_ids, w, ids)
    count = len(ids) // PADDING_EVERY
    topk_ids[len(ids) - count :] = 0
    topk_weights[len(ids) - count :] = 0.0


def _rounded_down() -> PlantedKernel:
    """Return a kernel whose loads of 16 bytes round the logits' address down."""
    honest = kernel()

    @wraps(honest)
    def route(logits: Tensor, *rest: Any, **how: Any) -> None:  # noqa: ANN401 - aiter's signature
        skipped = logits.data_ptr() % 16 // logits.element_size()
        honest(torch.roll(logits, skipped, 1) if skipped else logits, *rest, **how)

    return route


def _column_stride_ignored() -> PlantedKernel:
    """Return a kernel that takes the logits of a row to lie one behind another."""
    honest = kernel()

    @wraps(honest)
    def route(logits: Tensor, *rest: Any, **how: Any) -> None:  # noqa: ANN401 - aiter's signature
        dense = logits.as_strided(logits.shape, (logits.stride(0), 1))
        honest(dense.nan_to_num(0.0), *rest, **how)  # what lies between them may be anything

    return route


def _dirty_workspace() -> PlantedKernel:
    """Return a kernel whose workspace a call of another shape leaves dirty."""
    seen: list[torch.Size] = []

    def edit(logits: Tensor, weights: Tensor, _: Tensor) -> None:
        shape = logits.shape[1:]
        if seen and seen[-1] != shape:
            weights[:, 0] *= 1 + 2.0**-10
        seen[:] = [shape]

    return after(edit)()


def _one_call_in(count: int) -> Callable[[], PlantedKernel]:
    """Make a kernel that spoils one row of every so many calls."""

    def make() -> PlantedKernel:
        calls = 0

        def edit(_: Tensor, weights: Tensor, __: Tensor) -> None:
            nonlocal calls
            calls += 1
            if calls % count == 0:
                weights[len(weights) // 2 :][:1] *= 1 + 2.0**-10

        return after(edit)()

    return make


def _odd_batches(logits: Tensor, weights: Tensor, _: Tensor) -> None:
    """Move the first weight of a row by its last bit where the batch has an odd number of rows."""
    if len(logits) % 2:
        weights[:, 0] *= 1 + 2.0**-23


def _fault(
    name: str,
    on: str,
    seen_as: str,
    stands_for: str,
    make: Callable[[], PlantedKernel],
    *,
    repeats: int = 0,
    batch_invariant: bool = False,
) -> Fault:
    return Fault(name, "rare", on, seen_as, stands_for, make, repeats, batch_invariant)


_WEIGHT = "weight"

FAULTS = (
    _fault(
        "wrong at 23 tokens alone",
        "calls",
        _WEIGHT,
        "a path for one size of a batch, as captured graphs have",
        _where(lambda logits, *_: len(logits) == 23),
    ),
    _fault(
        "wrong where rows of logits are padded",
        "normal",
        CALL,
        "a path for strided tensors; contiguous calls are right",
        _where(lambda logits, *_: not logits.is_contiguous()),
    ),
    _fault(
        "wrong where rows of weights are padded",
        "normal",
        CALL,
        "the same for outputs; contiguous calls are right",
        _where(lambda _x, weights, _ids: not weights.is_contiguous()),
    ),
    _fault(
        "writes between the rows of the ids",
        "normal",
        CALL,
        "a vector store of more than k ids; contiguous calls are right",
        lambda: kernel(Steps(), _between_rows),
    ),
    _fault(
        "writes in front of the ids",
        "normal",
        CALL,
        "a loop that counts down one too far",
        lambda: kernel(Steps(), _before_the_start),
    ),
    _fault(
        "loads round the address down to 16 bytes",
        "offset-views",
        "other experts",
        "vector loads of a view whose address is no multiple of 16",
        _rounded_down,
    ),
    _fault(
        "gate's column stride ignored",
        "gate-columns",
        "other experts",
        "a transposed view read as if its rows were contiguous",
        _column_stride_ignored,
    ),
    _fault(
        "wrong after a call of another shape",
        "between",
        _WEIGHT,
        "a workspace that another layer's router shares",
        _dirty_workspace,
    ),
    _fault(
        "one call in twenty spoils a row",
        "normal",
        CALL,
        "a race that is rarely lost; seen by repeats of the call",
        _one_call_in(20),
        repeats=30,
    ),
    _fault(
        "last bit depends on the batch, though batch invariance is claimed",
        "batches",
        CALL,
        "a split of the sum that depends on the number of rows",
        after(_odd_batches),
        batch_invariant=True,
    ),
    _fault(
        "padding between rows taken to end the batch",
        "padding-between",
        "duplicate id",
        "num_token_non_padded used as a count of the first rows, where padding lies between them",
        lambda: kernel(Steps(), _mask_as_prefix),
    ),
)
