"""The parameters of a router, as a model's configuration states them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

SCORINGS = ("sigmoid", "softmax", "sqrtsoftplus")

#: The least and the largest normal float32.
_LEAST, _LARGEST = 2.0**-126, (2.0 - 2.0**-23) * 2.0**127


@dataclass(frozen=True)
class RoutingSpec:
    """A router's parameters; the names are those of sglang's, vLLM's and aiter's calls.

    Attributes:
        num_experts: E, the logits a token has; at least 1.
        top_k: k, the experts a token is sent to; 1 to E.
        scoring: how a logit becomes a score: "sigmoid", "softmax" or "sqrtsoftplus".
        num_expert_group: equal, contiguous groups the experts fall into; divides E. A group's
            score is the sum of its two largest biased scores, so with more than one group each
            holds at least two experts.
        topk_group: groups that stay; 1 to num_expert_group, together holding at least k experts.
        renormalize: whether the selected weights are divided by their sum.
        routed_scaling_factor: the factor on every weight; above 0, in float32's normal range.

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

    def __post_init__(self) -> None:
        """Refuse parameters that describe no router."""
        for field in ("num_experts", "top_k", "num_expert_group", "topk_group"):
            value = getattr(self, field)
            if type(value) is not int or value < 1:
                raise ValueError(f"spec.{field} is {value!r}: expected an integer of at least 1")
        if self.scoring not in SCORINGS:
            raise ValueError(f"spec.scoring is {self.scoring!r}: expected one of {SCORINGS}")
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
        if self.num_expert_group > 1 and self.group_size < 2:
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

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> RoutingSpec:
        """Build a spec from a file's metadata; every key must be there and none be unknown.

        Raises:
            ValueError: a key is missing or unknown, or a value is outside its limits.

        """
        known = {field.name for field in fields(cls)}
        if missing := sorted(known - values.keys()):
            raise ValueError(f"spec lacks {', '.join(missing)}")
        if unknown := sorted(values.keys() - known):
            raise ValueError(f"spec has unknown {', '.join(unknown)}")
        return cls(**values)  # type: ignore[arg-type]  # __post_init__ checks every type

    def to_dict(self) -> dict[str, object]:
        """Return what a file's metadata stores."""
        return asdict(self)


#: MiniMax-M2.5: E = 256, k = 8, one group, sigmoid, renormalised, scale 1.0, float32 logits and
#: bias in each of its 62 MoE layers. Source: the checkpoint's config.json (MiniMaxAI/MiniMax-M2.5:
#: num_local_experts 256, num_experts_per_tok 8, scoring_func "sigmoid", use_routing_bias) and the
#: call in sglang pull request 23611 (num_expert_group=1, topk_group=1).
MINIMAX_M2_5 = RoutingSpec(num_experts=256, top_k=8)
