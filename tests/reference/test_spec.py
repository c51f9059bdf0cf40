"""RoutingSpec describes a router or refuses by name."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from goldgate.reference import MINIMAX_M2_5, RoutingSpec

GROUPED = RoutingSpec(
    num_experts=384,
    top_k=8,
    scoring="softmax",
    num_expert_group=8,
    topk_group=4,
    renormalize=False,
    routed_scaling_factor=2.5,
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name in ("num_experts", "top_k") for value in (0, -1, 8.0, "8", True)),
        *((name, 0) for name in ("num_expert_group", "topk_group")),
        *((name, None) for name in ("num_expert_group", "topk_group")),
        ("scoring", "tanh"),
        ("scoring", "Sigmoid"),
        ("scoring", None),
        ("scoring", ["sigmoid"]),
        ("renormalize", 1),
        ("renormalize", "true"),
        ("renormalize", None),
        ("group_score", "sum"),
        ("group_score", 2),
        ("group_score", None),
        ("group_score", ["maximum"]),
        ("routed_scaling_factor", 0),
        ("routed_scaling_factor", -1.0),
        ("routed_scaling_factor", math.inf),
        ("routed_scaling_factor", math.nan),
        ("routed_scaling_factor", "1"),
        ("routed_scaling_factor", True),
    ],
)
def test_a_bad_value_is_refused_by_name(field: str, value: object) -> None:
    """A value of the wrong type or outside its limits is refused with its field and itself."""
    values: dict[str, Any] = {**MINIMAX_M2_5.to_dict(), field: value}

    with pytest.raises(ValueError, match=rf"^spec\.{field} is ") as refusal:
        RoutingSpec(**values)

    assert repr(value) in str(refusal.value)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("num_expert_group", {"num_experts": 10, "top_k": 2, "num_expert_group": 3}),
        ("num_expert_group", {"num_experts": 8, "top_k": 2, "num_expert_group": 8}),
        ("topk_group", {"num_experts": 8, "top_k": 2, "num_expert_group": 2, "topk_group": 3}),
        ("top_k", {"num_experts": 8, "top_k": 9}),
        ("top_k", {"num_experts": 16, "top_k": 5, "num_expert_group": 4, "topk_group": 1}),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(
    field: str, values: dict[str, Any]
) -> None:
    """Groups that do not divide, single-expert groups and more experts than stay are refused."""
    with pytest.raises(ValueError, match=rf"^spec\.{field} is {values[field]}: "):
        RoutingSpec(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"num_experts": 1, "top_k": 1},
        {"num_experts": 7, "top_k": 7},
        {"num_experts": 16, "top_k": 4, "num_expert_group": 4, "topk_group": 1},
        {"num_experts": 16, "top_k": 16, "num_expert_group": 8, "topk_group": 8},
        {"num_experts": 8, "top_k": 2, "routed_scaling_factor": 1},
        {
            "num_experts": 8,
            "top_k": 2,
            "num_expert_group": 8,
            "topk_group": 2,
            "group_score": "maximum",
        },
    ],
)
def test_limits_themselves_are_routers(values: dict[str, Any]) -> None:
    """Each limit is inclusive: the smallest and the fullest routers are accepted."""
    spec = RoutingSpec(**values)

    assert spec.group_size * spec.num_expert_group == spec.num_experts


@pytest.mark.parametrize(
    "spec", [MINIMAX_M2_5, GROUPED, dataclasses.replace(GROUPED, group_score="maximum")]
)
def test_a_spec_survives_json(spec: RoutingSpec) -> None:
    """A spec written as JSON metadata and read back is the same spec."""
    text = json.dumps(spec.to_dict())

    read = RoutingSpec.from_dict(json.loads(text))

    assert read == spec


def test_a_file_without_the_rule_of_groups_means_the_sum_of_two() -> None:
    """Files from before group_score are read as they were, and still written without it."""
    values = GROUPED.to_dict()

    assert "group_score" not in values
    assert RoutingSpec.from_dict(values).group_score == "sum of two largest"
    assert dataclasses.replace(GROUPED, group_score="maximum").to_dict()["group_score"] == "maximum"


@pytest.mark.parametrize(
    "field", [f.name for f in dataclasses.fields(RoutingSpec) if f.name != "group_score"]
)
def test_from_dict_names_a_missing_key(field: str) -> None:
    """Every other key is needed in a file's metadata, those with a default too."""
    values = MINIMAX_M2_5.to_dict()
    del values[field]

    with pytest.raises(ValueError, match=f"^spec lacks {field}$"):
        RoutingSpec.from_dict(values)


def test_from_dict_names_an_unknown_key() -> None:
    """A key that no router has is refused rather than ignored."""
    values = {**MINIMAX_M2_5.to_dict(), "epsilon": 1e-20}

    with pytest.raises(ValueError, match=r"^spec has unknown epsilon$"):
        RoutingSpec.from_dict(values)


def test_from_dict_checks_values() -> None:
    """A wrong value in a file's metadata is refused as the constructor refuses it."""
    values = {**MINIMAX_M2_5.to_dict(), "top_k": "8"}

    with pytest.raises(ValueError, match=r"^spec\.top_k is '8': "):
        RoutingSpec.from_dict(values)


def test_a_spec_cannot_be_changed() -> None:
    """A spec that was checked stays what was checked."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        MINIMAX_M2_5.top_k = 4  # type: ignore[misc]  # the assignment is what must fail


def test_minimax_m2_5_is_the_published_router() -> None:
    """MiniMax-M2.5 routes as its config.json says and as sglang calls aiter for it."""
    published = {
        "num_experts": 256,
        "top_k": 8,
        "scoring": "sigmoid",
        "num_expert_group": 1,
        "topk_group": 1,
        "renormalize": True,
        "routed_scaling_factor": 1.0,
    }

    assert MINIMAX_M2_5.to_dict() == published


def test_an_integer_too_large_for_a_float_is_refused_by_name() -> None:
    """A scale that JSON can hold and a float cannot is refused like infinity."""
    with pytest.raises(ValueError, match=r"^spec\.routed_scaling_factor is "):
        RoutingSpec(num_experts=8, top_k=2, routed_scaling_factor=10**400)
