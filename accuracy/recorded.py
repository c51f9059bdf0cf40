"""What to judge of an outputs folder: a task for each file, and a refusal for each that lacks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from goldgate.accuracy.account import NotRun
from goldgate.accuracy.evidence import Judged
from goldgate.accuracy.manifest import CRASHED, NAME, NOT_COVERED, WRITTEN, Entry, read_manifest
from goldgate.accuracy.tasks import (
    Advance,
    Criteria,
    Task,
    judged_output,
    recordings_in,
    refusal,
    refused,
)
from goldgate.fixtures import FixtureError, Recording
from goldgate.fixtures.output import check_recording, open_unchecked
from goldgate.fixtures.recording import open_unhashed


def judge_tasks(
    recordings: Path, outputs: Path, options: Criteria, *, partial: bool = False
) -> tuple[list[Task], list[NotRun]]:
    """Return a task for each output KERNEL/NAME.safetensors of a folder, and what was not run.

    What a folder's manifest says was asked and not written is refused; without a manifest, every
    recording that has no output.

    Args:
        recordings: folder of recordings, or one file.
        outputs: folder of kernels' folders, or one kernel's.
        options: how to judge.
        partial: whether recordings without an output are left out where there is no manifest.

    Raises:
        FixtureError: a folder is missing or holds nothing to judge.

    """
    opened, broken = recordings_in(recordings, open_unhashed)
    tasks = [refusal("-", name, why) for name, why in broken.items()]
    if not outputs.is_dir():
        raise FixtureError(f"{outputs}: no such folder: expected KERNEL/NAME.safetensors in it")
    folders = sorted(path for path in outputs.iterdir() if path.is_dir())
    if any(outputs.glob("*.safetensors")) or (outputs / NAME).exists():  # one kernel's folder
        folders = [outputs]
    not_run: list[NotRun] = []
    found = False
    for folder in folders:
        files = {
            str(path.relative_to(folder).with_suffix("")): path
            for path in sorted(folder.rglob("*.safetensors"))
        }
        try:
            manifest = read_manifest(folder)
        except FixtureError as error:
            tasks.append(refusal(folder.name, "-", str(error)))
            manifest = {}
        found |= bool(files) or bool(manifest)
        # A file of an earlier run is no answer to the one that the manifest is about.
        stated = manifest or {}
        files = {n: p for n, p in files.items() if n not in stated or stated[n].state == WRITTEN}
        for name, path in files.items():
            if name in opened:
                tasks.append(_output_task(folder.name, opened[name], path, options))
            elif name in broken:
                why = f"{path}: its recording was refused"
                tasks.append(refusal(folder.name, name, why))
            else:
                why = f"{path}: no recording {name!r} in {recordings}: outputs need theirs"
                tasks.append(refusal(folder.name, name, why))
        if not files and manifest is None:
            if not partial:
                why = f"{folder}: no outputs and no {NAME}: remove the folder, or use --partial"
                tasks.append(refusal(folder.name, "-", why))
            continue
        without = [name for name in opened if name not in files]
        if manifest is not None:
            more, notes = _by_manifest(folder, files, manifest, without)
        elif partial:
            more, notes = [], [NotRun(folder.name, n, "no output; --partial") for n in without]
        else:
            more, notes = [refusal(folder.name, n, _missing(folder, n)) for n in without], []
        tasks += more
        not_run += notes
    if not found:
        raise FixtureError(f"{outputs}: no outputs: expected KERNEL/NAME.safetensors")
    return tasks, not_run


def _by_manifest(
    folder: Path, files: Mapping[str, Path], manifest: Mapping[str, Entry], without: list[str]
) -> tuple[list[Task], list[NotRun]]:
    """Return what a manifest says of recordings that have no output here."""
    tasks, not_run = [], []
    for name, entry in manifest.items():
        if name in files:
            continue
        if entry.state == CRASHED:
            tasks.append(_crashed(folder.name, name, entry.why))
        elif entry.state == NOT_COVERED:
            not_run.append(NotRun(folder.name, name, entry.why))
        else:
            why = f"{folder / NAME}: {name} was {entry.state}, and there is no output of it"
            tasks.append(refusal(folder.name, name, why))
    absent = "not among the recordings of its manifest"
    absent = absent if manifest else f"{folder / NAME} names no recording"
    not_run += [NotRun(folder.name, name, absent) for name in without if name not in manifest]
    return tasks, not_run


def _missing(folder: Path, name: str) -> str:
    return (
        f"{folder / name}.safetensors: no output, and the folder has no {NAME} that says what was "
        "asked: bring it, or leave such recordings out with --partial"
    )


def _crashed(kernel: str, title: str, why: str) -> Task:
    fault = f"it crashed when it was run: {why}"
    return Task(kernel, title, 0, lambda _: Judged(kernel, title, faults=(fault,)))


def _output_task(kernel: str, recording: Recording, path: Path, options: Criteria) -> Task:
    def begin() -> None:
        if recording.digest is not None:
            recording.digest.start(options.executor)

    def do(advance: Advance) -> Judged:
        # The files are hashed while they are judged; nothing is reported before the hashes agree.
        title = recording.name
        try:
            output = open_unchecked(path, recording)

            def judged_rows(count: int) -> None:
                # Not before judging has begun: its hash then waits for a core that is free.
                if output.digest is not None:
                    output.digest.start(options.executor)
                advance(count)

            judged = judged_output(kernel, title, recording, output, options, (), judged_rows)
            check_recording(path, output, recording)
        except FixtureError as error:
            return refused(kernel, title, str(error), recording)
        return judged

    return Task(kernel, recording.name, recording.rows, do, hash=begin)
