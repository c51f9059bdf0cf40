"""What GSM8K's verdict sees of the faults, rendered from the kept results."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

from goldgate.mutants.served.end_to_end import (
    DEGRADED,
    INCONCLUSIVE,
    PRESERVED,
    REFUSED,
    RIGHT,
    ArmResult,
    Results,
)
from goldgate.mutants.served.routers import ARMS, NOT_SERVED

HEADING = "## End to end: what GSM8K sees of the same faults"

_INTRODUCTION = (
    "The same kernels in place of the router of the stand-in model (MiniMax-M2.5's routing,",
    "otherwise tiny; [what it is](../fixtures/standin/MODEL_CARD.md)) behind its",
    "OpenAI-compatible server, asked its own problems in GSM8K's format by `goldgate gsm8k` and",
    "judged against the golden router's answers by `goldgate compare`, the verdict of",
    "`tox -e gsm8k`. No real model took part, nor a kernel of a GPU, nor GSM8K's own questions.",
)

VERDICTS = (DEGRADED, REFUSED, INCONCLUSIVE, PRESERVED)

_COLUMNS = (
    "kernel",
    "right",
    "right to wrong",
    "wrong to right",
    "GSM8K's verdict",
    "tokens routed elsewhere",
    "kernel parity on these tokens",
    "kernel parity",
)


def document(found: Results) -> str:
    """Return the page."""
    faults, honest = _parts(found)
    seen = [arm for arm in faults if arm.verdict in (DEGRADED, REFUSED)]
    unseen = [arm for arm in faults if arm not in seen]
    text = [
        "# The kill matrix: what GSM8K sees of the same faults",
        "",
        *_INTRODUCTION,
        "",
        "![Change of the score by tokens routed elsewhere](kill-matrix-end-to-end.png)",
        "",
        _counts(faults, honest),
        "",
        *_reading(found, faults, honest),
        "",
        "Each line is one run of every question. *Right to wrong* and *wrong to right* are the",
        "answers that differ from the golden router's. *Tokens routed elsewhere* are those whose",
        f"set of experts is another, of {found.tokens} (token x layer) that the stand-in reads in",
        "its first problems; *kernel parity on these tokens* is the judge's result on them,",
        "*kernel parity* that on the fault's recording in [the matrix](kill-matrix-faults.md). A",
        "refused run never counts as a pass.",
        "",
        f"The golden router: {found.baseline} of {found.questions} right.",
        "",
        "## Faults that GSM8K sees",
        "",
        *_table(seen, found),
        "",
        "## Faults that only kernel parity sees",
        "",
        *_table(unseen, found),
        "",
        "## Right results",
        "",
        *_table(honest, found),
        "",
        "## How this was made",
        "",
        *_made(found),
        "",
        "    goldgate mutants --end-to-end all --out DIR --write",
        "",
        "makes it again (about six CPU-hours; the same `--out` resumes an interrupted run).",
        "Names in place of `all` serve a few, and with `--write` replace what was kept of them;",
        "`list` names them, `--limit` asks fewer questions, `--jobs` serves several at once.",
        "The default run of `tox -e mutants` serves the golden router, an honest kernel and two of",
        "the faults.",
        "",
        *_left_out(found),
    ]
    return "\n".join(text) + "\n"


def section(found: Results) -> str:
    """Return the section of the summary."""
    faults, honest = _parts(found)
    text = [
        HEADING,
        "",
        *_INTRODUCTION,
        "[Each fault and its run](kill-matrix-end-to-end.md).",
        "",
        _counts(faults, honest),
        "",
        *_reading(found, faults, honest),
        "",
        "![Change of the score by tokens routed elsewhere](kill-matrix-end-to-end.png)",
    ]
    return "\n".join(text) + "\n"


def _parts(found: Results) -> tuple[list[ArmResult], list[ArmResult]]:
    """Return the faults and the right results."""
    return [a for a in found.arms if a.is_fault], [a for a in found.arms if not a.is_fault]


def as_text(found: Results) -> str:
    """Return a table for a terminal's log."""
    lines = [f"golden router: {found.baseline} of {found.questions} right"]
    for arm in found.arms:
        lost = "" if arm.losses is None else f", -{arm.losses} +{arm.gains}"
        score = "no score" if arm.right is None else f"{arm.right} right{lost}"
        why = f" ({arm.reason})" if arm.reason else ""
        parity = "fails" if arm.caught else "passes"
        lines.append(f"{arm.title}: {score}; GSM8K {arm.verdict}{why}; kernel parity {parity}")
    return "\n".join(lines)


def _counts(faults: Sequence[ArmResult], honest: Sequence[ArmResult]) -> str:
    rows = [
        "|  | GSM8K: " + " | ".join((*VERDICTS, "kernel parity: fails")) + " |",
        "|---|" + "---|" * (len(VERDICTS) + 1),
    ]
    for name, arms in (("faults", faults), ("right results", honest)):
        verdicts = Counter(arm.verdict for arm in arms)
        cells = [verdicts[verdict] for verdict in VERDICTS] + [sum(arm.caught for arm in arms)]
        rows.append(f"| {len(arms)} {name} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def _reading(found: Results, faults: Sequence[ArmResult], honest: Sequence[ArmResult]) -> list[str]:
    """Say in one paragraph what the figures show; every one of them comes from the results."""
    passing = [arm for arm in faults if arm.verdict == PRESERVED]
    degraded = [arm for arm in faults if arm.verdict == DEGRADED]
    served = sum(arm.family not in RIGHT for arm in ARMS.values())
    text = (
        f"Of {served} faults that can be served {len(faults)} were. GSM8K calls {len(passing)} of "
        f"them PRESERVED, and {sum(_changed(arm) == 0 for arm in passing)} of these change no "
        "single mark"
    )
    if passing:
        most = max(passing, key=lambda arm: arm.rerouted)
        text += (
            f"; *{most.title}* sends {_share(most, found)} of the tokens to another set of experts "
            f"and passes with {most.right} right"
        )
    if degraded:
        least = min(degraded, key=_loss)
        text += (
            f". The smallest loss that it calls DEGRADED is {_loss(least)} answers "
            f"(*{least.title}*)"
        )
    text += (
        f". The {len(honest)} right results change "
        f"{max((_changed(arm) for arm in honest), default=0) or 'no'} mark. So a preserved "
        "score says that the model still answers, not that its kernel routes as it should: what "
        "a trained router's redundancy absorbs on these problems is absorbed silently, and only "
        "a comparison of ids and weights shows it. What GSM8K does see, it sees through the whole "
        "server, which kernel parity never looks at. The stand-in is small and its questions are "
        "easy; how much a larger model absorbs is not known from it. The faults were chosen by "
        "hand, so the shares are no rates."
    )
    return _wrapped(text)


def _made(found: Results) -> list[str]:
    made = found.made
    return _wrapped(
        f"{found.questions} questions of each kernel. Processor: {made['processor']} (CPU only, "
        f"{made['threads']} thread{'s' if made['threads'] != 1 else ''} a server). Python "
        f"{made['python']}, torch {made['torch']}, transformers {made['transformers']}, numpy "
        f"{made['numpy']}, lm-eval {made['lm_eval']}; `goldgate gsm8k {made['settings']}`: "
        "without examples, since the stand-in's published score is without. The stand-in's code "
        f"and weights have SHA-256 {made['standin_sha256'][:16]}…. What was found is kept in "
        "[end-to-end.json](end-to-end.json); this page is rendered from it."
    )


def _left_out(found: Results) -> list[str]:
    asked = {arm.name for arm in found.arms}
    left = [arm.title for name, arm in ARMS.items() if name not in asked]
    reasons: dict[str, list[str]] = {}
    for title, why in NOT_SERVED.items():
        reasons.setdefault(why, []).append(title)
    text = ["## Not in the table", ""]
    if left:
        text += _wrapped(f"- Could be served, not asked for this table: {'; '.join(left)}.", "  ")
    for why, titles in reasons.items():
        text += _wrapped(f"- Not applicable ({why}): {'; '.join(titles)}.", "  ")
    return text


def _table(arms: Iterable[ArmResult], found: Results) -> list[str]:
    order = sorted(arms, key=lambda arm: (VERDICTS.index(arm.verdict), -_loss(arm), arm.title))
    return [
        "| " + " | ".join(_COLUMNS) + " |",
        "|" + "---|" * len(_COLUMNS),
        *(row(arm, found) for arm in order),
    ]


def row(arm: ArmResult, found: Results) -> str:
    """Return an arm as a row of its table."""
    dash = "-"
    verdict = arm.verdict + (f": {_short(arm.reason)}" if arm.reason else "")
    cells = (
        arm.title,
        dash if arm.right is None else arm.right,
        dash if arm.losses is None else arm.losses,
        dash if arm.gains is None else arm.gains,
        verdict,
        _share(arm, found),
        arm.tokens,
        "**fails**" if arm.caught else "passes",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _short(reason: str) -> str:
    return reason.replace("|", "/")


def _share(arm: ArmResult, found: Results) -> str:
    return f"{100 * arm.rerouted / found.tokens:.2f} %" if arm.rerouted else "0"


def _loss(arm: ArmResult) -> int:
    return (arm.losses or 0) - (arm.gains or 0)


def _changed(arm: ArmResult) -> int:
    return (arm.losses or 0) + (arm.gains or 0)


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, 99, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
