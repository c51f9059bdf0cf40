"""One page of a comparison for a browser: self-contained, without scripts, without a network.

Every word of a server is text: it is escaped, and the page's own policy forbids scripts, images and
connections should anything slip through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from goldgate.bounds_plot import Change, height, marks
from goldgate.evals.comparing.compare import Comparison
from goldgate.evals.comparing.report import changed, comparison_report, sentence
from goldgate.evals.comparing.warnings import cautions, points
from goldgate.page_style import COLOURS, DRAWINGS
from goldgate.svg import drawing
from goldgate.webpage import document, escaped, table

#: Changed answers that a page holds; more are counted.
MOST_SHOWN = 200
_LONGEST = 20_000  # characters of one answer

_WIDTH = 340  # of the drawing: that of a phone

_STYLE = (
    COLOURS
    + DRAWINGS
    + """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--back); color: var(--text); overflow-wrap: anywhere }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2rem }
.verdict { border-left: .5rem solid var(--open); padding: .5rem 1rem; background: var(--panel) }
.PRESERVED { border-color: var(--good) } .DEGRADED, .REFUSED { border-color: var(--bad) }
.wide { overflow-x: auto }
table { border-collapse: collapse } td, th { border: 1px solid var(--line); padding: .3rem .6rem;
  text-align: right; overflow-wrap: normal } th:first-child, td:first-child { text-align: left }
.pair { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)) }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line);
  padding: .6rem; margin: .3rem 0; font-size: .85rem }
details { border-top: 1px solid var(--line); padding: .4rem 0 } summary { cursor: pointer }
"""
)


def page(found: Comparison, verdict_sentence: str | None = None) -> str:
    """Return the page as HTML; `verdict_sentence` takes the place of the comparison's own."""
    words = verdict_sentence or sentence(found)
    title = f"GSM8K: {found.verdict}"
    return document(
        title,
        _STYLE,
        [
            f"<h1>{escaped(title)}</h1>",
            (
                f'<p class="verdict {found.verdict}"><strong>{found.verdict}</strong>: '
                f"{escaped(words)}</p>"
            ),
            *_counts(found),
            *_plot(found),
            *_cautions(found),
            *_changed(found),
            "<h2>Report</h2>",
            f"<pre>{escaped(comparison_report(found))}</pre>" if verdict_sentence is None else "",
        ],
    )


def _counts(found: Comparison) -> Iterator[str]:
    heads = (
        "read by", "baseline right", "candidate right", "turned wrong", "turned right",
        "change, points", "lower bound", "decides",
    )  # fmt: skip
    rows = [
        [
            name,
            *(
                f"{sum(run.facts['totals']['right'][name])} of {run.facts['totals']['answers']}"
                for run in (found.baseline, found.candidate)
            ),
            f"{paired.losses:g}",
            f"{paired.gains:g}",
            points(paired.difference),
            points(paired.lower),
            "yes" if name == found.decides and not found.refused else "no",
        ]
        for name, paired in found.paired.items()
    ]
    yield f'<h2>Counts</h2><div class="wide">{table(heads, rows)}</div>'


def _plot(found: Comparison) -> Iterator[str]:
    """Draw each filter's change with its bounds against the margin."""
    if not found.paired:
        return
    margin = 100 * found.rules.margin
    changes = [
        Change(name, 100 * one.lower, 100 * one.difference, 100 * one.upper)
        for name, one in found.paired.items()
    ]
    yield "<h2>Bound against margin</h2>"
    label = "change of the score with its bounds, against the margin"
    yield drawing(_WIDTH, height(changes), label, marks(changes, margin, _WIDTH))
    yield (
        f"<p>The dashed line is the margin -{margin:g} points; PRESERVED needs the lower bound "
        "above it.</p>"
    )


def _cautions(found: Comparison) -> Iterator[str]:
    failed = [check for check in found.checks if not check.passed]
    if failed:
        yield "<h2>Not comparable</h2><ul>"
        yield from (f"<li>{escaped(f'{one.name}: no, {one.detail}')}</li>" for one in failed)
        yield "</ul>"
    listed = [*found.withheld, *cautions(found)]
    yield "<h2>Cautions</h2>"
    if not listed:
        yield "<p>None.</p>"
        return
    yield "<ul>" + "".join(f"<li>{escaped(caution)}</li>" for caution in listed) + "</ul>"


def _changed(found: Comparison) -> Iterator[str]:
    if not found.paired:
        return
    losses, gains, name = changed(found)
    yield f"<h2>Changed answers</h2><p>{len(losses)} turned wrong, {len(gains)} turned right"
    yield f"(first repeat, read by {escaped(name)}).</p>"
    samples = [
        {sample["doc_id"]: sample for sample in run.samples if not sample["repeat"]}
        for run in (found.baseline, found.candidate)
    ]
    for doc_id in (losses + gains)[:MOST_SHOWN]:
        one, other = samples[0][doc_id], samples[1][doc_id]
        way = "right to wrong" if doc_id in losses else "wrong to right"
        expected = str(one["target"]).rpartition("####")[2].strip()
        yield f"<details><summary>question {doc_id}: {way}; expected {escaped(expected)}</summary>"
        yield f'<pre>{escaped(one["question"])}</pre><div class="pair">'
        yield _answer("baseline", one, name)
        yield _answer("candidate", other, name)
        yield "</div></details>"
    left = len(losses) + len(gains) - MOST_SHOWN
    if left > 0:
        yield f"<p>{left} more are in the run folders.</p>"


def _answer(arm: str, sample: Mapping[str, Any], name: str) -> str:
    text = str(sample["text"] or "")
    cut = "" if len(text) <= _LONGEST else f"\n... {len(text) - _LONGEST} more characters"
    return (
        f"<div>{arm}, read: {escaped(sample['extracted'][name])}"
        f"<pre>{escaped(text[:_LONGEST] + cut)}</pre></div>"
    )
