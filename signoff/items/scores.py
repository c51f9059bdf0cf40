"""GSM8K: the paired verdict with its control and plan, and the throughput of the same runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goldgate.signoff import commands
from goldgate.signoff.checklist import Item
from goldgate.signoff.fit import Miss, files_of
from goldgate.signoff.gathered import Scored
from goldgate.signoff.items.item import item
from goldgate.signoff.rules import Policy, is_standin, matches
from goldgate.signoff.view import View

_PLANS = {"all questions": "all", "sequential": "sequential"}


def gsm8k(view: View) -> Item:
    """Require PRESERVED, by the policy's plan, with a control."""
    rule = view.policy.gsm8k
    scored, misses = _sorted(view, "the paired verdict")
    wrong, missing, details = [], [], []
    for one in scored:
        counts = _counts(one)
        if one.verdict == "REFUSED":
            failed = [c["name"] for c in one.document["checks"] if not c.get("passed")]
            missing.append(f"the runs cannot be compared: {', '.join(failed)} ({one.file.path})")
        elif one.verdict != "PRESERVED":
            wrong.append(f"{one.verdict}: {counts} ({one.file.path})")
        details += _noise(one)
        details += [f"caution: {text} ({one.file.path})" for text in one.document["cautions"]]
    if not scored:
        missing.append(
            f"no paired verdict at a margin of {rule.margin:g} points"
            + (" with a control" if rule.control else "")
        )
    return item(
        view,
        "gsm8k",
        f"GSM8K is preserved: paired, margin {rule.margin:g} points, registered plan"
        + (", control" if rule.control else ""),
        good=f"PRESERVED: {_counts(scored[0])}" if scored else "",
        wrong=wrong,
        missing=missing,
        evidence=files_of(scored),
        to_do=[commands.swap(view.policy)],
        misses=misses,
        details=details,
    )


def throughput(view: View) -> Item:
    """Require that the lower end of the ratio's interval is above the policy's."""
    least = view.policy.throughput.least
    scored, misses = _sorted(view, "the throughput")
    measured = [one for one in scored if one.document.get("throughput")]
    wrong, texts = [], []
    for one in measured:
        ratio = one.document["throughput"]
        text = f"{ratio['ratio']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})"
        texts.append(text)
        if ratio["low"] < least:
            wrong.append(f"{text} times the baseline's, least {least:g} ({one.file.path})")
    return item(
        view,
        "throughput",
        f"the served model's throughput is at least {least:g} times the baseline's",
        good=f"{texts[0] if texts else ''} times the baseline's tokens a second",
        wrong=wrong,
        missing=[] if measured else ["no runs whose throughput can be compared"],
        evidence=files_of(measured),
        to_do=[commands.swap(view.policy)],
        misses=misses,
    )


def counted(one: Scored, policy: Policy) -> tuple[str, ...]:
    """Say why a verdict does not count under a policy."""
    rule, document = policy.gsm8k, one.document
    run = document["runs"]["candidate"]
    settings = run["settings"]
    reasons = []
    if one.demonstration:
        reasons.append("goldgate's own demonstration")
    served = {*run["totals"].get("served_models", {}), str(settings.get("model", ""))}
    if not any(matches(name, policy.model.names) for name in served):
        what = "the stand-in" if any(map(is_standin, served)) else ", ".join(sorted(served))
        reasons.append(f"of {what}, not {policy.model.title}")
    if any(about.get("foreign") for about in document["runs"].values()):
        reasons.append("of another program's results, which name no server")
    if run["data"] != rule.data:
        reasons.append(f"on {_data(run['data'])}, not {_data(rule.data)}")
    plan = one.plan
    kind = _PLANS.get(str(plan.get("kind")), "")
    if not kind:
        reasons.append("without a registered plan")
    elif rule.plan not in ("any", kind):
        reasons.append(f"by the plan {kind}, not {rule.plan}")
    asked = plan.get("questions") if kind == "sequential" else settings.get("questions")
    if asked != rule.questions:
        reasons.append(f"a partial run: {asked} of {rule.questions} questions")
    if rule.control and not document.get("noise_floor"):
        reasons.append("without a control")
    if not matches(str(settings.get("protocol", "")), rule.protocols):
        reasons.append(f"by the protocol {settings.get('protocol')}")
    return tuple(reasons)


def fingerprint_of(one: Scored) -> str:
    """Return what the candidate's engine is told by; "" where the run does not say.

    That is its system_fingerprint, else the version that it states, else the header of its answers.
    """
    run = one.document["runs"]["candidate"]
    totals = run["totals"]
    return (
        ", ".join(map(str, totals.get("fingerprints", ())))
        or _version(run["server"].get("at_start") or {})
        or ", ".join(map(str, totals.get("builds", ())))
    )


def _version(identity: Mapping[str, Any]) -> str:
    found = sorted(
        str(value) for name, value in identity.items() if name.rpartition(".")[2] == "version"
    )
    return found[0] if found else ""


def _sorted(view: View, row: str) -> tuple[list[Scored], list[Miss]]:
    good, misses = [], []
    for one in view.facts.scored:
        reasons = counted(one, view.policy)
        if reasons:
            misses.append(Miss(one.file, row, reasons))
        else:
            good.append(one)
    return good, misses


def _counts(one: Scored) -> str:
    paired = one.paired
    if not paired:
        return "no counts"
    return (
        f"{paired['losses']:g} of {paired['questions']} answers turned wrong and "
        f"{paired['gains']:g} right, {100 * paired['difference']:+.2f} points, lower bound "
        f"{100 * paired['lower']:+.2f}"
    )


def _noise(one: Scored) -> list[str]:
    noise = one.document.get("noise_floor")
    if not noise or not one.paired:
        return []
    swapped, twice = (100 * one.paired["discordance"], 100 * noise["discordance"])
    text = f"{swapped:.2f} % of the answers change by the swap"
    return [f"{text}, {twice:.2f} % between the baseline's two runs ({one.file.path})"]


def _data(name: str) -> str:
    return "GSM8K's questions" if name == "GSM8K" else "questions of its own"
