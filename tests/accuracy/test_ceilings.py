"""A known failure excuses what it was listed for, up to its ceiling, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.accuracy.evaluate import Result, judge
from goldgate.accuracy.known_failures import (
    SHIPPED,
    KnownFailure,
    KnownFailureError,
    read_known_failures,
)
from goldgate.fixtures import (
    SHIPPED_OUTPUTS,
    SHIPPED_RECORDINGS,
    KernelInfo,
    Output,
    open_output,
    open_recording,
    write_recording,
)
from goldgate.fixtures.hard_rows import few_selectable
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import PROFILES

_HEAD = '[[known_failure]]\nkernel="k"\nversion="*"\nrecording="r"\nrecording_sha256="0"\nwhy="w"\n'


def _edge(
    kernel: str,
    rows: list[int],
    weight: float | None = None,
    column: int = 0,
    known: tuple[KnownFailure, ...] | None = None,
) -> Result:
    """Judge a kernel's shipped outputs for `edge` with the weights or ids of some rows changed."""
    held = open_recording(SHIPPED_RECORDINGS / "edge.safetensors")
    output = open_output(SHIPPED_OUTPUTS / kernel / "edge.safetensors", held)
    weights: NDArray[np.float32] = np.array(output.weights())
    if weight is not None:
        weights[rows, column:] = weight
    changed = Output(output.kernel, tensor(weights), tensor(np.array(output.ids())))
    profile = PROFILES[output.kernel.arithmetic]
    listed = read_known_failures(SHIPPED) if known is None else known
    return judge(held, changed, profile, known_failures=listed)


@pytest.mark.parametrize(
    ("kernel", "rows", "weight"),
    [
        ("sglang-0.5.23-topk_sigmoid-h100", list(range(66, 90)), 1e30),
        ("sglang-0.5.23-topk_sigmoid-h100", [6], 1e30),
        ("aiter-2026-08-gfx942-emulated", [1], float("inf")),
        ("torch-2.11-eager-h100", [4], -3.0),
    ],
)
def test_a_listed_row_that_gets_worse_fails(kernel: str, rows: list[int], weight: float) -> None:
    """Rows of a listed failure, changed beyond its ceiling, fail; as shipped they pass."""
    as_shipped = _edge(kernel, rows)
    worse = _edge(kernel, rows, weight)

    assert as_shipped.passed
    assert not worse.passed
    assert set(rows) <= set(worse.failing.tolist())
    assert [found for _, found in worse.beyond] == [tuple(rows)]


@pytest.mark.parametrize(
    ("kernel", "rows"),
    [
        ("sglang-0.5.23-topk_sigmoid-h100", [6, 7]),
        ("aiter-2026-08-gfx942-emulated", [6]),
        ("torch-2.11-eager-h100", [4]),
    ],
)
def test_nan_in_a_listed_row_fails_where_the_list_does_not_say_it(
    kernel: str, rows: list[int]
) -> None:
    """No ceiling bounds NaN: it passes where the entry has `nan`, and fails where it has not."""
    known = read_known_failures(SHIPPED)
    stated = tuple(replace(one, nan=True) for one in known)
    silent = tuple(replace(one, nan=False) for one in known)

    allowed = _edge(kernel, rows, float("nan"), column=7, known=stated)
    denied = _edge(kernel, rows, float("nan"), column=7, known=silent)

    assert allowed.beyond == ()
    assert [found for _, found in denied.beyond] == [tuple(rows)]
    assert set(rows) <= set(denied.failing.tolist())


def test_a_number_among_nan_weights_must_be_right() -> None:
    """A row listed as NaN may not hold a finite weight that is more than the scale."""
    worse = _edge("aiter-2026-08-gfx942-emulated", [95], 1.5, column=7)

    assert worse.failing.tolist() == [95]


def _fused_gate(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return what sglang's Triton moe_fused_gate writes for few numbers: scores, then NaN."""
    weights, ids = np.full((len(x), 8), np.nan, np.float32), np.empty((len(x), 8), np.int32)
    for row, logits in enumerate(x):
        numbers = np.flatnonzero(~np.isnan(logits))
        ids[row] = np.r_[numbers, np.flatnonzero(np.isnan(logits))[: 8 - len(numbers)]]
        scores = 1 / (1 + np.exp(-logits[numbers].astype(np.float64)))
        weights[row, : len(numbers)] = scores / (scores.sum() if len(numbers) == 8 else 1)
    return weights, ids


@pytest.mark.parametrize(
    ("version", "weight", "failing"),
    [("0.5.15", None, []), ("0.5.15", 1.5, [1]), ("0.5.18", None, None)],
)
def test_the_live_moe_fused_gate_may_be_nan_where_few_logits_are_numbers(
    version: str, weight: float | None, failing: list[int] | None, tmp_path: Path
) -> None:
    """80 of 90 rows of few_selectable are known of 0.5.15, up to weights of 1; of no other."""
    path = tmp_path / "few_selectable.safetensors"
    write_recording(path, few_selectable("few_selectable"))
    held = open_recording(path)
    weights, ids = _fused_gate(np.array(held.logits()))
    if weight is not None:
        weights[1, 0] = weight
    kernel = KernelInfo("sglang Triton moe_fused_gate", version, "H200", "hardware", "fast_math")
    output = Output(kernel, tensor(weights), tensor(ids))
    few = [row for row in range(90) if row % 9 != 8]

    found = judge(held, output, PROFILES["fast_math"], known_failures=read_known_failures(SHIPPED))

    assert found.failing.tolist() == (few if failing is None else failing)
    assert found.known == len(few) - len(found.failing)
    assert found.stale == ()


def test_every_shipped_known_failure_has_a_ceiling() -> None:
    """No shipped entry excuses a row of any size."""
    for known in read_known_failures(SHIPPED):
        assert known.ceiling


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('reason = "weight"\nrows = [1]', "has no ceiling"),
        ('reason = "other experts"\nrows = [1]\nlargest_weight = 1', "ceiling on its ids"),
        ('reason = "weight"\nrows = [1]\nlargest_error_over_bound = -1', "at least 0"),
        ('reason = "weight"\nrows = [1]\nlargest_error_over_bound = inf', "at least 0"),
        ('reason = "weight"\nrows = [1]\nlargest_error_over_bound = "2"', "at least 0"),
        ('reason = "weight"\nrows = [1]\nlargest_weight = 1\nnan = 1', "nan: expected true or"),
    ],
)
def test_an_entry_without_a_ceiling_is_refused(tmp_path: Path, entry: str, message: str) -> None:
    """A file whose entries excuse without limit is refused by name."""
    path = tmp_path / "known.toml"
    path.write_text(_HEAD + entry + "\n", "utf-8")

    with pytest.raises(KnownFailureError, match=message):
        read_known_failures(path)
