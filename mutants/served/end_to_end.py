"""What GSM8K's verdict and kernel parity say of the same kernels, found and kept.

`asking` has the stand-in answer; here its runs are compared with the baseline's, the same kernels
judged on the stand-in's own gating tensors, and both written to docs/end-to-end.json, of which
`served_table` makes the document's second half.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from goldgate.accuracy.calls import run
from goldgate.fixtures import Recording
from goldgate.fixtures.recording import recording
from goldgate.kernels import KernelError, Loaded
from goldgate.mutants.served.asking import QUESTIONS, compare, machine, outcome
from goldgate.mutants.served.routers import ARMS, BASELINE, Arm
from goldgate.mutants.trial import Trial, try_fault, try_kernel, words
from goldgate.places import IMPORTED_FROM
from goldgate.reference import MINIMAX_M2_5, route

RESULTS = IMPORTED_FROM / "docs" / "end-to-end.json"
_SCHEMA = 1

#: lm-eval's filter that decides, as in `goldgate compare`.
_FILTER = "strict-match"

#: Tokens of each of the stand-in's layers that kernels are judged on here.
_TOKENS = 4096

#: Families that are no faults.
RIGHT = ("honest", "inside rounding")

PRESERVED, DEGRADED, REFUSED, INCONCLUSIVE = "PRESERVED", "DEGRADED", "REFUSED", "INCONCLUSIVE"


@dataclass(frozen=True)
class ArmResult:
    """What was found of one arm.

    Attributes:
        name: the arm's.
        title: the fault's or the honest kernel's name.
        family: that of the `Arm`.
        right: right answers; None where the run did not finish.
        losses: answers right under the baseline and wrong here; None where not compared.
        gains: the other way round.
        verdict: that of `goldgate compare`, REFUSED where there is no finished run.
        reason: why it is refused, "" if it is not.
        caught: whether kernel parity fails it, on the recording of the table of faults.
        tokens: what the judge says of it on the stand-in's own tokens.
        rerouted: how many of those tokens it gives to another set of experts.

    """

    name: str
    title: str
    family: str
    right: int | None
    losses: int | None
    gains: int | None
    verdict: str
    reason: str
    caught: bool
    tokens: str
    rerouted: int

    @property
    def is_fault(self) -> bool:
        """Whether kernel parity should fail it."""
        return self.family not in RIGHT


@dataclass(frozen=True)
class Results:
    """All arms of one machine.

    Attributes:
        made: what `asking` notes of machine, versions and settings.
        questions: how many were asked of every arm.
        baseline: right answers of the golden router.
        tokens: tokens, over all layers, on which the kernels were judged.
        arms: what was found.

    """

    made: Mapping[str, Any]
    questions: int
    baseline: int
    tokens: int
    arms: tuple[ArmResult, ...]


@cache
def standin_recordings() -> tuple[Recording, ...]:
    """Return what the stand-in routes reading its first problems with their answers, by layer.

    Computed here, in torch: another machine may give other last bits.
    """
    import torch  # noqa: PLC0415 - slow, and only this needs the model

    from goldgate.fixtures.standin import tokens  # noqa: PLC0415 - as above
    from goldgate.fixtures.standin.model import biases, load  # noqa: PLC0415 - as above
    from goldgate.fixtures.standin.provenance import problems  # noqa: PLC0415 - as above

    logits: dict[int, list[Any]] = {}
    model = load(router=None)
    for layer, block in enumerate(model.model.layers):
        block.mlp.gate.register_forward_hook(
            lambda _module, _inputs, output, layer=layer: logits.setdefault(layer, []).append(
                output[0].numpy()
            )
        )
    read = 0
    with torch.inference_mode():
        for row in problems.read(problems.DATA / "test.jsonl"):
            ids = tokens.encode(f"Question: {row['question']}\nAnswer: {row['answer']}")
            model(torch.tensor([ids]))
            read += len(ids)
            if read >= _TOKENS:
                break
    return tuple(
        recording(
            f"standin layer {layer}",
            np.concatenate(logits[layer])[:_TOKENS],
            bias.numpy(),
            MINIMAX_M2_5,
        )
        for layer, bias in enumerate(biases(model))
    )


def on_tokens(arm: Arm) -> tuple[Trial, int]:
    """Judge a kernel on the stand-in's tokens; return also how many it routes elsewhere."""
    parts, elsewhere = [], 0
    for held in standin_recordings():
        (trial,) = try_kernel(arm.make(), held, (arm.profile,))
        parts.append(trial)
        ran = run(Loaded(arm.make(), arm.name, "unversioned", "cpu", arm.profile), held)
        golden = route(held.logits(), held.bias(), held.spec).ids
        differs = np.sort(ran.output.ids(), axis=1) != np.sort(golden, axis=1)
        elsewhere += int(differs.any(axis=1).sum())
    seen: Counter[str] = Counter()
    for part in parts:
        seen.update(part.seen)
    total = Trial(
        dict(seen),
        sum(part.rows for part in parts),
        max(part.over_bound for part in parts),
        max(part.size for part in parts),
        max((part.mean for part in parts), key=abs),
    )
    return total, elsewhere


def find(out: Path, name: str) -> ArmResult:
    """Compare an arm that has ended with the baseline, and judge its kernel."""
    arm = ARMS[name]
    facts = outcome(out, name)
    compared = compare(out, BASELINE, name)
    # The counts of a refused comparison are information, no finding.
    judged = compared if compared and compared["verdict"] != REFUSED else {"paired": {}}
    paired = judged["paired"].get(_FILTER)
    trial, elsewhere = on_tokens(arm)
    own = try_fault(arm.fault)[0] if arm.fault else trial
    return ArmResult(
        name=name,
        title=arm.title,
        family=arm.family,
        right=_right(facts),
        losses=round(paired["losses"]) if paired else None,
        gains=round(paired["gains"]) if paired else None,
        verdict=compared["verdict"] if compared else REFUSED,
        reason=_reason(facts, compared),
        caught=bool(own.seen),
        tokens=words(trial),
        rerouted=elsewhere,
    )


def questions(limit: int | None) -> int:
    """Return how many questions an arm is asked."""
    with (QUESTIONS / "test.jsonl").open(encoding="utf-8") as lines:
        held = sum(1 for _ in lines)
    return min(held, limit or held)


def results(
    out: Path, names: Iterable[str], advance: Callable[[], object] = lambda: None
) -> Results:
    """Find what there is to find of arms that have ended; `advance` is called after each."""
    facts = outcome(out, BASELINE)
    if facts.get("status") != "complete":
        raise KernelError(f"{out / BASELINE}: the baseline is no whole run: {_reason(facts, None)}")
    arms = []
    for name in names:
        arms.append(find(out, name))
        advance()
    return Results(
        made=machine(out),
        questions=facts["settings"]["questions"],
        baseline=_right(facts) or 0,
        tokens=sum(held.rows for held in standin_recordings()),
        arms=tuple(arms),
    )


def merged(found: Results, kept: Results) -> Results:
    """Return what was found with what was kept of other arms, if they can stand in one table.

    Raises:
        KernelError: they were asked elsewhere or otherwise, or the golden router's answers differ.

    """
    names = {arm.name for arm in found.arms}
    others = [arm for arm in kept.arms if arm.name not in names and arm.name in ARMS]
    if not others:
        return found
    new, old = ({**asdict(one), "arms": None} for one in (found, kept))
    differing = [key for key in new if new[key] != old[key]]
    if differing:
        raise KernelError(
            f"{RESULTS}: what is kept of {len(others)} other kernels differs in "
            f"{', '.join(differing)}: they stand in one table only if they were asked alike; "
            "serve them too, or leave out --write"
        )
    arms = sorted((*found.arms, *others), key=lambda arm: list(ARMS).index(arm.name))
    return replace(found, arms=tuple(arms))


def write_results(found: Results, path: Path = RESULTS) -> None:
    """Write results, one arm a line."""
    head = {"schema": _SCHEMA, **{k: v for k, v in asdict(found).items() if k != "arms"}}
    lines = [json.dumps(asdict(arm)) for arm in found.arms]
    text = json.dumps(head, indent=1)[:-2] + ',\n "arms": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
    path.write_text(text, encoding="utf-8")


def read_results(path: Path = RESULTS) -> Results:
    """Read what `write_results` wrote."""
    held = json.loads(path.read_text(encoding="utf-8"))
    arms = tuple(ArmResult(**arm) for arm in held["arms"])
    return Results(held["made"], held["questions"], held["baseline"], held["tokens"], arms)


def _right(facts: Mapping[str, Any]) -> int | None:
    if "totals" not in facts:
        return None
    right: Sequence[int] = facts["totals"]["right"][_FILTER]
    return sum(right)


def _reason(facts: Mapping[str, Any], compared: Mapping[str, Any] | None) -> str:
    """Say in a few words why there is no verdict; "" where there is one."""
    if compared is None:
        reason = str((facts.get("reasons") or ["the run never began"])[0])
        said = re.search(r'"message": "(.*?)(?:;|",)', reason)
        return f"the server fails: {said[1]}" if said else reason
    failed = [check["detail"] for check in compared["checks"] if not check["passed"]]
    return str(failed[0]).partition(";")[0] if failed else ""
