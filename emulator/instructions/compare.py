"""Vector comparisons: a lane mask from two operands (CDNA3 ISA, V_CMP_*)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldgate.emulator.instructions import Vector

Bool = NDArray[np.bool_]
Compare = Callable[[Any, Any], Bool]

#: Each comparison of floats: unordered operands satisfy the n-forms (not less than, ...) and "u".
FLOATS: dict[str, Compare] = {
    "lt": lambda a, b: a < b,
    "eq": lambda a, b: a == b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "lg": lambda a, b: (a < b) | (a > b),
    "ge": lambda a, b: a >= b,
    "o": lambda a, b: ~(np.isnan(a) | np.isnan(b)),
    "u": lambda a, b: np.isnan(a) | np.isnan(b),
    "nge": lambda a, b: ~(a >= b),
    "nlg": lambda a, b: ~((a < b) | (a > b)),
    "ngt": lambda a, b: ~(a > b),
    "nle": lambda a, b: ~(a <= b),
    "neq": lambda a, b: a != b,
    "nlt": lambda a, b: ~(a < b),
}
INTEGERS: dict[str, Compare] = {
    "lt": lambda a, b: a < b,
    "eq": lambda a, b: a == b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ne": lambda a, b: a != b,
    "ge": lambda a, b: a >= b,
}
_TYPES = {"f32": "f", "f64": "d", "f16": "h"}


def _signed(compare: Compare) -> Compare:
    return lambda a, b: compare(a.view(np.int64), b.view(np.int64))


def _all() -> Iterator[Vector]:
    for suffix, kind in _TYPES.items():
        for name, compare in FLOATS.items():
            yield Vector(f"v_cmp_{name}_{suffix}", kind * 2, "m", compare)
    for name, compare in INTEGERS.items():
        yield Vector(f"v_cmp_{name}_i32", "ii", "m", compare)
        yield Vector(f"v_cmp_{name}_u32", "uu", "m", compare)
        yield Vector(f"v_cmp_{name}_u64", "qq", "m", compare)
        yield Vector(f"v_cmp_{name}_i64", "qq", "m", _signed(compare))


OPERATIONS = tuple(_all())
