"""A folder of recordings and outputs before the commands' own loop: what they would say."""

from __future__ import annotations

import tempfile
from pathlib import Path

from goldgate.accuracy.evidence import Judged
from goldgate.accuracy.isolation import Runner
from goldgate.accuracy.known_failures import read_known_failures
from goldgate.accuracy.pairs import compare_all, side
from goldgate.accuracy.recorded import judge_tasks
from goldgate.accuracy.tasks import Criteria, recordings_in, work
from goldgate.mutants.fault import (
    BEYOND,
    FAILED,
    INPUT,
    LOGITS,
    NOTHING,
    REFUSED,
    UNDECLARED,
    UNEXPLAINED,
    FolderFault,
)
from goldgate.mutants.faults.evidence import KNOWN, NEW, OLD, OUTPUTS, RECORDINGS


def try_folder(fault: FolderFault) -> tuple[frozenset[str], frozenset[str]]:
    """Return what is seen in a folder, by the kernel's own arithmetic and by `conservative`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fault.build(folder)
        if (folder / NEW).exists():
            return _compared(folder, "ieee"), _compared(folder, "conservative")
        return _judged(folder, "ieee"), _judged(folder, "conservative")


def _judged(folder: Path, profile: str) -> frozenset[str]:
    known = read_known_failures(folder / KNOWN) if (folder / KNOWN).exists() else ()
    criteria = Criteria(profile, ordered=False, known_failures=known)
    tasks, _ = judge_tasks(folder / RECORDINGS, folder / OUTPUTS, criteria)
    return frozenset(seen for one in work(tasks) for seen in _seen(one))


def _seen(one: Judged) -> set[str]:
    if one.result is None:
        return {REFUSED}
    found = {NOTHING} if one.result.nothing else set()
    found |= {INPUT} if one.input_verdict == "FAIL" else set()
    found |= {LOGITS} if one.inputs and one.inputs.grid else set()
    found |= {UNDECLARED} if one.result.undeclared else set()
    found |= {BEYOND} if one.result.beyond else set()
    return found or ({FAILED} if one.verdict != "PASS" else set())


def _compared(folder: Path, profile: str) -> frozenset[str]:
    recordings, _ = recordings_in(folder / RECORDINGS)
    with Runner() as runner:
        old, new = (
            side(str(folder / name), profile, None, runner, partial=False) for name in (OLD, NEW)
        )
        done = compare_all(recordings, old, new, (), lambda _: None)
    unexplained = any(one.verdict != "EXPLAINED" for one in done)
    return frozenset({UNEXPLAINED} if unexplained else ())
