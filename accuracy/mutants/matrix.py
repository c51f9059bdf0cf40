"""The kill matrix: every fault and honest kernel before every check, as page and picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from accuracy.mutants.checks import CHECKS, Given, Outputs, outputs, reference
from accuracy.mutants.fault import Fault, FileFault
from accuracy.mutants.honest import COMPILED, Honest
from accuracy.mutants.inputs import DESCRIPTIONS, SHIPPED, made, shipped_outputs
from accuracy.mutants.steps import sigmoid
from accuracy.mutants.trial import (
    FAULTS,
    FILE_FAULTS,
    judged,
    try_fault,
    try_file,
    try_kernel,
    words,
)

#: The recordings on which honest kernels stand before the checks.
_HONEST_ON = ("normal", "offset", "bfloat16")

_FAMILIES = ("arithmetic", "selection", "memory", "rare", "drift", "file", "inside rounding")


@dataclass(frozen=True)
class Line:
    """A row of the matrix.

    Attributes:
        name: the fault's or the honest kernel's.
        family: its section.
        on: the recording.
        stands_for: the real case; for an honest kernel its profile.
        expected: whether it met what was asked: caught as it should be, or passed.
        seen: what the judge says, by the kernel's own profile.
        caught: whether each of goldgate by its profile, goldgate by the profile of unknown
            kernels, and `CHECKS` complains; None where a check has nothing to look at.

    """

    name: str
    family: str
    on: str
    stands_for: str
    expected: bool
    seen: str
    caught: tuple[bool | None, ...]


def fault_line(fault: Fault) -> Line:
    """Try a kernel fault before the judge and every check."""
    own, unknown = try_fault(fault)
    met = fault.seen_as in own.seen if fault.seen_as else not own.seen
    others = _complaints(fault.on, lambda calls: outputs(fault.make(), made(fault.on), calls))
    caught = (bool(own.seen), bool(unknown.seen), *others)
    return Line(fault.name, fault.family, fault.on, fault.stands_for, met, words(own), caught)


def file_line(fault: FileFault) -> Line:
    """Try a file fault before the judge, and its tensors before every check."""
    own, unknown, output = try_file(fault)
    others: tuple[bool | None, ...] = (None,) * len(CHECKS)
    if output is not None:
        held = Outputs(output.weights(), output.ids())
        others = _complaints(fault.on, lambda _: held)
    caught = (bool(own.seen), bool(unknown.seen), *others)
    met = fault.seen_as in own.seen
    return Line(fault.name, "file", fault.on, fault.stands_for, met, words(own), caught)


def honest_line(honest: Honest, on: str) -> Line:
    """Try an honest kernel before the judge and every check."""
    own, unknown = try_kernel(honest.make(), made(on), (honest.profile, "conservative"))
    others = _complaints(on, lambda calls: outputs(honest.make(), made(on), calls))
    caught = (bool(own.seen), bool(unknown.seen), *others)
    return Line(honest.name, "honest", on, honest.profile, not own.seen, words(own), caught)


def shipped_line(kernel: str, on: str) -> Line:
    """Put a real kernel's shipped outputs before the judge and every check."""
    output = shipped_outputs(on)[kernel]
    profile = output.kernel.arithmetic
    own, unknown = (judged(made(on), output, name) for name in (profile, "conservative"))
    held = Outputs(output.weights().copy(), output.ids().copy())  # torch wants to own them
    caught = (bool(own.seen), bool(unknown.seen), *_complaints(on, lambda _: held))
    return Line(kernel, "honest", on, profile, not own.seen, words(own), caught)


def all_lines(advance: Callable[[Line], object] = lambda _: None) -> list[Line]:
    """Try everything; `advance` is called with each line as it is found."""
    lines = []
    for fault in FAULTS:
        lines.append(fault_line(fault))
        advance(lines[-1])
    for file_fault in FILE_FAULTS:
        lines.append(file_line(file_fault))
        advance(lines[-1])
    for on in _HONEST_ON:
        for honest in COMPILED:
            lines.append(honest_line(honest, on))
            advance(lines[-1])
    for on, kernel in shipped():
        lines.append(shipped_line(kernel, on))
        advance(lines[-1])
    return lines


def shipped() -> list[tuple[str, str]]:
    """Return recording and kernel of every shipped output that an honest line is made of."""
    return [(on, kernel) for on in SHIPPED for kernel in shipped_outputs(on)]


def count() -> int:
    """Return how many lines `all_lines` finds."""
    honest = len(_HONEST_ON) * len(COMPILED) + len(shipped())
    return len(FAULTS) + len(FILE_FAULTS) + honest


@cache
def _right(on: str, masked: float) -> Outputs:
    found = outputs(reference(masked), made(on), 1)
    if found is None:
        raise RuntimeError(f"the reference raises on {on}")
    return found


@cache
def _given(on: str) -> Given:
    bias = made(on).bias()
    return Given(np.nan_to_num(sigmoid(made(on).logits())) + bias, bias)


def _complaints(on: str, take: Callable[[int], Outputs | None]) -> tuple[bool, ...]:
    taken = {calls: take(calls) for calls in sorted({check.calls for check in CHECKS})}
    said = []
    for check in CHECKS:
        got = taken[check.calls]
        said.append(
            got is None or check.complains(_right(on, check.masked), got, _given(on))
        )  # a kernel that raises fails every test
    return tuple(said)


def row(line: Line) -> str:
    """Return a line as a row of its table."""
    marks = {True: "yes", False: "**no**", None: "n/a"}
    if line.family in ("honest", "inside rounding"):
        marks = {True: "**alarm**", False: "", None: ""}
    cells = [marks[one] for one in line.caught]
    return "| " + " | ".join([line.name, line.on, line.stands_for, line.seen, *cells]) + " |"


def document(lines: Sequence[Line]) -> str:
    """Return the whole document."""
    faults = [line for line in lines if line.family not in ("honest", "inside rounding")]
    headings = ["goldgate", "unknown profile", *(check.name for check in CHECKS)]
    columns = range(len(headings))
    totals = [sum(bool(line.caught[j]) for line in faults) for j in columns]
    asked = [sum(line.caught[j] is not None for line in faults) for j in columns]
    alarms = [line for line in lines if line.family in ("honest", "inside rounding")]
    false = [sum(bool(line.caught[j]) for line in alarms) for j in columns]
    text = [
        "# The kill matrix",
        "",
        "What a validation suite is worth is what it catches. Below, faults planted in an honest",
        "routing kernel (or in its output file), each small and each standing for a real case, are",
        "put before goldgate's judge and before the criteria in use elsewhere, written anew from",
        "what their sources do. Generated by `python -m accuracy mutants --write`; a test holds it",
        "to be current. The faults are planted in stand-ins in numpy and numba that run on the",
        "CPU; the cases they stand for are linked. Only some of the outputs that ship, at the end,",
        "were made on a GPU.",
        "",
        "![Which check catches which fault](kill-matrix.png)",
        "",
        "|  | " + " | ".join(headings) + " |",
        "|---|" + "---|" * len(headings),
        f"| of {len(faults)} faults caught | "
        + " | ".join(f"{t} of {a}" for t, a in zip(totals, asked, strict=True))
        + " |",
        f"| of {len(alarms)} right results called wrong | " + " | ".join(map(str, false)) + " |",
        "",
        "Right results are those of honest kernels and of changes inside rounding.",
        "*goldgate* judges by the profile of the kernel's own arithmetic; *unknown profile* by",
        "`conservative`, the widest of those with an exponential, which is what a kernel gets of",
        "which nothing is known. Numbers beside a reason are rows that fail; *drift* is the",
        "systematic error in u = 2**-24; *call* is a check on the call itself (inputs written,",
        "memory behind the outputs, two calls that differ, a crash).",
        "",
        "## The checks",
        "",
        "Every check is given the recording on which the fault shows and a zeroed buffer, whether",
        "or not its own test runs such a shape; what is compared here is the criterion alone.",
        "",
        *(f"- **[{check.name}]({check.source})**: {check.does}." for check in CHECKS),
        "",
        "## The recordings",
        "",
        *(f"- *{name}*: {description}." for name, description in DESCRIPTIONS.items()),
        "",
    ]
    heads = "| " + " | ".join(["fault", "on", "stands for", "the judge", *headings]) + " |"
    rule = "|" + "---|" * (4 + len(headings))
    for family in _FAMILIES:
        text += [f"## Faults: {family}", ""]
        if family == "inside rounding":
            text += [
                "These change bits and still are what a correct kernel may return: the judge lets",
                "them through, and says how far inside the bound they are.",
                "",
            ]
        text += [heads, rule, *(row(line) for line in lines if line.family == family), ""]
    text += [
        "## Honest kernels",
        "",
        "Different orders of evaluation, rounding at the limit of what a vendor states, outputs in",
        "another order, ties broken by lanes, and what real kernels returned (the shipped outputs;",
        "those of aiter emulated, the others from an H100): none is wrong. **alarm** marks a check",
        "that says so.",
        "",
        heads.replace("fault", "kernel", 1).replace("stands for", "profile"),
        rule,
        *(row(line) for line in lines if line.family == "honest"),
    ]
    return "\n".join(text) + "\n"


def picture(lines: Sequence[Line], path: Path, digest: str) -> None:
    """Draw the matrix, rows faults, columns checks; the digest goes into the file's metadata."""
    import matplotlib as mpl  # noqa: PLC0415 - slow, and only --write draws

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 - as above

    shown = sorted(
        (line for line in lines if line.family not in ("honest", "inside rounding")),
        key=lambda line: _FAMILIES.index(line.family),
    )
    names = ["goldgate", "goldgate,\nunknown profile", *(check.name for check in CHECKS)]
    values = np.array(
        [[0.5 if one is None else float(one) for one in line.caught] for line in shown]
    )
    figure, axes = plt.subplots(figsize=(9, 0.17 * len(shown) + 1.6), layout="constrained")
    colours = mpl.colors.ListedColormap(["#d1495b", "#dddddd", "#2e7d5b"])
    axes.imshow(values, cmap=colours, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(names)), names, rotation=35, ha="left", fontsize=8)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(shown)), [line.name for line in shown], fontsize=6)
    axes.set_xticks(np.arange(len(names)) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(shown)) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("green: caught   red: missed   grey: nothing to look at", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None, "Description": digest})
    plt.close(figure)
