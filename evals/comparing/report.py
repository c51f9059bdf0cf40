"""What a comparison looks like to a person: counts, bound, noise, and one sentence to act on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from goldgate.evals.comparing.compare import right
from goldgate.evals.comparing.compatibility import served
from goldgate.evals.comparing.warnings import cautions, points
from goldgate.evals.records.truncation import Truncation
from goldgate.evals.stats import paired as verdict
from goldgate.evals.stats import sample_size
from goldgate.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from goldgate.evals.comparing.compare import Comparison
    from goldgate.evals.comparing.throughput import Ratio


def comparison_report(found: Comparison) -> str:
    """Describe a comparison; the last line is the verdict's sentence."""
    lines = [*_arms(found)]
    if found.paired:
        lines += ["", *_paired(found)]
    failed = [check for check in found.checks if not check.passed]
    lines += [""]
    lines += [f"  not comparable    {check.name}: no, {check.detail}" for check in failed]
    if not failed:
        lines.append(f"  comparable        yes, {len(found.checks)} checks (--json lists them)")
    lines += [f"  caution           {caution}" for caution in cautions(found)]
    lines += ["", f"{found.verdict}: {sentence(found)}"]
    # Model ids, addresses and reasons are a server's or a folder's words.
    return printable("\n".join(lines))


def sentence(found: Comparison) -> str:
    """One sentence that a release manager can read."""
    if found.refused or found.decides is None or found.look is None:
        failed = [check for check in found.checks if not check.passed]
        return (
            f"these runs cannot be compared ({failed[0].name}: no), so nothing is known about "
            "the candidate; this is not a pass."
        )
    paired = found.paired[found.decides]
    margin = 100 * paired.margin
    confidence = f"{100 * (1 - paired.alpha):g} %"
    change = (
        f"{paired.losses:g} answers turned wrong and {paired.gains:g} turned right "
        f"of {paired.questions}"
    )
    if found.look.decided is not None:
        return (
            f"a sequential plan decided on these data; {change}. The plan's verdict.json has its "
            "looks."
        )
    if found.withheld:
        return (
            f"not decided: {change}, and {'; '.join(found.withheld)}. Look at the answers with "
            "--show."
        )
    if paired.verdict == verdict.PRESERVED:
        bound = (
            f"lost less than {-100 * paired.lower:.2f} points (allowed: {margin:g})"
            if paired.lower < 0
            else f"gained at least {100 * paired.lower:.2f} points"
        )
        return (
            f"the score is preserved: {change}, and with {confidence} confidence the candidate "
            f"{bound}."
        )
    if paired.verdict == verdict.DEGRADED:
        return (
            f"the candidate is worse: {change}, {points(paired.difference)} points, which chance "
            f"alone does with p = {paired.p_value:.2g}; do not ship."
        )
    return (
        f"not decided: {change}; a loss of {-100 * paired.lower:.2f} points is still possible "
        f"(allowed: {margin:g}). {_more(paired, found)}"
    )


def _more(paired: verdict.Paired, found: Comparison) -> str:
    now = min(found.baseline.settings["runs"], found.candidate.settings["runs"])
    needed = paired.repeats_needed
    further = found.next_level
    if not further:
        return "Alpha is spent: no further look at this candidate decides."
    fewest = sample_size.fewest_questions(paired.margin, further)
    if paired.questions < fewest:
        return f"This margin needs at least {fewest} questions, however often they are asked."
    often = f"{100 * sample_size.TARGET_POWER:g} times in 100 if nothing truly changed"
    if found.baseline.settings["limit"] is not None:
        more = sample_size.questions_needed(paired.discordance, margin=paired.margin, alpha=further)
        return (
            f"About {math.ceil(more)} questions would decide {often}: ask both arms on with "
            "--resume and without --limit, and with --runs if there are not so many."
        )
    if needed is None:
        return "No number of repeats would decide at this margin: the changes are not noise."
    runs = max(needed - now, 1)
    plural = "s" if runs > 1 else ""
    added = f"--resume --runs {now + runs}"
    words = f"{runs} more run{plural} of each arm ({added}) would decide {often}"
    observed = paired.repeats_needed_if_observed
    if observed is not None and observed > needed:
        words += f", {max(observed - now, 1)} more if the change is as observed"
    if found.noise is None and now == 1:
        words += "; every change is taken for noise here, --control RUN measures how many are"
    return words + "."


def _arms(found: Comparison) -> Iterator[str]:
    for name, run in found.runs():
        settings, totals, speed = run.settings, run.facts["totals"], run.facts["speed"]
        asked = max(totals["answers"], 1)
        if run.foreign:
            yield f"{name:<9} {run.foreign} ({run.path})"
        else:
            yield f"{name:<9} {served(run)} at {settings['base_url']} ({run.path})"
        for filter_name in run.filters:
            marks = totals["right"][filter_name]
            failed = totals["not_extracted"][filter_name]
            yield (
                f"  {filter_name:<17} {sum(marks)} of {asked} right, "
                f"{100 * sum(marks) / asked:.2f} %; no number found in {failed} "
                f"({100 * failed / asked:.2f} %)"
            )
        if run.foreign:
            continue
        tokens, truncation = speed["tokens_per_s"], Truncation.of(totals)
        yield (
            f"  truncated         {truncation.cut} ({truncation.percent})"
            f"; {totals['empty']} empty; "
            + (f"{tokens:.1f} tokens/s" if tokens is not None else "tokens/s unknown")
        )


def _paired(found: Comparison) -> Iterator[str]:
    rules = found.rules
    fixed = f"margin {100 * rules.margin:g} points, alpha {rules.alpha:g} one-sided"
    if found.look is not None and found.look.level:
        fixed += f", {found.look.level:.3g} of it at look {found.look.number}"
    yield f"paired, candidate - baseline ({fixed})"
    for name, paired in found.paired.items():
        decides = "decides" if name == found.decides and not found.refused else "for information"
        yield (
            f"  {name:<17} {points(paired.difference)} points, lower bound "
            f"{points(paired.lower)}; right to wrong {paired.losses:g}, wrong to right "
            f"{paired.gains:g} (discordance {100 * paired.discordance:.2f} %), "
            f"p = {paired.p_value:.3g}; {paired.verdict} ({decides})"
        )
    if found.noise is None:
        yield "  noise floor       not measured (--control RUN: the baseline asked a second time)"
    else:
        noise = found.noise
        yield (
            f"  noise floor       the baseline twice: discordance {100 * noise.discordance:.2f} %, "
            f"{points(noise.difference)} points; the swap changes {points(noise.excess)} % of "
            f"the answers beyond that ({points(noise.excess_lower)} to "
            f"{points(noise.excess_upper)})"
        )
    speed = found.throughput
    if speed is None:
        yield "  throughput        not comparable (needs usage and 200 answers in each arm)"
    else:
        yield f"  throughput        candidate/baseline {_ratio(speed)}"
    if found.control_throughput is not None:
        yield f"  throughput A/A    control/baseline {_ratio(found.control_throughput)}"


def _ratio(speed: Ratio) -> str:
    return (
        f"{speed.ratio:.4f} (95 % interval {speed.low:.4f} to {speed.high:.4f}; within these runs, "
        "not between server starts)"
    )


def changed(found: Comparison) -> tuple[list[int], list[int], str]:
    """Return the questions that turned wrong and right in the first repeat, and by which filter."""
    name = found.decides or next(iter(found.paired))
    change = right(found.candidate, name)[:, 0] - right(found.baseline, name)[:, 0]
    ids = [sample["doc_id"] for sample in found.baseline.samples if not sample["repeat"]]
    return (
        [one for one, sign in zip(ids, change, strict=True) if sign < 0],
        [one for one, sign in zip(ids, change, strict=True) if sign > 0],
        name,
    )


def side_by_side(found: Comparison, most: int) -> RenderableType:
    """Show the questions whose answer changed, losses first, both texts beside each other."""
    losses, gains, name = changed(found)
    texts = [
        {sample["doc_id"]: sample for sample in run.samples if sample["repeat"] == 0}
        for run in (found.baseline, found.candidate)
    ]
    shown: list[RenderableType] = [
        Text(
            f"{len(losses)} turned wrong, {len(gains)} turned right (first repeat, {name}); "
            f"showing {min(most, len(losses) + len(gains))}"
        )
    ]
    for doc_id in (losses + gains)[:most]:
        one, other = texts[0][doc_id], texts[1][doc_id]
        heading = f"question {doc_id}: {'right to wrong' if doc_id in losses else 'wrong to right'}"
        answer = str(one["target"]).rpartition("####")[2].strip()
        shown += [
            Text(printable(f"\n{heading}\n{one['question']}\nexpected: {answer}")),
            Columns(
                [
                    Panel(
                        Text(printable(sample["text"] or "")),
                        # Text, not markup: "[invalid]" would vanish.
                        title=Text(printable(f"{arm}: {sample['extracted'][name]}")),
                        width=60,
                    )
                    for arm, sample in (("baseline", one), ("candidate", other))
                ]
            ),
        ]
    return Group(*shown)
