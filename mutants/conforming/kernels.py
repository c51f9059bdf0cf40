"""Honest kernels, which no check should fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from goldgate.kernels.torch_eager import route as torch_eager
from goldgate.mutants.conforming import compiled as c
from goldgate.mutants.conforming.steps import Steps, kernel
from goldgate.mutants.fault import PlantedKernel
from goldgate.mutants.faults.memory import padded_as
from goldgate.mutants.recordings import PADDING_ROWS


@dataclass(frozen=True)
class Honest:
    """A kernel that is right.

    Attributes:
        name: in what it differs from the others.
        profile: its arithmetic.
        make: makes it.

    """

    name: str
    profile: str
    make: Callable[[], PlantedKernel]


#: For routers of one group.
COMPILED = (
    Honest("expf, divide, added by rank", "ieee", c.compiled),
    Honest(
        "two branches, added in reverse", "ieee", lambda: c.compiled(c.TWO_BRANCHES, c.REVERSED)
    ),
    Honest("exp2, rcp, last bits wrong", "rcp_exp2", lambda: c.compiled(c.EXP2, c.PAIRWISE)),
    Honest(
        "fast math, as many ulps off as stated",
        "fast_math",
        lambda: c.compiled(c.FAST_MATH, c.BY_ID),
    ),
    Honest("tanh, as many ulps off as stated", "tanh", lambda: c.compiled(c.TANH, c.PAIRWISE)),
    Honest(
        "weights recovered by subtraction",
        "expf_div_subtract",
        lambda: c.compiled(recovered=True),
    ),
    Honest("pairs by ascending id", "ieee", lambda: c.compiled(unordered=True)),
    Honest("ties by lanes of four", "ieee", lambda: c.compiled(lanes=True)),
)

HONEST = (
    Honest("numpy", "ieee", kernel),
    Honest("torch eager", "ieee", lambda: torch_eager),
    *COMPILED,
)

#: For recordings with padding: what kernels write there is not judged.
PADDED = (
    Honest("padding routed like any row", "ieee", kernel),
    Honest(
        "padding gets expert -1, weight 0",
        "ieee",
        lambda: kernel(Steps(), padded_as(slice(-PADDING_ROWS, None), -1, 0.0)),
    ),
    Honest(
        "padding gets expert 0, weight 0",
        "ieee",
        lambda: kernel(Steps(), padded_as(slice(-PADDING_ROWS, None), 0, 0.0)),
    ),
)
