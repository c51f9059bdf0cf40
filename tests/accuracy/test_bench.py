"""`goldgate bench`: every ratio of one run, with the machine; no figure is judged here."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.image
import pytest

from goldgate.accuracy import bench, bench_plot
from goldgate.accuracy.bench_inputs import DEEPSEEK_V3_SHAPE, inputs
from goldgate.accuracy.commands import bench as command
from goldgate.cli import main
from goldgate.provenance import goldgate_itself
from goldgate.reference import MINIMAX_M2_5

#: What the document has; each is the median of a ratio with its range beside it.
RATIOS = (
    "judge_fraction_of_memory_read",
    "judge_over_torch_float64",
    "files_over_slower_of_judge_and_hash",
    "groups_over_one_group",
    "softmax_over_sigmoid",
)


def test_every_ratio_is_printed_and_written_with_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ratios, their ranges, peak memory and the machine are in the text and in the document."""
    monkeypatch.setattr(bench, "_TURNS", 3)
    monkeypatch.setattr(bench_plot, "_LOGITS", 1 << 14)
    monkeypatch.setattr(bench_plot, "EXPERTS", (32, 64))
    monkeypatch.setattr(command, "_emulator", lambda: None)  # starts a compiler
    document, picture = tmp_path / "new" / "bench.json", tmp_path / "new" / "bench.png"

    status = main(
        [
            *("bench", "--rows", "2048", "--threads", "1"),
            *("--json", str(document), "--plot", str(picture)),
        ]
    )

    printed = capsys.readouterr().out
    held = json.loads(document.read_text(encoding="utf-8"))
    assert status == 0
    for name in RATIOS:
        low, high = held["spread"][name]
        assert 0.0 < low <= held[name] <= high
        assert f"{name} " in printed
    assert held["peak_mib"] > 10
    assert f"peak_mib {held['peak_mib']:.0f}".split() == next(
        line.split() for line in printed.splitlines() if line.startswith("peak_mib")
    )
    assert held["machine"]["threads"] == 1
    assert held["machine"]["goldgate"] == goldgate_itself()
    assert held["machine"]["processor"] in printed
    assert (held["rows"], held["experts"]) == (2048, 256)
    assert matplotlib.image.imread(picture).std() > 0.0


def test_a_kernel_that_does_not_pass_is_not_measured() -> None:
    """Where the judge finds fault with what it should pass, there is no rate but an error."""
    _, output = inputs(MINIMAX_M2_5, 64)
    grouped, _ = inputs(DEEPSEEK_V3_SHAPE, 64)  # which other ids are right for

    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="does not pass"):
        bench._judge(grouped, output, pool)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--plot", "bench.txt"), "--plot: 'bench.txt': expected a name that ends in .png"),
        (("--rows", "3"), "--rows: '3': expected a whole number from 4 on"),
    ],
)
def test_what_cannot_be_measured_or_drawn_is_named_at_once(
    arguments: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture of another type, or too few rows for a quarter, is one line before any work."""
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])

    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_a_missing_matplotlib_is_named_before_measuring(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--plot` without its extra is one line, and nothing is measured."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    assert main(["bench", "--plot", "bench.png"]) == 2
    held = capsys.readouterr()
    assert held.out == ""
    assert held.err.startswith("goldgate bench: needs matplotlib")


def test_turns_are_counted_as_they_begin() -> None:
    """Everything is done once uncounted, then once a turn; a line says which turn begins."""
    done: list[str] = []

    turns = bench.in_turns(
        {"a": lambda: done.append("a"), "b": lambda: done.append("b")}, 2, done.append
    )

    assert done == ["warming up", "a", "b", "turn 1 of 2", "a", "b", "turn 2 of 2", "a", "b"]
    assert [set(turn) for turn in turns] == [{"a", "b"}, {"a", "b"}]
