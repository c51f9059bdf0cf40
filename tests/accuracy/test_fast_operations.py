"""The compiled elementary operations are as good as their claimed bounds."""

from __future__ import annotations

import flint
import numpy as np
import pytest

from goldgate.accuracy.fast.thresholds import ERROR64, STEPS, thresholds
from goldgate.accuracy.fast.vectors import (
    EXP_ERROR,
    EXP_RANGE,
    SIGMOID32_ERROR,
    exp_array,
    sigmoid32_array,
    widen_array,
)


def test_float64_exponential_errs_as_claimed() -> None:
    """Over 20,000 arguments, the ends of its range among them, against 200-bit values."""
    rng = np.random.default_rng(1)
    y = np.concatenate(
        [rng.uniform(-EXP_RANGE, EXP_RANGE, 10000), rng.normal(0, 3, 10000), [-EXP_RANGE, 0.0]]
    )

    found = exp_array(y)

    flint.ctx.prec = 200
    exact = [flint.arb(value).exp() for value in y]
    errors = [abs(float((flint.arb(f) - e) / e)) for f, e in zip(found, exact, strict=True)]
    assert max(errors) < EXP_ERROR


def test_float32_sigmoid_errs_as_claimed() -> None:
    """Over all bfloat16 and 4 million float32 logits, infinities among them."""
    bits = np.arange(1 << 16, dtype=np.uint32) << 16
    values = bits.view(np.float32)
    rng = np.random.default_rng(2)
    x = np.concatenate(
        [values[~np.isnan(values)], rng.uniform(-100, 100, 4_000_000).astype(np.float32)]
    )

    with np.errstate(over="ignore"):
        error = np.abs(sigmoid32_array(x) - 1 / (1 + np.exp(-x.astype(np.float64))))

    assert error.max() < 0.5 * SIGMOID32_ERROR


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_all_16_bit_floats_widen_exactly(dtype: str) -> None:
    """Every bit pattern becomes the float32 of the same value; NaN stays NaN."""
    bits = np.arange(1 << 16, dtype=np.uint16)
    expected = (bits.astype(np.uint32) << 16).view(np.float32)
    stored = bits
    if dtype == "float16":
        expected, stored = bits.view(np.float16).astype(np.float32), bits.view(np.int16)

    found = widen_array(stored)

    same = found.view(np.uint32) == expected.view(np.uint32)
    assert (same | (np.isnan(found) & np.isnan(expected))).all()


@pytest.mark.parametrize("spread", [0.0, 0.1, 3.0])
def test_no_logit_below_its_threshold_reaches_the_cut(spread: float) -> None:
    """The float32 just below a threshold has a biased score below its step, by more than errors."""
    bias = np.random.default_rng(3).normal(0, spread, 64)

    table = thresholds(bias, 4)

    cuts = table.base + (np.arange(STEPS)[:, None] / STEPS) ** 2
    below = np.nextafter(table.logits, np.float32(-np.inf)).astype(np.float64)
    with np.errstate(over="ignore"):
        scores = 1 / (1 + np.exp(-below))
    reachable = np.isfinite(table.logits)
    assert reachable.any()
    assert (scores + bias < cuts - ERROR64 * (1 + np.abs(bias)))[reachable].all()
