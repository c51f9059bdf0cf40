"""The old kernel against the new one: every difference explained."""

from __future__ import annotations

from goldgate.signoff import commands
from goldgate.signoff.checklist import Item
from goldgate.signoff.fit import (
    Miss,
    device_reasons,
    files_of,
    is_kernel,
    kernel_reasons,
    numbers,
    recording_reasons,
)
from goldgate.signoff.gathered import Compared
from goldgate.signoff.items.item import across, item
from goldgate.signoff.view import View


def old_new(view: View) -> Item:
    """Require a comparison on each layer of each architecture, each difference explained."""
    policy = view.policy
    good: list[Compared] = []
    cells: dict[tuple[str, int], dict[str, int]] = {}
    misses = []
    for one in view.facts.compared:
        if not is_kernel(one.new, policy.kernel) or not is_kernel(one.old, policy.replaces):
            misses.append(Miss(one.file, one.recording, _others(one)))
            continue
        recorded = view.recordings.get(one.recording_sha256)
        reasons = (
            *kernel_reasons(one.new, policy.kernel),
            *(f"the old kernel: {reason}" for reason in kernel_reasons(one.old, policy.replaces)),
            *device_reasons(one.new, policy),
            *recording_reasons(recorded, policy),
        )
        if reasons or recorded is None or recorded.layer is None:
            misses.append(Miss(one.file, one.recording, reasons))
            continue
        good.append(one)
        cell = cells.setdefault((one.new.architecture, recorded.layer), {})
        cell[one.recording_sha256] = one.rows
    wrong = [
        f"{one.recording} on {one.new.architecture}: "
        f"{one.why or f'{one.unexplained} rows are not explained'} ({one.file.path})"
        for one in good
        if one.verdict != "EXPLAINED"
    ]
    missing: list[tuple[str, str]] = []
    to_do = []
    for architecture in policy.architectures:
        rows = {n: sum(cells.get((architecture, n), {}).values()) for n in policy.layers}
        none = [n for n, count in rows.items() if not count]
        few = [n for n, count in rows.items() if 0 < count < policy.coverage.rows_per_layer]
        if none:
            missing.append((architecture, f"no comparison on layers {numbers(none)}"))
        if few:
            least = policy.coverage.rows_per_layer
            missing.append((architecture, f"layers {numbers(few)} have fewer than {least} rows"))
        if none or few or wrong:
            to_do.append(commands.compare(policy, architecture))
    total = sum(one.rows for one in good)
    rerouted = sum(one.rerouted for one in good)
    return item(
        view,
        "old-new",
        f"{policy.replaces.names[0]} against {policy.kernel.names[0]}: every difference explained",
        good=f"of {total} rows {rerouted} route differently, every one explained by a tie or by "
        "rounding within both bounds",
        wrong=wrong,
        missing=across(missing),
        evidence=files_of(good),
        to_do=to_do,
        misses=misses,
    )


def _others(one: Compared) -> tuple[str, ...]:
    return (f"compares {one.old.name} with {one.new.name}",)
