"""Faults planted in output files, as they would reach the judge from another machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from goldgate.mutants.fault import DRIFT, REFUSED, FileFault
from goldgate.mutants.recordings import bfloat16

Array = NDArray[Any]
Edit = Callable[[Array, Array], tuple[Array, Array]]


def _edited(edit: Edit) -> Callable[[Path], None]:
    """Rewrite a file with other weights and ids, its metadata kept."""

    def damage(path: Path) -> None:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            weights, ids = (np.array(file.get_tensor(n)) for n in ("topk_weights", "topk_ids"))
        weights, ids = edit(weights, ids)
        tensors = {
            "topk_weights": np.ascontiguousarray(weights),
            "topk_ids": np.ascontiguousarray(ids),
        }
        save_file(tensors, path, metadata)

    return damage


def _set_weight(row: int, slot: int, value: Callable[[float], float]) -> Callable[[Path], None]:
    def edit(weights: Array, ids: Array) -> tuple[Array, Array]:
        weights[row, slot] = value(float(weights[row, slot]))
        return weights, ids

    return _edited(edit)


def _set_id(row: int, slot: int, expert: int) -> Callable[[Path], None]:
    def edit(weights: Array, ids: Array) -> tuple[Array, Array]:
        ids[row, slot] = expert
        return weights, ids

    return _edited(edit)


def _unused(weights: Array, ids: Array) -> tuple[Array, Array]:
    ids[500, 7] = next(i for i in range(256) if i not in ids[500])
    return weights, ids


def _stale(weights: Array, ids: Array) -> tuple[Array, Array]:
    weights[300], ids[300] = weights[299], ids[299]
    return weights, ids


def _packed(weights: Array, ids: Array) -> tuple[Array, Array]:
    pairs = np.zeros(ids.size, np.int64)
    pairs[: ids.size // 2] = np.ascontiguousarray(ids).reshape(-1).view(np.int64)
    return weights, pairs.reshape(ids.shape)


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-64])


def _other_recording(path: Path) -> None:
    """Change one digit of the recording's hash that the file names."""
    data = path.read_bytes()
    key = data.index(b"recording_sha256")
    at = data.index(b": ", key) + 2
    while not (48 <= data[at] <= 57 or 97 <= data[at] <= 102):
        at += 1
    digit = b"1" if data[at : at + 1] != b"1" else b"2"
    path.write_bytes(data[:at] + digit + data[at + 1 :])


FAULTS = (
    FileFault(
        "one weight 32 ulp off",
        "normal",
        "weight",
        "a single bad lane in a single row",
        _set_weight(100, 3, lambda w: w * (1 + 2.0**-18)),
    ),
    FileFault(
        "one weight NaN",
        "normal",
        "nonfinite weight",
        "0/0 in one row",
        _set_weight(100, 3, lambda _: np.nan),
    ),
    FileFault(
        "one weight infinite",
        "normal",
        "nonfinite weight",
        "1/0 in one row",
        _set_weight(100, 3, lambda _: np.inf),
    ),
    FileFault(
        "one weight zero",
        "normal",
        "weight",
        "a lane dropped in one row",
        _set_weight(100, 7, lambda _: 0.0),
    ),
    FileFault(
        "one weight negative",
        "normal",
        "weight",
        "a sign bit",
        _set_weight(100, 3, lambda w: -w),
    ),
    FileFault(
        "one id another expert's",
        "normal",
        "other experts",
        "one wrong comparison",
        _edited(_unused),
    ),
    FileFault(
        "one id -1",
        "normal",
        "id out of range",
        "an unwritten slot, a padding mark",
        _set_id(511, 7, -1),
    ),
    FileFault(
        "one id 256",
        "normal",
        "id out of range",
        "a shared expert's id where there is none",
        _set_id(511, 7, 256),
    ),
    FileFault(
        "one row the row before",
        "normal",
        "other experts",
        "a stale row",
        _edited(_stale),
    ),
    FileFault(
        "rows shifted by one",
        "normal",
        "other experts",
        "an index base",
        _edited(lambda w, i: (np.roll(w, 1, 0), np.roll(i, 1, 0))),
    ),
    FileFault(
        "ids sorted, weights not",
        "normal",
        "weight",
        "a sort of half the pairs",
        _edited(lambda w, i: (w, np.sort(i, axis=1))),
    ),
    FileFault(
        "weights rounded to bfloat16 on the way to the file",
        "normal",
        "weight",
        "a recorder that saves in the model's dtype",
        _edited(lambda w, i: (bfloat16(w), i)),
    ),
    FileFault(
        "every weight 2**-22 too small",
        "normal",
        DRIFT,
        "a common factor inside the worst-case bound",
        _edited(lambda w, i: (w * np.float32(1 - 2.0**-22), i)),
    ),
    FileFault(
        "last rows all zero",
        "normal",
        "duplicate id",
        "rows never written into a zeroed buffer",
        _edited(lambda w, i: (np.vstack((w[:-5], 0 * w[-5:])), np.vstack((i[:-5], 0 * i[-5:])))),
    ),
    FileFault(
        "int32 pairs in an int64 buffer",
        "normal",
        "id out of range",
        "a kernel of 32-bit ids given a buffer of 64-bit ones, its second half left at 0: aiter",
        _edited(_packed),
    ),
    FileFault(
        "ids saved as float32",
        "normal",
        REFUSED,
        "a file of another layout",
        _edited(lambda w, i: (w, i.astype(np.float32))),
    ),
    FileFault(
        "one row missing",
        "normal",
        REFUSED,
        "a recorder that stopped early",
        _edited(lambda w, i: (w[:-1], i[:-1])),
    ),
    FileFault("file cut short", "normal", REFUSED, "a copy that broke off", _truncated),
    FileFault(
        "outputs of another recording",
        "normal",
        REFUSED,
        "files mixed up",
        _other_recording,
    ),
)
