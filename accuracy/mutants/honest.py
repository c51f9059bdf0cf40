"""Honest kernels, which no check should fail, and the rows they are tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from accuracy.kernels import Loaded, Route
from accuracy.kernels.torch_eager import route as torch_eager
from accuracy.mutants import compiled as c
from accuracy.mutants.inputs import SEED, bfloat16
from accuracy.mutants.steps import kernel
from accuracy.mutants.trial import Trial, judged
from accuracy.running import CALL_ROWS, run
from fixtures import Recording
from fixtures.recording import recording
from fixtures.tensorfile import tensor
from reference import MINIMAX_M2_5


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
    make: Callable[[], Route]


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

#: Spread of the logits, mean and spread of the biases, in turn.
_SPREADS = ((1.0, 0.0, 0.1), (1.5, 7.0, 0.08), (4.0, 0.0, 0.2))


def _rows(turn: int) -> Recording:
    # So that every kernel meets every kind, whatever the number of kernels.
    around = turn // len(COMPILED)
    rng = np.random.default_rng([SEED, 1, turn])
    logits = rng.standard_normal((CALL_ROWS, 256), dtype=np.float32)
    if (turn + around) % 10 == 9:
        zero = np.zeros(256, np.float32)
        return recording(f"volume {turn}", tensor(bfloat16(logits), "BF16"), zero, MINIMAX_M2_5)
    spread, mean, bias_spread = _SPREADS[around % 3]
    logits *= np.float32(spread)
    bias = rng.normal(mean, bias_spread, 256).astype(np.float32)
    return recording(f"volume {turn}", logits, bias, MINIMAX_M2_5)


def volume(rows: int) -> Iterator[tuple[Honest, Trial]]:
    """Judge the compiled kernels in turn on so many fresh rows of 256 experts and top-8, or more.

    One block in ten has bfloat16 logits and no bias, where ties are frequent.
    """
    for turn in range(-(-rows // CALL_ROWS)):
        honest = COMPILED[turn % len(COMPILED)]
        held = _rows(turn)
        loaded = Loaded(honest.make(), honest.name, "unversioned", "cpu", honest.profile)
        ran = run(loaded, held)
        yield honest, judged(held, ran.output, honest.profile, len(ran.faults))
