"""The planted faults: each is caught, for the reason it should be, and no honest kernel is."""

from __future__ import annotations

import argparse
import io
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from goldgate.accuracy.calls import run
from goldgate.errors import GoldgateError
from goldgate.fixtures.plan import CALL_ROWS
from goldgate.kernels import Loaded
from goldgate.kernels.torch_eager import route as torch_eager
from goldgate.mutants import matrix
from goldgate.mutants.command import add_arguments
from goldgate.mutants.conforming import volume
from goldgate.mutants.conforming.compiled import up
from goldgate.mutants.conforming.kernels import COMPILED
from goldgate.mutants.conforming.steps import kernel
from goldgate.mutants.fault import DRIFT, Fault, FileFault, FolderFault
from goldgate.mutants.faults.evidence import FAULTS as FOLDER_FAULTS
from goldgate.mutants.faults.evidence import RIGHT
from goldgate.mutants.faults.rare import captured
from goldgate.mutants.recordings import DESCRIPTIONS, made
from goldgate.mutants.trial import FAULTS, FILE_FAULTS, Trial, try_fault, try_kernel
from goldgate.progress import progress
from tests.accuracy import matrix_lines as found
from tests.accuracy.matrix_lines import HONEST, LARGE, QUICK, SHIPPED


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name)
def test_a_kernel_fault_is_caught(fault: Fault) -> None:
    """A fault planted in a kernel is caught as it should be; one inside rounding passes."""
    line = found.fault_line(fault)

    assert line.expected, line.seen


@pytest.mark.parametrize("fault", FILE_FAULTS, ids=lambda fault: fault.name)
def test_a_file_fault_is_caught(fault: FileFault) -> None:
    """A fault planted in an output file is caught as it should be."""
    line = found.file_line(fault)

    assert line.expected, line.seen


@pytest.mark.parametrize("fault", [*FOLDER_FAULTS, *RIGHT], ids=lambda fault: fault.name)
def test_a_fault_of_the_evidence_is_caught(fault: FolderFault) -> None:
    """A fault of what a verdict is about is seen as what it is; the same without it passes."""
    line = found.folder_line(fault)

    assert line.expected, line.seen


@pytest.mark.parametrize("fault", [fault for fault in QUICK if fault.seen_as == DRIFT])
def test_what_drifts_does_so_inside_the_bound(fault: Fault) -> None:
    """A fault of the family drift is seen by nothing but the drift."""
    assert found.fault_line(fault).seen.startswith("drift ")


@pytest.mark.parametrize(
    ("name", "on"),
    [
        ("softmax without the largest subtracted", "softmax"),
        ("softmax drops what is 20 below the largest", "softmax"),
        ("softmax drops what is 20 below the largest", "softmax-large"),
        ("log(1 + exp(x)) that overflows", "sqrtsoftplus"),
        ("softplus of clamped logits", "sqrtsoftplus"),
        ("softplus of clamped logits", "sqrtsoftplus-large"),
        ("excluded groups masked with -10000", "grouped"),
        ("excluded groups masked with -10000", "grouped-negative"),
        ("loads round the address down to 16 bytes", "normal"),
        ("wrong after a call of another shape", "normal"),
        ("last bit depends on the batch, though batch invariance is claimed", "normal"),
    ],
)
def test_a_fault_of_one_factor_shows_there_alone(name: str, on: str) -> None:
    """A fault that needs a size of logits, a layout or a state passes on rows without it."""
    (fault,) = [fault for fault in FAULTS if fault.name == name]

    own, unknown = try_kernel(
        fault.make(),
        made(on),
        ("ieee", "conservative"),
        repeats=fault.repeats,
        batch_invariant=fault.batch_invariant,
    )

    assert (own.seen, unknown.seen) == ({}, {})


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("one call in twenty spoils a row", "repeats"),
        (
            "last bit depends on the batch, though batch invariance is claimed",
            "batch_invariant",
        ),
    ],
)
def test_what_a_fault_asks_for_is_what_finds_it(name: str, without: str) -> None:
    """Without repeats, or where nothing is claimed, the fault passes."""
    (fault,) = [fault for fault in FAULTS if fault.name == name]

    own, _ = try_fault(replace(fault, **{without: 0}))  # type: ignore[arg-type]  # either field

    assert own.seen == {}


def test_a_row_without_a_bound_fails_by_its_sum() -> None:
    """Where the arithmetic bounds no weight, weights of 0 fail because the row sums to 0."""
    (fault,) = [fault for fault in FAULTS if fault.on == "swallowed"]

    own, unknown = try_fault(fault)

    assert own.seen == {"weight": 1024}
    assert set(unknown.seen) == {"weight sum"}


@pytest.mark.parametrize("name", [name for name in DESCRIPTIONS if name not in LARGE])
def test_the_kernel_without_a_fault_passes(name: str) -> None:
    """The kernel in which faults are planted passes wherever they show, so they alone fail."""
    (trial,) = try_kernel(kernel(), made(name), ("ieee",))

    assert trial.seen == {}


@pytest.mark.parametrize("at", range(len(HONEST)), ids=lambda at: str(HONEST[at][0].name))
def test_an_honest_kernel_passes(at: int) -> None:
    """An honest kernel passes by its own profile."""
    line = found.honest_line(*HONEST[at])

    assert line.expected, line.seen


@pytest.mark.parametrize(("on", "kernel"), SHIPPED)
def test_shipped_outputs_of_real_kernels_pass(on: str, kernel: str) -> None:
    """What real kernels returned passes by their own profiles, but for rows that are listed."""
    line = found.shipped_line(kernel, on)

    assert line.expected, line.seen


def test_torch_eager_passes_on_groups() -> None:
    """The one kernel that every machine runs passes on the router with groups."""
    (trial,) = try_kernel(torch_eager, made("grouped"), ("ieee",))

    assert trial.seen == {}


def test_fresh_rows_raise_no_alarm() -> None:
    """Each honest kernel passes on rows of every kind: shifted, wide, deep, biased, tied."""
    blocks = len(COMPILED) * len(volume.KINDS)

    tried = list(volume.volume(128 * blocks))

    assert [(kind, one.name, trial.seen) for kind, one, trial in tried if trial.seen] == []
    assert len({(kind, one.name) for kind, one, _ in tried}) == blocks


def test_two_processes_judge_a_block_as_one_does() -> None:
    """Blocks that processes share come in their order, and are those of one process."""
    rows = 128 * len(COMPILED) * len(volume.KINDS)
    last = volume.blocks(rows) - 3

    assert list(volume.volume(rows, last, 2)) == list(volume.volume(rows, last))


def test_the_default_run_judges_five_million_honest_rows() -> None:
    """Without options there are five million rows, and every kernel meets every kind of them."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    rows = parser.parse_args([]).rows

    assert rows == volume.DEFAULT >= 5_000_000
    assert volume.blocks(rows) >= len(COMPILED) * len(volume.KINDS)


@pytest.mark.parametrize("rows", [1, volume.DEFAULT, volume.LONG, volume.LONG + 1])
def test_no_fewer_rows_are_judged_than_asked_for(rows: int) -> None:
    """The blocks hold what was asked for, and no block more than a call takes."""
    assert volume.blocks(rows) * volume.block_rows(rows) >= rows
    assert volume.block_rows(rows) <= CALL_ROWS


@pytest.mark.parametrize("rows", [128, 2080, 48128, CALL_ROWS])
def test_calls_of_many_sizes_take_all_rows(rows: int) -> None:
    """A block of any length is cut into calls from 1 row up, and none is left."""
    tokens = volume.calls(rows).tokens

    assert sum(tokens) == rows
    assert tokens[:3] == (1, 2, 3)
    assert min(tokens) > 0


def test_what_a_long_run_finds_is_kept_whole(tmp_path: Path) -> None:
    """Alarms and the worst figures of all blocks come back from the file, with the day."""
    path = tmp_path / "volume.json"
    one = volume.VolumeResult().added("rows", COMPILED[0], Trial({}, 10, 0.5, 0.1, -0.2))
    two = one.added("others", COMPILED[1], Trial({"weight": 3}, 20, 0.4, 0.1, 0.0))

    volume.keep(two, path)
    kept = volume.kept(path)

    assert kept is not None
    assert (kept.rows, kept.over_bound) == (30, 0.5)
    assert kept.over_bound_of == f"{COMPILED[0].name} on rows"
    assert kept.alarms == (f"{COMPILED[1].name} on others: weight 3",)
    assert kept.date
    assert volume.kept(path.with_name("none.json")) is None


def test_a_run_on_honest_rows_goes_on_where_it_was_ended(tmp_path: Path) -> None:
    """What is kept after two blocks and gone on with is what one run finds, to the last bit."""
    rows = 256 * len(COMPILED) * len(volume.KINDS)
    path = tmp_path / "partial.json"
    whole = volume.Partial(rows)
    for n, (kind, honest, trial) in enumerate(volume.volume(rows)):
        whole = volume.Partial(rows, n + 1, whole.found.added(kind, honest, trial))
        if n == 1:
            volume.keep_partial(whole, path)
        if n == 3:
            break

    resumed = volume.kept_partial(path, rows)
    assert resumed.blocks == 2
    for kind, honest, trial in volume.volume(rows, resumed.blocks):
        found = resumed.found.added(kind, honest, trial)
        resumed = volume.Partial(rows, resumed.blocks + 1, found)
        if resumed.blocks == whole.blocks:
            break

    assert resumed == whole
    assert whole.found.rms_over_limit > 0


@pytest.mark.parametrize("text", ["{", "[]", '{"asked": 7, "blocks": 1, "found": {"alarms": []}}'])
def test_partial_sums_of_another_run_are_refused(tmp_path: Path, text: str) -> None:
    """A file of another length of run, or of something else, is refused by name."""
    path = tmp_path / "partial.json"
    path.write_text(text, "utf-8")

    with pytest.raises(GoldgateError, match=r"partial\.json"):
        volume.kept_partial(path, 8)


@pytest.mark.parametrize(("spread", "mean"), [(1.0, 0.0), (10.0, -40.0)])
def test_ulps_at_the_limit_go_up_as_often_as_down(spread: float, mean: float) -> None:
    """Which way an honest fast-math kernel errs has no preference, and no two errors share it."""
    logits = np.random.default_rng(3).normal(mean, spread, 20000).astype(np.float32)

    ups = np.array([[up(x, which) for x in logits] for which in (0, 1)])

    assert np.abs(ups.mean(axis=1) - 0.5).max() < 5 * 0.5 / np.sqrt(len(logits))
    assert abs(np.corrcoef(ups)[0, 1]) < 5 / np.sqrt(len(logits))


def test_a_recording_of_one_call_shows_a_captured_input() -> None:
    """A kernel that keeps its first inputs is not asked about those inputs first."""
    held = made("normal")
    ran = run(Loaded(captured(), "captured", "unversioned", "cpu", "ieee"), held)
    right = run(Loaded(kernel(), "honest", "unversioned", "cpu", "ieee"), held)

    assert (ran.output.ids() != right.output.ids()).any()


def test_processes_that_share_the_work_find_the_same_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lines come in the pages' order whoever finds them, the largest recordings begun first."""
    names = ["normal", "many", "", "million", "normal"]
    begun: list[list[int]] = []

    def lines(numbers: list[int]) -> dict[int, matrix.Line]:
        begun.append(numbers)
        return {n: matrix.Line(str(n), "file", names[n], "", True, "", ()) for n in numbers}

    monkeypatch.setattr(matrix, "_everything", lambda: [(name, None) for name in names])
    monkeypatch.setattr(matrix, "_lines", lines)
    advanced: list[str] = []

    found = matrix.all_lines(lambda line: advanced.append(line.name))

    assert [line.name for line in found] == ["0", "1", "2", "3", "4"]
    assert begun == [[3], [1], [0, 4], [2]]
    assert sorted(advanced) == ["0", "1", "2", "3", "4"]


def test_two_processes_try_a_fault_as_one_does() -> None:
    """A fault tried in a process of its own is seen as it is here."""
    numbers = [n for n, (on, _) in enumerate(matrix._everything()) if on == "one-row"]
    assert numbers

    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(matrix._lines, numbers).result()

    assert there == matrix._lines(numbers)


def test_faults_are_many_and_named_apart() -> None:
    """There are at least sixty faults, each with a name of its own."""
    faults: tuple[Fault | FileFault | FolderFault, ...] = (*FAULTS, *FILE_FAULTS, *FOLDER_FAULTS)
    names = [fault.name for fault in faults]

    assert len(names) >= 60
    assert len(set(names)) == len(names)


def test_where_there_is_no_terminal_progress_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's log gets a line every ten seconds, not silence and not a line for each step."""
    log, clock = io.StringIO(), count()
    monkeypatch.setattr("goldgate.progress.time.monotonic", lambda: next(clock) / 5)

    with progress(Console(file=log)) as add_task:
        advance = add_task("blocks", 1000)
        for _ in range(1000):
            advance(1, "a kernel")

    said = log.getvalue().splitlines()
    assert len(said) == 20
    assert said[0] == "blocks: 50 of 1000, 10 s"
    assert said[-1] == "blocks: 1000 of 1000, 200 s"
