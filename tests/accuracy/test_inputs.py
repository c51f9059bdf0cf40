"""The verdict on a recording's inputs, beside the kernel's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.accuracy import parts
from goldgate.accuracy.evaluate import Result, judge
from goldgate.accuracy.grid import on_grid
from goldgate.accuracy.inputs import Inputs, inputs
from goldgate.accuracy.known_failures import KnownFailureError, KnownInput, read_known_inputs
from goldgate.accuracy.narrow import narrowed, truncated
from goldgate.fixtures import KernelInfo, Output
from goldgate.fixtures.recording import Recording, recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import MINIMAX_M2_5, PROFILES, RoutingSpec, route

Float32 = NDArray[np.float32]
IEEE = KernelInfo("k", "1", "cpu", "hardware", "ieee")


def _inputs(change: Callable[[Float32], Float32], **how: object) -> Inputs:
    """Judge the inputs of a kernel that is right for a changed bias."""
    rng = np.random.default_rng(3)
    logits = rng.standard_normal((300, 256), dtype=np.float32)
    meant = rng.uniform(6.8, 7.1, 256).astype(np.float32)
    consumed = change(meant)
    held = recording("r", logits, consumed, MINIMAX_M2_5, checkpoint_bias=meant)
    result = _result(held)
    assert result.passed
    return inputs(held, result, **how)  # type: ignore[arg-type]


def _result(held: Recording) -> Result:
    """Judge the golden router's own answers."""
    golden = route(held.logits(), held.bias().astype(np.float64), held.spec)
    weights = golden.weights.astype(np.float32)
    output = Output(IEEE, tensor(weights), tensor(golden.ids.astype(np.int32)))
    return judge(held, output, PROFILES["ieee"])


@pytest.mark.parametrize(
    ("change", "bias", "verdict"),
    [
        (lambda b: b, "checkpoint's", "PASS"),
        (lambda b: b * 0, "zero", "FAIL"),
        (lambda b: narrowed(b, "bfloat16"), "cast to bfloat16", "FAIL"),
        (lambda b: narrowed(b, "float16"), "cast to float16", "FAIL"),
        (lambda b: truncated(b, "bfloat16"), "cast to bfloat16 by truncation", "FAIL"),
        (lambda b: truncated(b, "float16"), "cast to float16 by truncation", "FAIL"),
        (lambda b: b[::-1].copy(), "other", "FAIL"),
    ],
)
def test_a_bias_that_is_not_the_checkpoints_fails_its_recording(
    change: Callable[[Float32], Float32], bias: str, verdict: str
) -> None:
    """Zeros, casts and other biases are told apart, fail, and their re-routed rows are counted."""
    found = _inputs(change)

    assert (found.bias, found.verdict) == (bias, verdict)
    assert (found.rerouted > 20) == (verdict == "FAIL")
    assert (f"routes {found.rerouted} of 300 rows" in found.text) == (verdict == "FAIL")


def test_a_dtype_that_is_intended_excuses_its_own_cast_alone() -> None:
    """--bias-dtype bfloat16 passes that cast, and neither another cast nor zeros."""

    def verdict(change: Callable[[Float32], Float32]) -> str:
        return _inputs(change, bias_dtype="bfloat16").verdict

    assert verdict(lambda b: narrowed(b, "bfloat16")) == "PASS"
    assert verdict(lambda b: narrowed(b, "float16")) == "FAIL"
    assert verdict(lambda b: truncated(b, "bfloat16")) == "FAIL"
    assert verdict(lambda b: b * 0) == "FAIL"


def test_a_known_input_passes_with_its_link() -> None:
    """A recording that is listed passes, and the list's reason is shown."""
    known = KnownInput(None, "the engine casts", "https://example.org/1")  # type: ignore[arg-type]

    found = _inputs(lambda b: b * 0, known=(known,))

    assert found.verdict == "PASS"
    assert "intended: the engine casts https://example.org/1" in found.text


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('recording_sha256 = "0"\nwhy = "w"', "no 'link'"),
        ('recording_sha256 = "0"\nwhy = "w"\nlink = "l"\nmood = 1', "unknown mood"),
    ],
)
def test_a_known_input_needs_a_link(tmp_path: Path, entry: str, message: str) -> None:
    """An entry without a link, or with a key that nobody reads, is refused by name."""
    path = tmp_path / "known.toml"
    path.write_text(f"[[known_input]]\n{entry}\n", "utf-8")

    with pytest.raises(KnownFailureError, match=message):
        read_known_inputs(path)


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_float32_logits_of_a_coarser_gate_are_reported(name: str) -> None:
    """Rows on a narrow type's grid are named and counted; one value elsewhere clears its row."""
    rng = np.random.default_rng(4)
    logits = narrowed(rng.standard_normal((64, 256), dtype=np.float32), name)

    assert _grid(logits) == (name, len(logits))
    logits[63, 255] = np.float32(np.pi)
    assert _grid(logits) == (name, 63)
    logits[:, 0] = np.float32(np.pi)
    assert _grid(logits) == ("", 0)


def test_logits_of_few_values_are_no_sign_of_a_coarse_gate() -> None:
    """Constructed logits (integers, infinities) lie on every grid by design."""
    logits = np.tile(np.arange(256, dtype=np.float32) % 50, (3, 1))
    logits[0, 0] = np.inf

    assert _grid(logits) == ("", 0)


def _grid(logits: Float32) -> tuple[str, int]:
    """Return the grid of logits none of which are padding, and the rows that lie there."""
    return on_grid(logits, np.ones(len(logits), np.bool_)).found


def _grid_rows_by_value(logits: Float32, padding: NDArray[np.bool_], name: str) -> int:
    """Count, value by value, the rows that a narrow type holds."""
    count = 0
    for row, left_out in zip(logits, padding, strict=True):
        finite = [x for x in row if np.isfinite(x)]
        count += not left_out and bool(finite) and all(x == narrowed(x[None], name) for x in finite)
    return count


def test_rows_on_a_grid_are_those_whose_every_value_is() -> None:
    """Subnormals, signed zeros, infinities, NaN of any payload and padding count as by value."""
    rng = np.random.default_rng(8)
    logits = rng.standard_normal((120, 16), dtype=np.float32)
    for at, name in ((0, "bfloat16"), (40, "float16")):
        logits[at : at + 40] = narrowed(logits[at : at + 40], name)
    logits[::7, 0] = np.uint32(0x7F800001).view(np.float32)  # NaN whose low bits are not 0
    logits[::5, 0] = -np.inf
    logits[::3, 1] = -0.0
    logits[1::9, 0] = np.float32(2.0**-24)  # float16's least
    logits[2::9, 0] = np.float32(2.0**-126)  # bfloat16's, not float16's
    logits[[4, 44]] = np.nan
    padding = np.zeros(120, np.bool_)
    padding[[5, 50]] = True

    found = on_grid(logits, ~padding)

    by_value = {name: _grid_rows_by_value(logits, padding, name) for name in found.rows}
    assert dict(found.rows) == by_value
    assert min(by_value.values()) > 10


@pytest.mark.parametrize("rows", [1, 7, 300])
def test_a_grid_is_that_of_the_whole_whatever_the_parts(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few different values in a part, but not in all parts, are a grid."""
    rng = np.random.default_rng(9)
    logits = narrowed(rng.standard_normal((600, 32), dtype=np.float32), "bfloat16")
    logits[:450] = logits[:450, :1].round()  # few values each
    held = recording("r", logits, np.zeros(32, np.float32), RoutingSpec(32, 4))
    monkeypatch.setattr(parts, "PART_LOGITS", 32 * rows)

    found = inputs(held, _result(held))

    assert (found.grid, found.grid_rows) == ("bfloat16", 600)


def test_the_share_of_rows_on_the_grid_is_shown() -> None:
    """A few rows of another origin do not hide a gate in bfloat16, in words or in evidence."""
    found = Inputs("unknown", 0, 0, 4096, grid="bfloat16", grid_rows=4095)

    assert "in 4095 of 4096 rows (100 %) every logit is a bfloat16 value" in found.text
    assert found.as_json()["logits_grid_rows"] == 4095


@pytest.mark.parametrize(
    ("kind", "size", "checkpoint", "words"),
    [
        ("model", 0.1, None, "no checkpoint_bias"),
        ("model", 0.0, None, "it is 0 throughout, as one that was never loaded"),
        ("model", 0.0, 0.0, "the checkpoint's bias is 0 throughout"),
        ("model", 0.1, 0.1, ""),
        ("synthetic", 0.0, None, ""),
    ],
)
def test_a_bias_that_cannot_be_compared_is_named(
    kind: str, size: float, checkpoint: float | None, words: str
) -> None:
    """A model's recording without the checkpoint's bias, or with zeros alone, says so."""
    rng = np.random.default_rng(4)
    held = recording(
        "r",
        rng.standard_normal((16, 256), dtype=np.float32),
        np.full(256, size, np.float32),
        MINIMAX_M2_5,
        {"kind": kind},
        checkpoint_bias=None if checkpoint is None else np.full(256, checkpoint, np.float32),
    )

    found = inputs(held, _result(held))

    assert words in found.text
    assert bool(found.text) == bool(words)
    assert found.as_json()["bias_note"] == (found.about or None)


def test_narrowing_is_to_nearest_even() -> None:
    """Ties go to the even neighbour, as hardware's casts do."""
    ulp = np.float32(2.0**-7)
    given = np.array([1 + ulp / 2, 1 + 1.5 * ulp, 1 + 0.51 * ulp], np.float32)

    assert narrowed(given, "bfloat16").tolist() == [1.0, 1 + 2 * ulp, 1 + ulp]


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_truncation_is_towards_zero(name: str) -> None:
    """What is cut is at most the value, never away from zero, and on the type's grid."""
    values = np.random.default_rng(5).standard_normal(1000, dtype=np.float32)

    cut = truncated(values, name)

    assert (np.abs(cut) <= np.abs(values)).all()
    step = np.abs(values) * 2.0 ** (-7 if name == "bfloat16" else -10)
    assert (np.abs(values - cut) < np.maximum(step, 2.0**-24)).all()  # float16's least step
    np.testing.assert_array_equal(narrowed(cut, name), cut)
    assert not (cut == narrowed(values, name)).all()
