"""How a kernel of one's own is called, as its module declares it: most need no wrapper.

A module may declare, by these names:

    ARGUMENTS = {"gating_output": "router_logits", "top_k": "topk", ...}
        keyword calls: ours to the kernel's names (`NAMES`); what is left out is not passed
    RETURNS = ("weights", "ids")
        the kernel returns its outputs, in this order, and takes no buffers
    IDS = "int64"
        the type of topk_ids
    WEIGHTS = "bfloat16"
        the type of topk_weights; weights narrower than float32 are refused where it is not declared
    SHARED_EXPERTS = {"count": 1, "weight": 1.0}
        so many columns more, for shared experts that are fused into the routed ones: their ids
        are E, E + 1, ...; each weighs `weight`, a number or "1/scale"
    SCORINGS = ("softmax",)
        what a kernel without a parameter `scoring` computes; by default sigmoid
    GROUP_SCORES = ("maximum",)
        what a kernel without a parameter `group_score` ranks groups by; by default the sum
    BATCH_INVARIANT = True
        a row's answer does not depend on the other rows of its call
    def supports(spec, rows, gate_dtype, bias_dtype): ...
        returns True or None for what the kernel supports, False or a reason for what it does not

A kernel that has parameters `scoring`, `group_score` or `num_token_non_padded` is told them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from goldgate.errors import GoldgateError
from goldgate.reference import RoutingSpec

#: What a keyword call may pass, by our names.
NAMES = (
    *("gating_output", "correction_bias", "topk_weights", "topk_ids"),
    *("num_expert_group", "topk_group", "need_renorm", "routed_scaling_factor"),
    *("top_k", "scoring", "group_score", "num_token_non_padded"),
)

#: What a kernel is told where it has a parameter of that name, beside aiter's eight.
_TOLD = ("scoring", "group_score", "num_token_non_padded")

_IDS = ("int32", "int64")
_WEIGHTS = ("float32", "bfloat16", "float16")
_OUTPUTS = ("weights", "ids")

Supports = Callable[[RoutingSpec, int, str, str], object]


class AdapterError(GoldgateError):
    """A declaration of a kernel's module that cannot be used."""


@dataclass(frozen=True)
class SharedExperts:
    """The columns of shared experts behind the k routed ones.

    Attributes:
        count: how many.
        weight: what each weighs; None: 1 / routed_scaling_factor.

    """

    count: int
    weight: float | None = 1.0

    def value(self, spec: RoutingSpec) -> float:
        """Return the weight of each shared expert for a router."""
        return 1.0 / spec.routed_scaling_factor if self.weight is None else self.weight


@dataclass(frozen=True)
class Adapter:
    """What a kernel takes and returns, where that is not aiter's convention.

    Attributes:
        arguments: our names to the kernel's, for keyword calls; empty: positional.
        told: what of scoring, group_score and num_token_non_padded it is passed.
        returns: the order of what it returns; empty: it writes in place.
        ids: "int32" or "int64".
        weights: "float32", "bfloat16" or "float16".
        shared: the columns of shared experts, if there are any.
        scorings: the scorings it computes.
        group_scores: what it ranks groups by.
        batch_invariant: whether it claims that rows do not depend on each other.
        supports: the module's function of that name.

    """

    arguments: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()
    ids: str = "int32"
    weights: str = "float32"
    shared: SharedExperts | None = None
    scorings: tuple[str, ...] = ("sigmoid",)
    group_scores: tuple[str, ...] = ("sum of two largest",)
    batch_invariant: bool = False
    supports: Supports | None = None

    def refusal(self, spec: RoutingSpec, rows: int, gate: str, bias: str) -> str | None:
        """Return why a call is beyond the kernel, or None.

        Args:
            spec: the router.
            rows: tokens of the call.
            gate: the type of the logits, "F32", "BF16" or "F16".
            bias: the type of the bias.

        """
        if "scoring" not in self.told and spec.scoring not in self.scorings:
            return (
                f"scores with {' or '.join(self.scorings)}, not {spec.scoring} (a kernel that has "
                "a parameter `scoring` is told; SCORINGS in its module declares another)"
            )
        grouped = spec.num_expert_group > 1
        if grouped and "group_score" not in self.told and spec.group_score not in self.group_scores:
            return (
                f"ranks groups by the {' or '.join(self.group_scores)}, not the "
                f"{spec.group_score} (a kernel that has a parameter `group_score` is told)"
            )
        if self.supports is None:
            return None
        answer = self.supports(spec, rows, gate, bias)
        if answer is None or answer is True:
            return None
        return answer if isinstance(answer, str) else "supports() returns False"

    def call(
        self,
        route: Callable[..., Any],
        tensors: tuple[Any, Any, Any, Any],
        spec: RoutingSpec,
        real_rows: Any = None,  # noqa: ANN401 - a torch.Tensor
    ) -> Any:  # noqa: ANN401 - whatever the kernel returns
        """Call the kernel.

        Args:
            route: the kernel's function.
            tensors: gating_output, correction_bias, topk_weights and topk_ids (torch).
            spec: the router.
            real_rows: rows in front of the padding, an int32 tensor of no dimension; None: all.

        """
        given = dict(zip(NAMES, tensors, strict=False))
        given |= {
            "num_expert_group": spec.num_expert_group,
            "topk_group": spec.topk_group,
            "need_renorm": spec.renormalize,
            "routed_scaling_factor": spec.routed_scaling_factor,
            "top_k": spec.top_k,
            "scoring": spec.scoring,
            "group_score": spec.group_score,
            "num_token_non_padded": len(tensors[0]) if real_rows is None else real_rows,
        }
        if self.arguments:
            named = {theirs: given[ours] for ours, theirs in self.arguments.items()}
            return route(**named)
        told = {name: given[name] for name in self.told}
        first = NAMES[:8] if not self.returns else (*NAMES[:2], "top_k", *NAMES[4:8])
        return route(*(given[name] for name in first), **told)


def adapter_of(module: ModuleType, function: Callable[..., Any]) -> Adapter:
    """Return what a module declares of its kernel.

    Raises:
        AdapterError: a declaration is not one of those above.

    """
    arguments = _declared(module, "ARGUMENTS", dict, {})
    if unknown := sorted(set(arguments) - set(NAMES)):
        raise AdapterError(
            f"{module.__name__}.ARGUMENTS has {', '.join(unknown)}: expected {', '.join(NAMES)}"
        )
    returns = tuple(_declared(module, "RETURNS", (tuple, list), ()))
    if returns and sorted(returns) != sorted(_OUTPUTS):
        raise AdapterError(f"{module.__name__}.RETURNS is {returns}: expected weights and ids")
    types = {}
    for name, known in (("IDS", _IDS), ("WEIGHTS", _WEIGHTS)):
        types[name] = _declared(module, name, str, known[0])
        if types[name] not in known:
            raise AdapterError(
                f"{module.__name__}.{name} is {types[name]!r}: expected {' or '.join(known)}"
            )
    parameters = _parameters(function)
    told = tuple(name for name in _TOLD if name in (arguments or parameters))
    return Adapter(
        arguments,
        told,
        returns,
        types["IDS"],
        types["WEIGHTS"],
        _shared(module),
        tuple(_declared(module, "SCORINGS", (tuple, list), ("sigmoid",))),
        tuple(_declared(module, "GROUP_SCORES", (tuple, list), ("sum of two largest",))),
        bool(getattr(module, "BATCH_INVARIANT", False)),
        getattr(module, "supports", None),
    )


def _declared(module: ModuleType, name: str, kind: Any, default: Any) -> Any:  # noqa: ANN401
    value = getattr(module, name, default)
    if not isinstance(value, kind):
        words = kind.__name__ if isinstance(kind, type) else kind[0].__name__
        raise AdapterError(f"{module.__name__}.{name} is {value!r}: expected a {words}")
    return value


def _shared(module: ModuleType) -> SharedExperts | None:
    declared = _declared(module, "SHARED_EXPERTS", dict, {})
    if not declared:
        return None
    count, weight = declared.get("count"), declared.get("weight", 1.0)
    usable = weight == "1/scale" or (isinstance(weight, int | float) and weight > 0)
    if type(count) is not int or count < 1 or not usable or declared.keys() - {"count", "weight"}:
        raise AdapterError(
            f"{module.__name__}.SHARED_EXPERTS is {declared}: expected a count of at least 1 and a "
            "weight, a number above 0 or '1/scale'"
        )
    return SharedExperts(count, None if weight == "1/scale" else float(weight))


def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a built-in function has none that can be read
        return frozenset()
    return frozenset(found)
