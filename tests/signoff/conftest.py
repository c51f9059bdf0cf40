"""A complete set of evidence: the real commands on small inputs, judged under a demonstration."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

import pytest

from goldgate.accuracy.commands import parity
from goldgate.accuracy.latency import Interval, Latency
from goldgate.accuracy.latency_document import document as latency_document
from goldgate.cli import main
from goldgate.fixtures import (
    SHIPPED_RECORDINGS,
    open_output,
    open_recording,
    write_output,
    write_recording,
)
from goldgate.fixtures.constructed import DEFAULT_MODEL, Entry, entries
from goldgate.fixtures.output import SERVED
from goldgate.kernels import load
from goldgate.mutants import evidence
from goldgate.mutants.conforming.volume import VolumeResult
from goldgate.mutants.matrix import fault_line
from goldgate.mutants.trial import FAULTS
from goldgate.reference import MINIMAX_M2_5
from goldgate.sealed import sealed
from goldgate.signoff import tiers
from goldgate.signoff.policy import POLICIES
from tests.evals.support import QUESTIONS, Server, problem

NEW, OLD = "torch-eager", "golden"
ROWS = 200
MACHINE = platform.machine()


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold a folder with evidence/ and policy.toml, for which the answer is YES."""
    root = tmp_path_factory.mktemp("complete")
    folder = root / "evidence"
    _recorded(folder)
    _covered(folder)
    _compared(folder)
    _timed(folder)
    _asked(folder, root)
    _killed(folder)
    (root / "policy.toml").write_text(policy(), encoding="utf-8")
    return root


@pytest.fixture
def copied(complete: Path, tmp_path: Path) -> Path:
    """Hold a copy of the complete evidence, for a test to change."""
    shutil.copytree(complete, tmp_path, dirs_exist_ok=True)
    return tmp_path


def policy(*changes: tuple[str, str]) -> str:
    """Return the policy of the complete evidence: that of the stand-in, for these kernels."""
    new, old = (load(name, None, None) for name in (NEW, OLD))
    text = (POLICIES / "nvidia-standin.toml").read_text(encoding="utf-8")
    replaced = (
        ('architectures = ["sm_90"]', f'architectures = ["{MACHINE}"]'),
        ('advisory = ["emulated"]', 'advisory = ["emulated", "throughput"]'),
        ('names = ["sglang Triton moe_fused_gate", "sglang.moe_fused_gate*"]', _names(new.name)),
        ('command = "sglang-moe-fused-gate"', f'command = "{NEW}"'),
        ('arithmetic = ["fast_math", "conservative"]', 'arithmetic = ["ieee"]'),
        ('names = ["sgl_kernel.topk_sigmoid", "sglang.topk_sigmoid"]', _names(old.name)),
        ('command = "sglang-topk-sigmoid"', f'command = "{OLD}"'),
        ('server = "sglang *"', 'server = "*"'),
        ("rows_per_layer = 4096", f"rows_per_layer = {ROWS}"),
        ("tokens = [1, 8, 64, 512, 4096, 16384, 131072]", "tokens = [1, 64]"),
        ("margin = 1.5 ", "margin = 10 "),
        ("questions = 1319", f"questions = {QUESTIONS}"),
        ("conforming_rows = 1000000", "conforming_rows = 0"),
        *changes,
    )
    head, _, tail = text.partition("token_counts = [")
    text = f"{head}token_counts = [1]{tail.partition(']')[2]}"
    for before, after in replaced:
        assert before in text, before
        text = text.replace(before, after)
    return text


def _names(name: str) -> str:
    return f"names = {json.dumps([name])}"


def _recorded(folder: Path) -> None:
    """Cut the stand-in's recordings short, and let the kernel route them as its engine would."""
    recordings = folder / "host-a" / "recordings"
    recordings.mkdir(parents=True)
    for path in sorted(SHIPPED_RECORDINGS.glob("standin-*.safetensors")):
        write_recording(recordings / path.name, open_recording(path).part(0, ROWS))
    outputs = folder / "host-a" / "outputs"
    run = ("--recordings", str(recordings), "--coverage", "shipped", "--repeats", "0")
    assert main(["parity", "--kernel", NEW, *run, "--save-outputs", str(outputs)]) == 0
    for path in sorted((outputs / NEW).glob("*.safetensors")):
        held = open_recording(recordings / path.name)
        output = open_output(path, held)
        write_output(path, replace(output, kernel=replace(output.kernel, note=SERVED[0])), held)
    where = ("--recordings", str(recordings), "--outputs", str(outputs))
    assert main(["judge", *where, "--json", str(folder / "host-a" / "parity.json")]) == 0


@cache
def _chosen() -> tuple[Entry, ...]:
    """Return the smallest recording of each tier: here a tier holds no other."""
    chosen: dict[str, Entry] = {}
    for entry in sorted(entries(DEFAULT_MODEL), key=lambda one: (one.rows, one.name)):
        if entry.name != "not_a_number":  # torch's known failure there is a test of its own
            chosen.setdefault(entry.tier, entry)
    return tuple(chosen.values())


def _covered(folder: Path) -> None:
    """Run the kernel on a recording of each tier."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "entries", lambda *_, **__: iter(_chosen()))
        options = ("--coverage", "full", "--model", "MiniMax-M2.5", "--repeats", "2")
        where = ("--recordings", str(folder / "host-a" / "recordings"))
        to = ("--json", str(folder / "host-b" / "deep" / "coverage.json"))
        assert main(["parity", "--kernel", NEW, *options, *where, *to]) == 0


def _compared(folder: Path) -> None:
    where = ("--recordings", str(folder / "host-a" / "recordings"))
    assert main(["compare-kernels", OLD, NEW, *where, "--json", str(folder / "old-new.json")]) == 0


def _timed(folder: Path) -> None:
    """Write latencies as a GPU host would: nothing is measured here."""
    found = [
        Latency(name, tokens, rotated, Interval(us, us, us), ratio)
        for tokens in (1, 64)
        for rotated in (True, False)
        for name, us, ratio in ((OLD, 5.0, None), (NEW, 4.0, Interval(0.8, 0.79, 0.81)))
    ]
    held = latency_document(
        found,
        {name: load(name, None, None) for name in (OLD, NEW)},
        device="a device that was not measured",
        bandwidth=1e12,
        baseline=OLD,
        rounds=41,
        spec=MINIMAX_M2_5,
        tokens=(1, 64),
        notes=(),
        claim="",
        started=datetime.now(timezone.utc),
    )
    (folder / "latency.json").write_text(sealed(held), encoding="utf-8")


def _asked(folder: Path, root: Path) -> None:
    """Ask two servers of the stand-in's name, the baseline twice."""
    problems = [problem(number) for number in range(QUESTIONS)]
    data = root / "questions"
    data.mkdir()
    for name, rows in (("test", problems), ("train", [problem(n) for n in range(100, 120)])):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (data / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    answers = {
        row["question"]: row["answer"] if number % 4 else row["answer"] + "9"
        for number, row in enumerate(problems)
    }
    with _serving(answers) as old, _serving(answers) as new, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BASELINE_URL", old.url)
        patch.setenv("BASE_URL", new.url)
        options = ("--data", str(data), "--own-data", "--margin", "10", "--control")
        assert main(["swap", *options, "--out", str(folder / "gsm8k")]) == 0


def _serving(answers: dict[str, str]) -> Server:
    server = Server(answers, model="goldgate-standin")
    server.info = {"version": "1.2.3"}
    return server


def _killed(folder: Path) -> None:
    """Plant one fault."""
    now = datetime.now(timezone.utc)
    held = evidence.document([fault_line(FAULTS[0])], VolumeResult(rows=0), now, now)
    (folder / "kills.json").write_text(sealed(held), encoding="utf-8")


@pytest.fixture
def signoff(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Yield a function that decides on the evidence of a folder with a policy."""
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setattr(tiers, "entries", lambda _model: iter(_chosen()))
    tiers.recordings_of.cache_clear()

    def run(root: Path, *more: str) -> int:
        common = ("--policy", str(root / "policy.toml"), "--evidence", str(root / "evidence"))
        return main(["signoff", *common, *more])

    yield run
    tiers.recordings_of.cache_clear()
