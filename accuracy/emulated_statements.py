"""What the verdicts of emulated variants show together: models, certification, architectures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from goldgate.accuracy.emulated_tasks import Uncertified
from goldgate.accuracy.evidence import Judged
from goldgate.fixtures import Output


def held_against_each_other(judged: Sequence[Judged]) -> list[Judged]:
    """Return verdicts of which those are faulty whose architecture returns other bits.

    Both architectures execute one source under one model of the rounding, so that an output of the
    second that differs from the first's in a bit fails, and names the rows.

    Args:
        judged: verdicts of `emulated_tasks`, in its order.

    """
    first: dict[tuple[str, str], Output] = {}
    found = []
    for one in judged:
        output, fault = one.output, ""
        if output is not None:
            against = first.setdefault((one.recording, output.kernel.rounding), output)
            fault = _difference(against, output)
        found.append(replace(one, faults=(*one.faults, fault)) if fault else one)
    return found


def _difference(first: Output, other: Output) -> str:
    """Return in how many rows two outputs hold other bits, "" where in none."""
    weights = (first.weights().view(np.uint32), other.weights().view(np.uint32))
    rows = ((first.ids() != other.ids()) | (weights[0] != weights[1])).any(axis=1)
    at = np.flatnonzero(rows)
    if not len(at):
        return ""
    return (
        f"{other.kernel.architecture} returns other bits than {first.kernel.architecture} in "
        f"{len(at)} of {len(rows)} rows, the first of them row {at[0]}"
    )


def statements(judged: Sequence[Judged], loose: Uncertified) -> Iterator[str]:
    """Say what the verdicts show together: rounding models, certification, architectures."""
    by_recording: dict[str, list[Judged]] = {}
    for one in judged:
        if one.output is not None:
            by_recording.setdefault(one.recording, []).append(one)
    first = next((one.output.kernel for one in judged if one.output), None)
    if first is not None:
        yield f"emulated, not run on AMD hardware: {first.version}; {first.note.split(';')[0]}"
    several = {title: ones for title, ones in by_recording.items() if len(ones) > 1}
    if several:
        yield from _models(several)
        counts = [loose.counts[title] for title in several]
        free, rows = (sum(column) for column in zip(*counts, strict=True))
        yield (
            f"rounding: in {rows - free} of {rows} rows the arithmetic's error bound certifies "
            f"the experts whatever the last bits are; the other {free} rest on the models alone"
        )
        yield from _architectures(several)


def _models(several: Mapping[str, Sequence[Judged]]) -> Iterator[str]:
    differ = [title for title, ones in several.items() if len({o.verdict for o in ones}) > 1]
    outputs = (one.output for ones in several.values() for one in ones if one.output)
    names = dict.fromkeys(output.kernel.rounding for output in outputs)
    text = f"rounding: models executed: {', '.join(names)}"
    if differ:
        yield f"{text}; the verdict depends on the model on {', '.join(differ)}"
    else:
        yield f"{text}; the verdict is the same under each on {len(several)} recordings"


def _architectures(several: Mapping[str, Sequence[Judged]]) -> Iterator[str]:
    first: dict[tuple[str, str], Output] = {}
    same = other = 0
    for title, ones in several.items():
        for output in (one.output for one in ones if one.output is not None):
            key = (title, output.kernel.rounding)
            if key in first:
                equal = not _difference(first[key], output)
                same, other = same + equal, other + (not equal)
            else:
                first[key] = output
    if same + other:
        yield f"gfx942 and gfx950 return the same bits in {same} of {same + other} outputs"
