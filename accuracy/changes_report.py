"""A comparison of two kernels as a table, as lines below it and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldgate.accuracy.account import Account
from goldgate.accuracy.changes import Change, Changes
from goldgate.accuracy.changes import Side as Judged
from goldgate.accuracy.document import sealed
from goldgate.accuracy.evidence import SHOWN
from goldgate.accuracy.pairs import Compared
from goldgate.accuracy.selection import Reason
from goldgate.accuracy.systematic_error import SystematicError, systematic_error
from goldgate.provenance import environment, goldgate_itself

#: The version of the JSON's layout, and the layout as JSON Schema, draft 2020-12.
SCHEMA = 1
SCHEMA_FILE = Path(__file__).with_name("comparison.schema.json")

_COLOURS = {
    "EXPLAINED": "green",
    "UNEXPLAINED": "bold red",
    "REFUSED": "bold yellow",
    "NOT COVERED": "yellow",
}

#: The columns of changes, in the table's order.
_SHOWN_CHANGES = (
    Change.ORDER,
    Change.TIE,
    Change.ROUNDING,
    Change.UNDEFINED,
    Change.KNOWN,
    Change.OLD_WRONG,
    Change.NEW_WRONG,
    Change.BOTH_WRONG,
)


def show(to: Console, done: Sequence[Compared], old: str, new: str) -> int:
    """Print the comparison and return the exit status.

    Args:
        to: where.
        done: each recording's.
        old: what the user calls the old kernel.
        new: what the user calls the new one.

    """
    to.print(f"OLD {old}\nNEW {new}\n", markup=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("recording", overflow="fold")
    headings = ["rows", "rerouted", *(change.text for change in _SHOWN_CHANGES)]
    for heading in (*headings, "weights moved", "max", "rms", "of both bounds"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for one in done:
        verdict = Text(one.verdict, style=_COLOURS[one.verdict])
        table.add_row(Text(one.recording), *map(Text, _cells(one.changes)), verdict)
    to.print(table)
    for one in done:
        for line in _lines(one):
            to.print(f"\n{one.recording}: {line}", markup=False)
    to.print("\n" + _answer(done), markup=False)
    return _status(done)


def _status(done: Sequence[Compared]) -> int:
    verdicts = {one.verdict for one in done}
    if "UNEXPLAINED" in verdicts:
        return 1
    return 2 if "REFUSED" in verdicts or "EXPLAINED" not in verdicts else 0


def _cells(changes: Changes | None) -> list[str]:
    if changes is None:
        return [""] * (len(_SHOWN_CHANGES) + 6)
    moved = changes.moves
    share = f"{moved.moved} of {moved.weights}" if moved.weights else "not compared"
    return [
        str(changes.rows - changes.counts[Change.PADDING]),
        str(changes.rerouted),
        *(str(changes.counts[change]) for change in _SHOWN_CHANGES),
        share,
        f"{moved.largest:.1f} u",
        f"{moved.rms:.2f} u",
        f"{moved.over_bounds:.3g}",
    ]


def _lines(one: Compared) -> list[str]:
    lines = list(one.faults)
    lines += [why for why in (one.refusal, one.left_out and f"not covered: {one.left_out}") if why]
    if one.changes is None:
        return lines
    changes = one.changes
    lines += [f"not compared: {line}" for line in one.uncovered]
    for name, side in (("OLD", changes.old), ("NEW", changes.new)):
        if side.systematic_error.found:
            lines.append(f"{name} leans: {_lean(side.systematic_error)}")
        lines += [f"{name}: {line}" for line in side.random_error.findings]
    between = difference(changes)
    if between.found:
        lines.append(f"NEW leans against OLD: {_lean(between)}")
    for row in changes.unexplained[:SHOWN].tolist():
        lines.append(f"row {row}: {_wrong(changes, row)}")
    if (more := len(changes.unexplained) - SHOWN) > 0:
        lines.append(f"and {more} more rows that are not explained")
    return lines


def _wrong(changes: Changes, row: int) -> str:
    parts = []
    for name, side in (("OLD", changes.old), ("NEW", changes.new)):
        why = Reason(side.reasons[row])
        verdict = f"wrong ({why.text})" if why != Reason.NONE else "right"
        parts.append(f"{name} is {verdict}, ids {side.output.ids(row, row + 1)[0].tolist()}")
        if side.output.topk_weights is not None and why in _ABOUT_WEIGHTS:
            weights = [float(f"{w:.9g}") for w in side.output.weights(row, row + 1)[0]]
            parts[-1] += f", weights {weights}"
    return "; ".join(parts)


_ABOUT_WEIGHTS = (Reason.WEIGHT, Reason.WEIGHT_SUM, Reason.NONFINITE_WEIGHT)


def difference(changes: Changes) -> SystematicError:
    """Return what NEW leans by against OLD, by the wider of the two arithmetics' limits."""
    profiles = (changes.old.profile, changes.new.profile)
    wide = max(profiles, key=lambda p: (p.recovered or p.divide > 1.0, p.exp_per_unit, p.exponent))
    return systematic_error(changes.moves.sums, changes.spec, wide)


def _lean(found: SystematicError) -> str:
    return (
        f"systematic part {found.size:.2f} u, slope {found.slope:+.2f} +- {found.slope_error:.2f} "
        f"u, mean {found.mean:+.2f} +- {found.mean_error:.2f} u"
    )


def _answer(done: Sequence[Compared]) -> str:
    """Answer the question of a swap in one line."""
    found = [one.changes for one in done if one.changes is not None]
    rows = sum(one.rows - one.counts[Change.PADDING] for one in found)
    rerouted = sum(one.rerouted for one in found)
    unexplained = sum(len(one.unexplained) for one in found)
    line = f"of {rows} rows {rerouted} route differently; "
    line += f"{unexplained} rows are not explained" if unexplained else "every one is explained"
    wrong = {
        change: sum(one.counts[change] for one in found)
        for change in (Change.OLD_WRONG, Change.NEW_WRONG, Change.BOTH_WRONG)
    }
    if unexplained:
        line += f" ({', '.join(f'{change.text} {n}' for change, n in wrong.items() if n)})"
    for name in ("old", "new"):
        if any(getattr(one, name).leans for one in found):
            line += f"; {name.upper()} leans"
    failed = sum(bool(one.faults) for one in done)
    left = sum(one.changes is None for one in done)
    line += f"; calls failed on {failed} recordings" if failed else ""
    return line + (f"; {left} recordings were not compared" if left else "")


def to_json(done: Sequence[Compared], old: str, new: str, about: Account) -> str:
    """Return the comparison as JSON with a digest; the same input gives the same but for "time"."""
    verdicts = [one.verdict for one in done]
    return sealed(
        {
            "schema": SCHEMA,
            "kind": "comparison of kernels",
            "goldgate": goldgate_itself(),
            "environment": environment(),
            "options": {**about.options, "old": old, "new": new},
            "results": [_result(one) for one in done],
            "summary": {
                "answer": _answer(done),
                **{v.lower().replace(" ", "_"): verdicts.count(v) for v in _COLOURS},
                "exit_status": _status(done),
            },
            "time": {
                "started": about.started.isoformat(timespec="seconds"),
                "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            },
        }
    )


def _result(one: Compared) -> dict[str, object]:
    about: dict[str, object] = {
        "recording": one.recording,
        "verdict": one.verdict,
        "sha256": dict(zip(("recording", "old", "new"), one.sha256, strict=True)),
        "call_faults": list(one.faults),
        "refusal": one.refusal or None,
        "not_covered": one.left_out or None,
    }
    if one.changes is None:
        return about
    changes, moved = one.changes, one.changes.moves
    return about | {
        "rows": changes.rows,
        **{_key(change): changes.counts[change] for change in Change},
        "rerouted": changes.rerouted,
        "unexplained_rows": changes.unexplained[:100].tolist(),
        "weights": {
            "compared": moved.weights,
            "moved": moved.moved,
            "largest_u": moved.largest,
            "rms_u": moved.rms,
            "largest_over_both_bounds": moved.over_bounds,
        },
        "lean": {
            "old": _lean_json(changes.old.systematic_error),
            "new": _lean_json(changes.new.systematic_error),
            "difference": _lean_json(difference(changes)),
        },
        "random_error": {
            "old": changes.old.random_error.as_json(),
            "new": changes.new.random_error.as_json(),
        },
        "rows_not_compared": list(one.uncovered),
        "kernels": {"old": _side_json(changes.old), "new": _side_json(changes.new)},
    }


def _key(change: Change) -> str:
    """Return a change's key in the JSON, where "weights" is how far they moved."""
    return "other_weights" if change is Change.WEIGHTS else change.name.lower()


def _lean_json(found: SystematicError) -> dict[str, object]:
    return {**vars(found), "found": bool(found.found)}


def _side_json(side: Judged) -> dict[str, object]:
    return {**vars(side.output.kernel), "profile": side.profile.name}
