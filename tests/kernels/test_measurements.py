"""docs/kernels-on-a-gpu.md has the figures of the evidence beside it, and no others."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "kernels-on-a-gpu.md").read_text("utf-8")
SWEEPS = {
    "sgl_kernel.topk_sigmoid 0.4.4": "sweep-sgl-kernel-0.4.4-topk-sigmoid-h100.json",
    "sglang's Triton moe_fused_gate 0.5.15": "sweep-sglang-0.5.15-moe-fused-gate-h100.json",
    "torch eager 2.11.0": "sweep-torch-2.11-eager-h100.json",
}


@pytest.mark.parametrize(("title", "name"), SWEEPS.items())
def test_the_sweeps_are_what_was_measured(title: str, name: str) -> None:
    """A sweep's line has its profile, its largest error, where that is, and what is flushed."""
    found = json.loads((DOCS / "measurements" / name).read_text("utf-8"))
    worst = max(found["binades"], key=lambda line: line["over_bound"])

    assert found["shard"] == "1/1"
    assert (
        f"| {title} | `{found['profile']['name']}` | {found['largest_error_over_bound']:.3f} | "
        f"{worst['at']:.2f} | {found['flushed_to_zero']:,} |"
    ) in PAGE


def test_the_latencies_are_what_was_measured() -> None:
    """Each line of the table has the medians and the ratio of the same run."""
    document = json.loads((DOCS / "measurements" / "latency-h100.json").read_text("utf-8"))
    cold = {(one["kernel"], one["tokens"]): one for one in document["latencies"] if one["rotated"]}

    lines = re.findall(r"^\| ([\d,]+) \| (.*) \|$", PAGE, flags=re.MULTILINE)

    assert len(lines) == len({tokens for _, tokens in cold}) == 7
    for number, cells in lines:
        first, second, eager = (
            cold[name, int(number.replace(",", ""))]
            for name in ("sglang-topk-sigmoid", "sglang-moe-fused-gate", "torch-eager")
        )
        ratio = second["ratio"]
        assert cells == (
            f"{first['us']['median']:.2f} | {second['us']['median']:.2f} | {ratio['median']:.3f} "
            f"({ratio['low']:.3f} to {ratio['high']:.3f}) | {eager['us']['median']:.2f}"
        )
    assert f"{document['copy_bandwidth_bytes_per_s'] / 1e12:.2f} TB/s" in PAGE
    assert document["device"] in PAGE


@pytest.mark.parametrize(
    ("file", "names"),
    [
        (
            "latency-h200.json",
            (
                "sglang-topk-sigmoid",
                "sglang-moe-fused-gate",
                "vllm-topk-sigmoid",
                "torch-compile",
                "torch-eager",
            ),
        ),
        (
            "latency-deepseek-v3-h200.json",
            (
                "sglang-moe-fused-gate",
                "flashinfer-fused-topk-deepseek",
                "torch-compile",
                "torch-eager",
            ),
        ),
    ],
)
def test_the_kernels_of_one_host_are_what_was_measured(file: str, names: tuple[str, ...]) -> None:
    """Each line has every kernel's median and its ratio to the first, of one run."""
    document = json.loads((DOCS / "measurements" / file).read_text("utf-8"))
    cold = {(one["kernel"], one["tokens"]): one for one in document["latencies"] if one["rotated"]}

    for tokens in sorted({tokens for _, tokens in cold}):
        cells = []
        for name in names:
            one = cold[name, tokens]
            ratio = f" ({one['ratio']['median']:.3f})" if one["ratio"] else ""
            cells.append(f"{one['us']['median']:.2f}{ratio}")
        assert f"| {tokens:,} tokens | {' | '.join(cells)} |" in PAGE
    assert document["device"] in PAGE
