"""No two files of evidence contradict each other."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace

from goldgate.signoff.checklist import EvidenceFile, Item
from goldgate.signoff.gathered import Gathered
from goldgate.signoff.items.item import item
from goldgate.signoff.view import View


@dataclass(frozen=True)
class Statement:
    """What one file states.

    Attributes:
        about: what it is about.
        value: what it states of it; two that differ contradict each other.
        text: both, for a reader.
        file: the file.

    """

    about: Hashable
    value: str
    text: str
    file: EvidenceFile


def agreement(view: View) -> Item:
    """Fail where two files state different things of the same."""
    first: dict[Hashable, Statement] = {}
    wrong: dict[str, tuple[EvidenceFile, EvidenceFile]] = {}
    count = 0
    for one in _statements(view.facts):
        count += 1
        held = first.setdefault(one.about, one)
        if held.value != one.value and held.file != one.file:
            line = f"{held.file.path} states {held.text}, and {one.file.path} states {one.text}"
            wrong.setdefault(line, (held.file, one.file))
    return item(
        view,
        "agreement",
        "no two files contradict each other",
        good=f"{count} statements of {len(view.facts.files)} files agree",
        wrong=list(wrong),
        evidence=[file for pair in wrong.values() for file in pair],
    )


def _statements(facts: Gathered) -> Iterator[Statement]:
    yield from _parity(facts)
    for one in facts.compared:
        compared = ("compared", one.old, one.new, one.recording_sha256)
        if one.recording_sha256 and one.verdict in ("EXPLAINED", "UNEXPLAINED"):
            text = f"{one.verdict} of {one.new.name} on {one.recording}"
            yield Statement(compared, one.verdict, text, one.file)
    for scored in facts.scored:
        runs = scored.document["runs"]
        samples = tuple(sorted(str(run["hashes"].get("samples")) for run in runs.values()))
        about = ("runs", *samples)
        text = f"{scored.verdict} of the runs with samples {samples[0][:12]}..."
        yield Statement(about, scored.verdict, text, scored.file)
    for recorded in facts.recordings:
        stated = {key: recorded.source.get(key) for key in ("kind", "model", "layer", "revision")}
        value = ", ".join(f"{key} {value}" for key, value in stated.items() if value is not None)
        text = f"that the recording {recorded.name} is of {value}"
        yield Statement(("recording", recorded.sha256), value, text, recorded.file)
    for killed in facts.killed:
        value = f"{killed.caught} of {killed.planted} faults caught"
        yield Statement(("judge", killed.judge_sha256), value, value, killed.file)


def _parity(facts: Gathered) -> Iterator[Statement]:
    """Yield verdicts twice: of the same outputs, and of the same kernel on the same device."""
    for one in facts.parity:
        # What calls did wrong is no statement on the outputs.
        if one.verdict not in ("PASS", "FAIL") or not one.recording_sha256 or one.call_faults:
            continue
        kernel = replace(one.kernel, note="")
        text = f"{one.verdict} of {kernel.name} {kernel.version} on {one.recording}"
        yield Statement(("kernel", kernel, one.recording_sha256), one.verdict, text, one.file)
        if one.output_sha256:
            about = ("output", one.output_sha256, one.recording_sha256, kernel.arithmetic)
            yield Statement(about, one.verdict, text, one.file)
