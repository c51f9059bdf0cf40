"""Judging again the recordings and outputs that are at hand.

What this goldgate finds is evidence by itself. Where it differs from what the evidence states, or
where a file is not the one that the evidence was made of, that is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from goldgate.accuracy.evidence import result_json
from goldgate.accuracy.tasks import Criteria, judged_output
from goldgate.fixtures import FixtureError, open_output, open_recording, tensorfile
from goldgate.fixtures.summary import summarise
from goldgate.provenance import judge_sha256
from goldgate.signoff.checklist import EvidenceFile, Refused
from goldgate.signoff.gather import AtHand
from goldgate.signoff.gathered import OUTPUT, Gathered, Margins, Parity, merged
from goldgate.signoff.parity_facts import kernel_of, parity_of

#: Rows that are judged again, and whose margins are drawn, unless all are asked for: at 60,000 and
#: 24,000 rows a second of processor time (measured on one core) half a minute and eight seconds.
FEW_ROWS, FEW_MARGINS = 2_000_000, 200_000

Advance = Callable[[int], object]


def parity_again(
    at_hand: AtHand,
    stated: Sequence[Parity],
    criteria: Criteria,
    most_rows: int | None,
    advance: Advance = lambda _: None,
) -> Gathered:
    """Judge outputs at hand.

    Args:
        at_hand: recordings and outputs.
        stated: the verdicts that the evidence has.
        criteria: how to judge; its profile is None: outputs name theirs.
        most_rows: rows after which no further file is judged; None: all.
        advance: called with 1 whenever an output was judged or passed over.

    """
    by_recording: dict[str, list[Parity]] = {}
    for one in stated:
        by_recording.setdefault(one.recording_sha256, []).append(one)
    by_name = {Path(file.path).stem: file for _, file in at_hand.recordings.values()}
    parts: list[Gathered] = []
    rows = left = without = 0
    for path, file in at_hand.outputs:
        part: Gathered | None = None
        made_for = _made_for(path)
        if made_for in at_hand.recordings:
            if most_rows is None or rows < most_rows:
                known = by_recording.get(made_for, [])
                part = _output_again(path, file, at_hand.recordings[made_for][0], known, criteria)
                rows += sum(one.rows for one in part.parity)
            else:
                left += 1
        elif twin := by_name.get(path.stem):
            why = (
                f"made for a recording with sha256 {made_for[:12]}..., and {twin.path} has "
                f"{twin.sha256[:12]}...: one of the two was edited or is another day's; bring the "
                "recording that it was made for"
            )
            part = Gathered(refused=(Refused(file, why, unusable=True),))
        else:
            without += 1
        if part is not None:
            parts.append(part)
        advance(1)
    notes = [
        *([f"{left} outputs were not judged again: --again all judges every one"] if left else []),
        *([f"{without} outputs have no recording at hand: not judged again"] if without else []),
    ]
    return merged([*parts, Gathered(notes=tuple(notes))])


def _made_for(path: Path) -> str:
    try:
        _, metadata = tensorfile.read(path)
        about = tensorfile.metadata_json(path, metadata, OUTPUT)
    except FixtureError:
        return ""
    return str(about.get("recording_sha256"))


def _output_again(
    path: Path, file: EvidenceFile, recording: Path, stated: Sequence[Parity], criteria: Criteria
) -> Gathered:
    try:
        held = open_recording(recording)
        output = open_output(path, held)
        judged = judged_output(file.path, held.name, held, output, criteria, (), lambda _: None)
    except FixtureError as error:
        why = str(error).removeprefix(f"{path}: ")
        return Gathered(refused=(Refused(file, why, unusable=True),))
    found = parity_of(
        result_json(judged),
        kernel_of(vars(output.kernel), judged.profile),
        file,
        judge_sha256=judge_sha256(),
        judged_again=True,
    )
    refused = [
        Refused(file, why, unusable=True) for one in stated if (why := _disagrees(one, found))
    ]
    return Gathered(parity=() if refused else (found,), refused=tuple(refused[:1]))


def _disagrees(stated: Parity, found: Parity) -> str:
    """Say in what evidence differs from what was found of the same outputs; "" in nothing."""
    if not stated.output_sha256 or stated.recording_sha256 != found.recording_sha256:
        return ""
    if stated.output_sha256 != found.output_sha256:
        same = replace(stated.kernel, arithmetic="") == replace(found.kernel, arithmetic="")
        # Another run of the same kernel on the same device returns the same bits.
        if same and stated.recording == found.recording:
            return (
                f"its sha256 is {found.output_sha256[:12]}..., and {stated.file.path} judged "
                f"{stated.output_sha256[:12]}...: it was edited, or the kernel answers otherwise "
                "from run to run; judge it again"
            )
        return ""
    if stated.kernel.arithmetic != found.kernel.arithmetic:
        return ""  # judged by another profile: both hold
    differing = [
        f"{name} {mine!r} there, {theirs!r} here"
        for name, mine, theirs in (
            ("verdict", stated.verdict, found.verdict),
            ("rows", stated.rows, found.rows),
            ("failing rows", stated.failing, found.failing),
            ("row verdicts", dict(stated.counts), dict(found.counts)),
        )
        if mine != theirs
    ]
    # An emulated sample or a call's fault is the command's that ran the kernel.
    if not differing or stated.call_faults:
        return ""
    return (
        f"judged again it is not what {stated.file.path} states ({'; '.join(differing)}): judge it "
        "with this version and the policy's known failures"
    )


#: Gaps between the last chosen and the best rejected biased score, as the page bins them.
_EDGES = tuple(10.0**power for power in range(-9, 1))


def margins_of(
    recordings: Mapping[str, tuple[Path, EvidenceFile]], most_rows: int | None
) -> Iterator[Margins]:
    """Yield how near each recording's rows are to another choice of experts.

    Args:
        recordings: by SHA-256.
        most_rows: rows after which no further file is routed; None: all.

    """
    done = 0
    for path, file in recordings.values():
        if most_rows is not None and done >= most_rows:
            return
        held = open_recording(path)
        done += held.rows
        found = summarise(held)
        bins = np.searchsorted(_EDGES, np.asarray(found.gaps), side="right")
        counts = np.bincount(bins, minlength=len(_EDGES) + 1)
        yield Margins(
            Path(file.path).stem,
            found.judged,
            _EDGES,
            tuple(int(one) for one in counts),
            found.near_ties,
            found.exact_ties,
        )
