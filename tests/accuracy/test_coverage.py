"""What a pass looked at: read off what was judged, and written as evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from goldgate.accuracy.account import Account, exit_status, missing
from goldgate.accuracy.calls import Uncovered
from goldgate.accuracy.commands.judging import unjudged
from goldgate.accuracy.coverage import RECORDED, coverage, looked_at, runs
from goldgate.accuracy.document import SCHEMA_FILE
from goldgate.accuracy.evaluate import judge
from goldgate.accuracy.evidence import Judged
from goldgate.accuracy.selection import Verdict
from goldgate.cli import main
from goldgate.fixtures import KernelInfo, Output, open_recording
from goldgate.fixtures.constructed import Entry, construct, entries, find
from goldgate.fixtures.factors import FACTORS, combined, pairwise
from goldgate.fixtures.routers import RouterError, read_router
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import PROFILES, route

_LIMITED = """
from goldgate.kernels.torch_eager import route as honest

DEVICE = "cpu"


def route(x, b, w, i, groups, *more):
    if groups > 1 or len(x) > 200:
        raise NotImplementedError("one group, 200 tokens at most")
    honest(x, b, w, i, groups, *more)


def deaf(x, b, w, i, groups, kept, renorm, scale=1.0):
    honest(x, b, w, i, 1, 1, renorm, 1.0)


def refuses(*_):
    raise NotImplementedError("nothing at all")
"""

#: A recording that a conforming kernel passes.
OFFSET = Path(__file__).parents[2] / "fixtures" / "recordings" / "offset.safetensors"

#: Hostile rows of which no weight has a bound: every score may have been flushed.
_UNBOUNDED = Entry("DeepSeek-V4-Flash/deep_negative", "hostile", "", construct)


def test_all_pairs_are_met_by_the_covering_array() -> None:
    """Judging the whole array meets every level and every pair of levels that there is."""
    judged = [
        (str(row), looked_at("pairs", combined("x", row)))
        for scoring in FACTORS["scoring"]
        for row in pairwise(tuple((FACTORS | {"scoring": (scoring,)}).items()))
    ]

    found = coverage("k", judged)

    # Two rows of which the second is padding are padded at the end as well as between.
    assert found.possible - 2 <= found.pairs <= found.possible
    assert {name: len(levels) for name, levels in found.levels.items()} == {
        name: len(levels) for name, levels in FACTORS.items()
    }
    assert found.tiers == {"pairs": len(judged)}


def test_one_recording_meets_its_own_pairs_alone() -> None:
    """One call meets one level of each factor, and the pairs of these."""
    row = pairwise()[0]

    found = coverage("k", [("x", looked_at("pairs", combined("x", row)))])

    assert found.pairs == len(FACTORS) * (len(FACTORS) - 1) // 2
    assert all(len(levels) == 1 for levels in found.levels.values())
    assert found.tokens == (row["tokens"],)


def test_calls_that_were_not_made_are_not_covered() -> None:
    """A refused call's tokens and rows count as left out, not as looked at."""
    held = construct("MiniMax-M2.5/layout_offset")
    spans = [(85, 285), (285, 1310)]

    looked = looked_at("ordinary", held, [Uncovered(*span, "small ones alone") for span in spans])
    found = coverage("k", [("layout_offset", looked)], [("edge", "no NaN")])

    assert found.tokens == (1, 3, 16, 32, 33)
    assert found.rows == 85
    assert [(one.recording, one.tokens, one.why) for one in found.not_covered] == [
        ("layout_offset", (200, 1025), "small ones alone"),
        ("edge", (), "no NaN"),
    ]
    text = "\n".join(found.lines())
    assert "not covered: layout_offset (calls of 200, 1025 tokens): small ones alone" in text
    assert "calls judged: 5 of 7 (ordinary 5 of 7)" in text
    assert "asked for and not covered: tokens 200, 1025" in text


def test_coverage_is_written_as_json() -> None:
    """Token counts are runs, levels are texts, and what was left out has its reason."""
    found = coverage("k", [("x", looked_at(RECORDED, construct("tokens_65")))], [("y", "why")])

    held = json.loads(json.dumps(found.as_json()))

    assert held["tiers"] == {"recorded": 1}
    assert held["token_counts"] == [[65, 65]]
    assert held["factors"]["shape"] == ["256/8"]
    assert held["pairs"] == {"met": 55, "possible": found.possible}
    assert held["not_covered"] == [{"recording": "y", "tokens": [], "why": "why"}]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((), []), ((0, 1, 2, 5), [(0, 2), (5, 5)]), ((3,), [(3, 3)]), ((1, 3), [(1, 1), (3, 3)])],
)
def test_runs_of_counts(counts: tuple[int, ...], expected: list[tuple[int, int]]) -> None:
    """Numbers that follow each other become one run."""
    assert list(runs(counts)) == expected


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a module of kernels and cut the table to a few recordings of each tier."""
    (tmp_path / "limited.py").write_text(_LIMITED, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    names = ("MiniMax-M2.5/layout_offset", "routers/DeepSeek-V3", "scaled", "deep_negative")
    some = [*map(find, names), next(e for e in entries() if e.tier == "pairs")]

    def few(*_: object, **__: object) -> list[Entry]:
        return some

    monkeypatch.setattr("goldgate.accuracy.commands.parity.entries", few)
    monkeypatch.setattr(
        "goldgate.accuracy.commands.parity.SHIPPED_RECORDINGS",
        Path(__file__).parents[2] / "fixtures" / "recordings" / "edge.safetensors",
    )
    return tmp_path


def _parity(folder: Path, kernel: str, *more: str) -> tuple[int, dict[str, object]]:
    evidence = folder / "e.json"
    command = ("parity", "--kernel", f"limited:{kernel}", "--repeats", "2")
    status = main([*command, "--json", str(evidence), *more])
    held: dict[str, object] = json.loads(evidence.read_text("utf-8"))
    return status, held


def test_what_a_kernel_refuses_is_listed_and_fails_nothing(
    kernels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused calls are not covered, in print and in evidence; what was routed decides."""
    normal = str(Path(__file__).parents[2] / "fixtures" / "recordings" / "offset.safetensors")

    status, held = _parity(
        kernels, "route", "--coverage", "ordinary", "--recordings", normal, "--save-outputs",
        str(kernels / "out"),
    )  # fmt: skip

    assert status == 0
    results = {one["recording"]: one["verdict"] for one in held["results"]}  # type: ignore[attr-defined]
    assert results == {"ordinary/MiniMax-M2.5/layout_offset": "PASS"}
    (found,) = held["coverage"]["kernels"]  # type: ignore[index]
    assert found["token_counts"] == [[1, 1], [3, 3], [16, 16], [32, 33], [200, 200]]
    assert {one["recording"]: one["tokens"] for one in found["not_covered"]} == {
        "ordinary/MiniMax-M2.5/layout_offset": [1025],
        "ordinary/routers/DeepSeek-V3": [],
        "ordinary/scaled": [],
        "offset": [],
    }
    assert "NotImplementedError: one group, 200 tokens at most" in capsys.readouterr().out
    manifest = json.loads((kernels / "out/limited.route/manifest.json").read_text("utf-8"))
    states = {name: one["state"] for name, one in manifest["recordings"].items()}
    assert set(states.values()) == {"not covered"}
    assert not list((kernels / "out").rglob("*.safetensors"))


def test_a_kernel_that_refuses_everything_was_not_judged(
    kernels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where every call is refused nothing was judged, and the command exits with 2."""
    status, held = _parity(kernels, "refuses")

    assert status == 2
    assert held["results"] == []
    assert "nothing was judged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "tiers"),
    [
        ((), {"recorded", "ordinary"}),
        (("--coverage", "shipped"), {"recorded"}),
        (("--coverage", "full"), {"recorded", "ordinary", "pairs", "hostile"}),
        (("--constructed",), {"recorded", "ordinary", "pairs", "hostile"}),
    ],
)
def test_tiers_by_option(kernels: Path, options: tuple[str, ...], tiers: set[str]) -> None:
    """Without an option the ordinary tier is judged; full adds the pairs and the hostile rows."""
    _, held = _parity(kernels, "deaf", *options)

    (found,) = held["coverage"]["kernels"]  # type: ignore[index]
    names = {one["recording"] for one in (*held["results"], *found["not_covered"])}  # type: ignore[misc]
    assert {name.partition("/")[0] for name in names} == tiers - {"recorded"} | {"edge"}


def test_a_kernel_that_ignores_groups_fails_by_default(kernels: Path) -> None:
    """A kernel that is right for one group and scale alone fails with the default options."""
    status, held = _parity(kernels, "deaf")

    verdicts = {one["recording"]: one["verdict"] for one in held["results"]}  # type: ignore[attr-defined]
    assert status == 1
    assert verdicts["ordinary/MiniMax-M2.5/layout_offset"] == "PASS"
    assert verdicts["ordinary/routers/DeepSeek-V3"] == "FAIL"
    assert verdicts["ordinary/scaled"] == "FAIL"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "expected an object"),
        ('{"num_experts": 256}', "spec lacks top_k"),
        ('{"num_experts": 256, "top_k": 8, "gate_dtype": "F64"}', "gate_dtype 'F64'"),
        ('{"num_experts": 256, "top_k": 300}', "top_k is 300"),
        ('{"num_experts": 256, "top_k": 8, "topk": 8}', "unknown topk"),
    ],
)
def test_routers_are_checked(tmp_path: Path, text: str, message: str) -> None:
    """A router's file that cannot be used is refused by its name and what was expected."""
    path = tmp_path / "mine.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(RouterError, match=message) as failure:
        read_router(path)

    assert str(path) in str(failure.value)


def test_a_router_of_a_file_is_covered(tmp_path: Path) -> None:
    """The recordings of --spec have that router, bias and gate type."""
    path = tmp_path / "mine.json"
    path.write_text(
        '{"num_experts": 96, "top_k": 6, "num_expert_group": 4, "topk_group": 2, '
        '"has_bias": false, "group_score": "maximum", "gate_dtype": "BF16"}',
        encoding="utf-8",
    )

    held = next(iter(entries(read_router(path)))).recording()

    assert (held.spec.num_experts, held.spec.top_k, held.spec.group_score) == (96, 6, "maximum")
    assert held.gating_output.dtype == "BF16"
    assert not held.bias().any()


def test_what_was_refused_is_counted_by_factor() -> None:
    """Recordings refused whole count among the calls asked for, with the levels that none met."""
    one, other = construct("MiniMax-M2.5/layout_offset"), construct("routers/DeepSeek-V3")
    spans = [(0, 1), (1, 4), (4, 20), (20, 52), (52, 85), (85, 285), (285, 1310)]
    refused = looked_at("ordinary", other, [Uncovered(*span, "one group") for span in spans])

    found = coverage("k", [("a", looked_at("ordinary", one))], [("b", "one group")], [refused])

    assert found.calls == {"ordinary": (7, 14)}
    assert found.share("ordinary") == 0.5
    assert found.missed == {
        "groups": ("8/4",),
        "scale": ("2.5",),
        "layout": ("contiguous",),
    }


@pytest.mark.parametrize(("least", "expected"), [("50", 2), ("40", 0)])
def test_a_share_of_the_ordinary_tier_can_be_required(
    kernels: Path, capsys: pytest.CaptureFixture[str], least: str, expected: int
) -> None:
    """--require-coverage is exit 2 where less of the ordinary tier's calls was judged."""
    options = ("--coverage", "ordinary", "--recordings", str(OFFSET))

    status, held = _parity(kernels, "route", *options, "--require-coverage", least)

    summary = held["summary"]
    assert status == expected
    printed = capsys.readouterr()
    assert ("expected 50 %" in printed.err) == (expected == 2)
    assert len(summary["missing"]) == (expected == 2)  # type: ignore[index]
    (found,) = held["coverage"]["kernels"]  # type: ignore[index]
    assert found["calls"]["ordinary"] == {"judged": 6, "asked": 15}


def test_a_named_kernel_of_which_nothing_was_judged_is_exit_2(
    kernels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another kernel's pass does not stand for one that refuses every call."""
    more = ("--kernel", "limited:refuses", "--coverage", "ordinary", "--recordings", str(OFFSET))

    status, held = _parity(kernels, "route", *more)

    assert status == 2
    assert "--kernel limited:refuses: nothing was judged" in capsys.readouterr().err
    summary = held["summary"]
    assert (summary["passed"], summary["failed"]) == (1, 0)  # type: ignore[index]


def test_hostile_rows_without_a_bound_are_not_covered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their ids are judged and their weights stated as not covered; the rest decides the exit."""
    some = [_UNBOUNDED]
    monkeypatch.setattr("goldgate.accuracy.commands.parity.entries", lambda *_, **__: some)
    command = ("parity", "--kernel", "torch-eager", "--coverage", "full", "--repeats", "0")
    evidence = tmp_path / "e.json"

    status = main([*command, "--recordings", str(OFFSET), "--json", str(evidence)])

    held = json.loads(evidence.read_text("utf-8"))
    said = capsys.readouterr().out
    assert [one["verdict"] for one in held["results"]] == ["PASS", "NOT COVERED"]
    assert status == 0
    assert "its ids are judged, its weights are not" in held["results"][1]["not_covered"]
    assert held["summary"]["not_covered"] == 1
    assert f"NOT COVERED torch-eager on hostile/{_UNBOUNDED.name}: no weight of it has" in said
    jsonschema.validate(held, json.loads(SCHEMA_FILE.read_text("utf-8")))


def test_wrong_ids_fail_where_no_weight_has_a_bound() -> None:
    """What is not covered is the weights alone: an expert that is chosen twice is a failure."""
    assert _unbounded(repeated=True).verdict == "FAIL"


def test_a_run_of_nothing_but_weights_without_a_bound_is_exit_2() -> None:
    """NOT COVERED is no pass: alone it is exit 2, and it meets neither --kernel nor --require."""
    unbounded = _unbounded()

    assert unbounded.verdict == "NOT COVERED"
    assert exit_status([unbounded], Account({})) == 2
    (line,) = missing([unbounded], Account({}, required=("k",)))
    assert line.startswith("--require k: it was not run: nothing was judged")
    (line,) = unjudged([unbounded, replace(unbounded, kernel="l", looked=None)], (), ["k", "l"])
    assert line.startswith("--kernel k: nothing was judged")


@pytest.mark.parametrize("tier", ["recorded", "ordinary", None])
def test_weights_without_a_bound_are_refused_elsewhere(tier: str | None) -> None:
    """A recording that is not hostile on purpose and of which nothing is judged is refused."""
    unbounded = _unbounded()
    assert unbounded.looked is not None
    looked = replace(unbounded.looked, tier=tier) if tier else None

    assert replace(unbounded, looked=looked).verdict == "REFUSED"


def test_hostile_rows_that_are_all_padding_are_refused() -> None:
    """Where not even ids are judged the verdict stays a refusal."""
    unbounded = _unbounded()
    result = unbounded.result
    assert result is not None
    counts = dict.fromkeys(Verdict, 0) | {Verdict.PADDING: result.rows}

    assert replace(unbounded, result=replace(result, counts=counts)).verdict == "REFUSED"


@cache
def _unbounded(*, repeated: bool = False) -> Judged:
    """Return the verdict on golden answers, or on one expert repeated, where none has a bound."""
    held = construct(_UNBOUNDED.name)
    found = route(held.logits(), held.bias(), held.spec)
    ids = np.where(repeated, found.ids[:, :1], found.ids)
    weights = tensor(np.nan_to_num(found.weights).astype(np.float32))
    answer = Output(
        KernelInfo("k", "1", "cpu", "hardware", "ieee"), weights, tensor(ids.astype(np.int32))
    )
    result = judge(held, answer, PROFILES["ieee"])
    return Judged("k", "r", result, "ieee", answer, looked=looked_at("hostile", held))


def test_models_are_named_in_the_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown model is refused with the names that there are."""
    assert main(["parity", "--kernel", "torch-eager", "--model", "GPT-2"]) == 2
    assert "expected one of MiniMax-M2.5" in capsys.readouterr().err


def test_constructed_recordings_are_listed_and_written_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`construct --list` names each with its tier and purpose; a name writes that recording."""
    assert main(["construct", "--list", "--tier", "hostile"]) == 0
    listed = capsys.readouterr().out
    assert "deep_negative" in listed
    assert "exp overflows" in listed

    assert main(["construct", "MiniMax-M2.5/layout_offset", "--out", str(tmp_path)]) == 0

    held = open_recording(tmp_path / "MiniMax-M2.5/layout_offset.safetensors")
    expected = construct("MiniMax-M2.5/layout_offset")
    np.testing.assert_array_equal(held.logits(), expected.logits())
    assert held.source == expected.source
    assert main(["construct", "no_such"]) == 2
