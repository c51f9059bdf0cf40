"""A recording and its outputs as files, for measuring `goldgate judge` of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from goldgate.accuracy.judged import Judged
from goldgate.accuracy.known_failures import SHIPPED, read_known_failures, read_known_inputs
from goldgate.accuracy.recorded import judge_tasks
from goldgate.accuracy.tasks import Criteria, judged_output, work
from goldgate.fixtures import (
    Output,
    Recording,
    open_output,
    open_recording,
    write_output,
    write_recording,
)
from goldgate.fixtures.hashing import Digest


class Files:
    """A recording and outputs in a folder; each method does what the command does, or a part."""

    def __init__(self, folder: Path, held: Recording, output: Output, threads: int) -> None:
        self.recording, self.outputs = folder / "bench.safetensors", folder / "out"
        answers = self.outputs / "k" / "bench.safetensors"
        write_recording(self.recording, held)
        write_output(answers, output, open_recording(self.recording))
        self._paths = self.recording, answers
        self.size = sum(path.stat().st_size for path in self._paths)
        opened = open_recording(self.recording)
        self._opened = (
            replace(opened, digest=None),
            replace(open_output(answers, opened), digest=None),
        )
        known = tuple(read_known_failures(SHIPPED)), tuple(read_known_inputs(SHIPPED))
        self._how = Criteria(
            None, ordered=False, known_failures=known[0], known_inputs=known[1], cores=threads
        )

    def judge(self) -> None:
        """Judge them without hashes."""
        _passed(judged_output("k", "bench", *self._opened, self._how, (), lambda _: None))

    def hash(self) -> None:
        """Hash them without judging: each file in a thread."""
        for digest in [Digest(path).start() for path in self._paths]:
            digest.result()

    def judge_and_hash(self) -> None:
        """Open, judge and hash them, and check the hashes: as `goldgate judge` does."""
        tasks, _ = judge_tasks(self.recording, self.outputs, self._how)
        (one,) = work(tasks)
        _passed(one)
        if one.output is None or not (one.recording_sha256 and one.output.sha256):
            raise RuntimeError("the bench's own files are not hashed")


def _passed(one: Judged) -> None:
    if one.verdict != "PASS":
        raise RuntimeError(f"the bench's own kernel does not pass: {one.verdict} {one.refusal}")
