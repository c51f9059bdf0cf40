"""One page of a comparison for a browser: self-contained, without scripts, without a network.

Every word of a server is text: it is escaped, and the page's own policy forbids scripts, images and
connections should anything slip through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from goldgate.evals.comparing.compare import Comparison
from goldgate.evals.comparing.report import changed, comparison_report, sentence
from goldgate.evals.comparing.warnings import cautions, points
from goldgate.evals.stats.paired import Paired
from goldgate.webpage import document, escaped, table

#: Changed answers that a page holds; more are counted.
MOST_SHOWN = 200
_LONGEST = 20_000  # characters of one answer

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --good: #1a7f37; --bad: #cf222e; --open: #9a6700 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2rem }
.verdict { border-left: .5rem solid var(--open); padding: .5rem 1rem; background: #8881 }
.PRESERVED { border-color: var(--good) } .DEGRADED, .REFUSED { border-color: var(--bad) }
table { border-collapse: collapse } td, th { border: 1px solid var(--line); padding: .3rem .6rem;
  text-align: right } th:first-child, td:first-child { text-align: left }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line);
  padding: .6rem; margin: .3rem 0; font-size: .85rem }
details { border-top: 1px solid var(--line); padding: .4rem 0 } summary { cursor: pointer }
svg { width: 100%; height: auto } svg text { font: 13px system-ui, sans-serif; fill: currentColor }
"""


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
    yield f"<h2>Counts</h2>{table(heads, rows)}"


def _plot(found: Comparison) -> Iterator[str]:
    """Draw each filter's change with its bounds against the margin."""
    if not found.paired:
        return
    margin = 100 * found.rules.margin
    ends = [100 * value for one in found.paired.values() for value in (one.lower, one.upper)]
    low, high = min(-1.4 * margin, *ends) - 0.5, max(margin, *ends) + 0.5
    row, left, right = 44, 150, 880
    height = row * len(found.paired) + 60

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    yield "<h2>Bound against margin</h2>"
    yield (
        f'<svg viewBox="0 0 900 {height}" role="img" aria-label="change of the score with its '
        'bounds, against the margin">'
    )
    bottom = height - 40
    width = x(-margin) - left
    yield f'<rect x="{left}" y="0" width="{width:.1f}" height="{bottom}" fill="#cf222e22"/>'
    marks = ((-margin, f"margin -{margin:g}", "end"), (0.0, "no change", "start"))
    for value, label, anchor in marks:
        yield (
            f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="0" y2="{bottom}" '
            'stroke="currentColor" stroke-dasharray="4 3"/>'
            f'<text x="{x(value):.1f}" y="{bottom + 18}" text-anchor="{anchor}">{label}</text>'
        )
    for index, (name, one) in enumerate(found.paired.items()):
        yield from _interval(name, one, row * index + row / 2, x)
    axis = "points, candidate - baseline"
    yield f'<text x="{right}" y="{height - 4}" text-anchor="end">{axis}</text>'
    yield "</svg>"


def _interval(name: str, one: Paired, y: float, x: Any) -> Iterator[str]:  # noqa: ANN401 - a function
    low, middle, high = (x(100 * value) for value in (one.lower, one.difference, one.upper))
    yield f'<text x="0" y="{y + 4:.1f}">{escaped(name)}</text>'
    yield (
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
        'stroke-width="3"/>'
        f'<circle cx="{middle:.1f}" cy="{y:.1f}" r="6" fill="currentColor"/>'
        f'<text x="{low:.1f}" y="{y - 9:.1f}">{escaped(points(one.lower))}</text>'
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
