"""Honest kernels, which no check should fail, and the rows they are tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from accuracy.kernels import Loaded, Route
from accuracy.kernels.torch_eager import route as torch_eager
from accuracy.mutants import compiled as c
from accuracy.mutants.cases import CASES, Case
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

#: What the rows of `volume` are of: every case, and bfloat16 logits without a bias, where ties are
#: frequent.
KINDS: tuple[Case | None, ...] = (*CASES, None)

#: Rows of a block of `volume` are a multiple of this.
_STEP = 1024


def block_rows(rows: int) -> int:
    """Return how many rows a block has, that so many rows bring every family to every kind.

    No more than a call takes at once: its memory is what a block needs, several times over.
    """
    blocks = len(COMPILED) * len(KINDS)
    return min(CALL_ROWS, -(-rows // (blocks * _STEP)) * _STEP)


def blocks(rows: int) -> int:
    """Return how many blocks `volume` judges."""
    return -(-rows // block_rows(rows))


def volume(rows: int) -> Iterator[tuple[str, Honest, Trial]]:
    """Judge the compiled kernels in turn on so many fresh rows of 256 experts and top-8, or more.

    Yields what the rows are of, the kernel, and what the judge says.
    """
    for turn in range(blocks(rows)):
        honest = COMPILED[turn % len(COMPILED)]
        kind = KINDS[turn // len(COMPILED) % len(KINDS)]
        held = _rows(turn, kind, block_rows(rows))
        loaded = Loaded(honest.make(), honest.name, "unversioned", "cpu", honest.profile)
        ran = run(loaded, held)
        yield words(kind), honest, judged(held, ran.output, honest.profile, len(ran.faults))


def words(kind: Case | None) -> str:
    """Say what rows are of."""
    if kind is None:
        return "bfloat16 logits N(0, 1), no bias"
    return (
        f"logits {kind.shift:g} + {kind.scale:g} N(0, 1), "
        f"bias {kind.centre:g} + {kind.spread:g} N(0, 1)"
    )


def _rows(turn: int, kind: Case | None, rows: int) -> Recording:
    rng = np.random.default_rng([SEED, 1, turn])
    logits = rng.standard_normal((rows, 256), dtype=np.float32)
    if kind is None:
        zero = np.zeros(256, np.float32)
        return recording(f"volume {turn}", tensor(bfloat16(logits), "BF16"), zero, MINIMAX_M2_5)
    logits *= np.float32(kind.scale)
    logits += np.float32(kind.shift)
    bias = rng.normal(kind.centre, kind.spread, 256).astype(np.float32)
    return recording(f"volume {turn}", logits, bias, MINIMAX_M2_5)
