"""The printed table: what fails and what is known to fail are apart, and every row counts once."""

from __future__ import annotations

import io
import re
from dataclasses import replace

from rich.console import Console

from goldgate.accuracy.evidence import Judged
from goldgate.accuracy.known_failures import SHIPPED, read_known_failures
from goldgate.accuracy.recorded import judge_tasks
from goldgate.accuracy.report import show
from goldgate.accuracy.tasks import Criteria, work
from goldgate.fixtures import SHIPPED_OUTPUTS, SHIPPED_RECORDINGS

KERNEL = "sglang-0.5.23-topk_sigmoid-h100"


def _judged(*, known: bool) -> list[Judged]:
    """Judge the shipped outputs of one kernel, with or without the list of known failures."""
    listed = read_known_failures(SHIPPED) if known else ()
    criteria = Criteria(None, ordered=False, known_failures=listed)
    tasks, _ = judge_tasks(SHIPPED_RECORDINGS, SHIPPED_OUTPUTS / KERNEL, criteria)
    return work(tasks)


def _printed(judged: list[Judged]) -> tuple[str, dict[str, dict[str, str]]]:
    """Return what is printed, and the table's cells by recording and heading."""
    text = io.StringIO()
    show(Console(file=text, width=300), judged, [])
    head, *rows = text.getvalue().partition("\n\n")[0].splitlines()
    headings = re.split(r"\s{2,}", head.strip())
    cells = [dict(zip(headings, re.split(r"\s{2,}", row.strip()), strict=True)) for row in rows]
    return text.getvalue(), {row["recording"]: row for row in cells}


def test_a_pass_shows_no_failing_row_and_no_weight_beyond_its_bound() -> None:
    """Rows that fail as known are counted apart; their weight error is in the list below."""
    text, table = _printed(_judged(known=True))

    edge = table["edge"]
    assert (edge["verdict"], edge["failing"], edge["known"]) == ("PASS", "0", "26")
    assert float(edge["weight/bound"]) < 1
    assert "weight in 24 rows" in text
    assert "weights off by at most 3100 bounds" in text


def test_a_failure_that_is_not_listed_counts_as_failing() -> None:
    """Without the list the same rows are failing, with the largest of their weight errors."""
    text, table = _printed(_judged(known=False))

    edge = table["edge"]
    assert (edge["verdict"], edge["failing"], edge["known"]) == ("FAIL", "26", "0")
    assert edge["weight/bound"] == "3.01e+03"
    assert "26 of 138 rows fail" in text


def test_every_row_is_counted_once() -> None:
    """The kinds of rows, known and failing ones among them, add up to the rows."""
    kinds = ("exact", "reordered", "tie", "admissible", "undefined", "failing", "known")

    for known in (True, False):
        _, table = _printed(_judged(known=known))

        sums = {name: sum(int(row[kind]) for kind in kinds) for name, row in table.items()}
        assert sums == {name: int(row["rows"]) for name, row in table.items()}
        assert len(table) == 3


def test_what_several_kernels_share_is_printed_once() -> None:
    """A known failure, a tie and a note of many variants of a kernel take one line each."""
    one = replace(_judged(known=True)[0], notes=("writes past its end",))
    variants = [replace(one, kernel=f"variant-{number}") for number in range(3)]

    once, _ = _printed([one])
    text = io.StringIO()
    show(Console(file=text, width=300), variants, [])

    assert "weight in 24 rows" in once
    shared = ("weight in 24 rows", "duplicate id in 2 rows", "not bounded: ", "writes past its end")
    for line in shared:
        (found,) = (part for part in text.getvalue().splitlines() if line in part)
        assert found.strip().startswith("variant-0 and 2 other kernels")
