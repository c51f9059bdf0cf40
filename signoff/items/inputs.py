"""What the kernel is given: the bias, and the gate's logits."""

from __future__ import annotations

from goldgate.accuracy.narrow import NARROW
from goldgate.signoff import commands
from goldgate.signoff.checklist import Item, ToDo
from goldgate.signoff.fit import Miss, files_of, numbers
from goldgate.signoff.gathered import Parity, Recorded
from goldgate.signoff.items.engines import dispatched_here
from goldgate.signoff.items.item import across, item
from goldgate.signoff.rules import NAMES
from goldgate.signoff.view import View


def bias(view: View) -> Item:
    """Require the checkpoint's bias, or the intended cast of it, in every layer."""
    rule = view.policy.inputs
    pairs, misses = _on_model(view, "the bias of")
    wrong, cast, rerouted, rows = [], 0, 0, 0
    known: set[tuple[str, int | None]] = set()
    seen: set[str] = set()
    for one, recorded in pairs:
        state = one.input.get("bias", "unknown")
        where = f"{one.recording} ({one.file.path})"
        # The type that reaches the kernel, by storage: a float32 tensor may hold bfloat16's values.
        if recorded.bias_dtype != NAMES[rule.bias] and state == "checkpoint's":
            wrong.append(f"the bias reaches the kernel as {recorded.bias_dtype}: {where}")
        if state == "unknown":
            continue
        known.add((one.kernel.architecture, recorded.layer))
        # The input is the recording's, whichever kernel was judged: its rows count once.
        if recorded.sha256 not in seen:
            seen.add(recorded.sha256)
            rows += recorded.rows
            rerouted += int(one.input.get("rerouted_rows") or 0)
            cast += state == f"cast to {rule.bias}"
        if state not in ("checkpoint's", f"cast to {rule.bias}"):
            wrong.append(
                f"the bias is {_words(state)}, which routes {one.input.get('rerouted_rows')} of "
                f"{recorded.rows} rows to other experts: {where}"
            )
    dispatched = dispatched_here(view)
    wrong += [
        f"the dispatch of {one.engine} passes the bias as {one.bias} ({one.file.path})"
        for one in dispatched
        if one.bias not in ("", rule.bias)
    ]
    share = rerouted / rows if rows else 0.0
    if share > rule.most_rerouted and not wrong:
        wrong.append(
            f"the cast to {rule.bias} routes {rerouted} of {rows} rows to other experts, "
            f"{100 * share:.3g} %: the policy allows {100 * rule.most_rerouted:g} %"
        )
    missing = _missing(view, known, "no checkpoint's bias to compare with in")
    unknown = {
        recorded.sha256: recorded.rows for _, recorded in pairs if recorded.sha256 not in seen
    }
    rest = f"; {sum(unknown.values())} more rows have no checkpoint's bias" if unknown else ""
    how = (
        f"is cast to {rule.bias} as intended in {cast} recordings"
        if cast
        else (f"is the checkpoint's, {rule.bias}")
    )
    return item(
        view,
        "bias",
        f"the bias is the checkpoint's, or cast to {rule.bias} as intended",
        good=f"the bias {how}; {rerouted} of {rows} rows re-route by it{rest}",
        wrong=wrong,
        missing=across(missing),
        evidence=files_of([*(one for one, _ in pairs), *dispatched]),
        to_do=_to_do(view, wrong, missing),
        misses=misses,
    )


def gate(view: View) -> Item:
    """Require the gate's logits in the policy's type, and not on a narrower grid."""
    rule = view.policy.inputs
    pairs, misses = _on_model(view, "the logits of")
    wrong = []
    layers: set[tuple[str, int | None]] = set()
    for one, recorded in pairs:
        layers.add((one.kernel.architecture, recorded.layer))
        grid = one.input.get("logits_grid")
        if recorded.logits_dtype != NAMES[rule.logits]:
            wrong.append(f"logits are {recorded.logits_dtype}: {one.recording} ({one.file.path})")
        elif grid and rule.logits not in NARROW:
            on_it = one.input.get("logits_grid_rows", recorded.rows)
            wrong.append(
                f"{on_it} of {recorded.rows} rows hold {grid} values alone, so their gate was "
                f"computed or rounded in {grid}: {one.recording} ({one.file.path})"
            )
    missing = _missing(view, layers, "no logits of")
    return item(
        view,
        "gate",
        f"the gate computes its logits in {rule.logits}",
        good=f"logits of {len({layer for _, layer in layers})} layers are {rule.logits} and lie "
        "on no narrower grid",
        wrong=list(dict.fromkeys(wrong)),
        missing=across(missing),
        evidence=files_of(one for one, _ in pairs),
        to_do=_to_do(view, wrong, missing),
        misses=misses,
    )


def _on_model(view: View, what: str) -> tuple[list[tuple[Parity, Recorded]], list[Miss]]:
    pairs, misses = [], []
    for one, recorded, reasons in view.on_model():
        if reasons or recorded is None:
            layer = recorded.layer if recorded else None
            row = f"{what} {one.recording if layer is None else f'layer {layer}'}"
            misses.append(Miss(one.file, row, reasons))
        else:
            pairs.append((one, recorded))
    return pairs, misses


def _missing(view: View, held: set[tuple[str, int | None]], what: str) -> list[tuple[str, str]]:
    """Return the layers of each architecture that are not among those held."""
    absent = {
        architecture: [n for n in view.policy.layers if (architecture, n) not in held]
        for architecture in view.policy.architectures
    }
    return [(where, f"{what} layers {numbers(none)}") for where, none in absent.items() if none]


def _to_do(view: View, wrong: list[str], missing: list[tuple[str, str]]) -> list[ToDo]:
    return [
        step
        for architecture in view.policy.architectures
        if wrong or architecture in dict(missing)
        for step in commands.record(view.policy, architecture)
    ]


def _words(state: str) -> str:
    return {"zero": "0 throughout", "other": "another than the checkpoint's"}.get(state, state)
