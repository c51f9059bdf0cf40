"""Profiles are data: their figures follow from their sources by the rules their module states."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from goldgate.reference import PROFILES, Profile, U

FIGURES = ("exponent", "exp", "exp_per_unit", "divide", "log", "log_absolute")


def of_true_value(ulp: float) -> float:
    """Return "k ulp of the true value" in u: an ulp is at most 2 u of the value."""
    return 2.0 * ulp


def of_rounded_value(ulp: float) -> float:
    """Return "k ulp of the correctly rounded value" in u: that rounding errs by half an ulp."""
    return 2.0 * ulp + 1.0


def test_each_profile_is_found_under_its_own_name() -> None:
    """The names are those that the contract's table and the outputs' metadata use."""
    names = {name: profile.name for name, profile in PROFILES.items()}

    assert names == {
        name: name
        for name in (
            *("rcp_exp2", "expf_div_subtract", "fast_math", "ieee", "sgl_kernel_0.4.4", "tanh"),
            *("exp2_prescaled", "conservative"),
        )
    }


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_each_profile_cites_a_source(name: str) -> None:
    """No figure stands without a sentence that says where it comes from."""
    assert len(PROFILES[name].source.split()) >= 5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # aiter, double log2e: one rounding of the product; v_exp and v_rcp 1 ulp of the true value.
        ("rcp_exp2", (1.0, of_true_value(1), 0.0, of_true_value(1), False)),
        # HIP tables: expf and division 1 ulp of the rounded value.
        ("expf_div_subtract", (0.0, of_rounded_value(1), 0.0, of_rounded_value(1), True)),
        # CUDA tables: __expf 2 + floor(1.173 |x|) ulp, __fdividef 2 ulp.
        ("fast_math", (0.0, of_rounded_value(2), of_true_value(1.173), of_rounded_value(2), False)),
    ],
)
def test_figures_follow_from_the_stated_ulps(
    name: str, expected: tuple[float, float, float, float, bool]
) -> None:
    """Units of u are what the contract's two conversion rules make of the vendors' ulps."""
    profile = PROFILES[name]

    figures = (profile.exponent, profile.exp, profile.exp_per_unit, profile.divide)

    assert (*figures, profile.recovered) == expected


def test_ieee_division_is_correctly_rounded_and_exp_covers_its_libraries() -> None:
    """Division errs by u; exp covers CUDA's 2 ulp of the rounded value and numpy's 2.52."""
    profile = PROFILES["ieee"]

    assert profile.divide == 1.0
    assert profile.exp >= max(of_rounded_value(2), of_true_value(2.52))
    assert not profile.recovered


def test_only_the_tanh_form_is_allowed_the_tangents_error() -> None:
    """CUDA's tanhf is 2 ulp of the rounded value; no other profile has a tangent."""
    allowed = {name: profile.tanh for name, profile in PROFILES.items() if profile.tanh}

    assert allowed == {"tanh": of_rounded_value(2)}


def test_only_scaled_softmax_is_allowed_the_error_of_scaled_logits() -> None:
    """One rounding of the product, and log2(e) as float32, which is off by 0.22 u."""
    allowed = {name: profile.prescaled for name, profile in PROFILES.items() if profile.prescaled}
    constant = abs(float(np.float32(math.log2(math.e))) / math.log2(math.e) - 1.0) / U

    assert allowed == {"exp2_prescaled": 1.0}
    assert 0.21 < constant < PROFILES["exp2_prescaled"].exponent < 0.3


def test_sgl_kernel_recovers_what_fast_math_gathers() -> None:
    """The release's profile is fast_math in every figure, with weights as (score + bias) - bias."""
    own, other = PROFILES["sgl_kernel_0.4.4"], PROFILES["fast_math"]

    assert own.recovered
    assert dataclasses.replace(own, name="", source="", recovered=False) == dataclasses.replace(
        other, name="", source=""
    )


@pytest.mark.parametrize("figure", FIGURES)
def test_conservative_takes_the_largest_of_each_figure(figure: str) -> None:
    """A kernel nothing is known of is allowed what the worst exponential form is, and no more."""
    own_forms = ("conservative", "tanh", "exp2_prescaled")
    others = [one for name, one in PROFILES.items() if name not in own_forms]

    largest = max(getattr(profile, figure) for profile in others)

    assert getattr(PROFILES["conservative"], figure) == largest
    assert PROFILES["conservative"].recovered


def test_a_profile_cannot_be_changed() -> None:
    """Figures are the same for every verdict of a run."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        PROFILES["ieee"].exp = 0.0  # type: ignore[misc]  # the assignment is what must fail


def test_every_figure_of_a_profile_is_compared_here() -> None:
    """A figure added to profiles is not left out of the comparison above."""
    names = {field.name for field in dataclasses.fields(Profile)}

    assert names == {"name", "recovered", "source", "tanh", "prescaled", "shift", *FIGURES}
