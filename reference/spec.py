"""The parameters of a router, as a model's configuration states them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

SCORINGS = ("sigmoid", "softmax", "sqrtsoftplus")

#: How many of a group's largest biased scores its score adds, by the rule's name. With a bias the
#: engines add the two largest, without one they take the maximum: DeepSeek-V3's inference/model.py
#: (`Gate.forward`: amax if self.bias is None else topk(2)), vLLM's grouped_topk_router.py
#: (`grouped_topk`) and sglang's srt/layers/moe/topk.py (`grouped_topk_gpu` without a bias,
#: `biased_grouped_topk_impl` with one).
GROUP_SCORES = {"sum of two largest": 2, "maximum": 1}

#: What a router that names no rule has, recordings of before the field among them.
_DEFAULT_GROUP_SCORE = "sum of two largest"

#: The least and the largest normal float32.
_LEAST, _LARGEST = 2.0**-126, (2.0 - 2.0**-23) * 2.0**127


@dataclass(frozen=True)
class RoutingSpec:
    """A router's parameters; the names are those of sglang's, vLLM's and aiter's calls.

    Attributes:
        num_experts: E, the logits a token has; at least 1.
        top_k: k, the experts a token is sent to; 1 to E.
        scoring: how a logit becomes a score: "sigmoid", "softmax" or "sqrtsoftplus".
        num_expert_group: equal, contiguous groups the experts fall into; divides E. With more
            than one, each holds at least as many experts as its score adds.
        topk_group: groups that stay; 1 to num_expert_group, together holding at least k experts.
        renormalize: whether the selected weights are divided by their sum.
        routed_scaling_factor: the factor on every weight; above 0, in float32's normal range.
        group_score: what ranks the groups, a key of `GROUP_SCORES`: "sum of two largest" biased
            scores of the group, or their "maximum". One group is not ranked.

    Raises:
        ValueError: a parameter is outside these limits; the message names it.

    """

    num_experts: int
    top_k: int
    scoring: str = "sigmoid"
    num_expert_group: int = 1
    topk_group: int = 1
    renormalize: bool = True
    routed_scaling_factor: float = 1.0
    group_score: str = _DEFAULT_GROUP_SCORE

    def __post_init__(self) -> None:
        """Refuse parameters that describe no router."""
        for field in ("num_experts", "top_k", "num_expert_group", "topk_group"):
            value = getattr(self, field)
            if type(value) is not int or value < 1:
                raise ValueError(f"spec.{field} is {value!r}: expected an integer of at least 1")
        if self.scoring not in SCORINGS:
            raise ValueError(f"spec.scoring is {self.scoring!r}: expected one of {SCORINGS}")
        if self.group_score not in tuple(GROUP_SCORES):
            raise ValueError(
                f"spec.group_score is {self.group_score!r}: expected one of {tuple(GROUP_SCORES)}"
            )
        if type(self.renormalize) is not bool:
            raise ValueError(f"spec.renormalize is {self.renormalize!r}: expected true or false")
        scale = self.routed_scaling_factor
        # Compared, not converted: an integer may be too large for a float.
        if type(scale) not in (int, float) or not _LEAST <= scale <= _LARGEST:
            raise ValueError(
                f"spec.routed_scaling_factor is {scale!r}: expected a number above 0 that "
                "float32 can hold"
            )
        if self.num_experts % self.num_expert_group:
            raise ValueError(
                f"spec.num_expert_group is {self.num_expert_group}: expected a divisor of "
                f"num_experts, {self.num_experts}"
            )
        if self.num_expert_group > 1 and self.group_size < self.group_terms:
            raise ValueError(
                f"spec.num_expert_group is {self.num_expert_group}: expected groups of at least "
                "two experts, since a group's score is the sum of its two largest"
            )
        if self.topk_group > self.num_expert_group:
            raise ValueError(
                f"spec.topk_group is {self.topk_group}: expected at most num_expert_group, "
                f"{self.num_expert_group}"
            )
        if self.top_k > self.topk_group * self.group_size:
            raise ValueError(
                f"spec.top_k is {self.top_k}: expected at most the "
                f"{self.topk_group * self.group_size} experts of the groups that stay"
            )

    @property
    def group_size(self) -> int:
        """Experts in a group."""
        return self.num_experts // self.num_expert_group

    @property
    def group_terms(self) -> int:
        """How many of a group's largest biased scores its score adds: 2 or 1."""
        return GROUP_SCORES[self.group_score]

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> RoutingSpec:
        """Build a spec from a file's metadata; every key but group_score must be there.

        Without group_score the rule is "sum of two largest": files from before the field.

        Raises:
            ValueError: a key is missing or unknown, or a value is outside its limits.

        """
        known = {field.name for field in fields(cls)}
        if missing := sorted(known - values.keys() - {"group_score"}):
            raise ValueError(f"spec lacks {', '.join(missing)}")
        if unknown := sorted(values.keys() - known):
            raise ValueError(f"spec has unknown {', '.join(unknown)}")
        return cls(**values)  # type: ignore[arg-type]  # __post_init__ checks every type

    def to_dict(self) -> dict[str, object]:
        """Return what a file's metadata stores.

        The default group_score is left out: such files keep their bytes, and earlier versions,
        which know no other rule, read them.
        """
        values = asdict(self)
        if self.group_score == _DEFAULT_GROUP_SCORE:
            del values["group_score"]
        return values


#: MiniMax-M2.5: E = 256, k = 8, one group, sigmoid, renormalised, scale 1.0, float32 logits and
#: bias in each of its 62 MoE layers. Source: the checkpoint's config.json (MiniMaxAI/MiniMax-M2.5:
#: num_local_experts 256, num_experts_per_tok 8, scoring_func "sigmoid", use_routing_bias) and the
#: call in sglang pull request 23611 (num_expert_group=1, topk_group=1).
MINIMAX_M2_5 = RoutingSpec(num_experts=256, top_k=8)
