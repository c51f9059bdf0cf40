"""The distributions of rows on which honest kernels must never be called wrong."""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """Logits shift + scale N(0, 1) beside biases centre + spread N(0, 1).

    Attributes:
        scale: of the logits.
        shift: their mean.
        centre: of the biases.
        spread: theirs.
        recovered: whether the bias is one from which weights recovered by subtraction are of
            interest.

    """

    scale: float
    shift: float
    centre: float
    spread: float
    recovered: bool = False


CASES = (
    Case(1.0, 0.0, 0.0, 0.1),
    Case(1.0, 0.0, 0.0, 0.0),
    Case(3.0, 0.0, 0.0, 0.2),
    Case(0.1, 0.0, 0.0, 0.01),
    Case(1.0, -6.0, 0.0, 0.1),
    Case(1.0, 6.0, 0.0, 0.1),
    Case(4.0, 14.0, 0.0, 0.1),
    Case(10.0, -40.0, 0.0, 0.0),
    Case(1.5, 0.0, 7.0, 0.1, recovered=True),
    Case(1.0, 0.0, 35.0, 0.1, recovered=True),
    Case(1.0, 0.0, -1.8, 0.1, recovered=True),
    Case(2.0, -2.0, 0.0, 0.5, recovered=True),
)
