"""Which kernels the stand-in model is served with, by names that its server can import.

    goldgate serve --router goldgate.mutants.served.routers:bias-cast-to-bfloat16

The server's router is `module:attribute`; here every arm's name is an attribute, a fresh kernel
each time it is asked for.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

from goldgate.mutants.conforming.kernels import HONEST
from goldgate.mutants.fault import Fault, FileFault, PlantedKernel
from goldgate.mutants.trial import FAULTS, FILE_FAULTS

#: The arm that every other is compared with: the server's own golden router.
BASELINE = "golden"

_SOFTMAX, _SQRTSOFTPLUS = "needs a softmax router", "needs a sqrt(softplus) router"
_CONTIGUOUS = "needs tensors that are not contiguous"

#: Why the faults of a recording cannot show in the stand-in, whose routing is MiniMax-M2.5's: 256
#: experts, top-8, one group, renormalised, scale 1, and prompts of at most 4,096 tokens.
_NEEDS = {
    "grouped": "needs expert groups",
    "grouped-negative": "needs expert groups",
    "four-groups": "needs expert groups",
    "two-groups": "needs expert groups",
    "grouped-below": "needs expert groups",
    "softmax": _SOFTMAX,
    "softmax-large": _SOFTMAX,
    "softmax-dominant": _SOFTMAX,
    "softmax-groups": _SOFTMAX,
    "sqrtsoftplus": _SQRTSOFTPLUS,
    "sqrtsoftplus-large": _SQRTSOFTPLUS,
    "sqrtsoftplus-low": _SQRTSOFTPLUS,
    "top-1": "needs a single expert a token",
    "dead-group": "needs expert groups",
    "dead-group-nan": "needs expert groups",
    "padded": "needs rows of padding",
    "padding-between": "needs rows of padding",
    "offset-views": "needs tensors that are not aligned to 16 bytes",
    "gate-columns": _CONTIGUOUS,
    "between": "needs calls of two shapes",
    "bfloat16-bias": "needs a bfloat16 bias",
    "unnormalised": "needs weights that are not renormalised",
    "128-experts": "needs 128 experts",
    "384-experts": "needs 384 experts",
    "many": "needs more than 54,272 tokens in one call",
    "one-row": "needs a call with a single row, which this server never makes",
}

#: Why single faults cannot show in it, wherever they are shown.
_LOWEST = "needs biased scores below 0, which the stand-in has none of"
_NEEDED_BY = {
    "scale missing": "needs a scale other than 1",
    "scale applied twice": "needs a scale other than 1",
    "weights wrong above 65,536 tokens": "needs more than 65,536 tokens in one call",
    "start value -1": _LOWEST,
    "start value 0": _LOWEST,
    "clear value -1": _LOWEST,
    "clear value 0": _LOWEST,
    "selection by abs(c)": _LOWEST,
    "weights at the ids' stride": _CONTIGUOUS,
    "gate's row stride ignored": _CONTIGUOUS,
    "wrong where rows of logits are padded": _CONTIGUOUS,
    "wrong where rows of weights are padded": _CONTIGUOUS,
    "writes between the rows of the ids": _CONTIGUOUS,
    "writes in front of the ids": "needs ids behind other memory of their own storage",
}


@dataclass(frozen=True)
class Arm:
    """A kernel to serve the stand-in with.

    Attributes:
        name: as the command line and the server call it.
        title: as the tables call it.
        family: that of a `Fault`, or honest.
        router: what `goldgate serve --router` is given.
        fault: the fault planted, None for an honest kernel.
        profile: the arithmetic to judge it by.
        make: a fresh kernel.

    """

    name: str
    title: str
    family: str
    router: str
    fault: Fault | None
    profile: str
    make: Callable[[], PlantedKernel]


def slug(title: str) -> str:
    """Return a title in small letters, digits, dots and hyphens; a minus sign is spelled out."""
    spelled = re.sub(r"(?<= )-(?=\d)", "minus-", title.lower())
    return re.sub(r"[^a-z0-9.]+", "-", spelled).strip("-")


def not_served(fault: Fault | FileFault) -> str | None:
    """Return why a fault cannot be served, None if it can."""
    if isinstance(fault, FileFault):
        return "planted in a file, not in a kernel"
    return _NEEDED_BY.get(fault.name) or _NEEDS.get(fault.on)


def _arm(
    title: str, family: str, fault: Fault | None, profile: str, make: Callable[[], PlantedKernel]
) -> Arm:
    name = slug(title)
    return Arm(name, title, family, f"{__name__}:{name}", fault, profile, make)


def _arms() -> dict[str, Arm]:
    honest = [_arm(one.name, "honest", None, one.profile, one.make) for one in HONEST]
    faults = [
        _arm(fault.name, fault.family, fault, "ieee", fault.make)
        for fault in FAULTS
        if not_served(fault) is None
    ]
    return {arm.name: arm for arm in (*honest, *faults)}


#: Every arm but the baseline, by name: honest kernels first.
ARMS = _arms()

#: The default set, and what GSM8K's verdict must be: an honest kernel, a fault it sees, and one
#: that only kernel parity sees.
EXPECTED = {
    "torch-eager": "PRESERVED",
    "no-bias": "DEGRADED",
    "bias-cast-to-bfloat16": "PRESERVED",
}

#: The faults that cannot be served, by title, and why.
_ALL: tuple[Fault | FileFault, ...] = (*FAULTS, *FILE_FAULTS)
NOT_SERVED = {fault.name: why for fault in _ALL if (why := not_served(fault)) is not None}


def __getattr__(name: str) -> PlantedKernel:
    """Return a fresh kernel of that name, which may be called from several threads."""
    arm = ARMS.get(name)
    if arm is None:
        raise AttributeError(f"no arm {name!r}; goldgate mutants --end-to-end list")
    kernel, one_at_a_time = arm.make(), threading.Lock()

    def route(*arguments: object) -> None:
        # The server has several threads; some faults keep state, and numba's own threads may not
        # be started from two at once.
        with one_at_a_time:
            kernel(*arguments)

    return route
