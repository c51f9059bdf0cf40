"""Whether a routing kernel is right: the judge of recorded outputs, and the kernels it can run."""

from goldgate.accuracy.evaluate import Result, judge
from goldgate.accuracy.testing import assert_parity

__all__ = ["Result", "assert_parity", "judge"]
