"""The published routers: what each config.json states, and names that find them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from goldgate.reference import MINIMAX_M2_5, MODELS, find_model
from goldgate.reference.spec import RoutingSpec

SIGMOID, SOFTMAX, ROOT = "sigmoid", "softmax", "sqrtsoftplus"

#: Name: experts, top-k, scoring, groups, groups that stay, renormalised, scale, bias, logits.
STATED = {
    "MiniMax-M2.5": (256, 8, SIGMOID, 1, 1, True, 1.0, True, "F32"),
    "DeepSeek-V2": (160, 6, SOFTMAX, 8, 3, False, 16.0, False, "F32"),
    "DeepSeek-V3": (256, 8, SIGMOID, 8, 4, True, 2.5, True, "F32"),
    "Kimi-K2": (384, 8, SIGMOID, 1, 1, True, 2.827, True, "F32"),
    "GLM-4.5": (160, 8, SIGMOID, 1, 1, True, 2.5, True, "F32"),
    "GLM-4.5-Air": (128, 8, SIGMOID, 1, 1, True, 1.0, True, "F32"),
    "Qwen3-MoE": (128, 8, SOFTMAX, 1, 1, True, 1.0, False, "BF16"),
    "Qwen3-Next": (512, 10, SOFTMAX, 1, 1, True, 1.0, False, "BF16"),
    "DeepSeek-V4-Flash": (256, 6, ROOT, 1, 1, True, 1.5, True, "F32"),
    "DeepSeek-V4-Pro": (384, 6, ROOT, 1, 1, True, 2.5, True, "F32"),
}


def test_every_model_routes_as_its_configuration_states() -> None:
    """A second copy of each figure, from the same sources, agrees with the first."""
    found = {}
    for name, model in MODELS.items():
        spec = model.spec
        found[name] = (
            *(spec.num_experts, spec.top_k, spec.scoring, spec.num_expert_group, spec.topk_group),
            *(spec.renormalize, spec.routed_scaling_factor, model.has_bias, model.gate_dtype),
        )

    assert found == STATED


def test_groups_are_ranked_by_the_engines_rule() -> None:
    """With a bias by the sum of the two largest, without one by the maximum."""
    for model in MODELS.values():
        if model.spec.num_expert_group > 1:
            expected = "sum of two largest" if model.has_bias else "maximum"
            assert model.spec.group_score == expected


def test_the_documented_table_is_the_code() -> None:
    """docs/routing-contract.md lists the models with the figures that the code has."""
    rows = []
    for model in MODELS.values():
        spec = model.spec
        groups = f"{spec.num_expert_group}, {spec.topk_group}"
        groups += f" by {spec.group_score}" if spec.num_expert_group > 1 else ""
        words = ("yes" if spec.renormalize else "no", "yes" if model.has_bias else "no")
        rows.append(
            f"| {model.name} | {spec.num_experts}, {spec.top_k} | {spec.scoring} | {groups} | "
            f"{words[0]}, {spec.routed_scaling_factor:g} | {words[1]} | {model.gate_dtype} |"
        )
    page = (Path(__file__).parents[2] / "docs" / "routing-contract.md").read_text(encoding="utf-8")

    _, _, after = page.partition("## Published routers\n")
    table = [line for line in after.partition("\n## ")[0].splitlines() if line.startswith("| ")]

    assert table[1:] == rows


@pytest.mark.parametrize("name", sorted(MODELS))
def test_each_model_cites_the_figures_of_its_configuration(name: str) -> None:
    """The source names a config.json and the figures that are not a router's defaults."""
    model = MODELS[name]
    default = RoutingSpec(1, 1)

    assert "config.json: " in model.source
    for field in ("num_experts", "top_k", "num_expert_group", "topk_group", "scoring"):
        value = getattr(model.spec, field)
        assert value == getattr(default, field) or f"{value}" in model.source
    if model.spec.routed_scaling_factor != 1.0:
        assert f"routed_scaling_factor {model.spec.routed_scaling_factor}" in model.source


@pytest.mark.parametrize(
    ("name", "expected"),
    [("minimax-m2.5", "MiniMax-M2.5"), ("DEEPSEEK-R1", "DeepSeek-V3"), ("GLM-4.5", "GLM-4.5")],
)
def test_models_are_found_by_name_in_any_case(name: str, expected: str) -> None:
    """A model's name and those of models with the same router find it."""
    assert find_model(name).name == expected
    assert MODELS["MiniMax-M2.5"].spec is MINIMAX_M2_5


def test_an_unknown_model_is_refused_with_the_names() -> None:
    """The message repeats the name and lists what there is."""
    with pytest.raises(ValueError, match=r"^model 'GPT': expected one of MiniMax-M2\.5, Deep"):
        find_model("GPT")


def test_names_find_one_model_each() -> None:
    """No name is two models' in any case."""
    names = [n.casefold() for model in MODELS.values() for n in (model.name, *model.also)]

    assert len(set(names)) == len(names)


def test_a_model_cannot_be_changed() -> None:
    """What was cited stays what was cited."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        MODELS["Kimi-K2"].has_bias = False  # type: ignore[misc]  # the assignment must fail
