"""The verdict on a recording's inputs, beside the kernel's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from goldgate.accuracy.evaluate import judge
from goldgate.accuracy.inputs import Inputs, inputs, logits_grid, narrowed, truncated
from goldgate.accuracy.known_failures import KnownFailureError, KnownInput, read_known_inputs
from goldgate.fixtures import KernelInfo, Output
from goldgate.fixtures.recording import recording
from goldgate.fixtures.tensorfile import tensor
from goldgate.reference import MINIMAX_M2_5, PROFILES, route

Float32 = NDArray[np.float32]
IEEE = KernelInfo("k", "1", "cpu", "hardware", "ieee")


def _inputs(change: Callable[[Float32], Float32], **how: object) -> Inputs:
    """Judge the inputs of a kernel that is right for a changed bias."""
    rng = np.random.default_rng(3)
    logits = rng.standard_normal((300, 256), dtype=np.float32)
    meant = rng.uniform(6.8, 7.1, 256).astype(np.float32)
    consumed = change(meant)
    held = recording("r", logits, consumed, MINIMAX_M2_5, checkpoint_bias=meant)
    golden = route(logits, consumed.astype(np.float64), MINIMAX_M2_5)
    weights = golden.weights.astype(np.float32)
    output = Output(IEEE, tensor(weights), tensor(golden.ids.astype(np.int32)))
    result = judge(held, output, PROFILES["ieee"])
    assert result.passed
    return inputs(held, result, **how)  # type: ignore[arg-type]


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
    """Logits that all lie on a narrow type's grid are named; one that does not clears them."""
    rng = np.random.default_rng(4)
    logits = narrowed(rng.standard_normal((64, 256), dtype=np.float32), name)
    bias = np.zeros(256, np.float32)

    assert logits_grid(recording("r", logits, bias, MINIMAX_M2_5)) == name
    logits[63, 255] = np.float32(np.pi)
    assert logits_grid(recording("r", logits, bias, MINIMAX_M2_5)) == ""


def test_logits_of_few_values_are_no_sign_of_a_coarse_gate() -> None:
    """Constructed logits (integers, infinities) lie on every grid by design."""
    logits = np.tile(np.arange(256, dtype=np.float32) % 50, (3, 1))
    logits[0, 0] = np.inf
    held = recording("r", logits, np.zeros(256, np.float32), MINIMAX_M2_5)

    assert logits_grid(held) == ""


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
