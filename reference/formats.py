"""The types in which a kernel may return its weights, and what rounding to them adds.

float32 is the contract's: its rounding is in every bound already. A kernel that returns bfloat16 or
float16 by design computes in float32 and rounds once more, to nearest; a tensor of that type states
so. A float32 tensor whose values went through a narrower type is judged as float32.
"""

from __future__ import annotations

from dataclasses import dataclass

from goldgate.reference import formulas
from goldgate.reference.formulas import TINY, Real


@dataclass(frozen=True)
class WeightFormat:
    """A type of weights.

    Attributes:
        name: as numpy and torch call it.
        roundoff: the relative error of rounding to nearest, 2**-p for p bits of significand; 0 for
            float32, where it is part of the arithmetic.
        least: the absolute error below the normal numbers.
        ulp: how many float32 ulps an ulp of it is.

    """

    name: str
    roundoff: float
    least: float
    ulp: float

    def widened(self, bound: Real, weight: Real) -> Real:
        """Return the bound on a float32 weight's error with the rounding to this type."""
        if not self.roundoff:
            return bound
        return formulas.rounded_error(bound, weight, self.roundoff, self.least)


#: By safetensors' name of the type. float16 below 2**-14 has steps of 2**-24 (IEEE 754 binary16);
#: bfloat16 has float32's exponents, so that a subnormal one is flushed at most.
FORMATS = {
    "F32": WeightFormat("float32", roundoff=0.0, least=0.0, ulp=1.0),
    "BF16": WeightFormat("bfloat16", roundoff=2.0**-8, least=TINY, ulp=2.0**16),
    "F16": WeightFormat("float16", roundoff=2.0**-11, least=2.0**-25, ulp=2.0**13),
}

FLOAT32 = FORMATS["F32"]
