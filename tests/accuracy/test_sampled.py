"""What is known of a sample's weights, compiled and by the definition."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from goldgate.accuracy.call_sizes import Sample
from goldgate.accuracy.rows import Contract, Rows
from goldgate.accuracy.sampled import defined_weights, sampled_weights
from goldgate.fixtures.tensorfile import float32
from goldgate.reference import FORMATS, MINIMAX_M2_5, PROFILES, RoutingSpec, route

_ROWS = 400


def _rows(dtype: str, width: float, spec: RoutingSpec = MINIMAX_M2_5) -> Rows:
    """Return rows with weights rounded once, some of them far off, and a saturated score or two."""
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((_ROWS, 256)) * width).astype(np.float32)
    x[7, :9] = np.inf if spec.scoring == "sigmoid" else -np.inf  # +inf has no softmax
    stored = x
    if dtype == "bfloat16":
        stored = (x.view(np.uint32) >> 16).astype(np.uint16)
    elif dtype == "float16":
        stored = x.astype(np.float16)
    bias = rng.normal(0.0, 0.1, 256).astype(np.float32).astype(np.float64)
    golden = route(float32(stored), bias, spec)
    weights = (golden.weights * (1.0 + rng.normal(0, 1e-6, golden.weights.shape))).astype(
        np.float32
    )
    return Rows(stored, bias, golden.ids.astype(np.int32), weights, np.zeros(_ROWS, bool))


def _sample() -> Sample:
    at = np.arange(3, _ROWS, 2)
    return Sample(at, at, np.full_like(at, _ROWS), np.full(len(at), 3, np.int8))


@pytest.mark.parametrize("scoring", ["sigmoid", "softmax"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("width", [1.0, 30.0])
@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize(("renormalize", "scale"), [(True, 1.0), (True, 2.827), (False, 2.827)])
def test_the_compiled_pass_knows_what_the_definition_does(
    renormalize: bool, scale: float, profile: str, width: float, dtype: str, scoring: str
) -> None:
    """For every scoring, profile, type and way to weigh, all that is known agrees with float64."""
    spec = dataclasses.replace(
        MINIMAX_M2_5, scoring=scoring, renormalize=renormalize, routed_scaling_factor=scale
    )
    rows, contract = _rows(dtype, width, spec), Contract(spec, PROFILES[profile])

    found = sampled_weights(rows, _sample(), contract)
    expected = defined_weights(rows, _sample(), contract)

    assert found is not None
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.weights, expected.weights)
    np.testing.assert_array_equal(found.held, expected.held)
    np.testing.assert_array_equal(np.isnan(found.r), np.isnan(expected.r))
    taking = np.isfinite(expected.r)
    assert taking.any() or (scoring, profile) == ("softmax", "tanh")  # which has no tangent
    # 26 roundings of 2**-53 and twice a score's 8, over u = 2**-24.
    np.testing.assert_allclose(found.r[taking], expected.r[taking], rtol=1e-12, atol=1e-6)
    np.testing.assert_allclose(found.z, expected.z, rtol=1e-12, atol=1e-13)
    for name in ("exact", "variance"):
        one, two = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(one[taking], two[taking], rtol=1e-12)


@pytest.mark.parametrize("renormalize", [True, False])
def test_a_softmax_row_that_has_none_is_left_to_the_definition(renormalize: bool) -> None:
    """Infinite and NaN logits give what the definition gives, for every row of the sample."""
    spec = dataclasses.replace(MINIMAX_M2_5, scoring="softmax", renormalize=renormalize)
    rows, contract = _rows("float32", 1.0, spec), Contract(spec, PROFILES["ieee"])
    rows.logits[11, 0], rows.logits[13, :] = np.nan, np.inf

    with np.errstate(invalid="ignore"):
        found = sampled_weights(rows, _sample(), contract)
        expected = defined_weights(rows, _sample(), contract)

    assert found is not None
    np.testing.assert_array_equal(found.r, expected.r)
    rows.logits[13, :] = 0.0
    found = sampled_weights(rows, _sample(), contract)
    expected = defined_weights(rows, _sample(), contract)
    assert found is not None
    np.testing.assert_array_equal(np.isnan(found.r), np.isnan(expected.r))
    np.testing.assert_allclose(found.exact, expected.exact, rtol=1e-12)


def test_weights_that_are_not_there_or_narrower_have_no_errors() -> None:
    """Nothing is known without float32 weights, or without a row."""
    rows, contract = _rows("float32", 1.0), Contract(MINIMAX_M2_5, PROFILES["ieee"])
    narrow = dataclasses.replace(contract, weight_format=FORMATS["BF16"])
    no_row = _sample().where(np.zeros(len(_sample()), bool))

    assert sampled_weights(dataclasses.replace(rows, weights=None), _sample(), contract) is None
    assert sampled_weights(rows, _sample(), narrow) is None
    assert sampled_weights(rows, no_row, contract) is None
