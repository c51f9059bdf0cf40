"""What a routing kernel is here: how it is called, and what the catalogue knows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from goldgate import text
from goldgate.errors import GoldgateError
from goldgate.kernels.adapter import Adapter
from goldgate.kernels.call_site import CallSite
from goldgate.kernels.origin import Origin
from goldgate.reference import RoutingSpec


class RoutingKernel(Protocol):
    """A routing kernel with the signature of `aiter.biased_grouped_topk` (aiter/ops/topk.py).

    The arguments are torch tensors: gating_output [T, E] float32, bfloat16 or float16;
    correction_bias [E] likewise; topk_weights [T, k] float32 and topk_ids [T, k] int32, both
    written in place. What it returns is ignored.
    """

    def __call__(
        self,
        gating_output: Any,  # noqa: ANN401 - torch.Tensor, which the judge does not import
        correction_bias: Any,  # noqa: ANN401 - as above
        topk_weights: Any,  # noqa: ANN401 - as above
        topk_ids: Any,  # noqa: ANN401 - as above
        num_expert_group: int,
        topk_group: int,
        need_renorm: bool,
        routed_scaling_factor: float = 1.0,
        /,
    ) -> object:
        """Route every row."""


class KernelError(GoldgateError):
    """A kernel that is not there or cannot be used: one line with what would help."""


class NotCoveredError(KernelError):
    """A call that the kernel is not made for: it is not covered, and no failure."""


#: What a module or a call of somebody else's may raise; SystemExit would end the judge as well.
FOREIGN = (Exception, SystemExit)


def one_line(error: BaseException) -> str:
    """Return an exception's type and words in one printable line of at most 300 characters."""
    return f"{type(error).__name__}: {text.one_line(str(error), 300)}"


@dataclass(frozen=True)
class Loaded:
    """A kernel ready to be called.

    Attributes:
        route: the function, with aiter's signature.
        name: the function's name, as it stands in output files and known failures.
        version: of the package it comes from.
        device: torch's name of the device that its tensors must be on.
        arithmetic: the name of its arithmetic profile.
        note: what a reader of its outputs should know.
        contiguous: whether it takes contiguous tensors alone, so that it is called on no others.
        execution: "hardware", or "emulated" by an instruction-set emulator.
        processor: what it runs on, where that is not the torch device.
        rounding: of an emulated kernel, its rounding model.
        adapter: what it takes and returns, where that is not aiter's convention.
        before: called with the logits and the router before every call: a time limit starts there.
        findings: returns what its calls since the last time found beside their outputs.

    """

    route: RoutingKernel
    name: str
    version: str
    device: str
    arithmetic: str
    note: str = ""
    contiguous: bool = False
    execution: str = "hardware"
    processor: str = ""
    rounding: str = ""
    adapter: Adapter = field(default_factory=Adapter)
    before: Callable[[Any, RoutingSpec], object] = lambda _logits, _spec: None
    findings: Callable[[], tuple[str, ...]] = tuple


@dataclass(frozen=True)
class Kernel:
    """An entry of the catalogue: a kernel that may run on some machines or be met in servers.

    Attributes:
        name: what `--kernel` and `--router` call it.
        summary: what it is and where it comes from.
        missing: returns why it cannot run here and what would run it, or None if it can.
        load: imports it; called only where nothing is missing.
        supports: why a router is beyond it, or None.
        origin: its import, package and arithmetic.
        call_sites: where servers call it, for the recorder.
        by_default: whether commands take it where no kernel is named.
        aliases: other names that `--kernel` and `--router` take.

    """

    name: str
    summary: str
    missing: Callable[[], str | None]
    load: Callable[[], Loaded]
    supports: Callable[[RoutingSpec], str | None]
    origin: Origin
    call_sites: tuple[CallSite, ...] = ()
    by_default: bool = True
    aliases: tuple[str, ...] = ()


def recorded_only(name: str, summary: str, *call_sites: CallSite) -> Kernel:
    """Return an entry for a kernel that the recorder reads in a server and nothing here calls."""
    why = f"{name}: goldgate has no call of its own for it; `goldgate record` reads it in a server"

    def load() -> Loaded:
        raise KernelError(why)

    def supports(spec: RoutingSpec) -> str | None:
        # A call that names its scoring may name another.
        named = any({"scoring"} & {*site.spec, *site.fixed} for site in call_sites)
        return None if named else sigmoid_only(spec)

    first = call_sites[0]
    origin = Origin(f"{first.module}:{first.function}", (first.package,))
    return Kernel(name, summary, lambda: why, load, supports, origin, call_sites, by_default=False)


def sigmoid_only(spec: RoutingSpec) -> str | None:
    """Refuse routers with another scoring, or whose groups another rule ranks."""
    if spec.scoring != "sigmoid":
        return f"scores with sigmoid, not {spec.scoring}"
    if spec.num_expert_group > 1 and spec.group_terms != 2:
        return f"ranks groups by the sum of their two largest scores, not by the {spec.group_score}"
    return None


def spec_of(gating_output: Any, topk_ids: Any, *arguments: Any) -> RoutingSpec:  # noqa: ANN401 - as in RoutingKernel
    """Return the router that a call of a `RoutingKernel` asks for.

    Args:
        gating_output: [T, E].
        topk_ids: [T, k].
        *arguments: num_expert_group, topk_group, need_renorm and routed_scaling_factor.

    """
    groups, kept, renormalize, scale = arguments
    return RoutingSpec(
        num_experts=gating_output.shape[1],
        top_k=topk_ids.shape[1],
        num_expert_group=groups,
        topk_group=kept,
        renormalize=renormalize,
        routed_scaling_factor=scale,
    )
