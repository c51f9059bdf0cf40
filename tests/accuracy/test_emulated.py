"""What `goldgate emulate` plans, certifies and states; the kernel itself is a stand-in here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from goldgate.accuracy import emulated_plan, emulated_tasks
from goldgate.accuracy.account import Account, exit_status
from goldgate.accuracy.certified import uncertified
from goldgate.accuracy.emulated_cases import LADDER_TOKENS, constructed, not_launched
from goldgate.accuracy.emulated_plan import (
    SAMPLED,
    WHOLE,
    WHOLE_ROWS,
    Plan,
    beyond,
    coverage,
    plan_constructed,
    plan_recordings,
)
from goldgate.accuracy.emulated_statements import held_against_each_other, statements
from goldgate.accuracy.emulated_tasks import Uncertified
from goldgate.accuracy.emulated_tasks import emulated_tasks as tasks_of
from goldgate.accuracy.emulation import Emulated
from goldgate.accuracy.evidence import Judged, complaints
from goldgate.accuracy.known_failures import SHIPPED, read_known_failures
from goldgate.accuracy.tasks import Criteria, work
from goldgate.emulator import Rounding
from goldgate.fixtures import (
    Recording,
    open_output,
    open_recording,
    write_recording,
)
from goldgate.fixtures.constructed import construct, entries, find, routers
from goldgate.fixtures.hard_rows import normal as construct_normal
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.kernels import KernelError
from goldgate.kernels import find as find_kernel
from goldgate.kernels.aiter import supports
from goldgate.kernels.aiter_emulated.variants import VARIANTS, Variant, variants
from goldgate.reference import PROFILES, Profile, RoutingSpec, route, selection_error
from goldgate.reference.bounds import group_error
from goldgate.reference.router import group_scores
from tests.accuracy.stand_in_kernel import Emulate, golden_kernel

_CRITERIA = Criteria(None, ordered=False, known_failures=())


def _opened(folder: Path, held: Recording) -> Recording:
    path = folder / f"{held.name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_recording(path, held)
    return open_recording(path)


def _pairwise(held: Recording, profile: Profile) -> int:
    """Count uncertified rows by the definition, one pair of experts and of groups at a time."""
    spec, x, b = held.spec, held.logits().astype(np.float64), held.bias().astype(np.float64)
    golden = route(x, b, spec)
    errors = selection_error(x, golden.scores, b, spec, profile)
    groups, moved = group_scores(golden.biased, spec), group_error(golden.biased, errors, spec)
    size, loose = spec.group_size, 0
    for t in np.nonzero(golden.defined)[0]:
        kept = np.nonzero(golden.groups[t])[0]
        out = [g for g in range(spec.num_expert_group) if g not in kept]
        fits = all(
            groups[t, i] - groups[t, j] > moved[t, i] + moved[t, j] for i in kept for j in out
        )
        chosen = set(golden.ids[t].tolist())
        others = [e for g in kept for e in range(g * size, (g + 1) * size) if e not in chosen]
        c, a = golden.biased[t], errors[t]
        fits &= all(c[i] - c[j] > a[i] + a[j] for i in chosen for j in others)
        loose += not fits
    return loose


@pytest.mark.parametrize(
    "spec", [RoutingSpec(24, 5), RoutingSpec(24, 5, num_expert_group=4, topk_group=2)]
)
def test_uncertified_rows_are_those_of_the_definition(spec: RoutingSpec) -> None:
    """The count equals a comparison of every pair, with ties and near-ties among the rows."""
    rng = np.random.default_rng(60)
    logits = rng.standard_normal((300, 24)).astype(np.float32)
    logits[::7, 1::2] = logits[::7, ::2]  # ties
    logits[1::7, 1::2] = np.nextafter(logits[1::7, ::2], np.float32(9))  # near-ties
    logits[5, :] = np.nan  # not defined
    held = recording("pairs", logits, np.zeros(24, np.float32), spec)

    count = uncertified(held, PROFILES["conservative"])

    assert count == _pairwise(held, PROFILES["conservative"])
    assert 20 < count < 200


def test_padding_is_certified() -> None:
    """A row that is not judged is not counted."""
    held = recording(
        "padded",
        np.zeros((4, 16), np.float32),
        np.zeros(16, np.float32),
        RoutingSpec(16, 2),
        token_index=np.array([0, -1, 1, -1]),
    )

    assert uncertified(held, PROFILES["ieee"]) == 2


def test_routers_that_aiter_does_not_launch_are_left_out() -> None:
    """16 groups and softmax are beyond biased_grouped_topk; 8 groups are not."""
    assert supports(RoutingSpec(256, 8, num_expert_group=8, topk_group=4)) is None
    assert "groups, not 16" in (
        supports(RoutingSpec(256, 8, num_expert_group=16, topk_group=8)) or ""
    )
    assert "softmax" in (supports(RoutingSpec(256, 8, scoring="softmax")) or "")
    for name in ("aiter", "aiter-emulated"):  # so that parity does not fail them for it
        entry = find_kernel(name)
        assert entry is not None
        assert entry.supports is supports


def test_recordings_beyond_aiter_are_named(tmp_path: Path) -> None:
    """One that nothing is launched for is not planned, and the report says why."""
    softmax = recording(
        "softmax",
        np.zeros((1, 8), np.float32),
        np.zeros(8, np.float32),
        RoutingSpec(8, 2, scoring="softmax"),
    )
    held = {"softmax": _opened(tmp_path, softmax)}

    assert plan_recordings(held, VARIANTS) == []
    assert [str(one) for one in beyond(held)] == [
        "aiter-emulated: not run on softmax: it scores with sigmoid, not softmax"
    ]


def test_every_row_of_recordings_is_planned_with_every_variant(tmp_path: Path) -> None:
    """One plan a recording and variant, all rows, in the variants' order."""
    held = {name: _opened(tmp_path, construct(name)) for name in ("tokens_3", "tokens_31")}

    plan = plan_recordings(held, VARIANTS)

    assert [(one.variant, one.title) for one in plan] == [
        (variant, name) for variant in VARIANTS for name in held
    ]
    assert all(one.rows == tuple(range(one.recording.rows)) for one in plan)
    assert len({variant.name for variant in VARIANTS}) == 8


def test_large_recordings_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past 257 tokens the first, the last and some workgroups between run, of the whole grid."""
    names = ("tokens_2047", "tokens_4095", "padded")
    monkeypatch.setattr(emulated_plan, "constructed", lambda: map(find, names))

    plans, left_out = plan_constructed(tmp_path, VARIANTS[:1], whole=False)

    plan = {one.title: one for one in plans}
    small, large = plan["tokens_2047"], plan["tokens_4095"]
    assert small.judged is small.recording
    assert len(small.rows) == 2047 <= WHOLE_ROWS
    assert left_out == []
    assert large.recording.rows == 4095
    assert len(large.rows) == large.judged.rows == SAMPLED
    assert list(large.rows) == sorted(set(large.rows))
    assert large.rows[:3] == (0, 1, 2)
    assert large.rows[-2:] == (4093, 4094)
    assert (large.judged.logits() == large.recording.logits()[list(large.rows)]).all()
    assert (large.judged.bias() == large.recording.bias()).all()
    text = "\n".join(coverage(list(plan.values())))
    assert "calls of 4095 tokens and more by 32 to 192 of their workgroups" in text


def test_each_token_count_is_a_launch_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording of several calls is launched call by call, the large ones sampled."""
    entry = find("MiniMax-M2.5/tokens_511_to_4097")
    tokens = (33, 1, 2047, 257, 1025)
    entry = replace(entry, tokens=tokens, make=lambda name: construct_normal(name, sum(tokens)))
    monkeypatch.setattr(emulated_plan, "constructed", lambda: [entry])

    ((plan,), _) = plan_constructed(tmp_path, VARIANTS[:1], whole=False)

    assert [one.tokens for one in plan.launches] == list(entry.tokens)
    starts = np.cumsum([0, *entry.tokens])[:-1]
    assert [one.start for one in plan.launches] == starts.tolist()
    assert [len(one.rows) for one in plan.launches] == [
        tokens if tokens <= WHOLE else SAMPLED // 6 for tokens in entry.tokens
    ]
    assert (plan.judged.logits() == plan.recording.logits()[list(plan.rows)]).all()


def test_the_token_counts_to_257_are_all_launched() -> None:
    """The table has a call of every number of tokens from 1 to 257, and of more."""
    counts = {tokens for entry in constructed() for tokens in entry.tokens}

    assert set(range(258)) <= counts
    assert {4096, 4097} <= counts


def test_every_ordinary_recording_is_executed_or_named_with_a_reason() -> None:
    """Layouts, states and ladders above 4,097 tokens are all that the ordinary tier leaves out."""
    ordinary = {entry.name: entry for entry in entries() if entry.tier == "ordinary"}
    executed = [entry.name for entry in constructed()]
    exceptions = {
        name
        for name, entry in ordinary.items()
        if name.startswith(("MiniMax-M2.5/layout_", "MiniMax-M2.5/state_"))
        or (name.startswith("MiniMax-M2.5/tokens_") and max(entry.tokens) > LADDER_TOKENS)
    }

    named = {one.recording: one for one in not_launched()}

    assert set(ordinary) - set(executed) == set(named) == exceptions
    assert len(executed) == len(set(executed))
    assert "MiniMax-M2.5/tokens_sampled_514_to_16382" in named
    assert str(named["MiniMax-M2.5/layout_offset"]).endswith("tensors are contiguous")


def test_whole_leaves_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --all no recording is sampled, and the coverage has nothing to say of it."""
    monkeypatch.setattr(emulated_plan, "constructed", lambda: [find("tokens_4095")])

    plan, _ = plan_constructed(tmp_path, VARIANTS[:2], whole=True)

    assert [len(one.rows) for one in plan] == [4095, 4095]
    assert not any("workgroups" in line for line in coverage(plan))


def test_every_router_of_the_ordinary_tier_is_executed_whole_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other models' routers are planned row by row; those beyond aiter are reported as not run."""
    names = {entry.name for entry in constructed()}
    few = ["routers/groups_2_1", "routers/Qwen3-MoE", "routers/Qwen3-MoE_sigmoid"]
    monkeypatch.setattr(emulated_plan, "constructed", lambda: map(find, few))

    plans, left_out = plan_constructed(tmp_path, VARIANTS[:1], whole=False)

    assert {entry.name for entry in routers()} <= names
    assert {f"MiniMax-M2.5/types_{kinds}" for kinds in ("bf16_f32", "f16_f16")} <= names
    assert [one.title for one in plans] == [few[0], few[2]]
    assert all(one.judged is one.recording for one in plans)
    assert [str(one) for one in left_out] == [
        "aiter-emulated: not run on routers/Qwen3-MoE: it scores with sigmoid, not softmax"
    ]


def _judged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kernel: Emulate, save: Path | None = None
) -> tuple[list[Judged], list[str], list[Plan]]:
    monkeypatch.setattr(emulated_tasks, "emulate", kernel)
    held = {name: _opened(folder, construct(name)) for name in ("tokens_33", "tokens_3")}
    plan, loose = plan_recordings(held, variants(7)), Uncertified()
    judged = work(tasks_of(plan, _CRITERIA, map, save, loose, lambda _: None))
    return judged, list(statements(judged, loose)), plan


def test_each_variant_is_judged_and_its_outputs_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs are written as VARIANT/TITLE, named emulated, with the rows not certified."""
    judged, _, plan = _judged(tmp_path, monkeypatch, golden_kernel(), tmp_path / "out")

    assert [one.verdict for one in judged] == ["PASS"] * 16
    for one in plan:
        path = tmp_path / "out" / one.variant.name / f"{one.title}.safetensors"
        kernel = open_output(path, one.recording).kernel
        assert kernel.execution == "emulated"
        assert kernel.note == (
            f"emulated: z; rounding of exp and rcp: {one.variant.rounding}; "
            f"0 of {one.recording.rows} rows are not certified"
        )


def test_statements_say_what_the_models_showed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four models, the certified rows, the architectures, and that no AMD hardware ran."""
    _, lines, _ = _judged(tmp_path, monkeypatch, golden_kernel())

    text = "\n".join(lines)
    assert "emulated, not run on AMD hardware: 1; x; emulated: z" in text
    assert "models executed: nearest, below, above, random (seed 7)" in text
    assert "the verdict is the same under each on 2 recordings" in text
    assert "in 36 of 36 rows the arithmetic's error bound certifies" in text
    assert "gfx942 and gfx950 return the same bits in 8 of 8 outputs" in text


def test_a_verdict_that_depends_on_the_model_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one model fails, the statement names the recordings, and the bits are counted."""
    wrong = golden_kernel(["aiter-emulated-gfx950-above"])

    judged, lines, _ = _judged(tmp_path, monkeypatch, wrong)

    text = "\n".join(lines)
    assert [one.verdict for one in judged].count("FAIL") == 2
    assert "the verdict depends on the model on tokens_33, tokens_3" in text
    assert "the same bits in 6 of 8 outputs" in text


@pytest.mark.parametrize(
    ("model", "arithmetic", "mean", "verdict"),
    [
        *(("nearest", "conservative", 1.8, "FAIL"), ("random", "conservative", -1.8, "FAIL")),
        *(("above", "conservative", 1.8, "PASS"), ("below", "conservative", -1.8, "PASS")),
        *(("above", "conservative", -1.8, "FAIL"), ("below", "conservative", 1.8, "FAIL")),
        # a drift of the kernel's own of 4.5 u beside the model's -1.8 u
        *(("below", "conservative", 2.7, "FAIL"), ("above", "conservative", 6.3, "FAIL")),
        *(("above", "expf_div_subtract", 1.8, "FAIL"), ("below", "ieee", -1.8, "FAIL")),
    ],
)
def test_a_models_own_shift_is_no_drift_of_the_kernel(
    model: str,
    arithmetic: str,
    mean: float,
    verdict: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mean of 1.8 u is allowed where and in the direction that the model moves a reciprocal."""
    held = _opened(tmp_path, construct("tokens_257"))
    kernel = golden_kernel(arithmetic=arithmetic, means={model: mean})
    monkeypatch.setattr(emulated_tasks, "emulate", kernel)
    plan = plan_recordings({"tokens_257": held}, [Variant("gfx942", Rounding(model))])

    (judged,) = work(tasks_of(plan, _CRITERIA, map, None, Uncertified(), lambda _: None))

    assert judged.verdict == verdict
    if verdict == "FAIL":
        assert any("weights drift" in line and "mean" in line for line in complaints(judged))


def test_architectures_that_differ_in_a_bit_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One weight of gfx950 an ulp away passes alone; beside gfx942 it fails with its row."""
    plain = golden_kernel()

    def differs(variant: Variant, *given: object, **named: object) -> Emulated:
        done = plain(variant, *given, **named)
        if variant.name != "aiter-emulated-gfx950-below":
            return done
        weights = done.output.weights().copy()
        weights[2, 1] = np.nextafter(weights[2, 1], np.float32(1))
        return replace(done, output=replace(done.output, topk_weights=tensor(weights)))

    judged, lines, _ = _judged(tmp_path, monkeypatch, differs)

    assert {one.verdict for one in judged} == {"PASS"}
    assert "gfx942 and gfx950 return the same bits in 6 of 8 outputs" in lines
    held = held_against_each_other(judged)
    assert exit_status(held, Account({})) == 1
    assert exit_status(held[:5], Account({})) == 0
    failed = [one for one in held if one.verdict == "FAIL"]
    assert [one.kernel for one in failed] == ["aiter-emulated-gfx950-below"] * 2
    fault = "gfx950 returns other bits than gfx942 in 1 of 33 rows, the first of them row 2"
    assert f"the call is at fault: {fault}" in complaints(failed[0])


def test_a_run_that_ends_early_fails_its_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An access outside a buffer, for instance, is a fault of the kernel, not a refusal."""

    def ends(*_: object, **__: object) -> Emulated:
        raise KernelError("`global_load_dword` (line 7): workgroup 0, lane 3 reads outside")

    judged, lines, _ = _judged(tmp_path, monkeypatch, ends)

    assert {one.verdict for one in judged} == {"FAIL"}
    assert "lane 3 reads outside" in judged[0].faults[0]
    assert lines == []


def test_findings_are_notes_of_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What works by luck is reported beside a pass."""
    plain = golden_kernel()

    def finding(*given: object, **named: object) -> Emulated:
        return replace(plain(*given, **named), findings=("writes LDS past its end",))

    judged, _, _ = _judged(tmp_path, monkeypatch, finding)

    assert {one.verdict for one in judged} == {"PASS"}
    assert judged[0].notes == ("writes LDS past its end",)


def test_listed_faults_of_the_package_are_of_todays_constructed_recordings(tmp_path: Path) -> None:
    """A constructor that changes its rows makes the list stale: it names the recording's hash."""
    listed = {
        one.recording: one.recording_sha256
        for one in read_known_failures(SHIPPED)
        if one.version.startswith("amd-aiter")
    }

    assert {"groups_1_of_2", "groups_2_of_4", "routers/Qwen3-Next_sigmoid"} <= set(listed)
    for name, digest in listed.items():
        assert _opened(tmp_path, construct(name)).sha256 == digest
