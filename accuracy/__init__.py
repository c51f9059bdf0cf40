"""Whether a routing kernel is right: the judge of recorded outputs, and the kernels it can run."""

from accuracy.judge import Result, judge
from accuracy.parity import assert_parity

__all__ = ["Result", "assert_parity", "judge"]
