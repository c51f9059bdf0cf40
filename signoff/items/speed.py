"""Latency of a call against the kernel that is replaced."""

from __future__ import annotations

from goldgate.signoff import commands
from goldgate.signoff.checklist import Item
from goldgate.signoff.fit import (
    Miss,
    device_reasons,
    files_of,
    is_kernel,
    kernel_reasons,
    router_reasons,
)
from goldgate.signoff.gathered import Timed
from goldgate.signoff.items.item import across, item
from goldgate.signoff.view import View

_ROTATED = {"rotated": (True,), "warm": (False,), "both": (True, False)}


def latency(view: View) -> Item:
    """Require each size on each architecture, its whole interval below the policy's ratio."""
    policy, rule = view.policy, view.policy.latency
    good: dict[tuple[str, int, bool], list[Timed]] = {}
    misses: list[Miss] = []
    for one in view.facts.timed:
        if one.ratio is None or not is_kernel(one.kernel, policy.kernel):
            continue
        reasons = [
            *kernel_reasons(one.kernel, policy.kernel),
            *device_reasons(one.kernel, policy),
            *router_reasons(one.spec, policy),
        ]
        if not is_kernel(one.baseline, policy.replaces):
            reasons.append(f"against {one.baseline.name}, not {policy.replaces.names[0]}")
        else:
            against = kernel_reasons(one.baseline, policy.replaces)
            reasons += [f"against a baseline of another {reason}" for reason in against]
        if reasons:
            misses.append(Miss(one.file, f"{one.tokens} tokens", tuple(reasons)))
        else:
            key = (one.kernel.architecture, one.tokens, one.rotated)
            good.setdefault(key, []).append(one)
    missing: list[tuple[str, str]] = []
    wrong, to_do, details = [], [], []
    for architecture in policy.architectures:
        absent = []
        for tokens in rule.tokens:
            for rotated in _ROTATED[rule.inputs]:
                found = good.get((architecture, tokens, rotated), [])
                if not found:
                    absent.append(tokens)
                wrong += [
                    f"{tokens} tokens on {architecture}, {_inputs(rotated)}: {_ratio(one)} times, "
                    f"at most {rule.most:g} ({one.file.path})"
                    for one in found
                    if one.ratio and one.ratio.high > rule.most
                ]
        if absent:
            sizes = ", ".join(map(str, dict.fromkeys(absent)))
            missing.append((architecture, f"not measured at {sizes} tokens"))
        if absent or wrong:
            to_do.append(commands.time_calls(policy, architecture))
    used = [one for some in good.values() for one in some]
    details += [
        f"{one.kernel.architecture}, {one.tokens} tokens, {_inputs(one.rotated)}: "
        f"{one.us.median:.2f} us, {_ratio(one)} times {one.baseline.name}"
        for one in used
        if one.tokens in rule.tokens
    ]
    highest = max((one.ratio.high for one in used if one.ratio), default=0.0)
    return item(
        view,
        "latency",
        f"a call costs at most {rule.most:g} times what it costs with {policy.replaces.names[0]}",
        good=f"at most {highest:.3f} times at {', '.join(map(str, rule.tokens))} tokens on "
        f"{', '.join(policy.architectures)}",
        wrong=wrong,
        missing=across(missing),
        evidence=files_of(used),
        to_do=to_do,
        misses=misses,
        details=details,
    )


def _ratio(one: Timed) -> str:
    if one.ratio is None:
        return "1"
    return f"{one.ratio.median:.3f} ({one.ratio.low:.3f} to {one.ratio.high:.3f})"


def _inputs(rotated: bool) -> str:
    return "inputs outside the cache" if rotated else "inputs in the cache"
