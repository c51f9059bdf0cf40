"""Each item of the checklist: what fills it, what fails it, and what does not count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from goldgate.emulator import ROUNDINGS
from goldgate.fixtures import SHIPPED_RECORDINGS
from goldgate.fixtures.recorder.checkpoint import locate
from goldgate.signoff.checklist import State
from goldgate.signoff.gathered import DISPATCH, Dispatched, Gathered, Interval
from goldgate.signoff.items import DECIDED_BY
from goldgate.signoff.other_facts import dispatch_facts
from goldgate.signoff.parity_facts import parity_of
from goldgate.signoff.rules import ITEMS, EngineRule, InputRule
from goldgate.signoff.standin import standin_revision
from tests.signoff.facts import (
    CONSTRUCTED,
    FACTS,
    MODEL_PARITY,
    POLICY,
    RECORDINGS,
    a_file,
    a_kernel,
    a_parity,
    a_scored,
    decided,
    item_of,
)

Change = Callable[[Gathered], Gathered]


def first(name: str, **values: Any) -> Change:  # noqa: ANN401 - a field's value
    """Return a change of the first fact of a kind."""

    def change(facts: Gathered) -> Gathered:
        one, *rest = getattr(facts, name)
        return replace(facts, **{name: (replace(one, **values), *rest)})

    return change


def every(name: str, **values: Any) -> Change:  # noqa: ANN401 - a field's value
    """Return a change of every fact of a kind."""

    def change(facts: Gathered) -> Gathered:
        held = tuple(replace(one, **values) for one in getattr(facts, name))
        return replace(facts, **{name: held})

    return change


def tier(name: str, **values: Any) -> Change:  # noqa: ANN401 - a field's value
    """Return a change of every verdict of a tier."""

    def change(facts: Gathered) -> Gathered:
        held = tuple(replace(p, **values) if p.tier == name else p for p in facts.parity)
        return replace(facts, parity=held)

    return change


def without(name: str) -> Change:
    """Return a change that takes all facts of a kind away."""
    return lambda facts: replace(facts, **{name: ()})


def scored(**more: Any) -> Change:  # noqa: ANN401 - what verdict.json holds
    """Return a change that puts another paired verdict in place."""
    return lambda facts: replace(facts, scored=(a_scored(**more),))


def _run(**more: object) -> dict[str, Any]:
    """Return the runs of a paired verdict whose candidate differs."""
    runs = a_scored().document["runs"]
    return {**runs, "candidate": {**runs["candidate"], **more}}


def _on(mark: str, arm: str = "candidate", version: str = "") -> dict[str, Any]:
    """Return the runs of a paired verdict, one of them of an engine with that fingerprint."""
    runs = a_scored().document["runs"]
    server = {"at_start": {"/info.version": version} if version else {}, "at_end": {}}
    totals = {"served_models": {"org/Model": 1319}, "fingerprints": {mark: 1319}}
    return {**runs, arm: {**runs[arm], "totals": totals, "server": server}}


def _source(**more: object) -> Change:
    return first("recordings", source={**RECORDINGS[0].source, **more})


def sources(**more: object) -> Change:
    """Return a change of what every recording states of itself."""
    return every("recordings", source={**RECORDINGS[0].source, **more})


def kernels(architecture: str = "gfx942", **more: str) -> Change:
    """Return a change of the kernel of every verdict."""
    return every("parity", kernel=a_kernel("new.kernel", architecture, **more))


_OLD = "2 versions of the kernel that is replaced: 1."
_UNLIKE = {"name": "one model", "passed": False}
_SYNTHETIC = {"kind": "synthetic", "name": "normal"}
_OTHER_ROUTER = {**RECORDINGS[0].spec, "top_k": 6}
_FEWER = {"model": "org/Model", "questions": 200}
_INPUT = {"verdict": "FAIL", "bias": "other", "rerouted_rows": 4000, "logits_grid": None}
_GRID = {"verdict": "PASS", "bias": "checkpoint's", "rerouted_rows": 0, "logits_grid": "bfloat16"}
_SERVED = MODEL_PARITY[0].kernel
_FEW = ({"reason": "duplicate id", "rows": [1, 2, 3]},)
_NEW_REASON = ({"reason": "weight", "rows": [1]},)


def on_edge(facts: Gathered) -> Gathered:
    """Return the facts of a kernel that fails a synthetic recording that ships."""
    file = facts.covered[0].file
    edge = a_parity(
        "gfx942", "edge", "8" * 64, live=True, tier="recorded", repeats=30, verdict="FAIL",
        why="4 of 64 rows fail", file=file,
    )  # fmt: skip
    return replace(facts, parity=(*facts.parity, edge))


def beside(**values: Any) -> Change:  # noqa: ANN401 - a field's value
    """Return a change that adds a file with failures of what the other files pass."""
    more = {"verdict": "FAIL", "why": "9 of 4096 rows fail", **values}
    failed = tuple(
        replace(one, file=a_file("z.json", "kernel parity"), **more) for one in MODEL_PARITY
    )
    return lambda facts: replace(facts, parity=(*facts.parity, *failed))


FAILS: list[tuple[str, Change, str]] = [
    ("release", first("parity", kernel=a_kernel("new.kernel", "gfx942", version="2.3")), "2 versi"),
    ("release", _source(server="sglang 0.5.9"), "2 engines"),
    (
        "release",
        lambda f: replace(
            f, parity=(*f.parity, replace(f.parity[0], kernel=replace(_SERVED, name="x")))
        ),
        "dispatch reaches x",
    ),
    ("release", first("compared", old=a_kernel("old.kernel", "gfx942", version="1.5")), _OLD),
    ("release", first("timed", baseline=a_kernel("old.kernel", "gfx942", version="1.5")), _OLD),
    ("release", every("compared", old=a_kernel("old.kernel", "gfx942", package="p"),
                      new=a_kernel("new.kernel", "gfx942", package="p")), "of one package, p"),
    ("release", every("parity", kernel=a_kernel("new.kernel", "gfx942", package="sglang")),
     "new.kernel 2.1 (e/gfx942/parity.json) and recorded in sglang 0.5.15"),
    ("release", scored(runs=_on("sglang-0.5.14")), "the candidate of GSM8K asked 0.5.14"),
    ("release", scored(runs=_on("sglang-0.5.14", "baseline")), "the baseline of GSM8K asked 0.5"),
    ("release", scored(runs=_on("fp_1", version="0.5.16")), "the candidate of GSM8K asked 0.5.16"),
    ("parity", first("parity", verdict="FAIL", why="7 of 4096 rows fail"), "7 of 4096 rows fail"),
    ("parity", first("parity", known=_NEW_REASON), "policy does not allow"),
    ("bias", first("parity", input=_INPUT), "another than the checkpoint's"),
    ("bias", first("recordings", bias_dtype="BF16"), "reaches the kernel as BF16"),
    ("old-new", first("compared", verdict="UNEXPLAINED", unexplained=2), "2 rows are not explai"),
    ("gate", first("parity", input=_GRID), "4096 of 4096 rows hold bfloat16 values"),
    ("gate", first("recordings", logits_dtype="BF16"), "logits are BF16"),
    ("coverage", tier("pairs", verdict="FAIL", why="1 of 9 rows fail"), "pairs/0 on gfx942"),
    ("coverage", tier("ordinary", known=_NEW_REASON), "policy does not allow"),
    ("parity", beside(partial=True), "9 of 4096 rows fail (z.json)"),
    ("parity", beside(recording_sha256="f" * 64), "9 of 4096 rows fail (z.json)"),
    ("coverage", tier("pairs", verdict="FAIL", why="9 rows", partial=True), "pairs/0 on gfx942"),
    ("coverage", on_edge, "edge on gfx942: 4 of 64 rows fail"),
    ("hostile", tier("hostile", verdict="FAIL", why="NaN"), "hostile/few"),
    ("hostile", tier("hostile", known=_FEW), "in 3 rows, the policy allows 2"),
    ("determinism", tier("ordinary", call_faults=("two calls differ",)), "two calls differ"),
    ("latency", every("timed", ratio=Interval(0.99, 0.98, 1.01)), "0.990 (0.980 to 1.010) times"),
    ("gsm8k", scored(verdict="DEGRADED"), "DEGRADED: 5 of 1319"),
    ("gsm8k", scored(verdict="INCONCLUSIVE"), "INCONCLUSIVE: 5 of 1319"),
    ("throughput", scored(throughput={"ratio": 1.0, "low": 0.96, "high": 1.1}), "0.960 to 1.100"),
    ("judge", first("killed", caught=145, survivors=("a fault",)), "1 of 146 faults survive"),
    ("judge", first("killed", alarms=("expf: wrong",)), "a conforming kernel is called wrong"),
    ("provenance", _source(recorder=""), "does not state its recorder"),
    (
        "agreement",
        lambda f: replace(
            f, parity=(*f.parity, replace(f.parity[0], verdict="FAIL", file=a_file("z.json", "k")))
        ),
        "e/gfx942/parity.json states PASS of new.kernel 2.1 on rank0-layer00-0000, and z.json sta",
    ),
]  # fmt: skip


def unknown_on(architecture: str) -> Change:
    """Return a change that leaves the bias of an architecture's verdicts unknown."""

    def change(facts: Gathered) -> Gathered:
        held = tuple(
            replace(one, input={"bias": "unknown"})
            if one.kernel.architecture == architecture
            else one
            for one in facts.parity
        )
        return replace(facts, parity=held)

    return change


def matrix_twice(facts: Gathered) -> Gathered:
    """Return facts with one kill matrix of too few rows, in two files."""
    one = replace(facts.killed[0], conforming_rows=600_000)
    return replace(facts, killed=(one, replace(one, file=a_file("e/again.json", "kill matrix"))))


def broken_off(facts: Gathered) -> Gathered:
    """Return the facts of a run that was interrupted before it judged a recording."""
    file = facts.covered[0].file
    left = a_parity("gfx942", "pairs/9", "", verdict="REFUSED", why="interrupted", file=file)
    return replace(facts, parity=(*facts.parity, left))


_NOT_COVERED = {"verdict": "NOT COVERED", "why": "no groups"}

MISSING: list[tuple[str, Change, str]] = [
    ("coverage", tier("pairs", **_NOT_COVERED), "no call of the tiers pairs passes"),
    ("hostile", tier("hostile", **_NOT_COVERED), "no verdict on hostile rows"),
    ("determinism", every("parity", **_NOT_COVERED), "no repeated calls"),
    ("release", without("parity"), "gfx942, gfx950: no outputs that a recorder took"),
    ("release", scored(runs=_run(totals={"served_models": {"org/Model": 1}})), "no fingerprint"),
    ("release", scored(runs=_on("fp_1")), "states no release (fp_1)"),
    ("parity", lambda f: replace(f, parity=(*MODEL_PARITY[1:], *CONSTRUCTED)), "on layers 0"),
    ("parity", every("parity", rows=99), "gfx942, gfx950: layers 0 to 1 have fewer than 100 rows"),
    ("parity", every("parity", counts={"padding": 4000}), "layers 0 to 1 have fewer than 100 rows"),
    ("old-new", every("compared", rows=99), "gfx942, gfx950: layers 0 to 1 have fewer than 100"),
    ("judge", tier("pairs", judge_sha256=""), "2 verdicts are of another version's judge"),
    ("judge", every("compared", judge_sha256="f" * 64), "4 verdicts are of another version's"),
    ("bias", every("parity", input={"bias": "unknown"}), "in layers 0 to 1"),
    ("bias", unknown_on("gfx950"), "gfx950: no checkpoint's bias to compare with in layers 0 to 1"),
    ("gate", lambda f: replace(f, parity=MODEL_PARITY[:3]), "gfx950: no logits of layers 1"),
    ("old-new", lambda f: replace(f, compared=f.compared[1:]), "gfx942: no comparison on layers 0"),
    ("gate", without("parity"), "no logits of layers 0 to 1"),
    ("coverage", without("covered"), "gfx942, gfx950: no coverage"),
    ("coverage", every("covered", token_counts=((1, 2),)), "no call of 4096 tokens"),
    ("coverage", every("covered", pairs_met=40), "40.0 % of the pairs of levels, not 50 %"),
    ("coverage", every("covered", tiers={"ordinary": 3}), "nothing of the tiers pairs"),
    *((name, broken_off, "were not judged") for name in ("coverage", "hostile", "determinism")),
    ("hostile", lambda f: replace(f, parity=MODEL_PARITY), "no verdict on hostile rows"),
    ("determinism", every("parity", repeats=0), "no repeated calls"),
    ("emulated", lambda f: f, "gfx942, gfx950: nothing emulated"),
    ("latency", lambda f: replace(f, timed=f.timed[:-2]), "gfx950: not measured at 64 tokens"),
    ("gsm8k", without("scored"), "no paired verdict at a margin of 1.5 points with a control"),
    ("gsm8k", scored(verdict="REFUSED", checks=[_UNLIKE]), "one model"),
    ("throughput", scored(throughput=None), "no runs whose throughput can be compared"),
    ("judge", without("killed"), "no kill matrix of this judge"),
    ("judge", first("parity", judge_sha256="f" * 64), "of another version's judge"),
    ("judge", first("killed", conforming_rows=999), "were judged on 999 rows, not 1000000"),
    ("judge", matrix_twice, "were judged on 600000 rows, not 1000000"),
    ("provenance", without("recordings"), "no recording of Model"),
]  # fmt: skip

#: What does not count: the item that it leaves missing, and the reason that is told.
NOT_COUNTED: list[tuple[str, Change, str]] = [
    ("parity", kernels(execution="emulated"), "emulated"),
    ("parity", kernels(version="1.9"), "version 1.9, not 2.*"),
    ("parity", kernels("sm_90"), "architecture sm_90"),
    ("parity", every("parity", partial=True), "a partial run (--partial)"),
    ("parity", sources(model="goldgate-standin"), "of the stand-in, not Model"),
    ("parity", sources(model="m", revision=standin_revision()), "of the stand-in, not Model"),
    ("parity", sources(revision="r2"), "of revision r2"),
    ("parity", sources(server=""), "recorded in an unknown engine, not sglang 0.5.*"),
    ("parity", every("recordings", spec=_OTHER_ROUTER), "another router (top_k)"),
    ("parity", every("recordings", source=_SYNTHETIC), "a synthetic recording"),
    ("parity", every("parity", weight_format="bfloat16"), "as bfloat16 weights, not float32"),
    ("coverage", tier("pairs", weight_format="bfloat16"), "as bfloat16 weights, not float32"),
    ("parity", every("parity", weights=0), "ids alone, without weights"),
    ("hostile", tier("hostile", **_NOT_COVERED), "NOT COVERED: no groups"),
    ("coverage", lambda f: replace(f, covered=()), "without coverage"),
    ("coverage", every("covered", router="Kimi-K2"), "of the router of Kimi-K2, not of MiniMax"),
    ("latency", every("timed", spec=_OTHER_ROUTER), "for another router (top_k)"),
    ("determinism", every("parity", live=False), "recorded outputs, not a kernel"),
    ("latency", every("timed", baseline=a_kernel("another", "gfx942")), "against another, not"),
    ("gsm8k", scored(note="DEMONSTRATION on an embedded server"), "goldgate's own demonstration"),
    ("gsm8k", scored(plan={}), "without a registered plan"),
    ("gsm8k", scored(plan={"kind": "sequential", "questions": 1319}), "by the plan sequential"),
    ("gsm8k", scored(noise_floor=None), "without a control"),
    ("gsm8k", scored(runs=_run(data="own")), "questions of its own, not GSM8K's"),
    ("gsm8k", scored(runs=_run(settings=_FEWER)), "200 of 1319 questions"),
    ("gsm8k", scored(runs=_run(foreign="lm-eval")), "of another program's results"),
    ("judge", every("killed", judge_sha256="f" * 64), "of another judge"),
]  # fmt: skip


def test_complete_evidence_is_signed_off() -> None:
    """With every item filled the answer is YES, in the order of the policy's items."""
    found = decided()

    yes = "YES: every required item passes; advisory: emulated MISSING"
    assert (found.status, found.verdict) == (0, yes)
    assert [one.name for one in found.items] == list(ITEMS) == list(DECIDED_BY)
    assert all(one.evidence for one in found.items if one.required and one.name != "agreement")
    assert not any(one.to_do for one in found.items if one.state is State.PASS)


@pytest.mark.parametrize(("name", "change", "words"), FAILS)
def test_item_fails(name: str, change: Change, words: str) -> None:
    """What is wrong fails its item, names what was found and the answer is NO."""
    found = item_of(name, change(FACTS))

    assert found.state is State.FAIL
    assert words in found.found
    assert found.next_step
    assert decided(change(FACTS)).status == 1


@pytest.mark.parametrize(("name", "change", "words"), MISSING)
def test_item_is_missing(name: str, change: Change, words: str) -> None:
    """What there is no evidence for is MISSING, with the command still to run."""
    found = item_of(name, change(FACTS))

    assert found.state is State.MISSING
    assert words in found.found
    assert found.to_do or name == "emulated"  # goldgate emulates aiter's kernel alone
    assert all("goldgate" in step.command and step.where for step in found.to_do)
    assert decided(change(FACTS)).signed_off is (name in POLICY.advisory)


@pytest.mark.parametrize(("name", "change", "words"), NOT_COUNTED)
def test_what_does_not_count_is_told(name: str, change: Change, words: str) -> None:
    """Evidence that fills no item is named with the rows it would have filled and the reason."""
    found = item_of(name, change(FACTS))

    assert found.state is State.MISSING
    assert any(words in line and "would have filled" in line for line in found.would_fill)
    assert decided(change(FACTS)).status == 1


def test_another_routers_constructed_rows_do_not_matter() -> None:
    """A failure on rows of a router that the model does not have fails nothing."""
    other = a_parity(
        "gfx942", "ordinary/groups", "7" * 64, live=True, tier="ordinary", repeats=30,
        verdict="FAIL", why="12 rows fail", spec=_OTHER_ROUTER,
        file=a_file("e/gfx942/coverage.json", "kernel parity"),
    )  # fmt: skip

    assert decided(replace(FACTS, parity=(*FACTS.parity, other))).status == 0


@pytest.mark.parametrize("roundings", [ROUNDINGS, ROUNDINGS[:1]])
def test_emulated_evidence_informs(roundings: tuple[str, ...]) -> None:
    """Verdicts under each rounding model fill the advisory item alone; one model does not."""
    emulated = tuple(
        a_parity(
            arch, "edge", "9" * 64,
            kernel=a_kernel(
                "new.kernel", arch, execution="emulated", version=f"2.1, {name}",
                rounding="random (seed 0)" if name == "random" else name,
            ),
        )
        for arch in POLICY.architectures
        for name in roundings
    )  # fmt: skip

    alone = decided(Gathered(parity=emulated))

    items = {one.name: one for one in alone.items}
    states = {name: one.state for name, one in items.items()}
    assert (states.pop("emulated") is State.PASS) is (roundings == ROUNDINGS)
    assert ("not under the rounding models below, above" in items["emulated"].found) is (
        roundings != ROUNDINGS
    )
    assert states.pop("agreement") is State.PASS
    assert set(states.values()) == {State.MISSING}


def test_emulated_rows_count_once() -> None:
    """A run's verdict and that of its saved outputs, at hand beside it, are on the same rows."""
    kernel = a_kernel("new.kernel", "gfx942", execution="emulated", rounding="nearest")
    run = a_parity("gfx942", "edge", "9" * 64, kernel=kernel)
    saved = replace(run, kernel=replace(kernel, note="as saved"), output_sha256="8" * 64)
    policy = replace(POLICY, architectures=("sm_90",))  # of which no rounding model is asked

    assert item_of("emulated", Gathered(parity=(run, saved)), policy).found.startswith(
        f"{run.rows} rows pass, emulated"
    )


def test_intended_cast_of_the_bias_passes_and_is_counted() -> None:
    """A cast that the policy intends passes within its share, and fails beyond it."""
    cast = {"verdict": "PASS", "bias": "cast to bfloat16", "rerouted_rows": 10}
    facts = every("parity", input=cast)(every("recordings", bias_dtype="BF16")(FACTS))

    def under(share: float) -> tuple[State, str]:
        policy = replace(POLICY, inputs=InputRule("bfloat16", "float32", share))
        found = item_of("bias", facts, policy)
        return found.state, found.found

    assert under(0.01) == (
        State.PASS,
        "the bias is cast to bfloat16 as intended in 2 recordings; 20 of 8192 rows re-route by it",
    )
    state, found = under(0.001)
    assert state is State.FAIL
    assert "20 of 8192 rows" in found


def test_engine_other_than_the_policy_names_is_refused() -> None:
    """A paired verdict of an engine that the policy does not name is refused: nothing is left."""
    policy = replace(POLICY, engine=EngineRule("sglang *", "vllm-*"))

    assert [one.why for one in decided(FACTS, policy).refused] == [
        "of another engine (sglang-0.5.15): the policy is about vllm-*"
    ]
    assert item_of("gsm8k", policy=policy).state is State.MISSING
    assert "no GSM8K run that names its engine" in item_of("release", policy=policy).found


def test_advisory_items_do_not_decide() -> None:
    """An item that the policy calls advisory may fail, and the answer stays YES."""
    slow = every("timed", ratio=Interval(2.0, 1.9, 2.1))(FACTS)

    assert decided(slow).status == 1
    assert decided(slow, replace(POLICY, advisory=("emulated", "latency"))).status == 0


def test_nothing_is_missing_everywhere() -> None:
    """Without evidence every required item but the agreement is MISSING, none fails."""
    found = decided(Gathered())

    states = {one.name: one.state for one in found.items}
    assert states.pop("agreement") is State.PASS
    assert set(states.values()) == {State.MISSING}
    assert found.status == 1


def test_a_demonstration_says_so() -> None:
    """A policy whose model is the stand-in carries the word in its verdict line."""
    policy = replace(POLICY, model=replace(POLICY.model, names=("goldgate-standin",)))

    found = decided(Gathered(), policy)

    assert found.demonstration
    assert found.verdict.startswith("DEMONSTRATION, releases nothing: NO")


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, State.PASS),
        ({"catalogue": "old"}, State.PASS),
        ({"catalogue": "third"}, State.FAIL),
        ({"engine": "sglang 0.5.14"}, State.FAIL),
        ({"catalogue": "third", "simulated": True}, State.PASS),
        ({"catalogue": "third", "platform": "cuda"}, State.PASS),
        ({"catalogue": "third", "engine": "sglang 0.6.0"}, State.PASS),
        ({"catalogue": "third", "model": "Kimi-K2"}, State.PASS),
    ],
)
def test_dispatch_of_the_engine(changes: dict[str, Any], state: State) -> None:
    """Dispatch to a third kernel, or in another release, fails; a simulation informs."""
    file = a_file("e/dispatch.json", DISPATCH)
    one = Dispatched(
        "sglang 0.5.15",
        "hip",
        "MiniMax-M2.5",
        "F32",
        "new:route",
        "new",
        simulated=False,
        file=file,
    )

    found = item_of("release", replace(FACTS, dispatched=(replace(one, **changes),)))

    assert found.state is state
    assert ("e/dispatch.json" in found.found) == (state is State.FAIL)


@pytest.mark.parametrize(("bias", "state"), [("float32", State.PASS), ("bfloat16", State.FAIL)])
def test_bias_that_the_dispatch_passes(bias: str, state: State) -> None:
    """The type of the bias in the engine's own call has to be the policy's."""
    arguments = {"0": "float32[4, 256]", "1": f"{bias}[256]", "2": "8"}
    document = {
        "scenario": {"engine": "sglang", "platform": "hip", "gate": "F32"}, "version": "0.5.15",
        "model": "MiniMax-M2.5", "kernel": "new:route", "catalogue": "new", "simulated": False,
        "arguments": arguments,
    }  # fmt: skip
    reached = dispatch_facts(document, a_file("e/dispatch.json", DISPATCH)).dispatched

    found = item_of("bias", replace(FACTS, dispatched=reached))

    assert found.state is state
    assert ("passes the bias as bfloat16 (e/dispatch.json)" in found.found) is (state is State.FAIL)


def test_sequential_plan_counts_where_the_policy_asks_for_it() -> None:
    """A plan that stops early asks a part: its population has to be all of the questions."""
    rule = replace(POLICY.gsm8k, plan="sequential", control=False)
    policy = replace(POLICY, gsm8k=rule)
    runs = _run(settings={"model": "org/Model", "questions": 264})

    def under(population: int) -> State:
        plan = {"kind": "sequential", "questions": population}
        one = a_scored(plan=plan, noise_floor=None, runs=runs)
        return item_of("gsm8k", replace(FACTS, scored=(one,)), policy).state

    assert (under(1319), under(264)) == (State.PASS, State.MISSING)


def test_failure_of_a_tier_that_the_policy_does_not_name_fails_the_coverage() -> None:
    """Pairs that fail decide, though the policy asks for the ordinary tier alone."""
    policy = replace(POLICY, coverage=replace(POLICY.coverage, tiers=("ordinary",)))

    found = item_of("coverage", tier("pairs", verdict="FAIL", why="9 rows fail")(FACTS), policy)

    assert found.state is State.FAIL


def test_verdict_that_no_judge_gives_is_refused() -> None:
    """A result whose verdict is another word is no fact."""
    result = {"recording": "edge", "sha256": {}, "verdict": "ERROR"}

    with pytest.raises(ValueError, match="verdict 'ERROR', expected one of PASS, FAIL"):
        parity_of(result, MODEL_PARITY[0].kernel, a_file("e/parity.json", "kernel parity"))


def test_standin_under_another_name_is_a_demonstration() -> None:
    """The stand-in is known by its revision: a policy that names its folder releases nothing."""
    folder = SHIPPED_RECORDINGS.parent / "standin" / "data" / "model"
    revision = locate(str(folder))[1]
    policy = replace(POLICY, model=replace(POLICY.model, names=("/srv/small",), revision="*"))
    facts = sources(model="/srv/small", revision=revision)(FACTS)

    found = decided(facts, policy)

    assert not policy.demonstration
    assert found.demonstration
    assert found.verdict.startswith("DEMONSTRATION, releases nothing: ")


@pytest.mark.parametrize("verdict", ["FAIL", "REFUSED"])
def test_what_does_not_pass_is_told_beside_a_pass(verdict: str) -> None:
    """A run of another version that fails or is refused is named, though the item passes."""
    old = a_kernel("new.kernel", "gfx942", version="1.9")

    found = item_of("parity", beside(verdict=verdict, kernel=old)(FACTS))

    assert found.state is State.PASS
    assert len(found.would_fill) == 1
    assert f"z.json states {verdict} of gfx942 layer 0, gfx942 layer 1" in found.would_fill[0]
    assert "version 1.9, not 2.*" in found.would_fill[0]


def test_rows_of_an_unknown_bias_are_stated() -> None:
    """Recordings without the checkpoint's bias beside those with it are counted in the item."""
    more = replace(RECORDINGS[0], sha256="e" * 64, rows=500)
    one = replace(MODEL_PARITY[0], recording_sha256=more.sha256, input={"bias": "unknown"})
    facts = replace(FACTS, recordings=(*FACTS.recordings, more), parity=(*FACTS.parity, one))

    found = item_of("bias", facts)

    assert found.state is State.PASS
    assert found.found.endswith("; 500 more rows have no checkpoint's bias")
