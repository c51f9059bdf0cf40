"""docs/vllm-on-a-gpu.md has the figures of the evidence beside it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from goldgate.accuracy.evidence import read_evidence

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/vllm-on-a-gpu.md").read_text("utf-8")
EVIDENCE = ROOT / "docs/measurements/vllm-gpu"


def document(name: str) -> dict[str, Any]:
    """Read one of the page's packed JSON files."""
    found: dict[str, Any] = json.loads(gzip.decompress((EVIDENCE / f"{name}.gz").read_bytes()))
    return found


@pytest.mark.parametrize(
    ("title", "name"),
    [("topk_sigmoid, eager", "record-eager"), ("topk_sigmoid, in graphs", "record-graphs")],
)
def test_a_recordings_line_is_what_was_judged(title: str, name: str, tmp_path: Path) -> None:
    """Card, rows, replays, verdicts and the largest error are the evidence's; its digest holds."""
    found = document(f"{name}.json")
    unpacked = tmp_path / "evidence.json"
    unpacked.write_text(json.dumps(found), "utf-8")
    read_evidence(unpacked)
    results = found["results"]
    replays = [one["rows"] for one in results if "rows_are" in one["recorded"]["source"]]
    passed = sum(one["verdict"] == "PASS" for one in results)
    largest = max(one["weight_error_over_bound"] for one in results)

    assert (
        f"| {title} | {results[0]['ran']['device']} | {sum(one['rows'] for one in results):,} | "
        f"{sum(replays):,} | {passed} of {len(results)} PASS | {largest:.3f} "
        f"({found['kernels'][0]['arithmetic']}) |"
    ) in PAGE
    assert not replays or f"{len(results)} recordings in graphs {len(replays)} are replays" in PAGE


def test_the_kernel_is_the_dispatchs() -> None:
    """The kernel that the page names is the one that vLLM's router reached on the host."""
    found = json.loads((EVIDENCE / "dispatch-vllm.json").read_bytes())

    assert f"names `{found['kernel']}`" in PAGE
    assert not found["simulated"]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("vLLM, and vLLM again", "again"),
        ("sglang 0.5.15 on the H100, vLLM on the H200", "engines"),
    ],
)
def test_a_comparisons_line_is_its_verdicts(title: str, name: str) -> None:
    """Right answers, changed answers, bound and verdict are those of the comparison's JSON."""
    found = document(f"{name}.json")
    decided = found["paired"][found["decides"]]
    right = [
        found["runs"][arm]["totals"]["right"][found["decides"]][0]
        for arm in ("baseline", "candidate")
    ]

    assert (
        f"| {title} | {right[0]:,}, {right[1]:,} | {decided['losses']:.0f}, {decided['gains']:.0f} "
        f"| {100 * decided['lower']:.2f} points | {found['verdict']} |"
    ) in PAGE


def test_the_texts_of_the_two_runs_are_the_same() -> None:
    """The comparison of vLLM with itself counted as many equal texts as the page has."""
    cautions = document("again.json")["cautions"]

    assert any("1319 texts of 1319 are the same" in caution for caution in cautions)
    assert "1,319 of 1,319 equal texts" in PAGE
