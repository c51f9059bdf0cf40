"""Faults of memory: what is written where."""

from __future__ import annotations

from collections.abc import Callable

import torch

from goldgate.mutants.conforming.steps import Steps, Write, kernel, write
from goldgate.mutants.fault import CALL, Fault
from goldgate.mutants.recordings import PADDING_ROWS

Tensor = torch.Tensor


def _rows(count: int) -> Write:
    def fault(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
        write(topk_weights[:count], topk_ids[:count], w[:count], ids[:count])

    return fault


def _whole_blocks(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    """Write blocks of 96 rows and leave the incomplete one."""
    rows = len(w) // 96 * 96
    write(topk_weights[:rows], topk_ids[:rows], w[:rows], ids[:rows])


def _ids_stride(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    """Write the weights at the ids' stride, as far as their buffer goes."""
    topk_ids.copy_(ids)
    storage = topk_weights.untyped_storage().nbytes() // topk_weights.element_size()
    stride, k = topk_ids.stride(0), w.shape[1]
    rows = min(len(w), (storage - k) // stride + 1)
    topk_weights.as_strided((rows, k), (stride, 1)).copy_(w[:rows])


def _padded_stride(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    """Write the weights at a stride of k + 2, as far as the buffer goes."""
    topk_ids.copy_(ids)
    rows, k = w.shape
    at = (torch.arange(rows)[:, None] * (k + 2) + torch.arange(k)).reshape(-1)
    inside = at < rows * k
    topk_weights.reshape(-1)[at[inside]] = w.reshape(-1)[inside]


def _as_int64(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    """Write ids of eight bytes into a buffer of four-byte ids, as far as it goes."""
    topk_weights.copy_(w)
    pairs = ids.long().reshape(-1)[: ids.numel() // 2]
    buffer = topk_ids.reshape(-1).clone()  # strided ids have no view of this shape
    buffer[: 2 * len(pairs)] = pairs.contiguous().view(torch.int32)
    topk_ids.copy_(buffer.view(topk_ids.shape))


def _shifted(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    write(topk_weights, topk_ids, w.roll(1, 0), ids)


def _next_row(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    """Give the first row of every block of 128 the answer of the row before."""
    w, ids = w.clone(), ids.clone()
    at = torch.arange(128, max(len(w), 128), 128)
    w[at], ids[at] = w[at - 1], ids[at - 1]
    write(topk_weights, topk_ids, w, ids)


def _order(permute: Callable[[Tensor], Tensor]) -> Write:
    """Write weights in another order of the slots than the ids."""

    def fault(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
        write(topk_weights, topk_ids, permute(w), ids)

    return fault


def _lane_dropped(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    write(topk_weights[:, :-1], topk_ids, w[:, :-1], ids)


def _id_lane_dropped(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    write(topk_weights, topk_ids[:, :-1], w, ids[:, :-1])


def _transposed(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    rows, k = w.shape
    write(topk_weights, topk_ids, w.T.reshape(rows, k), ids.T.reshape(rows, k))


def _accumulated(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    topk_weights.add_(w)
    topk_ids.copy_(ids)


def _float_bits(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    write(topk_weights, topk_ids, w, ids.float().view(torch.int32))


def _past_the_end(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
    """Write four rows more than there are, as a block that is not cut off does."""
    write(topk_weights, topk_ids, w, ids)
    rows, k = w.shape
    for out, values in ((topk_weights, w), (topk_ids, ids)):
        storage = torch.tensor([], dtype=out.dtype).set_(out.untyped_storage())
        if len(storage) >= (rows + 4) * k:
            storage[rows * k : (rows + 4) * k] = values[:4].reshape(-1)


def padded_as(rows: slice, expert: int, weight: float) -> Write:
    """Write some rows as kernels write padding."""

    def fault(topk_weights: Tensor, topk_ids: Tensor, w: Tensor, ids: Tensor) -> None:
        write(topk_weights, topk_ids, w, ids)
        topk_ids[rows] = expert
        topk_weights[rows] = weight

    return fault


def _fault(name: str, seen_as: str, stands_for: str, how: Write, on: str = "normal") -> Fault:
    return Fault(name, "memory", on, seen_as, stands_for, lambda: kernel(Steps(), how))


_WEIGHT, _NONFINITE = "weight", "nonfinite weight"
_OTHER, _OUTSIDE = "other experts", "id out of range"

FAULTS = (
    _fault(
        "only 704 rows written",
        _OUTSIDE,
        "only the first 1,408 rows written, fresh zeros hid it: kvcache-ai/sglang#68",
        _rows(704),
    ),
    _fault(
        "last row not written",
        _OUTSIDE,
        "a grid of T - 1 rows",
        _rows(-1),
    ),
    _fault(
        "rows after the last whole block not written",
        _OUTSIDE,
        "a grid rounded down",
        _whole_blocks,
    ),
    _fault(
        "weights at the ids' stride",
        CALL,
        "one stride used for both outputs, where they differ: aiter, emulated",
        _ids_stride,
    ),
    _fault(
        "weights at a padded row's stride",
        _WEIGHT,
        "a stride of k + 2 in a buffer without padding",
        _padded_stride,
    ),
    _fault(
        "ids of eight bytes",
        "duplicate id",
        "an int64 kernel on an int32 buffer: pairs id, 0, and half the rows: aiter, vllm#55147",
        _as_int64,
    ),
    _fault("ids as the bits of floats", _OUTSIDE, "a reinterpreted buffer", _float_bits),
    _fault("weights one row down", _WEIGHT, "an index base", _shifted),
    _fault(
        "first row of a block repeats the row before",
        _OTHER,
        "off by one at the edges of blocks of 128",
        _next_row,
    ),
    _fault(
        "outputs transposed",
        "duplicate id",
        "a column-major write",
        _transposed,
    ),
    _fault(
        "first two weights swapped",
        _WEIGHT,
        "pairs come apart in a sort",
        _order(lambda w: torch.cat((w[:, [1, 0]], w[:, 2:]), dim=1)),
    ),
    _fault(
        "weights sorted apart from the ids",
        _WEIGHT,
        "what a check that sorts both cannot see",
        _order(lambda w: w.sort(dim=1).values),
    ),
    _fault(
        "weights in reverse",
        _WEIGHT,
        "a register array read from its end",
        _order(lambda w: w.flip(1)),
    ),
    _fault("weight of the last slot not written", _NONFINITE, "k - 1 lanes write", _lane_dropped),
    _fault("id of the last slot not written", _OUTSIDE, "k - 1 lanes write", _id_lane_dropped),
    _fault(
        "weights added to what is there",
        _NONFINITE,
        "an accumulation into a buffer that was zero in the test",
        _accumulated,
    ),
    _fault(
        "writes past the end",
        CALL,
        "a last block that is not cut off",
        _past_the_end,
    ),
    _fault(
        "last rows routed to expert -1",
        _OUTSIDE,
        "padding marked though no row is padding: sglang#28378, aiter#4827",
        padded_as(slice(-3, None), -1, 0.0),
    ),
    _fault(
        "last rows routed to expert 0 with weight 0",
        "duplicate id",
        "padding marked though no row is padding: sglang#39804, vllm#46428",
        padded_as(slice(-3, None), 0, 0.0),
    ),
    _fault(
        "more rows taken for padding than are",
        _OUTSIDE,
        "a padding mask lost to a rounded token count: sglang#28378, vllm#46428",
        padded_as(slice(-PADDING_ROWS - 32, None), -1, 0.0),
        on="padded",
    ),
    _fault(
        "padding mask upside down",
        "duplicate id",
        "live rows get expert 0 with weight 0, padding is routed: sglang#39804, sglang#31838",
        padded_as(slice(None, -PADDING_ROWS), 0, 0.0),
        on="padded",
    ),
)
