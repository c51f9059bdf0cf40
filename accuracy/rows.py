"""What is judged and what it is held against: the two things that every step of the judge takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from goldgate.fixtures import Output, Recording
from goldgate.fixtures.tensorfile import Stored, float32
from goldgate.reference import FLOAT32, FORMATS, Profile, RoutingSpec, WeightFormat


@dataclass(frozen=True)
class Contract:
    """What an answer is held against.

    Attributes:
        spec: the router.
        profile: the kernel's arithmetic.
        ordered: whether ids must be in descending order, up to ties and rounding.
        weight_format: the type in which the kernel returns its weights.

    """

    spec: RoutingSpec
    profile: Profile
    ordered: bool = False
    weight_format: WeightFormat = FLOAT32


@dataclass(frozen=True)
class Rows:
    """What n rows asked of a kernel, and what it returned, whatever that is.

    Attributes:
        logits: [n, E], float32, float16 or, as uint16, the bits of bfloat16.
        bias: what the kernel consumed, float64 [E].
        ids: int32 [n, k].
        weights: float32 [n, k], exact for narrower types; None where the ids alone are judged.
        padding: rows that are not judged, bool [n].

    """

    logits: Stored
    bias: NDArray[np.float64]
    ids: NDArray[np.int32]
    weights: NDArray[np.float32] | None
    padding: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return n."""
        return len(self.ids)

    def take(self, which: slice | NDArray[np.int64]) -> Rows:
        """Return some of the rows, by a slice or by their numbers."""
        weights = None if self.weights is None else self.weights[which]
        return Rows(self.logits[which], self.bias, self.ids[which], weights, self.padding[which])

    def widened(self) -> Rows:
        """Return the rows with their logits as float32."""
        return replace(self, logits=float32(self.logits))


def rows_of(recording: Recording, output: Output, start: int, stop: int) -> Rows:
    """Return rows start to stop of a recording with a kernel's answers.

    Raises:
        OSError: a file cannot be read.

    """
    return Rows(
        recording.stored_logits(start, stop),
        recording.bias().astype(np.float64),
        output.ids(start, stop),
        None if output.topk_weights is None else output.weights(start, stop),
        recording.padding(start, stop),
    )


def weight_format(output: Output) -> WeightFormat:
    """Return the type of an output's weights; float32 where it has none."""
    held = output.topk_weights
    return FLOAT32 if held is None else FORMATS[held.dtype]
