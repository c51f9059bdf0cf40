"""Latency: the statistics, the floor and what is printed; times themselves are never tested."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from goldgate.accuracy import latency, latency_trial
from goldgate.accuracy.commands import latency as latency_command
from goldgate.accuracy.latency import (
    Interval,
    copy_bandwidth,
    floor_us,
    interval,
    measure,
    summarise,
)
from goldgate.accuracy.latency_plot import plot
from goldgate.cli import main
from goldgate.kernels import KernelError, Loaded
from goldgate.kernels.torch_eager import route
from goldgate.reference import MINIMAX_M2_5
from tests import children_functions


@pytest.mark.parametrize("n", [6, 7, 11, 41, 100])
def test_interval_holds_the_median_with_95_percent(n: int) -> None:
    """The order statistics enclose the median with 95 %, and the next narrower pair does not."""
    found = interval([float(i) for i in range(n)])

    rank = int(found.low)
    assert found.high == n - 1 - rank
    assert 1 - 2 * stats.binom.cdf(rank, n, 0.5) >= 0.95
    assert 1 - 2 * stats.binom.cdf(rank + 1, n, 0.5) < 0.95


def test_interval_needs_six_values() -> None:
    """Five values enclose no median with 95 % confidence."""
    with pytest.raises(ValueError, match="at least 6"):
        interval([1.0] * 5)


def test_ratios_are_of_the_same_rounds() -> None:
    """A slowdown that meets both kernels in a round leaves their ratio as it is."""
    clock = np.linspace(1, 3, 41)

    base, other = summarise(
        ["a", "b"], "a", 8, [list(4.0 * clock), list(3.0 * clock)], rotated=True
    )

    assert base.ratio is None
    assert other.ratio == Interval(0.75, 0.75, 0.75)
    assert (other.kernel, other.tokens, other.rotated) == ("b", 8, True)


def test_floor_is_bytes_over_bandwidth() -> None:
    """A token reads 256 float32 logits and writes 8 weights and 8 ids; the bias is read once."""
    assert floor_us(1000, MINIMAX_M2_5, 1e6) == pytest.approx(1000 * (1024 + 64) + 1024)


def test_without_a_gpu_nothing_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kernel is named as NOT RUN with its reason, nothing is written, and the status is 2."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    status = main(["latency", "--json", str(tmp_path / "x.json")])

    printed = capsys.readouterr()
    assert status == 2
    assert "aiter: NOT RUN: " in printed.out
    assert "torch-eager: NOT RUN: latency is measured on a CUDA or ROCm device" in printed.out
    assert printed.err.startswith("goldgate latency: NOT RUN: no kernel for a CUDA or ROCm device")
    assert not (tmp_path / "x.json").exists()


def test_a_kernel_that_crashes_in_its_trial_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names each kernel that fails and the case; the others are timed."""
    monkeypatch.setattr(latency_trial, "trial", children_functions.trial)
    options = Namespace(model="MiniMax-M2.5", tokens=[1, 8], timeout=60)
    loaded, notes = dict.fromkeys(("right", "crash", "wrong", "other")), ["before"]

    kept = latency_command._usable(loaded, options, notes)  # type: ignore[arg-type]

    assert list(kept) == ["right", "other"]
    assert notes[1:] == [
        "crash: NOT RUN: its process died (SIGABRT)",
        "wrong: NOT RUN: 8 tokens: RuntimeError: no",
    ]


def test_a_trial_names_the_call_that_fails() -> None:
    """Without a GPU nothing can be captured: the first size is named with why."""
    why = latency_trial.trial("torch-eager", "MiniMax-M2.5", (3, 5))

    assert why == "" if torch.cuda.is_available() else why.startswith("3 tokens: ")
    assert "\n" not in why


def test_two_entries_of_one_function_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aiter as sglang and as vLLM calls it are two kernels of one name; a third fails."""

    def captured(kernel: Loaded, *_: object) -> tuple[float, int]:
        if kernel.version == "3":
            raise RuntimeError("no")
        return float(kernel.version), 1

    monkeypatch.setattr(latency, "_captured", captured)
    monkeypatch.setattr(latency, "_replay_us", lambda graph: graph)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(L2_cache_size=1)
    )
    kernels = [Loaded(route, "one name", version, "cpu", "ieee") for version in ("1", "2", "3")]

    us, failed = measure(kernels, MINIMAX_M2_5, 1, rotated=False, rounds=2)

    assert us == [[1.0, 1.0], [2.0, 2.0], []]
    assert failed == {2: "RuntimeError: no"}


@pytest.mark.parametrize("model", ["Qwen3-MoE", "nonsense"])
def test_a_model_without_a_bias_is_refused(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Kernels look at the bias of a call without one, which a graph cannot."""
    with pytest.raises(SystemExit, match="2"):
        main(["latency", "--model", model])

    assert "--model" in capsys.readouterr().err


def test_a_named_kernel_that_is_not_here_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The reason alone would not say which kernel was asked for."""
    assert main(["latency", "--kernel", "tensorrt-llm-default"]) == 2
    assert "goldgate latency: tensorrt-llm-default: no tensorrt_llm" in capsys.readouterr().err


def test_copy_bandwidth_needs_a_gpu() -> None:
    """A CPU's copy is no floor for a GPU's kernel."""
    with pytest.raises(KernelError, match="cpu"):
        copy_bandwidth("cpu")


def test_plot_shows_each_kernel_and_the_floor(tmp_path: Path) -> None:
    """The picture names every kernel that was measured, and the floor."""
    rounds = [[4.0 + i / 100 for i in range(11)], [3.0 + i / 100 for i in range(11)]]
    found = [
        one
        for tokens in (1, 8)
        for rotated in (True, False)
        for one in summarise(["first", "second"], "first", tokens, rounds, rotated=rotated)
    ]
    document = json.loads(json.dumps({"device": "a GPU", "floor_us": {"1": 0.1, "8": 0.2}}))

    plot(tmp_path / "latency.svg", found, document)

    assert "</svg>" in (tmp_path / "latency.svg").read_text(encoding="utf-8")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="latency needs a CUDA or ROCm device")
def test_kernels_are_measured_on_a_gpu(tmp_path: Path) -> None:
    """On a GPU every number of the evidence is above the floor of its bytes."""
    path = tmp_path / "x.json"

    status = main(
        [
            *("latency", "--kernel", "torch-eager", "--tokens", "8", "4096", "--rounds", "7"),
            *("--json", str(path)),
        ]
    )

    document = json.loads(path.read_text(encoding="utf-8"))
    assert status == 0
    assert len(document["latencies"]) == 4
    for one in document["latencies"]:
        assert one["us"]["median"] > document["floor_us"][str(one["tokens"])]
