"""The checklist as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldgate.signoff.checklist import Checklist, Item, Refused, State
from goldgate.signoff.fit import listed
from goldgate.text import printable

_COLOURS = {State.PASS: "green", State.FAIL: "bold red", State.MISSING: "bold yellow"}

#: Lines of a kind that are shown; the written files have all of them.
_SHOWN = 8


def show(to: Console, checklist: Checklist) -> None:
    """Print the checklist: the table, what is still to run, what does not count, the verdict."""
    _line(to, f"{checklist.title}\npolicy {checklist.policy_name}", "bold")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("item", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found", overflow="fold")
    for one in checklist.items:
        need = "" if one.required else " (advisory)"
        table.add_row(
            Text(f"{one.name}{need}"),
            Text(one.state.value, style=_COLOURS[one.state]),
            Text(printable(one.found)),
        )
    to.print()
    to.print(table)
    _some(
        to,
        "What to do about what fails",
        [f"{one.name}: {one.next_step}" for one in checklist.items if one.next_step],
    )
    _to_run(to, checklist.items)
    _some(to, "Evidence that does not count", _misses(checklist.items))
    _some(
        to,
        "Evidence not used",
        _refused(checklist.refused),
    )
    _some(to, "Notes", checklist.notes)
    style = "bold green" if checklist.signed_off else "bold red"
    _line(to, f"\n{len(checklist.read)} files of evidence read")
    _line(to, f"\nSIGN-OFF {checklist.verdict}", style)


def _to_run(to: Console, items: Sequence[Item]) -> None:
    """Print each command once, below the machine that it needs."""
    machines: dict[str, dict[str, None]] = {}
    for one in items:
        if one.required:
            for step in one.to_do:
                machines.setdefault(step.where, {}).setdefault(step.command)
    if machines:
        _line(to, "\nStill to run", "bold")
    for where, commands in machines.items():
        _line(to, f"  on {where}:")
        for command in commands:
            _line(to, f"    {command}")


def _refused(refused: Sequence[Refused]) -> list[str]:
    """Return a line a reason: broken files first."""
    reasons: dict[tuple[bool, str], list[str]] = {}
    for one in sorted(refused, key=lambda one: not one.unusable):
        reasons.setdefault((one.unusable, one.why), []).append(one.file.path)
    return [
        f"{listed(paths, 3)}{' (unusable)' if unusable else ''}: {why}"
        for (unusable, why), paths in reasons.items()
    ]


def _misses(items: Sequence[Item]) -> list[str]:
    return list(dict.fromkeys(f"{one.name}: {text}" for one in items for text in one.would_fill))


def _some(to: Console, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    _line(to, f"\n{title}", "bold")
    for line in lines[:_SHOWN]:
        _line(to, f"  {line}")
    if len(lines) > _SHOWN:
        _line(to, f"  and {len(lines) - _SHOWN} more; --out DIR writes all of them")


def _line(to: Console, text: str, style: str = "") -> None:
    to.print(Text(printable(text), style=style), soft_wrap=True)
