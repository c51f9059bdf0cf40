"""The old kernel against the new one: every change is explained, or the wrong one is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.accuracy.changes import Change, Changes, compare
from goldgate.accuracy.changes_report import SCHEMA_FILE
from goldgate.accuracy.document import digest
from goldgate.accuracy.narrow import narrowed
from goldgate.cli import main
from goldgate.fixtures import (
    SHIPPED_OUTPUTS,
    SHIPPED_RECORDINGS,
    KernelInfo,
    Output,
    Recording,
    open_output,
    open_recording,
    write_output,
    write_recording,
)
from goldgate.fixtures.constructed import construct
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import MINIMAX_M2_5, PROFILES, U, route

Weights = NDArray[np.float32]
Ids = NDArray[np.int32]
Edit = Callable[[Weights, Ids], object]
IEEE = KernelInfo("k", "1", "cpu", "hardware", "ieee")
OLD, NEW = "aiter-2026-06-gfx942-emulated", "aiter-2026-08-gfx942-emulated"


def _held(rows: int = 400) -> Recording:
    rng = np.random.default_rng(5)
    logits = rng.standard_normal((rows, 256), dtype=np.float32)
    logits[0, :9] = 9.0  # nine equal experts for eight slots
    bias = rng.normal(0.0, 0.1, 256).astype(np.float32)
    bias[:9] = 0.25
    return recording("r", logits, bias, MINIMAX_M2_5)


def _output(held: Recording, edit: Edit = lambda _w, _i: None) -> Output:
    golden = route(held.logits(), held.bias().astype(np.float64), held.spec)
    weights, ids = golden.weights.astype(np.float32), golden.ids.astype(np.int32)
    edit(weights, ids)
    return Output(IEEE, tensor(weights), tensor(ids))


def _compare(old: Edit, new: Edit) -> Changes:
    held = _held()
    ieee = PROFILES["ieee"]
    return compare(held, _output(held, old), _output(held, new), (ieee, ieee))


def _nothing(_w: Weights, _i: Ids) -> None:
    pass


def _another(_w: Weights, ids: Ids) -> None:
    ids[7, 7] = next(i for i in range(256) if i not in ids[7])


def test_the_same_answers_are_the_same() -> None:
    """Nothing changed: every row is the same, no weight moved, and all is explained."""
    found = _compare(_nothing, _nothing)

    assert found.counts[Change.SAME] == found.rows
    assert (found.rerouted, found.moves.moved, found.explained) == (0, 0, True)


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (_another, _nothing, Change.OLD_WRONG),
        (_nothing, _another, Change.NEW_WRONG),
        (_another, lambda w, _: w.__setitem__((7, 0), 0.5), Change.BOTH_WRONG),
        (_nothing, lambda w, _: w.__setitem__((7, 0), np.nan), Change.NEW_WRONG),
    ],
)
def test_the_wrong_one_is_named(old: Edit, new: Edit, change: Change) -> None:
    """A row that rounding does not explain is unexplained, and says which kernel is wrong."""
    found = _compare(old, new)

    assert found.unexplained.tolist() == [7]
    assert found.counts[change] == 1
    assert not found.explained


def test_both_wrong_alike_is_no_change() -> None:
    """A swap is asked what it changes: a row that both get wrong alike is the same."""
    found = _compare(_another, _another)

    assert found.counts[Change.SAME] == found.rows
    assert found.explained


def test_a_tie_explains_other_experts() -> None:
    """Of nine equal experts for eight slots either kernel may leave out another one."""

    def other(_w: Weights, ids: Ids) -> None:
        ids[0] = [1, 2, 3, 4, 5, 6, 7, 8]

    found = _compare(_nothing, other)

    assert found.counts[Change.TIE] == found.rerouted == 1
    assert found.explained


def test_rounding_explains_other_experts() -> None:
    """Two experts nearer than both errors may change places at the boundary."""
    held = _held()
    logits = np.array(held.logits())
    bias = np.array(held.bias())
    golden = route(logits, bias.astype(np.float64), held.spec)
    last, first_out = golden.ids[9, 7], int(np.argsort(-golden.biased[9])[8])
    score = golden.scores[9, last] + bias[last] - bias[first_out]
    logits[9, first_out] = np.float32(np.log(score / (1 - score)))
    held = recording("r", logits, bias, MINIMAX_M2_5)

    scores = route(logits, bias.astype(np.float64), held.spec).scores[9]

    def swap(weights: Weights, ids: Ids) -> None:
        ids[9, 7] = first_out if ids[9, 7] == last else last
        weights[9] = scores[ids[9]] / scores[ids[9]].sum()

    ieee = PROFILES["ieee"]
    found = compare(held, _output(held), _output(held, swap), (ieee, ieee))

    assert found.counts[Change.ROUNDING] == found.rerouted == 1
    assert found.explained


def test_another_order_and_other_weights_are_counted_apart() -> None:
    """The same experts in another order, and a weight an ulp off, are explained and counted."""

    def changed(weights: Weights, ids: Ids) -> None:
        weights[3], ids[3] = weights[3, ::-1].copy(), ids[3, ::-1].copy()
        weights[4, 0] = np.nextafter(weights[4, 0], np.float32(1))

    found = _compare(_nothing, changed)

    assert (found.counts[Change.ORDER], found.counts[Change.WEIGHTS]) == (1, 1)
    assert found.moves.moved == 1
    assert 0.9 < found.moves.largest < 2.1
    assert 0.0 < found.moves.over_bounds < 0.2
    assert found.explained


def test_a_kernel_that_leans_is_not_explained() -> None:
    """Weights that all lean one way stay inside the bound, and are still no rounding."""

    def leans(weights: Weights, _i: Ids) -> None:
        weights *= np.float32(1 + 6 * U)

    found = _compare(_nothing, leans)

    assert not len(found.unexplained)
    assert found.new.systematic_error.found
    assert not found.explained


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_kernel_that_scatters_is_not_explained(wrong: int) -> None:
    """Random errors that no rounding makes, of either kernel, are found and not explained."""
    rng = np.random.default_rng(1)

    def scatters(weights: Weights, _i: Ids) -> None:
        weights *= (1.0 + rng.choice((-6.0, 6.0), weights.shape) * U).astype(np.float32)

    edits: list[Callable[[Weights, Ids], None]] = [_nothing, _nothing]
    edits[wrong] = scatters
    found = _compare(*edits)

    sides = found.old, found.new
    assert not len(found.unexplained)
    assert not sides[wrong].systematic_error.found
    assert [side.random_error.rms_found for side in sides] == [wrong == 0, wrong == 1]
    assert not found.explained


def test_what_the_contract_leaves_open_is_explained() -> None:
    """Of a row of NaN alone each kernel may return any distinct ids and finite weights."""
    logits = np.array(_held().logits())
    logits[5] = np.nan
    held = recording("r", logits, _held().bias(), MINIMAX_M2_5)

    def left(weights: Weights, ids: Ids) -> None:
        ids[5], weights[5] = range(8), 0.0

    def right(weights: Weights, ids: Ids) -> None:
        ids[5], weights[5] = range(8, 16), 0.125

    ieee = PROFILES["ieee"]
    found = compare(held, _output(held, left), _output(held, right), (ieee, ieee))

    assert found.counts[Change.UNDEFINED] == 1
    assert found.explained


def test_padding_takes_no_part() -> None:
    """What either writes to padding rows is no change."""
    first = _held()
    index = np.arange(400)
    index[7] = -1
    held = recording("r", first.logits(), first.bias(), MINIMAX_M2_5, token_index=index)
    ieee = PROFILES["ieee"]

    found = compare(held, _output(held), _output(held, _another), (ieee, ieee))

    assert found.counts[Change.PADDING] == 1
    assert found.rerouted == 0
    assert found.explained


def test_folders_are_compared_and_written_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two releases of a kernel, from their shipped outputs: explained, exit 0, JSON sealed."""
    old, new = SHIPPED_OUTPUTS / OLD, SHIPPED_OUTPUTS / NEW

    status = main(["compare-kernels", str(old), str(new), "--json", str(tmp_path / "c.json")])

    document = json.loads((tmp_path / "c.json").read_text("utf-8"))
    assert status == 0
    assert "of 6282 rows 0 route differently; every one is explained" in capsys.readouterr().out
    assert document["digest"] == digest(document)
    assert document["summary"]["explained"] == 3
    normal = next(one for one in document["results"] if one["recording"] == "normal")
    assert 0 < normal["weights"]["largest_over_both_bounds"] < 1
    assert normal["kernels"]["new"]["profile"] == "rcp_exp2"
    assert normal["lean"]["difference"]["found"] is False


def test_a_comparison_is_in_its_schema(tmp_path: Path) -> None:
    """What is written is what the JSON Schema describes, every field of a result among it."""
    file = tmp_path / "c.json"
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))

    main(["compare-kernels", str(SHIPPED_OUTPUTS / OLD), "torch-eager", "--json", str(file)])
    document = json.loads(file.read_text("utf-8"))

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    normal = next(one for one in document["results"] if one["recording"] == "normal")
    assert normal["other_weights"] > 0
    document["results"][0]["same"] = "many"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_an_unexplained_row_is_exit_1_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One changed id among 4,096 rows is exit 1; the row, its ids and the wrong side are shown."""
    path = tmp_path / "new" / "normal.safetensors"
    held = open_recording(SHIPPED_RECORDINGS / "normal.safetensors")
    output = open_output(SHIPPED_OUTPUTS / NEW / "normal.safetensors", held)
    ids = np.array(output.ids())
    ids[1234, 5] = (ids[1234, 5] + 100) % 256
    changed = Output(output.kernel, tensor(np.array(output.weights())), tensor(ids))
    write_output(path, changed, held)

    run = ["compare-kernels", str(SHIPPED_OUTPUTS / OLD), str(path.parent), "--partial"]
    status = main(run)

    said = " ".join(capsys.readouterr().out.split())
    assert status == 1
    assert "normal: row 1234: OLD is right" in said
    assert "NEW is wrong (other experts)" in said
    assert "1 rows are not explained (new wrong 1)" in said


def test_a_live_kernel_is_compared_with_recorded_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kernel that runs here is held against a folder; one that raises is exit 1, by name."""
    (tmp_path / "raises.py").write_text("def route(*a):\n    raise ValueError('boom')\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    shutil.copy(SHIPPED_RECORDINGS / "normal.safetensors", tmp_path)
    old = str(SHIPPED_OUTPUTS / "torch-2.11-eager-h100")
    recordings = ["--recordings", "normal.safetensors"]

    assert main(["compare-kernels", old, "torch-eager", *recordings]) == 0
    assert main(["compare-kernels", old, "raises:route", *recordings]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "NEW failed: raises:route on normal, in a call of " in printed
    assert "tokens: ValueError: boom" in printed


_SOME = """
from goldgate.kernels.torch_eager import route as right
DEVICE = "cpu"
def small(x, bias, weights, ids, *more):
    if len(x) > 64:
        raise NotImplementedError("64 tokens at most")
    right(x, bias, weights, ids, *more)
def none(*a):
    raise NotImplementedError("no tokens")
"""


def test_calls_that_a_live_kernel_refuses_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of refused calls are not compared and are named; a kernel that refuses all, left out."""
    (tmp_path / "some.py").write_text(_SOME, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    write_recording(tmp_path / "in" / "r.safetensors", construct("MiniMax-M2.5/types_bf16_f32"))
    run = ["compare-kernels", "torch-eager", "--recordings", "in", "--json", "c.json"]

    status = main([*run, "some:small"])
    said = " ".join(capsys.readouterr().out.split())
    (result,) = json.loads((tmp_path / "c.json").read_text("utf-8"))["results"]

    assert status == 0
    assert "not compared: NEW is not made for rows" in said
    assert "64 tokens at most" in said
    assert (result["padding"], result["new_wrong"]) == (1310 - result["same"], 0)
    assert len(result["rows_not_compared"]) >= 1
    assert main([*run, "some:none"]) == 2
    assert "r: not covered: NEW: some:none NotImplementedError: no tokens" in " ".join(
        capsys.readouterr().out.split()
    )


def test_narrow_weights_of_either_side_are_declared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kernel swapped for one whose weights lose their low bits is not explained, unless asked."""
    held = open_recording(SHIPPED_RECORDINGS / "normal.safetensors")
    old = open_output(SHIPPED_OUTPUTS / OLD / "normal.safetensors", held)
    narrow = tensor(narrowed(np.array(old.weights()), "bfloat16"), "BF16")
    changed = Output(old.kernel, narrow, tensor(np.array(old.ids())))
    write_output(tmp_path / "new" / "normal.safetensors", changed, held)
    run = ["compare-kernels", str(SHIPPED_OUTPUTS / OLD), str(tmp_path / "new"), "--partial"]

    assert main(run) == 1
    assert "NEW weights are bfloat16 and nothing declares" in " ".join(
        capsys.readouterr().out.split()
    )
    assert main([*run, "--weights-dtype", "bfloat16"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense", "torch-eager"), "nonsense: no such folder and no such kernel"),
        (("{outputs}", "torch-eager"), "expected the outputs of one kernel"),
        (("aiter", "torch-eager"), "aiter: not run here"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, str], message: str
) -> None:
    """A side that is not there is exit 2 and one line that names it."""
    filled = [word.format(outputs=SHIPPED_OUTPUTS) for word in arguments]

    assert main(["compare-kernels", *filled]) == 2

    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert message in said[0]


def test_a_recording_without_an_output_is_refused_unless_partial(tmp_path: Path) -> None:
    """A folder without a manifest must answer every recording, or be given --partial."""
    for name in (OLD, NEW):
        (tmp_path / name).mkdir()
        shutil.copy(SHIPPED_OUTPUTS / name / "normal.safetensors", tmp_path / name)
    both = [str(tmp_path / OLD), str(tmp_path / NEW)]

    assert main(["compare-kernels", *both]) == 2
    assert main(["compare-kernels", *both, "--partial"]) == 0
