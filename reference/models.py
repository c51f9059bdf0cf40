"""The routers of published models, each with where its parameters are stated.

A parameter is what the checkpoint's config.json states (huggingface.co/OWNER/NAME). The rule of the
groups is the engines' (`goldgate.reference.spec.GROUP_SCORES`). The type of the gate's logits is
the one that the model's own code routes with, which an engine may change.
"""

from __future__ import annotations

from dataclasses import dataclass

from goldgate.reference.spec import MINIMAX_M2_5, RoutingSpec


@dataclass(frozen=True)
class Model:
    """A published model's router.

    Attributes:
        name: the model's name; `find` takes it in any case.
        spec: the router of each of its scored MoE layers.
        has_bias: whether a bias, float32 in the checkpoint, takes part in the selection.
        gate_dtype: safetensors' name of the logits' type: "F32" or "BF16".
        source: where this is stated.
        also: names of models with the same router.

    """

    name: str
    spec: RoutingSpec
    has_bias: bool
    gate_dtype: str
    source: str
    also: tuple[str, ...] = ()


_ALL = (
    Model(
        name="MiniMax-M2.5",
        spec=MINIMAX_M2_5,
        has_bias=True,
        gate_dtype="F32",
        source=(
            "MiniMaxAI/MiniMax-M2.5 config.json: num_local_experts 256, num_experts_per_tok 8, "
            "scoring_func sigmoid, use_routing_bias true; one group: sglang pull request 23611; "
            "renormalised: transformers' MiniMaxM2TopKRouter"
        ),
        also=("MiniMax-M2",),
    ),
    Model(
        name="DeepSeek-V2",
        spec=RoutingSpec(
            num_experts=160,
            top_k=6,
            scoring="softmax",
            num_expert_group=8,
            topk_group=3,
            renormalize=False,
            routed_scaling_factor=16.0,
            group_score="maximum",
        ),
        has_bias=False,
        gate_dtype="F32",
        source=(
            "deepseek-ai/DeepSeek-V2 config.json: n_routed_experts 160, num_experts_per_tok 6, "
            "n_group 8, topk_group 3, topk_method group_limited_greedy, scoring_func softmax, "
            "norm_topk_prob false, routed_scaling_factor 16.0; its modeling_deepseek.py computes "
            "the gate in float32"
        ),
    ),
    Model(
        name="DeepSeek-V3",
        spec=RoutingSpec(
            num_experts=256,
            top_k=8,
            num_expert_group=8,
            topk_group=4,
            routed_scaling_factor=2.5,
        ),
        has_bias=True,
        gate_dtype="F32",
        source=(
            "deepseek-ai/DeepSeek-V3 config.json: n_routed_experts 256, num_experts_per_tok 8, "
            "n_group 8, topk_group 4, topk_method noaux_tc, scoring_func sigmoid, norm_topk_prob "
            "true, routed_scaling_factor 2.5; its modeling_deepseek.py computes the gate in float32"
        ),
        also=("DeepSeek-R1",),
    ),
    Model(
        name="Kimi-K2",
        spec=RoutingSpec(num_experts=384, top_k=8, routed_scaling_factor=2.827),
        has_bias=True,
        gate_dtype="F32",
        source=(
            "moonshotai/Kimi-K2-Instruct config.json: n_routed_experts 384, num_experts_per_tok 8, "
            "n_group 1, topk_group 1, topk_method noaux_tc, scoring_func sigmoid, norm_topk_prob "
            "true, routed_scaling_factor 2.827; DeepSeek-V3's code"
        ),
        also=("Kimi-K2.5",),
    ),
    Model(
        name="GLM-4.5",
        spec=RoutingSpec(num_experts=160, top_k=8, routed_scaling_factor=2.5),
        has_bias=True,
        gate_dtype="F32",
        source=(
            "zai-org/GLM-4.5 config.json: n_routed_experts 160, num_experts_per_tok 8, n_group 1, "
            "topk_group 1, norm_topk_prob true, routed_scaling_factor 2.5; sigmoid and a float32 "
            "gate: transformers' Glm4MoeTopkRouter"
        ),
    ),
    Model(
        name="GLM-4.5-Air",
        spec=RoutingSpec(num_experts=128, top_k=8),
        has_bias=True,
        gate_dtype="F32",
        source=(
            "zai-org/GLM-4.5-Air config.json: n_routed_experts 128, num_experts_per_tok 8, n_group "
            "1, topk_group 1, norm_topk_prob true, routed_scaling_factor 1.0; as GLM-4.5"
        ),
    ),
    Model(
        name="Qwen3-MoE",
        spec=RoutingSpec(num_experts=128, top_k=8, scoring="softmax"),
        has_bias=False,
        gate_dtype="BF16",
        source=(
            "Qwen/Qwen3-235B-A22B and Qwen3-30B-A3B config.json: num_experts 128, "
            "num_experts_per_tok 8, norm_topk_prob true (transformers' default is false); softmax "
            "in float32 of logits in the model's bfloat16: transformers' Qwen3MoeTopKRouter"
        ),
        also=("Qwen3-235B-A22B", "Qwen3-30B-A3B"),
    ),
    Model(
        name="Qwen3-Next",
        spec=RoutingSpec(num_experts=512, top_k=10, scoring="softmax"),
        has_bias=False,
        gate_dtype="BF16",
        source=(
            "Qwen/Qwen3-Next-80B-A3B-Instruct config.json: num_experts 512, num_experts_per_tok "
            "10, norm_topk_prob true; softmax as Qwen3-MoE: transformers' Qwen3NextTopKRouter"
        ),
    ),
    Model(
        name="DeepSeek-V4-Flash",
        spec=RoutingSpec(
            num_experts=256, top_k=6, scoring="sqrtsoftplus", routed_scaling_factor=1.5
        ),
        has_bias=True,
        gate_dtype="F32",
        source=(
            "deepseek-ai/DeepSeek-V4-Flash config.json: n_routed_experts 256, num_experts_per_tok "
            "6, scoring_func sqrtsoftplus, topk_method noaux_tc, norm_topk_prob true, "
            "routed_scaling_factor 1.5, no groups; num_hash_layers 3: the first three of 43 layers "
            "take their experts from a table of tokens and have no top-k; its inference/model.py "
            "computes the gate in float32"
        ),
    ),
    Model(
        name="DeepSeek-V4-Pro",
        spec=RoutingSpec(
            num_experts=384, top_k=6, scoring="sqrtsoftplus", routed_scaling_factor=2.5
        ),
        has_bias=True,
        gate_dtype="F32",
        source=(
            "deepseek-ai/DeepSeek-V4-Pro config.json: n_routed_experts 384, num_experts_per_tok 6, "
            "scoring_func sqrtsoftplus, topk_method noaux_tc, norm_topk_prob true, "
            "routed_scaling_factor 2.5, no groups; num_hash_layers 3, as DeepSeek-V4-Flash"
        ),
    ),
)

#: Every model by its name.
MODELS: dict[str, Model] = {model.name: model for model in _ALL}


def find_model(name: str) -> Model:
    """Return the model of a name, or of one with the same router, in any case.

    Raises:
        ValueError: there is none; the message lists the names.

    """
    for model in MODELS.values():
        if name.casefold() in (known.casefold() for known in (model.name, *model.also)):
            return model
    raise ValueError(f"model {name!r}: expected one of {', '.join(MODELS)}")
