"""docs/swap-on-a-gpu.md has the figures of the evidence beside it; the shipped rows are judged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from goldgate.accuracy.evidence import read_evidence
from goldgate.cli import main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/swap-on-a-gpu.md").read_text("utf-8")
EVIDENCE = ROOT / "docs/measurements/swap-h200"
H100 = ROOT / "docs/measurements/swap-h100"
ARMS = ("baseline", "candidate", "control")
SERVED = ROOT / "fixtures/served/sglang-0.5.15-h200"


def document(name: str, folder: Path = EVIDENCE) -> dict[str, Any]:
    """Read one of the page's JSON files, a large one packed by gzip."""
    packed = folder / f"{name}.gz"
    raw = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()
    found: dict[str, Any] = json.loads(raw)
    return found


@pytest.mark.parametrize(
    ("title", "name", "folder"),
    [
        ("topk_sigmoid, eager", "record-topk-sigmoid", EVIDENCE),
        ("moe_fused_gate, eager", "record-moe-fused-gate", EVIDENCE),
        ("topk_sigmoid, eager, H100", "record-topk-sigmoid", H100),
        ("moe_fused_gate, eager, H100", "record-moe-fused-gate", H100),
        ("topk_sigmoid, in graphs, H100", "graphs-topk-sigmoid", H100),
        ("moe_fused_gate, in graphs, H100", "graphs-moe-fused-gate", H100),
    ],
)
def test_a_recordings_line_is_what_was_judged(
    title: str, name: str, folder: Path, tmp_path: Path
) -> None:
    """Rows, replays, verdicts and the largest error are the evidence's, whose digest holds."""
    found = document(f"{name}.json", folder)
    unpacked = tmp_path / "evidence.json"
    unpacked.write_text(json.dumps(found), "utf-8")
    read_evidence(unpacked)
    results = found["results"]
    replays = sum(
        one["rows"]
        for one in results
        if one["recorded"]["source"].get("rows_are", "").startswith("replays of a CUDA graph")
    )
    passed = sum(one["verdict"] == "PASS" for one in results)
    largest = max(one["weight_error_over_bound"] for one in results)

    assert (
        f"| {title} | {sum(one['rows'] for one in results):,} | {replays:,} | {passed} of "
        f"{len(results)} PASS | {largest:.3f} ({found['kernels'][0]['arithmetic']}) |"
    ) in PAGE


def test_the_comparison_is_the_evidences() -> None:
    """The rows compared and those that route differently are the evidence's."""
    answer = document("old-new.json")["summary"]["answer"]

    assert answer == "of 64332 rows 0 route differently; every one is explained"
    assert "the 64,332 recorded rows with both kernels: 0 rows route differently" in PAGE


@pytest.mark.parametrize(("folder", "part"), [(EVIDENCE, 0), (H100, 1)])
def test_the_score_is_the_verdicts(folder: Path, part: int) -> None:
    """Verdict, changed answers, bound, counts and throughput are those of verdict.json."""
    page = PAGE.split("\n## 6. ")[part]
    found = document("verdict.json", folder)
    decided = found["paired"][found["decides"]]
    losses, gains = decided["losses"], decided["gains"]
    right = [found["runs"][arm]["totals"]["right"][found["decides"]][0] for arm in ARMS]
    lines = (
        f"| verdict | {found['verdict']} |",
        f"| right to wrong, wrong to right | {losses:.0f}, {gains:.0f} of 1,319 |",
        f"| lower bound on the change | {100 * decided['lower']:.2f} points (allowed: 1.5) |",
        f"| {', '.join(ARMS)} | {right[0]:,}, {right[1]:,}, {right[2]:,} right |",
    )

    assert decided["margin"] == 0.015
    assert all(line in page for line in lines)
    for title, name in (("candidate", "throughput"), ("control", "control_throughput")):
        ratio = found[name]
        assert (
            f"| throughput, {title} over baseline | {ratio['ratio']:.3f} ({ratio['low']:.3f} to "
            f"{ratio['high']:.3f}) |"
        ) in page


@pytest.mark.parametrize("kernel", ["topk-sigmoid", "moe-fused-gate"])
def test_the_shipped_rows_pass_again(kernel: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What sglang's kernels returned while it served is judged anew, and passes."""
    folder = SERVED / kernel

    status = main(
        ["judge", "--recordings", f"{folder}/recordings", "--outputs", f"{folder}/outputs"]
    )

    assert "1 passed, 0 failed, 0 refused" in capsys.readouterr().out
    assert status == 0
