"""Kernel parity on recordings of the model: every architecture, every layer."""

from __future__ import annotations

from goldgate.signoff import commands
from goldgate.signoff.checklist import Item
from goldgate.signoff.fit import Miss, fails, files_of, miss, numbers
from goldgate.signoff.gathered import Parity
from goldgate.signoff.items.item import across, item
from goldgate.signoff.items.known import not_reviewed
from goldgate.signoff.view import View


def parity(view: View) -> Item:
    """Require that each layer of each architecture has enough rows, and that all of them pass."""
    policy = view.policy
    cells: dict[tuple[str, int], dict[str, Parity]] = {}
    good: list[Parity] = []
    misses: list[Miss] = []
    failing: list[Parity] = []
    for one, recorded, reasons in view.on_model():
        if reasons and fails(one, reasons):
            failing.append(one)
            continue
        if reasons or recorded is None or recorded.layer is None:
            layer = recorded.layer if recorded else None
            place = one.kernel.architecture or "an unknown architecture"
            row = f"{place} {one.recording if layer is None else f'layer {layer}'}"
            misses.append(miss(one, row, reasons))
            continue
        good.append(one)
        cells.setdefault((one.kernel.architecture, recorded.layer), {})[one.recording_sha256] = one
    misses += [
        miss(one, f"parity on {one.recording}", ("a synthetic recording",))
        for one in view.of_kernel()
        if _synthetic(view, one)
    ]
    wrong = [
        f"{one.recording} on {one.kernel.architecture}: {one.why} ({one.file.path})"
        for one in (*good, *failing)
        if one.verdict != "PASS"
    ]
    wrong += not_reviewed(good, policy)[0]
    missing: list[tuple[str, str]] = []
    details: list[str] = []
    for architecture in policy.architectures:
        rows = {
            layer: sum(one.judged_rows for one in cells.get((architecture, layer), {}).values())
            for layer in policy.layers
        }
        none = [layer for layer, count in rows.items() if not count]
        few = [n for n, count in rows.items() if 0 < count < policy.coverage.rows_per_layer]
        if none:
            missing.append((architecture, f"no verdict on layers {numbers(none)}"))
        if few:
            least = policy.coverage.rows_per_layer
            missing.append((architecture, f"layers {numbers(few)} have fewer than {least} rows"))
        if len(none) < len(rows):
            details.append(
                f"{architecture}: {len(rows) - len(none)} of {len(rows)} layers judged, "
                f"{sum(rows.values())} rows, the fewest {min(rows.values())}"
            )
    worst = max((one.over_bound for one in good), default=0.0)
    counts = sum(one.judged_rows for held in cells.values() for one in held.values())
    to_do = [
        one
        for architecture in policy.architectures
        if wrong or architecture in dict(missing)
        for one in commands.record(policy, architecture)
    ]
    return item(
        view,
        "parity",
        f"kernel parity on {policy.model.title}'s recordings, every layer and architecture",
        good=f"{counts} rows of {policy.model.layers} layers pass on "
        f"{', '.join(policy.architectures)}; the largest weight error is {worst:.2f} of its bound",
        wrong=wrong,
        missing=across(missing),
        evidence=files_of((*good, *failing)),
        to_do=to_do,
        misses=misses,
        details=details,
    )


def _synthetic(view: View, one: Parity) -> bool:
    recorded = view.recordings.get(one.recording_sha256)
    shipped = one.tier in ("", "recorded")
    return shipped and recorded is not None and not recorded.model
