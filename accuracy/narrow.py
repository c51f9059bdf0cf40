"""Float32 values on the grid of a narrower type: rounded to it, or cut off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: The types that a bias may be cast to on purpose, and those whose grid logits may lie on.
NARROW = ("bfloat16", "float16")

Float32 = NDArray[np.float32]


def narrowed(values: Float32, name: str) -> Float32:
    """Return float32 values rounded to the nearest of a narrow type, ties to even."""
    if name == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    even = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + even) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(values), values, rounded.view(np.float32))


def truncated(values: Float32, name: str) -> Float32:
    """Return float32 values rounded towards zero to a narrow type, as dropping low bits does."""
    if name == "float16":
        nearest = narrowed(values, name).astype(np.float16)
        away = np.abs(nearest.astype(np.float32)) > np.abs(values)
        inward = np.nextafter(nearest, np.float16(0))
        return np.where(away, inward, nearest).astype(np.float32)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(values), values, bits.view(np.float32))
