"""Honest kernels on millions of fresh rows: no false alarm, and how near to one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from goldgate.accuracy import turns
from goldgate.accuracy.calls import device_name
from goldgate.accuracy.document import write_text
from goldgate.accuracy.one_call import call
from goldgate.errors import GoldgateError
from goldgate.fixtures import KernelInfo, Output, Recording
from goldgate.fixtures.plan import CALL_ROWS, Plan
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels import Loaded
from goldgate.mutants.conforming.distributions import CASES, Case
from goldgate.mutants.conforming.kernels import COMPILED, Honest
from goldgate.mutants.recordings import SEED, bfloat16
from goldgate.mutants.trial import Trial, judged
from goldgate.mutants.trial import words as said
from goldgate.reference import MINIMAX_M2_5

#: Rows of the default run, and of the long one, whose result is kept in `KEPT`.
DEFAULT, LONG = 5_000_000, 100_000_000
KEPT = Path(__file__).with_name("volume.json")

#: What the rows of `volume` are of: every case, and bfloat16 logits without a bias, where ties are
#: frequent.
KINDS: tuple[Case | None, ...] = (*CASES, None)

#: Rows of the calls that a block is cut into.
_CALLS = (*range(1, 65), 96, 128, 200, 257, 700, 1100, 5000, 20000)

#: Rows of a block of `volume` are a multiple of this.
_STEP = 128


def block_rows(rows: int) -> int:
    """Return how many rows a block has, that so many rows bring every family to every kind.

    No more than a call takes at once: its memory is what a block needs, several times over.
    """
    blocks = len(COMPILED) * len(KINDS)
    return min(CALL_ROWS, -(-rows // (blocks * _STEP)) * _STEP)


def blocks(rows: int) -> int:
    """Return how many blocks `volume` judges."""
    return -(-rows // block_rows(rows))


def volume(rows: int, first: int = 0, processes: int = 1) -> Iterator[tuple[str, Honest, Trial]]:
    """Judge the compiled kernels in turn on so many fresh rows of 256 experts and top-8, or more.

    Yields what the rows are of, the kernel, and what the judge says, in order from block `first`
    on: a block's rows depend on its number and on `rows` alone, however many processes judge.
    """
    turns = range(first, blocks(rows))
    if processes == 1:
        found: Iterator[Trial] = (block(rows, turn) for turn in turns)
        yield from map(_named, turns, found)
        return
    context = get_context("spawn")  # the kernels' threads do not survive a fork
    with ProcessPoolExecutor(processes, context, _one_thread) as pool:
        yield from map(_named, turns, pool.map(partial(block, rows), turns))


def block(rows: int, turn: int) -> Trial:
    """Judge one block of a run of so many rows, each call made once."""
    honest, size = COMPILED[turn % len(COMPILED)], block_rows(rows)
    held, plan = _rows(turn, _kind(turn), size), Plan()
    if (turn + turn // len(COMPILED)) % 2:
        plan = calls(size)
        held = replace(held, source={**held.source, "calls": plan.to_dict()})
    loaded = Loaded(honest.make(), honest.name, "unversioned", "cpu", honest.profile)
    answers = [call(loaded, held, start, stop) for start, stop in plan.spans(size)]
    output = Output(
        KernelInfo(honest.name, "unversioned", "cpu", "hardware", honest.profile),
        tensor(np.concatenate([one.weights for one in answers])),
        tensor(np.concatenate([one.ids for one in answers])),
    )
    return judged(held, output, honest.profile, sum(len(one.faults) for one in answers))


def _named(turn: int, trial: Trial) -> tuple[str, Honest, Trial]:
    return of(_kind(turn)), COMPILED[turn % len(COMPILED)], trial


def _kind(turn: int) -> Case | None:
    return KINDS[turn // len(COMPILED) % len(KINDS)]


def calls(rows: int) -> Plan:
    """Return a plan of calls of many sizes, each of 1 to 64 rows among them, that has so many rows.

    Every other block is called so: the random error is judged by the size of the call.
    """
    tokens: list[int] = []
    left, sizes = rows, itertools.cycle(_CALLS)
    while left:
        tokens.append(min(next(sizes), left))
        left -= tokens[-1]
    return Plan(tuple(tokens))


def _one_thread() -> None:
    """Judge in one thread: the processes fill the cores."""
    turns.MAX_THREADS = 1


def of(kind: Case | None) -> str:
    """Say what rows are of."""
    if kind is None:
        return "bfloat16 logits N(0, 1), no bias"
    return (
        f"logits {kind.shift:g} + {kind.scale:g} N(0, 1), "
        f"bias {kind.centre:g} + {kind.spread:g} N(0, 1)"
    )


def _rows(turn: int, kind: Case | None, rows: int) -> Recording:
    rng = np.random.default_rng([SEED, 1, turn])
    logits = rng.standard_normal((rows, 256), dtype=np.float32)
    if kind is None:
        zero = np.zeros(256, np.float32)
        return recording(f"volume {turn}", tensor(bfloat16(logits), "BF16"), zero, MINIMAX_M2_5)
    logits *= np.float32(kind.scale)
    logits += np.float32(kind.shift)
    bias = rng.normal(kind.centre, kind.spread, 256).astype(np.float32)
    return recording(f"volume {turn}", logits, bias, MINIMAX_M2_5)


@dataclass(frozen=True)
class VolumeResult:
    """What was found of so many rows.

    Attributes:
        rows: how many were judged.
        alarms: kernel, rows and what was said, for each block that was called wrong.
        over_bound: the largest weight error over its bound.
        over_bound_of: kernel and rows of it.
        rms_over_limit: the largest root mean square of random errors over its limit.
        rms_over_limit_of: kernel and rows of it.
        group: the most that the mean of a group of weights takes of its limit for certain.
        group_of: kernel and rows of it.
        date: when.
        processor: on what.

    """

    rows: int = 0
    alarms: tuple[str, ...] = ()
    over_bound: float = 0.0
    over_bound_of: str = ""
    rms_over_limit: float = 0.0
    rms_over_limit_of: str = ""
    group: float = 0.0
    group_of: str = ""
    date: str = ""
    processor: str = ""

    def added(self, kind: str, honest: Honest, trial: Trial) -> VolumeResult:
        """Return this with another block."""
        where = f"{honest.name} on {kind}"
        found = replace(self, rows=self.rows + trial.rows)
        if trial.seen:
            found = replace(found, alarms=(*self.alarms, f"{where}: {said(trial)}"))
        if trial.over_bound > self.over_bound:
            found = replace(found, over_bound=trial.over_bound, over_bound_of=where)
        if trial.rms_over_limit > self.rms_over_limit:
            found = replace(found, rms_over_limit=trial.rms_over_limit, rms_over_limit_of=where)
        if trial.group > self.group:
            found = replace(found, group=trial.group, group_of=where)
        return found


def keep(found: VolumeResult, path: Path = KEPT) -> None:
    """Write what a long run found, with the day and the processor."""
    dated = replace(
        found, date=f"{datetime.now().astimezone():%Y-%m-%d}", processor=device_name("cpu")
    )
    path.write_text(json.dumps(asdict(dated), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Partial:
    """What a run of so many rows has found after its first blocks.

    Attributes:
        asked: rows that the run was asked for; another number makes other blocks.
        blocks: how many are judged.
        found: what was found in them.

    """

    asked: int
    blocks: int = 0
    found: VolumeResult = VolumeResult()


def keep_partial(left: Partial, path: Path) -> None:
    """Write what a run has found so far, whole or not at all."""
    write_text(path, json.dumps(asdict(left), indent=1) + "\n")


def kept_partial(path: Path, asked: int) -> Partial:
    """Return what a run of so many rows left, a fresh one where there is none.

    Raises:
        GoldgateError: the file is of a run of another length, or of something else.

    """
    if not path.exists():
        return Partial(asked)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        found = VolumeResult(**(held["found"] | {"alarms": tuple(held["found"]["alarms"])}))
        left = Partial(int(held["asked"]), int(held["blocks"]), found)
    except (ValueError, TypeError, KeyError) as error:
        raise GoldgateError(f"{path}: expected what a run on honest rows left ({error})") from None
    if left.asked != asked:
        raise GoldgateError(f"{path}: of a run of {left.asked} rows: expected --rows {asked}")
    return left


def kept(path: Path = KEPT) -> VolumeResult | None:
    """Return what the last long run found, None if there was none."""
    if not path.exists():
        return None
    held = json.loads(path.read_text(encoding="utf-8"))
    return VolumeResult(**(held | {"alarms": tuple(held["alarms"])}))
