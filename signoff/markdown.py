"""The checklist as Markdown, fit to paste into a pull request: short, foreign words escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from goldgate.signoff.checklist import DEMONSTRATION, Checklist, EvidenceFile, Item, State
from goldgate.text import one_line, printable

#: Entries of one list; a comment on GitHub holds 65,536 characters.
_MOST = 40

#: Files named beside one item; the list of all follows.
_NAMED = 2

# What Markdown or HTML reads as more than text.
_MARKS = re.compile(r"([\\`*\[\]#|~<>&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
# What GitHub turns into a mention, a reference or a link; an empty comment breaks it.
_CALLS = re.compile(r"(@|\\#|://|www\.)(?=\S)")


def markdown(checklist: Checklist) -> str:
    """Return the checklist as GitHub's Markdown, ending in a newline."""
    failing = [one for one in checklist.items if one.next_step]
    return "\n".join(
        [
            f"## Release sign-off: {_text(checklist.title)}",
            "",
            f"**{_text(checklist.verdict)}**",
            "",
            *_demonstration(checklist),
            *_table(checklist.items),
            *_section(
                "What to do about what fails",
                [f"- {_text(one.title)}: {one.next_step}" for one in failing],
            ),
            *_to_run(checklist.items),
            *_not_counted(checklist.items),
            *_refused(checklist),
            *_section("Notes", [f"- {_text(one)}" for one in checklist.notes]),
            *_evidence(checklist.read),
            *_origin(checklist),
        ]
    )


def _demonstration(checklist: Checklist) -> Iterator[str]:
    if checklist.demonstration:
        yield f"> {DEMONSTRATION}: the policy's model is the stand-in. Nothing is released by this."
        yield ""


def _table(items: Sequence[Item]) -> Iterator[str]:
    yield "| item | state | found | evidence |"
    yield "|---|---|---|---|"
    for item in items:
        need = "" if item.required else " (advisory)"
        named = [f"{_code(f.path)} {_code(f.sha256[:12])}" for f in item.evidence[:_NAMED]]
        yield (
            f"| {_text(item.title)}{need} | {_state(item.state)} | {_text(item.found)} | "
            f"{', '.join(named)}{_more(len(item.evidence))} |"
        )
    yield ""


def _state(state: State) -> str:
    return state.value if state is State.PASS else f"**{state.value}**"


def _to_run(items: Sequence[Item]) -> Iterator[str]:
    """Yield each command once, by the machine that it needs."""
    machines: dict[str, dict[str, None]] = {}
    for item in items:
        for one in item.to_do:
            machines.setdefault(one.where, {}).setdefault(one.command)
    if machines:
        yield "### Still to run"
        yield ""
    for where, commands in machines.items():
        text = "\n".join(map(printable, commands))
        # A fence is longer than any run of backticks inside it.
        longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
        fence = "`" * max(3, longest + 1)
        yield from (f"On {_text(where)}:", "", f"{fence}sh", text, fence, "")


def _not_counted(items: Sequence[Item]) -> Iterator[str]:
    lines = [f"- {_text(item.title)}: {_text(one)}" for item in items for one in item.would_fill]
    yield from _section("Evidence that does not count", lines)


def _refused(checklist: Checklist) -> Iterator[str]:
    """Yield the files that were found and not used, each reason once, unusable ones first."""
    reasons: dict[tuple[bool, str], list[str]] = {}
    for one in checklist.refused:
        reasons.setdefault((not one.unusable, one.why), []).append(one.file.path)
    lines = [
        f"- {', '.join(map(_code, paths[:_NAMED]))}{_more(len(paths))}"
        f"{'' if usable else ' (unusable)'}: {_text(why)}"
        for (usable, why), paths in sorted(reasons.items())
    ]
    yield from _section("Evidence not used", lines)


def _more(number: int) -> str:
    return f" and {number - _NAMED} more" if number > _NAMED else ""


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from (f"### {title}", "", *lines[:_MOST])
        if len(lines) > _MOST:
            yield f"- {len(lines) - _MOST} more in signoff.json"
        yield ""


def _evidence(files: Sequence[EvidenceFile]) -> Iterator[str]:
    if not files:
        return
    yield f"<details><summary>Evidence read: {len(files)} files</summary>"
    yield from ("", "| file | kind | SHA-256 |", "|---|---|---|")
    for one in files[:_MOST]:
        yield f"| {_code(one.path)} | {_text(one.kind)} | {_code(one.sha256)} |"
    yield ""
    if len(files) > _MOST:
        yield f"{len(files) - _MOST} more are in signoff.json."
        yield ""
    yield from ("</details>", "")


def _origin(checklist: Checklist) -> Iterator[str]:
    facts = ", ".join(f"{fact.name} {fact.value}" for fact in checklist.goldgate)
    yield (
        f"Policy {_text(checklist.policy_name)} {_code(checklist.policy_sha256)}, made "
        f"{_text(checklist.made)} by goldgate {_text(facts)}."
    )
    yield ""


def _text(words: str) -> str:
    """Return foreign words as one line of plain Markdown text."""
    return _CALLS.sub(r"\1<!-- -->", _MARKS.sub(r"\\\1", one_line(words, 600)))


def _code(words: str) -> str:
    """Return foreign words as code, which Markdown reads no further; fit for a table's cell."""
    text = one_line(words, 300).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * (longest + 1)
    space = " " if "`" in text else ""
    return f"{ticks}{space}{text}{space}{ticks}"
