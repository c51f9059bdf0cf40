"""The sweep over all float32 inputs: what it finds in kernels whose error is known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from goldgate.accuracy import sweep as swept
from goldgate.accuracy.sweep import BUCKET, CALL, CALLS, Swept, by_binade, over_bound, sweep
from goldgate.cli import main
from goldgate.kernels import KernelError, Loaded
from goldgate.kernels.adapter import Adapter
from goldgate.kernels.torch_eager import route
from goldgate.reference import PROFILES, U, score_error
from goldgate.reference.scoring import scores

#: The call that starts at the input 2.0, and the one that starts at -64.0.
TWO = int(np.float32(2).view(np.uint32)) // CALL
MINUS_64 = int(np.float32(-64).view(np.uint32)) // CALL


def _kernel(change: object = None) -> Loaded:
    """Return torch's router, its weights changed by a function of logits and weights."""

    def changed(
        x: torch.Tensor,
        b: torch.Tensor,
        w: torch.Tensor,
        i: torch.Tensor,
        *rest: Any,  # noqa: ANN401 - passed on
    ) -> None:
        route(x, b, w, i, *rest)
        if callable(change):
            w.copy_(change(x.gather(1, i.long()), w))

    return Loaded(changed, "mine", "1", "cpu", "ieee")


def test_every_input_is_swept_once() -> None:
    """The calls cover all 2**32 inputs, in whole buckets."""
    assert CALLS * CALL == 1 << 32
    assert CALL % BUCKET == 0


def test_an_error_is_found_where_it_is() -> None:
    """One input whose score is 100 u too large is the worst of its bucket, and beyond its bound."""
    wrong = np.float32(2.0001)

    def change(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.where(x == float(wrong), w * (1 + 100 * U), w)

    found = sweep(_kernel(change), TWO, TWO + 1)

    worst = int(np.argmax(found.error))
    assert found.at[worst] == wrong
    assert found.error[worst] == pytest.approx(100, abs=2)
    assert over_bound(found, PROFILES["ieee"])[worst] > 1
    assert np.delete(over_bound(found, PROFILES["ieee"]), worst).max() < 1


def test_errors_are_of_float64_and_in_units_of_u() -> None:
    """Scores rounded once to float32 are within half an ulp: one u at most, over half a u."""

    def rounded(x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x.double()).float()

    found = sweep(_kernel(rounded), TWO, TWO + 1)

    assert 0.5 < found.error.max() <= 1.0


def test_sqrtsoftplus_is_swept_against_its_own_scores() -> None:
    """Torch's is within ieee's bound of it, and a sigmoid in its place is far beyond."""
    right = Loaded(
        route, "mine", "1", "cpu", "ieee", adapter=Adapter(told=("scoring", "group_score"))
    )

    found = sweep(right, TWO, TWO + 1, scoring="sqrtsoftplus")
    wrong = sweep(
        replace(_kernel(), adapter=Adapter(scorings=("sqrtsoftplus",))),
        TWO,
        TWO + 1,
        scoring="sqrtsoftplus",
    )

    assert 0 < over_bound(found, PROFILES["ieee"]).max() < 1
    assert over_bound(wrong, PROFILES["conservative"]).max() > 1000


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["transformers-qwen3-moe"], "cannot be swept: it scores with softmax"),
        (
            ["transformers-minimax-m2", "--scoring", "sqrtsoftplus"],
            "transformers-minimax-m2: cannot be swept: it ",
        ),
    ],
)
def test_a_kernel_with_another_scoring_is_refused(
    command: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A softmax is never compared with a sigmoid: one line names the kernel and its scoring."""
    assert main(["sweep", *command]) == 2

    assert why in capsys.readouterr().err


def test_a_kernel_of_one_s_own_is_refused_by_its_adapter() -> None:
    """What its module declares counts as what the catalogue knows."""
    kernel = replace(_kernel(), adapter=Adapter(scorings=("softmax",)))

    with pytest.raises(KernelError, match="mine: cannot be swept: it scores with softmax"):
        sweep(kernel, TWO, TWO + 1)


def test_a_kernel_that_returns_its_outputs_is_swept() -> None:
    """Outputs in the order that the adapter states, ids of 64 bits."""

    def returned(x: torch.Tensor, *_: object) -> object:
        s = torch.sigmoid(x.double()).float()
        return torch.arange(x.shape[1]).expand(len(x), -1), s

    kernel = Loaded(
        returned, "mine", "1", "cpu", "ieee", adapter=Adapter(returns=("ids", "weights"))
    )

    assert 0.5 < sweep(kernel, TWO, TWO + 1).error.max() <= 1.0


def test_nan_of_a_finite_input_is_an_infinite_error() -> None:
    """A kernel that returns NaN somewhere is never within its bound there."""

    def change(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.where(x == 2.5, math.nan, w)

    found = sweep(_kernel(change), TWO, TWO + 4)

    assert found.error.max() == math.inf
    assert over_bound(found, PROFILES["conservative"]).max() == math.inf


def test_flushed_scores_are_counted() -> None:
    """A score above 0 that comes back as 0 is counted, and measured no further."""

    def change(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.where(x <= -64.0, 0.0, w)

    found = sweep(_kernel(change), MINUS_64, MINUS_64 + 1)

    assert found.flushed.sum() == CALL
    assert found.error.max() == 0


def test_infinite_and_nan_inputs_have_no_error() -> None:
    """Infinity scores 1 or 0 without error; calls whose inputs are NaN are not made."""
    infinity = int(np.float32(np.inf).view(np.uint32)) // CALL

    found = sweep(_kernel(), infinity, infinity + 2)

    assert found.error.max() == 0


@pytest.mark.parametrize(
    ("refuse", "why"),
    [
        (lambda *_: (_ for _ in ()).throw(NotImplementedError("top-8 of 8")), "refuses"),
        (lambda *arguments: arguments[3].fill_(3), "does not return each"),
    ],
)
def test_a_kernel_that_cannot_be_swept_is_named(refuse: object, why: str) -> None:
    """A kernel that refuses the call, or answers with other ids, is unsupported, not measured."""
    assert callable(refuse)

    with pytest.raises(KernelError, match=why):
        sweep(Loaded(refuse, "mine", "1", "cpu", "ieee"), TWO, TWO + 1)


@pytest.mark.parametrize("scoring", swept.SCORINGS)
def test_bound_of_a_bucket_is_its_smallest(scoring: str) -> None:
    """The bound a bucket is held against is no larger than the bound at any of its inputs."""
    for first in (0x3F80, 0x4000, 0xBF80, 0xC100, 0xC2A0, 0x3E00):  # buckets on both sides of 0
        one = Swept(
            first, np.ones(1), np.zeros(1, np.float32), np.zeros(1, np.int64), scoring=scoring
        )
        bits = np.arange(first * BUCKET, (first + 1) * BUCKET, 97, dtype=np.uint64)
        x = bits.astype(np.uint32).view(np.float32).astype(np.float64)
        for profile in ("ieee", "fast_math", "conservative", "rcp_exp2"):
            s = scores(x, scoring)
            least = (score_error(x, s, swept.spec_of(scoring), PROFILES[profile]) / s / U).min()

            assert over_bound(one, PROFILES[profile])[0] >= (1 / least) * (1 - 1e-12)


def test_binades_name_their_worst() -> None:
    """A line a binade has the largest error of its buckets and where it is."""
    buckets = (1 << 23) // BUCKET
    error, at = np.zeros(2 * buckets), np.arange(2 * buckets, dtype=np.float32)
    error[5], error[buckets + 7] = 3.0, 4.0
    found = Swept(0, error, at, np.zeros(2 * buckets, np.int64))

    lines = by_binade(found, error / 10)

    assert [(line["at"], line["error_u"], line["over_bound"]) for line in lines] == [
        (5.0, 3.0, 0.3),
        (buckets + 7.0, 4.0, 0.4),
    ]
    error[9], ratio = 1.0, error / 10
    ratio[9] = 0.9  # a smaller error, of a smaller bound
    assert by_binade(found, ratio)[0]["over_bound_at"] == 9.0


def test_finished_parts_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command reads finished parts; a folder of another kernel is refused."""
    monkeypatch.setattr("goldgate.accuracy.commands.sweep.CALLS", 64)  # one call a part
    command = ["sweep", "torch-eager", "--shard", "1/32", "--out", str(tmp_path)]
    assert main([*command, "--json", str(tmp_path / "one.json")]) == 0
    monkeypatch.setattr("goldgate.accuracy.commands.sweep.each", lambda *_: pytest.fail("swept"))

    assert main([*command, "--json", str(tmp_path / "two.json")]) == 0
    again = (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert again
    (tmp_path / "mine.py").write_text("def route(*_): pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    other = ["sweep", "mine:route", "--shard", "1/32", "--out", str(tmp_path)]
    assert main(other) == 2
    assert "name another folder" in capsys.readouterr().err


def test_a_kernel_that_crashes_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends its own process alone: kernel and calls are named, and the status is 2."""
    text = "import os\n\ndef route(*_):\n    os.kill(os.getpid(), 11)\n"
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)

    assert main(["sweep", "mine:route", "--shard", "2/64", "--device", "cpu"]) == 2

    assert "mine:route: sweeping calls 64 to 127 of 4,096: its process died (SIGSEGV)" in (
        capsys.readouterr().err
    )


def test_a_kernel_that_is_not_here_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The reason alone would not say which kernel was asked for."""
    assert main(["sweep", "tensorrt-llm-default"]) == 2
    assert "goldgate sweep: tensorrt-llm-default: no tensorrt_llm" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/7", "x"])
def test_a_shard_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A shard names one of N equal parts of 64."""
    with pytest.raises(SystemExit, match="2"):
        main(["sweep", "torch-eager", "--shard", text])

    assert "expected I/N" in capsys.readouterr().err
