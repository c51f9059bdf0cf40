"""What a planted fault is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from goldgate.kernels.adapter import Adapter
from goldgate.reference.spec import GROUP_SCORES, SCORINGS

#: A kernel to call, whose signature may be one of its faults.
PlantedKernel = Callable[..., object]

#: What a kernel is told where it has a parameter of that name.
_TOLD = ("scoring", "group_score", "num_token_non_padded")

#: What catches a fault: the judge's reasons for failing a row, its drift tier, the checks on calls,
#: the refusal of a file, and a known failure that no longer shows.
DRIFT, CALL, REFUSED, STALE = "drift", "call", "refused", "stale known failure"

#: What the tier of random errors sees: weights on a narrower type's grid, a mean square that
#: roundings do not reach, a group of weights that leans.
GRID, SCATTER, GROUP = "grid", "scatter", "group"

#: What is seen beside a kernel's answers: a bias that is not the checkpoint's, float32 logits on a
#: narrower type's grid, a recording of which nothing can be judged, weights of a type that nothing
#: declares, a listed row that is worse than its ceiling, a swap that changes more than rounding.
INPUT, LOGITS, NOTHING = "INPUT FAIL", "coarse logits", "nothing judged"
UNDECLARED, BEYOND, UNEXPLAINED = "undeclared type", "beyond its ceiling", "unexplained"

#: A recording of a folder that fails, for what its answers are.
FAILED = "failed"

#: What is seen of errors inside the bound.
INSIDE = frozenset({DRIFT, GRID, SCATTER, GROUP})


@dataclass(frozen=True)
class Fault:
    """A fault planted in a kernel.

    Attributes:
        name: what goes wrong.
        family: arithmetic, selection, memory, rare, drift, scatter or inside rounding.
        on: the recording on which it shows.
        seen_as: what must catch it: a `Reason`'s text, `CALL` or one of `INSIDE`; None for a fault
            inside rounding, which must pass.
        stands_for: the real case.
        make: a fresh kernel that has it.
        repeats: how often its call is made again, as `goldgate parity --repeats` does.
        batch_invariant: whether the kernel claims that rows do not depend on each other.

    """

    name: str
    family: str
    on: str
    seen_as: str | None
    stands_for: str
    make: Callable[[], PlantedKernel]
    repeats: int = 0
    batch_invariant: bool = False


@dataclass(frozen=True)
class FileFault:
    """A fault planted in an output file; `damage` edits the file of an honest kernel.

    Attributes: as those of `Fault`; seen_as may be `REFUSED`.

    """

    name: str
    on: str
    seen_as: str
    stands_for: str
    damage: Callable[[Path], None]


@dataclass(frozen=True)
class FolderFault:
    """A fault of what is judged: recordings, a folder of outputs, or a list of known failures.

    Attributes:
        name: what goes wrong.
        seen_as: what must catch it, `REFUSED` or `INPUT` to `FAILED`; None for what must pass.
        stands_for: the real case.
        build: writes recordings and outputs into an empty folder.

    """

    name: str
    seen_as: str | None
    stands_for: str
    build: Callable[[Path], None]


def adapter_of(route: PlantedKernel, *, batch_invariant: bool = False) -> Adapter:
    """Return how a planted kernel is called: it is told the scoring where it has the parameter.

    One that has not takes every router all the same, as a kernel made for one scoring does.
    """
    return Adapter(
        told=tuple(name for name in _TOLD if name in inspect.signature(route).parameters),
        scorings=SCORINGS,
        group_scores=tuple(GROUP_SCORES),
        batch_invariant=batch_invariant,
    )
