"""The items of the checklist as HTML: state, finding, evidence with hashes, what is to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from goldgate.signoff.checklist import EvidenceFile, Item, Refused
from goldgate.webpage import escaped

#: Files of an item that are shown at once; the others open with a click.
_FIRST = 4

#: Files of one list that a page holds; signoff.json has all.
_MOST = 500


def items_html(items: Sequence[Item]) -> Iterator[str]:
    """Yield every item, in order."""
    for item in items:
        need = "required" if item.required else "advisory"
        yield f'<section class="item" id="{escaped(item.name)}">'
        yield (
            f'<div><span class="state {item.state.value}">{item.state.value}</span>'
            f'<span class="need">{need}</span></div>'
        )
        yield f"<div><h3>{escaped(item.title)}</h3><p>{escaped(item.found)}</p>"
        if item.next_step:
            yield f"<p>What to do: {escaped(item.next_step)}</p>"
        yield from files_html(item.evidence)
        yield from _to_do(item)
        if item.would_fill:
            yield "<p>Not counted:</p><ul>"
            yield from (f"<li>{escaped(one)}</li>" for one in item.would_fill)
            yield "</ul>"
        if item.details:
            yield f"<details><summary>Details ({len(item.details)})</summary><ul>"
            yield from (f"<li>{escaped(one)}</li>" for one in item.details[:_MOST])
            yield "</ul>"
            yield from _left_out(len(item.details))
            yield "</details>"
        yield "</div></section>"


def _to_do(item: Item) -> Iterator[str]:
    for one in item.to_do:
        yield f"<p>To run, on {escaped(one.where)}:</p><pre>{escaped(one.command)}</pre>"


def files_html(files: Sequence[EvidenceFile]) -> Iterator[str]:
    """Yield a list of files with their hashes; a long one opens with a click."""
    if not files:
        return
    yield '<ul class="files">'
    yield from map(_file, files[:_FIRST])
    yield "</ul>"
    if len(files) > _FIRST:
        yield f'<details><summary>{len(files) - _FIRST} more files</summary><ul class="files">'
        yield from map(_file, files[_FIRST:_MOST])
        yield "</ul>"
        yield from _left_out(len(files))
        yield "</details>"


def refused_html(refused: Sequence[Refused]) -> Iterator[str]:
    """Yield the files that were found and not used, each reason once."""
    reasons: dict[tuple[bool, str], list[EvidenceFile]] = {}
    for one in refused:
        reasons.setdefault((not one.unusable, one.why), []).append(one.file)
    for (usable, why), files in sorted(reasons.items())[:_MOST]:
        mark = "not used" if usable else '<strong class="FAIL">unusable</strong>'
        yield f'<div class="refused"><p>{mark}: {escaped(why)}</p>'
        yield from files_html(files)
        yield "</div>"
    yield from _left_out(len(reasons))


def _file(file: EvidenceFile) -> str:
    made = f", {escaped(file.made)}" if file.made else ""
    return (
        f"<li><code>{escaped(file.path)}</code> ({escaped(file.kind)}{made}) "
        f"{hash_html(file.sha256)}</li>"
    )


def hash_html(sha256: str) -> str:
    """Return a hash that shows its beginning, all of it under the pointer, and copies whole."""
    whole = escaped(sha256)
    return f'<code class="hash" tabindex="0" title="SHA-256 {whole}">{whole}</code>'


def _left_out(number: int) -> Iterator[str]:
    if number > _MOST:
        yield f"<p>{number - _MOST} more are in signoff.json.</p>"
