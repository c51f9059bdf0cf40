"""docs/findings.md has the counts of the extract from the runs on GPUs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/findings.md").read_text("utf-8")
EXTRACT: list[dict[str, Any]] = json.loads(
    (ROOT / "docs/measurements/findings-gpu.json").read_text("utf-8")
)
TABLE = PAGE.split("| kernel | release | card |")[1].split("\n\n")[0].splitlines()[2:]


def test_the_table_has_each_recording_that_fails_and_no_other() -> None:
    """Release, card, recording and rows that fail are the extract's, line by line."""
    expected = [
        f"| {one['release']} | {one['device']} | `{one['recording']}` | {one['failing']:,} of "
        f"{one['rows']:,} |"
        for one in EXTRACT
        if one["failing"]
    ]

    assert ["|" + line.split("|", 2)[2] for line in TABLE] == expected


def test_the_calls_that_raise_are_those_of_the_extract() -> None:
    """Which kernels the page blames for empty calls and for alignment is what raised."""
    raised = {
        (one["kernel"], one["recording"]): fault for one in EXTRACT for fault in one["call_faults"]
    }
    empty = {kernel for kernel, recording in raised if recording == "tokens_0_to_257"}
    misaligned = {kernel for kernel, recording in raised if recording == "layout_offset"}
    topk = {"vllm-topk-sigmoid", "sglang-topk-sigmoid", "sglang-topk-softmax"}

    jit = {"sglang-jit-topk-sigmoid"}
    others = {"vllm-grouped-topk", "flashinfer-fused-topk-deepseek"}

    assert empty == topk | jit | others
    assert misaligned == topk | jit
    assert "raises cudaErrorInvalidValue in both `topk_sigmoid`" in PAGE
    assert "cudaErrorMisalignedAddress in both `topk_sigmoid` and `topk_softmax`" in PAGE
