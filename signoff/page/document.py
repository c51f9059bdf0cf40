"""The page of a checklist for a browser: one file, without scripts, without a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from goldgate.signoff.checklist import DEMONSTRATION, Checklist, Fact, State
from goldgate.signoff.gathered import Gathered
from goldgate.signoff.page.coverage import coverage_maps
from goldgate.signoff.page.figure import MOST_FILES, Figure, figure_html
from goldgate.signoff.page.items import files_html, hash_html, items_html, refused_html
from goldgate.signoff.page.latency import latencies
from goldgate.signoff.page.margins import margins, near_ties
from goldgate.signoff.page.power import powers
from goldgate.signoff.page.scores import scores
from goldgate.signoff.page.style import STYLE
from goldgate.signoff.page.weights import weight_errors
from goldgate.webpage import document, escaped

_MOST_NOTES = 200


def page(checklist: Checklist, gathered: Gathered) -> str:
    """Return the page as HTML; the same checklist and facts give the same text."""
    mark = f"{DEMONSTRATION}: " if checklist.demonstration else ""
    answer = "signed off" if checklist.signed_off else "not signed off"
    return document(
        f"{mark}{answer}: {checklist.title}",
        STYLE,
        [
            "<main>",
            *_head(checklist),
            "<h2>Checklist</h2>",
            *items_html(checklist.items),
            *_refused(checklist),
            *_notes(checklist.notes),
            *_plots(gathered),
            *_facts("Policy", checklist.policy),
            *_origin(checklist),
            *_sign(),
            "</main>",
        ],
    )


def _head(checklist: Checklist) -> Iterator[str]:
    yield "<header>"
    if checklist.demonstration:
        yield (
            f'<p class="demonstration">{DEMONSTRATION}: the policy\'s model is the stand-in. This '
            "page shows how a sign-off looks; it releases nothing.</p>"
        )
        yield f'<div class="mark" aria-hidden="true">{DEMONSTRATION}</div>'  # of each paper page
    yield f"<h1>Release sign-off: {escaped(checklist.title)}</h1>"
    kind = "yes" if checklist.signed_off else "no"
    yield f'<div class="answer {kind}"><p>{escaped(checklist.verdict)}</p>'
    yield f"<p>{_counts(checklist)}</p></div>"
    yield (
        f'<p class="faint">Policy {escaped(checklist.policy_name)} '
        f"{hash_html(checklist.policy_sha256)}, made {escaped(checklist.made)}</p>"
    )
    yield "</header>"


def _counts(checklist: Checklist) -> str:
    """Return how many items have each state, as HTML."""
    parts = []
    for need, wanted in (("required", True), ("advisory", False)):
        states = [one.state for one in checklist.items if one.required is wanted]
        if states:
            each = ", ".join(
                f'<span class="{state.value}">{states.count(state)} {state.value}</span>'
                for state in State
                if state in states
            )
            parts.append(f"{need.capitalize()} items: {each}.")
    return " ".join(parts)


def _refused(checklist: Checklist) -> Iterator[str]:
    if checklist.refused:
        yield f"<h2>Evidence not used ({len(checklist.refused)})</h2>"
        yield from refused_html(checklist.refused)


def _notes(notes: Sequence[str]) -> Iterator[str]:
    if notes:
        yield "<h2>Notes</h2><ul>"
        yield from (f"<li>{escaped(one)}</li>" for one in notes[:_MOST_NOTES])
        yield "</ul>"
        if len(notes) > _MOST_NOTES:
            yield f"<p>{len(notes) - _MOST_NOTES} more are in signoff.json.</p>"


def figures(gathered: Gathered) -> Iterator[Figure]:
    """Yield every figure that the evidence has facts for."""
    alone = (weight_errors(gathered), near_ties(gathered))
    yield from (one for one in alone if one is not None)
    yield from margins(gathered)
    yield from coverage_maps(gathered)
    yield from latencies(gathered)
    yield from scores(gathered)
    yield from powers(gathered)


def _plots(gathered: Gathered) -> Iterator[str]:
    drawn = [figure_html(one) for one in figures(gathered)]
    if drawn:
        yield '<h2>What was measured</h2><div class="figures">'
        yield from drawn
        yield "</div>"
        verdicts, files = len(gathered.scored), len({one.file.path for one in gathered.timed})
        if max(verdicts, files) > MOST_FILES:
            yield (
                f"<p>Drawn are at most {MOST_FILES} of {verdicts} GSM8K verdicts and of {files} "
                "files of latencies.</p>"
            )


def _facts(title: str, facts: Sequence[Fact]) -> Iterator[str]:
    if facts:
        yield f"<h2>{title}</h2><dl>"
        yield from (f"<dt>{escaped(f.name)}</dt><dd>{escaped(f.value)}</dd>" for f in facts)
        yield "</dl>"


def _origin(checklist: Checklist) -> Iterator[str]:
    if checklist.read:
        yield f"<h2>Evidence read ({len(checklist.read)})</h2>"
        yield from files_html(checklist.read)
    yield from _facts("goldgate", checklist.goldgate)


def _sign() -> Iterator[str]:
    """Yield the lines to sign on, which only paper shows."""
    yield '<div class="sign"><span>Name</span><span>Date</span><span>Signature</span></div>'
