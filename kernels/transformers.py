"""The routers of transformers' models, called with the logits as they were recorded.

A router's own first step is a product with its weight. While it is called here that product is
replaced, so that what follows it sees exactly the recorded logits: NaN and infinity included.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from goldgate.errors import how_to_install
from goldgate.kernels.adapter import Adapter
from goldgate.kernels.hosts import default_device, distribution_version
from goldgate.kernels.kernel import (
    FOREIGN,
    Kernel,
    KernelError,
    Loaded,
    NotCoveredError,
    one_line,
    sigmoid_only,
    spec_of,
)
from goldgate.kernels.origin import Arithmetic, Origin
from goldgate.reference import RoutingSpec

if TYPE_CHECKING:
    import torch

Router = Callable[["torch.Tensor", "torch.Tensor"], tuple["torch.Tensor", "torch.Tensor"]]


def _missing() -> str | None:
    if not find_spec("torch") or not find_spec("transformers"):
        return f"no transformers here; any host runs it: {how_to_install('model')}"
    return None


def _logits(logits: torch.Tensor, _: torch.Tensor, bias: object = None) -> torch.Tensor:
    """Take the place of the product of hidden states and weight."""
    del bias
    return logits


def _minimax_m2(spec: RoutingSpec) -> Router:
    from transformers import MiniMaxM2Config  # noqa: PLC0415 - an optional dependency
    from transformers.models.minimax_m2 import modeling_minimax_m2 as model  # noqa: PLC0415 - as above

    config = MiniMaxM2Config(
        num_experts_per_tok=spec.top_k,
        num_local_experts=spec.num_experts,
        hidden_size=spec.num_experts,
    )
    router = model.MiniMaxM2TopKRouter(config)

    def call(logits: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        _, weights, ids = router(logits, bias)
        return weights, ids

    return call


def _deepseek_v3(spec: RoutingSpec) -> Router:
    from transformers import DeepseekV3Config  # noqa: PLC0415 - an optional dependency
    from transformers.models.deepseek_v3 import (  # noqa: PLC0415 - as above
        modeling_deepseek_v3 as model,
    )

    config = DeepseekV3Config(
        num_experts_per_tok=spec.top_k,
        n_routed_experts=spec.num_experts,
        hidden_size=spec.num_experts,
        n_group=spec.num_expert_group,
        topk_group=spec.topk_group,
        norm_topk_prob=spec.renormalize,
        routed_scaling_factor=spec.routed_scaling_factor,
    )
    router = model.DeepseekV3TopkRouter(config)

    def call(logits: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        router.register_buffer("e_score_correction_bias", bias)
        _, weights, ids = router(logits)
        return weights, ids

    return call


def _qwen3_moe(spec: RoutingSpec) -> Router:
    from transformers import Qwen3MoeConfig  # noqa: PLC0415 - an optional dependency
    from transformers.models.qwen3_moe import modeling_qwen3_moe as model  # noqa: PLC0415 - as above

    config = Qwen3MoeConfig(
        num_experts_per_tok=spec.top_k,
        num_experts=spec.num_experts,
        hidden_size=spec.num_experts,
        norm_topk_prob=spec.renormalize,
    )
    router = model.Qwen3MoeTopKRouter(config)

    def call(logits: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if bias.any():
            raise NotCoveredError("has no bias")
        _, weights, ids = router(logits)
        return weights, ids

    return call


def _loader(
    make: Callable[[RoutingSpec], Router], name: str, adapter: Adapter
) -> Callable[[], Loaded]:
    def load() -> Loaded:
        try:
            import torch  # noqa: PLC0415 - an optional dependency
            import transformers  # noqa: F401, PLC0415 - as above
        except FOREIGN as error:
            raise KernelError(f"transformers cannot be imported ({one_line(error)})") from None
        made = cache(make)

        def route(
            gating_output: torch.Tensor,
            correction_bias: torch.Tensor,
            topk_weights: torch.Tensor,
            topk_ids: torch.Tensor,
            num_expert_group: int,
            topk_group: int,
            need_renorm: bool,
            routed_scaling_factor: float = 1.0,
        ) -> None:
            spec = spec_of(
                gating_output,
                topk_ids,
                num_expert_group,
                topk_group,
                need_renorm,
                routed_scaling_factor,
            )
            linear = patch.object(torch.nn.functional, "linear", _logits)
            with torch.inference_mode(), linear:
                # Models hold the bias in float32; float32 logits come from float32 gates.
                weights, ids = made(spec)(gating_output.float(), correction_bias.float())
            topk_weights.copy_(weights)
            topk_ids.copy_(ids)

        release = distribution_version("transformers")
        return Loaded(route, name, release, default_device(), "ieee", adapter=adapter)

    return load


def minimax_only(spec: RoutingSpec) -> str | None:
    """Refuse what MiniMax's model code has no arguments for: groups, a scale, raw weights."""
    if (spec.scoring, spec.num_expert_group) != ("sigmoid", 1):
        return "scores with sigmoid in one group"
    if not spec.renormalize or spec.routed_scaling_factor != 1.0:
        return "always renormalises and never scales"
    return None


def _qwen3_only(spec: RoutingSpec) -> str | None:
    if spec.scoring != "softmax":
        return f"scores with softmax, not {spec.scoring}"
    if spec.num_expert_group != 1 or spec.routed_scaling_factor != 1.0:
        return "knows neither groups nor a scale"
    return None


_ARITHMETIC = Arithmetic(r"5\..*", "ieee", "torch eager in float32, as its models compute it")


def _kernel(
    name: str,
    router: str,
    make: Callable[[RoutingSpec], Any],
    supports: Callable[[RoutingSpec], str | None],
    scoring: str = "sigmoid",
) -> Kernel:
    """Return the entry of a router, "model.Class"."""
    model, _, title = router.partition(".")
    module = f"transformers.models.{model}.modeling_{model}"
    origin = Origin(
        f"{module}:{title}",
        ("transformers",),
        "any host with transformers and torch",
        (_ARITHMETIC,),
        (f"{module.replace('.', '/')}.py",),
    )
    return Kernel(
        name,
        f"transformers' {title}, without its gate's product",
        _missing,
        _loader(make, f"transformers {title}", Adapter(scorings=(scoring,))),
        supports,
        origin,
        by_default=False,  # model code is a reference to compare with, not what a server runs
    )


KERNELS = (
    _kernel("transformers-minimax-m2", "minimax_m2.MiniMaxM2TopKRouter", _minimax_m2, minimax_only),
    _kernel(
        "transformers-deepseek-v3", "deepseek_v3.DeepseekV3TopkRouter", _deepseek_v3, sigmoid_only
    ),
    _kernel(
        "transformers-qwen3-moe",
        "qwen3_moe.Qwen3MoeTopKRouter",
        _qwen3_moe,
        _qwen3_only,
        "softmax",
    ),
)
